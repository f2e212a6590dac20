//! What a test holds of a workspace: its world, its faults, its clock and the record of what it was asked.
//!
//! A workspace with a port and one without ([`super::Workspace`], [`super::Offline`]) are served by the same
//! router over the same stage, so whatever a test says to one it can say to the other.
//!
//! Invariant: a change is one step. No request sees half of it.

use super::faults::Fault;
use super::shared::{self, Shared};
use super::world::{Cluster, Job, Run, Scene, Truth, UnixMillis, Warehouse, World};
use super::{Client, Options};
use crate::faults::Faults;
use crate::observed::TimedOut;
use crate::request::Request;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A request to the workspace, and whether it was allowed in.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// Its body, as text.
    pub body: String,
    /// Its bearer token was the right one.
    pub authorized: bool,
}

/// A SQL statement as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The statement.
    pub text: String,
    /// Its parameters: names and values.
    pub parameters: Vec<(String, Option<String>)>,
    /// Where it shall run.
    pub warehouse_id: String,
}

/// The handle of a simulated workspace.
pub struct Stage {
    shared: Arc<Shared>,
}

impl Stage {
    pub(super) fn new(options: Options) -> Self {
        Self { shared: Arc::new(Shared::new(options)) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
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

    /// The client that is given tokens by OAuth.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.shared.client()
    }

    /// From now on every token that was given to the client is refused.
    pub fn revoke_tokens(&self) {
        self.shared.update(|state| state.issued.revoke());
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

    /// Lets the proxy lead from a port of a cluster's driver to a server at this URL, which has no slash at its end.
    pub fn set_driver(&self, cluster_id: &str, port: u16, url: &str) {
        self.shared.update(|state| state.drivers.insert((cluster_id.to_owned(), port), url.to_owned()));
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

    /// What a client should have counted of what ended in a period, both ends included.
    #[must_use]
    pub fn truth(&self, from: UnixMillis, to: UnixMillis) -> Truth {
        self.shared.read(|state| state.world.truth(from, to))
    }

    /// Every SQL statement so far (at least the latest 20,000).
    #[must_use]
    pub fn statements(&self) -> Vec<Submitted> {
        let submitted = |statement: &shared::Statement| Submitted {
            text: statement.text.clone(),
            parameters: statement.parameters.clone(),
            warehouse_id: statement.warehouse_id.clone(),
        };
        self.shared.read(|state| state.statements.iter().map(submitted).collect())
    }

    /// How it misbehaves.
    #[must_use]
    pub fn faults(&self) -> &Faults<Fault> {
        &self.shared.faults
    }

    /// Every request so far, in the order they came (at least the latest 20,000).
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

    /// As [`Stage::wait_for_requests`], for async tests.
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
