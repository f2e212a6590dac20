//! Clusters and SQL warehouses as they are at one moment.
//!
//! A cluster made for a job run has no life of its own: it is derived from the run, so that the two can
//! never contradict each other (a running task always has a running cluster).

use super::events::{ClusterEvent, InitScript};
use super::outcome::Outcome;
use super::run::Compute;
use super::time::{UnixMillis, as_millis};
use super::view::{Phase, RunView, TaskView, since};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A cluster now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Unique in the workspace.
    pub cluster_id: String,
    /// `job-<job id>-run-<run id>` for job clusters.
    pub name: String,
    /// `UI`, `API`, `JOB`, ...
    pub source: String,
    /// `PENDING`, `RUNNING`, `TERMINATING`, `TERMINATED`, ...
    pub state: String,
    /// When it was created.
    pub start: UnixMillis,
    /// When it ended, if it has.
    #[serde(default)]
    pub terminated: Option<UnixMillis>,
    /// `termination_reason.code` and `.type`, if it has ended.
    #[serde(default)]
    pub reason: Option<(String, String)>,
    /// Instance type of driver and workers.
    #[serde(default = "node_type")]
    pub node_type: String,
    /// How many workers.
    #[serde(default)]
    pub workers: Workers,
    /// Runs on Photon.
    #[serde(default)]
    pub photon: bool,
    /// Pinned clusters are listed even when they ended long ago, and before others.
    #[serde(default)]
    pub pinned: bool,
    /// `custom_tags`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// `termination_reason.parameters`.
    #[serde(default)]
    pub reason_parameters: BTreeMap<String, String>,
    /// How long it took from its start until it ran.
    #[serde(default = "a_minute", rename = "setup_ms", with = "as_millis")]
    pub setup: Duration,
    /// Init scripts that run when it starts.
    #[serde(default)]
    pub init_scripts: Vec<InitScript>,
    /// When its size changes, in the order of time: for clusters that scale by themselves.
    #[serde(default)]
    pub resizes: Vec<Resize>,
    /// Events beside those that follow from the rest, such as `DRIVER_NOT_RESPONDING`.
    #[serde(default)]
    pub events: Vec<ClusterEvent>,
}

/// A change of a cluster's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// When it is decided; new workers come half a minute later.
    pub at: UnixMillis,
    /// How many workers there shall be.
    pub workers: u32,
}

impl Resize {
    pub(super) fn done(self) -> UnixMillis {
        self.at.plus(Duration::from_secs(30))
    }
}

/// The size of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workers {
    /// Always this many; 0 is a single-node cluster.
    Fixed(u32),
    /// Between the two.
    Autoscale {
        /// `autoscale.min_workers`.
        min: u32,
        /// `autoscale.max_workers`.
        max: u32,
    },
}

impl Default for Workers {
    fn default() -> Self {
        Self::Fixed(2)
    }
}

impl Workers {
    /// How many it starts with.
    #[must_use]
    pub fn least(self) -> u32 {
        match self {
            Self::Fixed(workers) => workers,
            Self::Autoscale { min, .. } => min,
        }
    }
}

/// A SQL warehouse now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warehouse {
    /// Unique in the workspace.
    pub id: String,
    /// Shown to users.
    pub name: String,
    /// `STARTING`, `RUNNING`, `STOPPING`, `STOPPED`, `DELETING` or `DELETED`.
    pub state: String,
    /// `2X-Small` to `5X-Large`.
    #[serde(default = "size")]
    pub size: String,
    /// `CLASSIC` or `PRO`.
    #[serde(default = "pro")]
    pub kind: String,
    /// `enable_serverless_compute`.
    #[serde(default)]
    pub serverless: bool,
    /// Clusters running for it now.
    #[serde(default)]
    pub clusters: u32,
    /// The most it may have.
    #[serde(default = "one")]
    pub max_clusters: u32,
    /// `num_active_sessions`.
    #[serde(default)]
    pub sessions: u32,
    /// `health.status`, if it has one: `HEALTHY`, `DEGRADED` or `FAILED`.
    #[serde(default)]
    pub health: Option<String>,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

fn node_type() -> String {
    "i3.xlarge".to_owned()
}

fn size() -> String {
    "Small".to_owned()
}

fn pro() -> String {
    "PRO".to_owned()
}

fn one() -> u32 {
    1
}

