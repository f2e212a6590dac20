//! What exists in a simulated workspace, whoever asks and over whatever protocol.
//!
//! A [`World`] is a clock and either laws ([`Living`]) or a script ([`Scene`]): what the caller supplies. What
//! happens (runs, queries, updates of pipelines) is planned, and what has come true of a plan follows from the
//! time. It knows nothing of HTTP.
//!
//! Invariant: what a reader sees is a pure function of the world and its time.

mod billing;
mod clusters;
mod compute;
mod events;
mod furniture;
mod job;
mod living;
mod living_compute;
mod outcome;
mod people;
mod pipeline;
mod policy;
mod queries;
mod run;
mod runs;
mod serving;
mod statement;
mod time;
mod tree;
mod truth;
mod view;

pub use compute::{Cluster, Resize, Warehouse, Workers};
pub use events::{ClusterEvent, InitScript};
pub use job::Job;
pub use living::{Living, MAX_JOBS, RETENTION, Size};
pub use outcome::{Outcome, Verdict};
pub use people::{Group, ServicePrincipal, Token, User};
pub use pipeline::{Pipeline, Update};
pub use policy::{InstancePool, Policy};
pub use queries::Query;
pub use run::{Compute, Quirk, Repair, Run, Task};
pub use serving::ServingEndpoint;
pub use statement::{Rows, SqlOutcome, SqlRule};
pub use time::{Clock, UnixMillis, millis};
pub use tree::{DbfsFile, Object};
pub use truth::{Durations, RunGroup, Sum, TaskGroup, Totals, Truth};
pub use view::{Episode, Phase, RunView, Slot, TaskView};

pub(crate) use clusters::Clusters;
pub(crate) use compute::cluster_id_of_run;
pub(crate) use pipeline::Logged;
pub(crate) use runs::Visible;
pub(crate) use tree::Tree;
pub(crate) use truth::Told;

use runs::Runs;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Everything there is, and what time it is there.
#[derive(Clone, Debug)]
pub struct World {
    clock: Clock,
    /// The laws of a living world; without them the scene is all there is.
    living: Option<Living>,
    /// In a living world: what does not change with the time.
    scene: Scene,
    index: Index,
}

/// What follows from the laws or the script, worked out when it is first asked for.
#[derive(Debug, Default)]
struct Index(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    runs: Option<Runs>,
    /// The most recently created first, as the API lists them.
    jobs: Option<Vec<Job>>,
    objects: Option<Tree<Object>>,
    files: Option<Tree<DbfsFile>>,
    /// In the order of their start; in a living world with the slot of time they are for.
    queries: Option<(Option<i64>, Vec<Query>)>,
}

// A copy finds out for itself: the two worlds may go different ways.
impl Clone for Index {
    fn clone(&self) -> Self {
        Self::default()
    }
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
    /// Queries on warehouses, in any order; one appears when its start has come.
    pub queries: Vec<Query>,
    /// Workspace objects; the directories they lie in need not be named.
    pub objects: Vec<Object>,
    /// Files of DBFS; likewise.
    pub dbfs: Vec<DbfsFile>,
    /// Tokens; one appears when it has been created.
    pub tokens: Vec<Token>,
    /// Users.
    pub users: Vec<User>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Service principals.
    pub service_principals: Vec<ServicePrincipal>,
    /// SCIM answers as if no filter had been sent.
    pub scim_ignores_filters: bool,
    /// Cluster policies.
    pub policies: Vec<Policy>,
    /// Instance pools as they are.
    pub instance_pools: Vec<InstancePool>,
    /// Pipelines, with their updates.
    pub pipelines: Vec<Pipeline>,
    /// Serving endpoints as they are.
    pub serving_endpoints: Vec<ServingEndpoint>,
    /// How SQL statements are answered: the first rule that fits.
    pub sql: Vec<SqlRule>,
}

impl World {
    /// A world that lives by itself, on the system's time.
    #[must_use]
    pub fn living(seed: u64, jobs: u32) -> Self {
        Self::living_of_size(seed, &Size { jobs, ..Size::default() })
    }

    /// The same, of any size.
    #[must_use]
    pub fn living_of_size(seed: u64, size: &Size) -> Self {
        let living = Living::new(seed, size);
        let scene = living.furniture(size.objects);
        Self { clock: Clock::wall(), living: Some(living), scene, index: Index::default() }
    }

    /// A world of the caller's making, in which time stands still at `now` until it is advanced.
    #[must_use]
    pub fn scripted(now: UnixMillis, scene: Scene) -> Self {
        Self { clock: Clock::Frozen(now), living: None, scene, index: Index::default() }
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
        if self.living.take().is_some() {
            self.scene = Scene::default();
        }
        self.index = Index::default();
        &mut self.scene
    }

