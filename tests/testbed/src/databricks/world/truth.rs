//! What a reader of the world should have counted.
//!
//! A client that polls pages can miss, repeat or misattribute runs; the world knows what happened. A
//! [`Truth`] is computed from the plans, never from an answer of the API, so the two can be compared.
//!
//! The rules, each from the documentation of `BaseRun` and `RunTask` in databricks-sdk 0.156.0:
//! - a run has ended in a period if, at the end of the period, it is over and its end lies in the period; both
//!   ends count. A run that was repaired meanwhile counts once, with its last end;
//! - its setup, execution and clean-up are its own unless it has several tasks, and then the sum over those;
//! - its duration is `run_duration`, or setup + execution + clean-up where the API gives none (or 0);
//! - a duration that the API does not tell, or tells as a negative number, is not counted;
//! - its result is `state.result_state`, else the life cycle if that is `SKIPPED` or `INTERNAL_ERROR`, else
//!   `status.termination_details.code`.
//!
//! Invariant: a truth is a pure function of the world and the two times.

use super::World;
use super::time::UnixMillis;
use super::view::RunView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened in a period, and what there is at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The period, both ends included; its end is not later than the world's time.
    pub from: UnixMillis,
    /// See `from`.
    pub to: UnixMillis,
    /// The runs that ended, in the order of their keys.
    pub runs: Vec<RunGroup>,
    /// The tasks of the runs that ended, every attempt for itself, in the order of their keys.
    pub tasks: Vec<TaskGroup>,
    /// What there is at the end of the period.
    pub totals: Totals,
}

/// Runs alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunGroup {
    /// Their job.
    pub job_id: i64,
    /// `run_name`.
    pub run_name: String,
    /// `run_type`.
    pub run_type: String,
    /// How they ended.
    pub result_state: String,
    /// How many they are.
    pub count: u64,
    /// How many repairs of them there were.
    pub repairs: u64,
    /// Their durations.
    #[serde(flatten)]
    pub durations: Durations,
}

/// Tasks alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskGroup {
    /// The job of their runs.
    pub job_id: i64,
    /// `task_key`.
    pub task_key: String,
    /// How they ended.
    pub result_state: String,
    /// How many they are.
    pub count: u64,
    /// Their durations.
    #[serde(flatten)]
    pub durations: Durations,
}

/// Sums of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// From the end of the queue to the end.
    pub run: Sum,
    /// In the queue.
    pub queue: Sum,
    /// Getting clusters.
    pub setup: Sum,
    /// Running code.
    pub execution: Sum,
    /// Returning clusters.
    pub cleanup: Sum,
}

/// A number of durations and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many were told.
    pub count: u64,
    /// Their sum in milliseconds.
    pub ms: i64,
}

/// Numbers of things.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Jobs.
    pub jobs: u64,
    /// Clusters by state, all-purpose and job clusters.
    pub clusters: BTreeMap<String, u64>,
    /// SQL warehouses by state.
    pub warehouses: BTreeMap<String, u64>,
    /// Workspace objects by type, in the whole tree.
    pub objects: BTreeMap<String, u64>,
    /// The size of all files in DBFS.
    pub dbfs_bytes: i64,
    /// Files in DBFS; directories do not count.
    pub dbfs_files: u64,
    /// Tokens that have not expired.
    pub tokens_active: u64,
    /// Users that are active.
    pub users_active: u64,
    /// Users that are not.
    pub users_inactive: u64,
    /// Groups.
    pub groups: u64,
    /// Cluster policies.
    pub policies: u64,
}

impl Sum {
    /// The sum in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
    pub fn seconds(&self) -> f64 {
        self.ms as f64 / 1000.0
    }

    fn add(&mut self, told: Option<i64>) {
        if let Some(ms) = told.filter(|ms| *ms >= 0) {
            self.count += 1;
            self.ms = self.ms.saturating_add(ms);
        }
    }
}

/// The five durations of a run or task as the API tells them; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) run: Option<i64>,
    pub(crate) queue: Option<i64>,
    pub(crate) setup: Option<i64>,
    pub(crate) execution: Option<i64>,
    pub(crate) cleanup: Option<i64>,
}

impl Told {
    fn phases(&self) -> Option<i64> {
        Some(self.setup?.saturating_add(self.execution?).saturating_add(self.cleanup?))
    }
}

