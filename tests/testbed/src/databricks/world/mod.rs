//! What exists in a simulated workspace, whoever asks and over whatever protocol.
//!
//! A [`World`] is a clock and either laws ([`Living`]) or a script: jobs, runs, clusters and warehouses that
//! the caller supplies. It knows nothing of HTTP.
//!
//! Invariant: what a reader sees is a pure function of the world and its time.

mod compute;
mod job;
mod living;
mod outcome;
mod run;
mod time;

pub use compute::{Cluster, Warehouse, Workers};
pub use job::Job;
pub use living::{Living, MAX_JOBS, RETENTION};
pub use outcome::{Outcome, Verdict};
pub use run::{Compute, Phase, Run, RunView, Slot, Task, TaskView};
pub use time::{Clock, UnixMillis, millis};

pub(crate) use compute::cluster_id_of_run;
pub(crate) use run::since;

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything there is, and what time it is there.
#[derive(Clone, Debug)]
pub struct World {
    clock: Clock,
    /// The laws of a living world; without them the scene is all there is.
    living: Option<Living>,
    scene: Scene,
}

/// What a caller can put into a scripted world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scene {
    /// The jobs, in any order.
    pub jobs: Vec<Job>,
    /// The plans of the runs, in any order; a run appears when its start has come.
    pub runs: Vec<Run>,
    /// All-purpose clusters as they are; those of job runs follow from the runs.
    pub clusters: Vec<Cluster>,
    /// Warehouses as they are.
    pub warehouses: Vec<Warehouse>,
}

impl World {
    /// A world that lives by itself, on the system's time.
    #[must_use]
    pub fn living(seed: u64, jobs: u32) -> Self {
        Self { clock: Clock::wall(), living: Some(Living::new(seed, jobs)), scene: Scene::default() }
    }

    /// A world of the caller's making, in which time stands still at `now` until it is advanced.
    #[must_use]
    pub fn scripted(now: UnixMillis, scene: Scene) -> Self {
        Self { clock: Clock::Frozen(now), living: None, scene }
    }

    /// The same world with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Moves time forward.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// The script, to be changed. A living world becomes an empty scripted one: what was said by hand and
    /// what the laws say cannot both be true.
    pub fn scene_mut(&mut self) -> &mut Scene {
        self.living = None;
        &mut self.scene
    }

    /// All jobs, in no particular order.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        match &self.living {
            Some(living) => living.jobs(),
            None => self.scene.jobs.clone(),
        }
    }

    /// All runs triggered until `now`, in no particular order.
    #[must_use]
    pub fn runs(&self, now: UnixMillis) -> Vec<Run> {
        let mut runs = match &self.living {
            Some(living) => living.runs(now),
            None => self.scene.runs.clone(),
        };
        runs.retain(|run| run.start <= now);
        runs
    }

    /// All clusters: all-purpose ones, and those of job runs.
    #[must_use]
    pub fn clusters(&self, now: UnixMillis) -> Vec<Cluster> {
        let mut clusters = match &self.living {
            Some(living) => living.clusters(now),
            None => self.scene.clusters.clone(),
        };
        let of_runs = self.runs(now);
        clusters.extend(of_runs.iter().filter_map(|run| Cluster::of_run(&run.at(now)?)));
        clusters
    }

    /// All SQL warehouses.
    #[must_use]
    pub fn warehouses(&self, now: UnixMillis) -> Vec<Warehouse> {
        match &self.living {
            Some(living) => living.warehouses(now),
            None => self.scene.warehouses.clone(),
        }
    }
}
