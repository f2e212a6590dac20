//! A simulated Databricks workspace.
//!
//! [`world`] is what exists (jobs, runs, clusters, warehouses, time), `http` is how it is served, [`Fault`]
//! is how it misbehaves. [`Workspace`] holds the three together.
//!
//! It serves `/api/2.2/jobs/{list, runs/list, runs/get}`, `/api/2.1/clusters/list`,
//! `/api/2.0/sql/warehouses` and `/api/2.0/preview/scim/v2/Me`.
//!
//! ```no_run
//! use kiln_testbed::databricks::{Fault, Workspace, world::{Outcome, Run, Task, UnixMillis}};
//! use std::time::Duration;
//!
//! let now = UnixMillis(1_790_000_000_000);
//! let workspace = Workspace::scripted(now).unwrap();
//! let task = Task::new("load", Duration::from_secs(90));
//! workspace.set_runs(vec![Run::new(7, 70, now, vec![task]).ending(Outcome::Failed("no".into()))]);
//! workspace.faults().next(3, Fault::RateLimited { retry_after: Some(1) });
//! // ... poll ...
//! workspace.advance(Duration::from_secs(90)); // and now the run has failed
//! ```

mod faults;
mod http;
mod shared;
pub mod world;

pub use faults::{Fault, UNFAMILIAR_FIELD, UNFAMILIAR_VALUE};

use crate::faults::Faults;
use crate::observed::TimedOut;
use crate::request::Request;
use crate::server::{ANY_PORT, Server};
use serde::Serialize;
use shared::Shared;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use world::{Cluster, Job, Run, Scene, UnixMillis, Warehouse, World};

/// The token a workspace accepts unless told otherwise.
pub const DEFAULT_TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

/// The workspace id in `X-Databricks-Org-Id` unless told otherwise.
pub const DEFAULT_ORG_ID: u64 = 2_814_749_767_106_560;

/// How to start a workspace.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The bearer token it accepts.
    pub token: String,
    /// Its workspace id.
    pub org_id: u64,
    /// What exists in it.
    pub world: World,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: ANY_PORT, token: DEFAULT_TOKEN.to_owned(), org_id: DEFAULT_ORG_ID, world: World::living(1, 30) }
    }
}

/// A request to the workspace, and whether it was allowed in.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// Its bearer token was the right one.
    pub authorized: bool,
}

/// A running workspace; ends when it is dropped.
pub struct Workspace {
    shared: Arc<Shared>,
    server: Server,
}

impl Workspace {
    /// A living workspace with 30 jobs on a port of the system's choice.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Options::default())
    }

    /// An empty workspace in which time stands still at `now`.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn scripted(now: UnixMillis) -> io::Result<Self> {
        Self::start_with(Options { world: World::scripted(now, Scene::default()), ..Options::default() })
    }

    /// A workspace as described.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start_with(options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(options.world, options.token, options.org_id));
        let server = Server::start("simulated-databricks", options.listen, http::router(shared.clone()))?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The token it accepts.
    #[must_use]
    pub fn token(&self) -> &str {
        self.shared.token()
    }

    /// Its workspace id.
    #[must_use]
    pub fn org_id(&self) -> u64 {
        self.shared.org_id()
    }

    /// What time it is in the workspace.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.shared.read(|state| state.world.now())
    }

    /// Moves its time forward.
    pub fn advance(&self, by: Duration) {
        self.shared.update(|state| state.world.advance(by));
    }

    /// Replaces the jobs.
    pub fn set_jobs(&self, jobs: Vec<Job>) {
        self.change(|scene| scene.jobs = jobs);
    }

    /// Replaces the plans of all runs.
    pub fn set_runs(&self, runs: Vec<Run>) {
        self.change(|scene| scene.runs = runs);
    }

    /// Adds the plan of a run.
    pub fn add_run(&self, run: Run) {
        self.change(|scene| scene.runs.push(run));
    }

    /// Replaces the all-purpose clusters.
    pub fn set_clusters(&self, clusters: Vec<Cluster>) {
        self.change(|scene| scene.clusters = clusters);
    }

    /// Replaces the SQL warehouses.
    pub fn set_warehouses(&self, warehouses: Vec<Warehouse>) {
        self.change(|scene| scene.warehouses = warehouses);
    }

    /// Changes the script in one step. A living workspace becomes a scripted one, empty at first.
    pub fn change<R>(&self, change: impl FnOnce(&mut Scene) -> R) -> R {
        self.shared.update(|state| change(state.world.scene_mut()))
    }

    /// Looks at what exists, without HTTP: for what a test expects to be reported.
    pub fn world<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.shared.read(|state| look(&state.world))
    }

    /// How it misbehaves.
    #[must_use]
    pub fn faults(&self) -> &Faults<Fault> {
        &self.shared.faults
    }

    /// Every request so far, in the order they came (the latest 20,000).
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.read(|state| state.requests.clone())
    }

    /// Blocks until the requests so far satisfy a condition, and gives them.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub fn wait_for_requests(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, TimedOut> {
        self.shared.state.wait(timeout, |state| condition(&state.requests).then(|| state.requests.clone()), describe)
    }

    /// As [`Workspace::wait_for_requests`], for async tests.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub async fn wait_for_requests_async(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, TimedOut> {
        self.shared
            .state
            .wait_async(timeout, |state| condition(&state.requests).then(|| state.requests.clone()), describe)
            .await
    }
}

fn describe(state: &shared::State) -> String {
    let last: Vec<String> = state
        .requests
        .iter()
        .rev()
        .take(10)
        .map(|seen| format!("{} {}", seen.request.method, seen.request.path))
        .collect();
    format!("{} requests, the latest first: {}", state.requests.len(), last.join(", "))
}
