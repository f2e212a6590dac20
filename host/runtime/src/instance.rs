//! A plugin with one configuration, as the rest of Kiln sees it: what it is made of, and a handle to call it by.
//!
//! Calls go through a channel to the task that owns the instance and are served one at a time.

use std::sync::Arc;
use std::time::Duration;

use kiln_config::Limits;
use kiln_egress::Egress;
use kiln_otlp::{Batch, Edit, View};
use kiln_policy::Policy;
use kiln_telemetry::DenialRecorder;
use kiln_telemetry::metrics::InstanceMetrics;
use tokio::sync::{mpsc, oneshot};

use crate::actor::Actor;
use crate::call_error::CallError;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::plugin::{LinkError, Plugin};
use crate::state::{Checkpoint, StateStore};

/// Everything an instance is made of.
pub struct InstanceSpec {
    /// `databricks/prod`.
    pub id: String,
    /// The plugin.
    pub plugin: Plugin,
    /// What it may do.
    pub policy: Arc<Policy>,
    /// Its configuration as JSON, secrets left out.
    pub config: String,
    /// Its door to the network, if it has one.
    pub egress: Option<Arc<Egress>>,
    /// What it remembers.
    pub state: StateStore,
    /// What it may use.
    pub limits: Limits,
    /// The longest a call may take.
    pub timeout: Duration,
    /// Where its metrics go.
    pub metrics: InstanceMetrics,
    /// Where it is recorded what it is denied.
    pub denials: DenialRecorder,
    /// The time it is told.
    pub clock: Clock,
}

/// A handle to a running instance. The instance stops when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Instance {
    calls: mpsc::Sender<Call>,
}

/// What an instance can be asked, and where the answer goes.
pub(crate) enum Call {
    Start(oneshot::Sender<Result<(), CallError>>),
    Collect(oneshot::Sender<Result<Collection, CallError>>),
    Process(View, oneshot::Sender<Result<Vec<Edit>, CallError>>),
}

/// What a successful collection brought.
#[derive(Debug)]
pub struct Collection {
    /// At most one batch per signal.
    pub batches: Vec<Batch>,
    /// What could not be read this time; the first hundred, should there be more.
    pub failures: Vec<PartialFailure>,
    /// How much could not be read this time.
    pub failure_count: usize,
    /// Whether to call again at once.
    pub more: bool,
    /// To be committed when all batches are safely queued.
    pub checkpoint: Checkpoint,
}

/// Something a receiver could not read while it read the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialFailure {
    /// What was being read.
    pub source: String,
    /// Why it failed.
    pub message: String,
}

impl Instance {
    /// Links the plugin and gives it a task. The plugin itself starts with the first call.
    ///
    /// # Errors
    /// The component does not fit the contract.
    pub fn spawn(engine: &Engine, spec: InstanceSpec) -> Result<Self, LinkError> {
        let actor = Actor::new(engine, spec)?;
        let (calls, served) = mpsc::channel(1);
        tokio::spawn(actor.run(served));
        Ok(Self { calls })
    }

    /// Starts the plugin and hands it its configuration.
    ///
    /// # Errors
    /// As any call.
    pub async fn start(&self) -> Result<(), CallError> {
        self.call(Call::Start).await
    }

    /// Lets a receiver read its source once.
    ///
    /// # Errors
    /// Nothing was read, or the plugin broke; what it emitted is discarded.
    pub async fn collect(&self) -> Result<Collection, CallError> {
        self.call(Call::Collect).await
    }

    /// Asks a processor what to change of a batch, or of a part of it.
    ///
    /// # Errors
    /// The processor failed; the batch must not pass unprocessed.
    pub async fn process(&self, view: View) -> Result<Vec<Edit>, CallError> {
        self.call(|answer| Call::Process(view, answer)).await
    }

    async fn call<T>(&self, call: impl FnOnce(oneshot::Sender<Result<T, CallError>>) -> Call) -> Result<T, CallError> {
        let (answer, answered) = oneshot::channel();
        self.calls.send(call(answer)).await.map_err(|_| CallError::Stopped)?;
        answered.await.unwrap_or(Err(CallError::Stopped))
    }
}