impl Durations {
    fn add(&mut self, told: &Told) {
        self.run.add(told.run.filter(|ms| *ms != 0).or(told.phases()));
        self.queue.add(told.queue);
        self.setup.add(told.setup);
        self.execution.add(told.execution);
        self.cleanup.add(told.cleanup);
    }
}

impl World {
    /// What happened from one time to another, both included, and what there is at the end of that period.
    #[must_use]
    pub fn truth(&self, from: UnixMillis, to: UnixMillis) -> Truth {
        let to = to.min(self.now());
        let mut runs: BTreeMap<_, (u64, u64, Durations)> = BTreeMap::new();
        let mut tasks: BTreeMap<_, (u64, Durations)> = BTreeMap::new();
        self.with_runs(to, |visible| {
            // Nothing ends after its last end.
            let plans = visible.heads().iter().zip(visible.plans()).filter(|(head, _)| head.end >= from);
            for view in plans.filter_map(|(_, run)| run.at(to)) {
                if view.end.is_none_or(|end| end < from) {
                    continue;
                }
                let run = view.run;
                let key = (run.job_id, run.name.clone(), run.run_type.clone(), view.result_state());
                let (count, repairs, durations) = runs.entry(key).or_default();
                *count += 1;
                *repairs += repairs_of(&view);
                durations.add(&told_of(&view));
                for task in &view.tasks {
                    let key = (run.job_id, task.task.key.clone(), view.result_state_of(task));
                    let (count, durations) = tasks.entry(key).or_default();
                    *count += 1;
                    durations.add(&view.told_of(task));
                }
            }
        });
        let run_group = |((job_id, run_name, run_type, result_state), (count, repairs, durations))| RunGroup {
            job_id,
            run_name,
            run_type,
            result_state,
            count,
            repairs,
            durations,
        };
        let task_group = |((job_id, task_key, result_state), (count, durations))| TaskGroup {
            job_id,
            task_key,
            result_state,
            count,
            durations,
        };
        Truth {
            from,
            to,
            runs: runs.into_iter().map(run_group).collect(),
            tasks: tasks.into_iter().map(task_group).collect(),
            totals: self.totals(to),
        }
    }

    fn totals(&self, now: UnixMillis) -> Totals {
        let mut totals =
            Totals { jobs: self.with_jobs(|jobs| u64::try_from(jobs.len()).unwrap_or(u64::MAX)), ..Totals::default() };
        for cluster in self.clusters(now) {
            *totals.clusters.entry(cluster.state).or_default() += 1;
        }
        for warehouse in self.warehouses(now) {
            *totals.warehouses.entry(warehouse.state).or_default() += 1;
        }
        self.with_objects(|tree| {
            for object in tree.all() {
                *totals.objects.entry(object.kind.clone()).or_default() += 1;
            }
        });
        self.with_files(|tree| {
            for file in tree.all().filter(|file| !file.is_dir) {
                totals.dbfs_files += 1;
                totals.dbfs_bytes = totals.dbfs_bytes.saturating_add(file.size);
            }
        });
        let scene = self.scene();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let tokens = scene.tokens.iter().filter(|token| token.created <= now && token.is_active(now));
        totals.tokens_active = number(tokens.count());
        totals.users_active = number(scene.users.iter().filter(|user| user.active).count());
        totals.users_inactive = number(scene.users.len()) - totals.users_active;
        totals.groups = number(scene.groups.len());
        totals.policies = number(scene.policies.len());
        totals
    }
}

fn repairs_of(view: &RunView<'_>) -> u64 {
    u64::try_from(view.history.len().saturating_sub(1)).unwrap_or(u64::MAX)
}

/// The run's own durations, its tasks' phases put together where it has several.
fn told_of(view: &RunView<'_>) -> Told {
    let own = view.told();
    if view.tasks.len() < 2 {
        return own;
    }
    let sum = |phase: fn(&Told) -> Option<i64>| {
        let told: Vec<i64> =
            view.tasks.iter().filter_map(|task| phase(&view.told_of(task))).filter(|ms| *ms >= 0).collect();
        (!told.is_empty()).then(|| told.iter().fold(0, |sum: i64, ms| sum.saturating_add(*ms)))
    };
    Told {
        setup: sum(|told| told.setup),
        execution: sum(|told| told.execution),
        cleanup: sum(|told| told.cleanup),
        ..own
    }
}