impl Cluster {
    /// An all-purpose cluster in a state.
    #[must_use]
    pub fn new(cluster_id: &str, name: &str, state: &str, start: UnixMillis) -> Self {
        Self {
            cluster_id: cluster_id.to_owned(),
            name: name.to_owned(),
            source: "UI".to_owned(),
            state: state.to_owned(),
            start,
            terminated: None,
            reason: None,
            node_type: node_type(),
            workers: Workers::default(),
            photon: false,
            pinned: false,
            tags: BTreeMap::new(),
            reason_parameters: BTreeMap::new(),
            setup: a_minute(),
            init_scripts: Vec::new(),
            resizes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// When it began to run.
    #[must_use]
    pub fn running_since(&self) -> UnixMillis {
        self.start.plus(self.setup)
    }

    /// How many workers it has and how many it shall have.
    #[must_use]
    pub fn size(&self, now: UnixMillis) -> (u32, u32) {
        let (mut current, mut target) = (self.workers.least(), self.workers.least());
        for resize in self.resizes.iter().take_while(|resize| resize.at <= now) {
            current = target;
            target = resize.workers;
            // Workers leave at once.
            if now >= resize.done() || target < current {
                current = target;
            }
        }
        (current, target)
    }

    /// The same cluster with the state it has while it grows.
    pub(super) fn at(mut self, now: UnixMillis) -> Self {
        let (current, target) = self.size(now);
        if self.state == "RUNNING" && current != target {
            self.state = "RESIZING".to_owned();
        }
        self
    }

    /// The cluster made for a run, once one of its tasks has asked for it.
    pub(crate) fn of_run(view: &RunView<'_>) -> Option<Self> {
        let users: Vec<&TaskView<'_>> = view
            .tasks
            .iter()
            .filter(|task| task.task.compute == Compute::JobCluster)
            // A task that was skipped never asked for a cluster.
            .filter(|task| task.slot.start < task.slot.end)
            .collect();
        let start = users.iter().filter(|task| task.has_started()).map(|task| task.slot.start).min()?;
        let planned_end = users.iter().map(|task| task.slot.end).max()?;
        let over = users.iter().all(|task| task.phase == Phase::Terminated);
        let executed =
            users.iter().any(|task| matches!(task.phase, Phase::Running | Phase::Terminating | Phase::Terminated));
        let state = match view.phase {
            _ if over => "TERMINATED",
            Phase::Terminating => "TERMINATING",
            _ if executed => "RUNNING",
            _ => "PENDING",
        };
        let run = view.run;
        let mut cluster =
            Self::new(&cluster_id_of_run(run.run_id), &name_of_cluster(run.job_id, run.run_id), state, start);
        cluster.source = "JOB".to_owned();
        cluster.tags = BTreeMap::from([("RunName".to_owned(), run.name.clone())]);
        let executing = users.iter().map(|task| task.slot.executing).min().unwrap_or(start);
        cluster.setup = since(executing, start);
        cluster.init_scripts = vec![InitScript::new("/Volumes/main/platform/scripts/kiln.sh", 3)];
        if over {
            cluster.terminated = Some(planned_end);
            let refused = users.iter().find_map(|task| match &task.task.outcome {
                Outcome::ClusterFailed(message) => Some(message.clone()),
                _ => None,
            });
            let (code, kind) = match refused {
                Some(message) => {
                    cluster.reason_parameters.insert("databricks_error_message".to_owned(), message);
                    ("CLOUD_PROVIDER_RESOURCE_STOCKOUT", "CLOUD_FAILURE")
                }
                None => ("JOB_FINISHED", "SUCCESS"),
            };
            cluster.reason = Some((code.to_owned(), kind.to_owned()));
        }
        Some(cluster)
    }
}

impl Warehouse {
    /// A small Pro warehouse in a state.
    #[must_use]
    pub fn new(id: &str, name: &str, state: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            state: state.to_owned(),
            size: size(),
            kind: pro(),
            serverless: false,
            clusters: u32::from(state == "RUNNING"),
            max_clusters: one(),
            sessions: 0,
            health: None,
        }
    }
}

/// The name of the cluster made for a run.
pub(super) fn name_of_cluster(job_id: i64, run_id: i64) -> String {
    format!("job-{job_id}-run-{run_id}")
}

/// The id of the cluster made for a run, in the shape of real ones (`0926-083131-mz4kmzib`).
pub(crate) fn cluster_id_of_run(run_id: i64) -> String {
    let id = run_id.unsigned_abs();
    format!("{:04}-{:06}-{:08x}", id % 1231, id / 1231 % 1_000_000, id % 0xffff_ffff)
}
