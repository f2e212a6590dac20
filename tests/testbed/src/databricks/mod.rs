//! A simulated Databricks workspace.
//!
//! [`world`] is what exists (jobs, runs, clusters, warehouses, time), `http` is how it is served, [`Fault`]
//! is how it misbehaves, and a [`Stage`] holds the three together. [`Workspace`] serves a stage on a port,
//! [`Offline`] answers from it in the calling thread.
//!
//! It serves what a client that watches a workspace reads:
//! - jobs: `/api/2.2/jobs/{list, runs/list, runs/get, runs/get-output}`;
//! - compute: `/api/2.1/clusters/{list, events}`, `/api/2.0/{policies/clusters, instance-pools}/list`;
//! - SQL: `/api/2.0/sql/{warehouses, history/queries, statements}`;
//! - what lies in it: `/api/2.0/workspace/list`, `/api/2.0/dbfs/{list, get-status}`;
//! - who uses it: `/api/2.0/preview/scim/v2/{Me, Users, Groups, ServicePrincipals}`,
//!   `/api/2.0/{token-management/tokens, token/list}`;
//! - what else runs: `/api/2.0/pipelines` with updates and events, `/api/2.0/serving-endpoints` with metrics;
//! - the UIs of Spark on drivers: `/driver-proxy-api/o/{workspace}/{cluster}/{port}/{path}`;
//! - OAuth: `/oidc/v1/token` with what leads there, and `/{tenant}/oauth2/v2.0/token` as Entra ID has it.
//!
//! Beside the API, `/-/requests`, `/-/faults` and `/-/truth` let a caller in another process do what the
//! handle of a test can.
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
mod offline;
mod shared;
mod stage;
pub mod world;

pub use offline::{Answer, Broken, Offline};
pub use stage::{Seen, Stage, Submitted};

pub use faults::{Fault, Tokens, UNFAMILIAR_FIELD, UNFAMILIAR_VALUE};

use crate::server::{ANY_PORT, Server};
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;
use world::{Scene, UnixMillis, World};

/// The token a workspace accepts unless told otherwise.
pub const DEFAULT_TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

/// The client id that is given tokens unless told otherwise.
pub const DEFAULT_CLIENT_ID: &str = "5a7b1f00-0000-4000-8000-000000000000";

/// Its secret.
pub const DEFAULT_CLIENT_SECRET: &str = "dose0123456789abcdef0123456789abcdef";

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
    /// Who is given tokens by OAuth.
    pub client: Client,
}

/// A service principal that logs in with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: String,
    /// For how long a token is good, by the world's clock.
    pub token_lifetime: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: DEFAULT_CLIENT_ID.to_owned(),
            secret: DEFAULT_CLIENT_SECRET.to_owned(),
            token_lifetime: Duration::from_secs(3600),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: ANY_PORT,
            token: DEFAULT_TOKEN.to_owned(),
            org_id: DEFAULT_ORG_ID,
            world: World::living(1, 30),
            client: Client::default(),
        }
    }
}

/// A running workspace; ends when it is dropped.
///
/// What exists in it and how it misbehaves is changed through its [`Stage`], to which it dereferences.
pub struct Workspace {
    stage: Stage,
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
        let listen = options.listen;
        let stage = Stage::new(options);
        let server = Server::start("simulated-databricks", listen, http::router(stage.shared().clone()))?;
        Ok(Self { stage, server })
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
}

impl Deref for Workspace {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}