    /// What does not change with the time.
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(crate) fn with_objects<R>(&self, look: impl FnOnce(&Tree<Object>) -> R) -> R {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(known.objects.get_or_insert_with(|| Tree::new(&self.scene.objects)))
    }

    pub(crate) fn with_files<R>(&self, look: impl FnOnce(&Tree<DbfsFile>) -> R) -> R {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(known.files.get_or_insert_with(|| Tree::new(&self.scene.dbfs)))
    }

    /// All jobs, the most recently created first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.with_jobs(<[Job]>::to_vec)
    }

    /// All runs triggered until `now`, in the order of their start.
    #[must_use]
    pub fn runs(&self, now: UnixMillis) -> Vec<Run> {
        self.with_runs(now, |runs| runs.plans().iter().map(|run| run.as_ref().clone()).collect())
    }

    pub(crate) fn with_jobs<R>(&self, look: impl FnOnce(&[Job]) -> R) -> R {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = known.jobs.get_or_insert_with(|| {
            let mut jobs = match &self.living {
                Some(living) => living.jobs(),
                None => self.scene.jobs.clone(),
            };
            jobs.sort_by_key(|job| Reverse((job.created, job.job_id)));
            jobs
        });
        look(jobs)
    }

    /// As [`World::runs`], without copying them. `look` must not ask this world for its jobs or runs again.
    pub(crate) fn with_runs<R>(&self, now: UnixMillis, look: impl FnOnce(Visible<'_>) -> R) -> R {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.living {
            None => {
                let runs = known.runs.get_or_insert_with(|| Runs::scripted(&self.scene.runs));
                look(runs.at(now, None))
            }
            Some(living) => {
                let runs = known.runs.get_or_insert_default();
                runs.follow(living, now);
                look(runs.at(now, Some(now.minus(living.retention()))))
            }
        }
    }

    /// All clusters: all-purpose ones, and those of job runs.
    #[must_use]
    pub fn clusters(&self, now: UnixMillis) -> Vec<Cluster> {
        self.with_clusters(now, |clusters| clusters.all())
    }

    /// One cluster.
    #[must_use]
    pub fn cluster(&self, cluster_id: &str, now: UnixMillis) -> Option<Cluster> {
        let standing = self.standing_clusters(now).into_iter().find(|cluster| cluster.cluster_id == cluster_id);
        standing.or_else(|| self.with_runs(now, |runs| runs.cluster(cluster_id)))
    }

    /// As [`World::clusters`], without making those that ended unless they are asked for.
    pub(crate) fn with_clusters<R>(&self, now: UnixMillis, look: impl FnOnce(Clusters<'_>) -> R) -> R {
        let standing = self.standing_clusters(now);
        self.with_runs(now, |runs| look(Clusters::new(standing, runs)))
    }

    /// The all-purpose clusters.
    fn standing_clusters(&self, now: UnixMillis) -> Vec<Cluster> {
        let clusters = match &self.living {
            Some(living) => living.clusters(now),
            None => self.scene.clusters.clone(),
        };
        clusters.into_iter().map(|cluster| cluster.at(now)).collect()
    }

    /// All queries started until `now` (in a living world: in the last hours), in the order of their start.
    #[must_use]
    pub fn queries(&self, now: UnixMillis) -> Vec<Query> {
        self.with_queries(now, <[Query]>::to_vec)
    }

    pub(crate) fn with_queries<R>(&self, now: UnixMillis, look: impl FnOnce(&[Query]) -> R) -> R {
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = self.living.as_ref().map(|_| Living::query_slot(now));
        if known.queries.as_ref().is_none_or(|(known_of, _)| *known_of != of) {
            let mut queries = match &self.living {
                Some(living) => living.queries(of.unwrap_or_default()),
                None => self.scene.queries.clone(),
            };
            queries.sort_by(|a, b| (a.start, &a.query_id).cmp(&(b.start, &b.query_id)));
            known.queries = Some((of, queries));
        }
        let queries = known.queries.as_ref().map(|(_, queries)| queries.as_slice()).unwrap_or_default();
        let visible = queries.partition_point(|query| query.start <= now);
        look(queries.get(..visible).unwrap_or_default())
    }

    /// All pipelines.
    #[must_use]
    pub fn pipelines(&self, now: UnixMillis) -> Vec<Pipeline> {
        match &self.living {
            Some(living) => living.pipelines(now),
            None => self.scene.pipelines.clone(),
        }
    }

    /// How a SQL statement is answered.
    pub(crate) fn sql_rule(&self, statement: &str, now: UnixMillis) -> SqlRule {
        let scripted = self.scene.sql.iter().find(|rule| rule.fits(statement)).cloned();
        let billing = || self.living.as_ref().map(|_| self.billing(now)).filter(|rule| rule.fits(statement));
        scripted.or_else(billing).unwrap_or_else(SqlRule::unknown_table)
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
