//! A plugin with one configuration, owned by one task.
//!
//! Calls go through a channel and are served one at a time. After a trap or a broken limit the store is dropped with
//! everything in it; the next call starts the plugin afresh, but not before a pause that doubles with every failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_config::Limits;
use kiln_egress::Egress;
use kiln_otlp::{Attribute, AttributeValue, Batch, ResourceEdit, Signal};
use kiln_policy::Policy;
use kiln_telemetry::metrics::{CallOutcome, Function, InstanceMetrics};
use tokio::sync::{mpsc, oneshot};

use crate::bindings::v0_1::processor::kiln::plugin::processing;
use crate::bindings::v0_1::receiver::kiln::plugin::{collection, configuration, telemetry};
use crate::cpu_meter::CpuMeter;
use crate::emitted::Emitted;
use crate::engine::{Engine, LinkError, Linked, Plugin};
use crate::limiter::Limiter;
use crate::live::{Live, World};
use crate::log_gate::LogGate;
use crate::open_bodies::OpenBodies;
use crate::state::{Checkpoint, Overlay, StateStore};
use crate::store_data::StoreData;

/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

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
}

/// A handle to a running instance. The instance stops when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Instance {
    calls: mpsc::Sender<Call>,
}

enum Call {
    Start(oneshot::Sender<Result<(), CallError>>),
    Collect(oneshot::Sender<Result<Collection, CallError>>),
    Process(ProcessorView, oneshot::Sender<Result<Vec<ResourceEdit>, CallError>>),
}

/// What a successful collection brought.
#[derive(Debug)]
pub struct Collection {
    /// At most one batch per signal.
    pub batches: Vec<Batch>,
    /// What could not be read this time.
    pub failures: Vec<PartialFailure>,
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

/// What a processor at resource level is shown of a batch.
#[derive(Clone, Debug)]
pub struct ProcessorView {
    /// The signal of the batch.
    pub signal: Signal,
    /// Attributes of every resource.
    pub resources: Vec<Vec<Attribute>>,
}

impl Instance {
    /// Links the plugin and gives it a task. The plugin itself starts with the first call.
    ///
    /// # Errors
    /// The component does not fit the contract.
    pub fn spawn(engine: &Engine, spec: InstanceSpec) -> Result<Self, LinkError> {
        let linked = spec.plugin.link(engine, &spec.policy)?;
        let (calls, mut served) = mpsc::channel(1);
        let mut actor = Actor { engine: engine.clone(), spec, linked, live: None, failures: 0, not_before: None };
        tokio::spawn(async move {
            while let Some(call) = served.recv().await {
                actor.serve(call).await;
            }
            actor.spec.metrics.up(false);
        });
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

    /// Asks a processor what to change.
    ///
    /// # Errors
    /// The processor failed; the batch must not pass unprocessed.
    pub async fn process(&self, view: ProcessorView) -> Result<Vec<ResourceEdit>, CallError> {
        self.call(|answer| Call::Process(view, answer)).await
    }

    async fn call<T>(&self, call: impl FnOnce(oneshot::Sender<Result<T, CallError>>) -> Call) -> Result<T, CallError> {
        let (answer, answered) = oneshot::channel();
        self.calls.send(call(answer)).await.map_err(|_| CallError::Stopped)?;
        answered.await.unwrap_or(Err(CallError::Stopped))
    }
}

struct Actor {
    engine: Engine,
    spec: InstanceSpec,
    linked: Linked,
    live: Option<Live>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Actor {
    /// Serves one call. Whoever asked may be gone by now; then the answer is dropped, and with it the checkpoint.
    async fn serve(&mut self, call: Call) {
        match call {
            Call::Start(answer) => {
                let result = self.started().await.map(|_| ());
                let _ = answer.send(self.settle(result));
            }
            Call::Collect(answer) => {
                let result = self.collect().await;
                let _ = answer.send(self.settle(result));
            }
            Call::Process(view, answer) => {
                let result = self.process(view).await;
                let _ = answer.send(self.settle(result));
            }
        }
    }

    /// Draws the consequences of how a call ended.
    fn settle<T>(&mut self, result: Result<T, CallError>) -> Result<T, CallError> {
        match &result {
            Ok(_) => {
                self.failures = 0;
                self.not_before = None;
            }
            Err(error) if error.is_fatal_to_the_store() => {
                self.live = None;
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(Instant::now() + pause);
                self.spec.metrics.up(false);
            }
            Err(_) => {}
        }
        result
    }

    async fn started(&mut self) -> Result<&mut Live, CallError> {
        if let Some(left) = self.not_before.and_then(|at| at.checked_duration_since(Instant::now())) {
            return Err(CallError::Pausing(left));
        }
        if self.live.is_none() {
            if self.failures > 0 {
                self.spec.metrics.restarted();
            }
            let live = self.start().await?;
            self.spec.metrics.up(true);
            self.live = Some(live);
        }
        self.live.as_mut().ok_or(CallError::Stopped)
    }

    async fn start(&self) -> Result<Live, CallError> {
        let spec = &self.spec;
        let limits = &spec.limits;
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let output = kiln_otlp::Amount { bytes: bytes(limits.output_bytes), items: bytes(limits.output_points) };
        let data = StoreData {
            metrics: spec.metrics.clone(),
            limiter: Limiter::new(bytes(limits.memory)),
            emitted: Emitted::new(Arc::new(spec.plugin.manifest.telemetry.clone()), output),
            overlay: Overlay::new(spec.state.clone(), bytes(limits.state_bytes)),
            egress: spec.egress.clone(),
            open_bodies: OpenBodies::default(),
            logs: LogGate::new(spec.id.clone()),
            cpu: CpuMeter::new(limits.cpu),
            started: Instant::now(),
        };
        let mut live = Live::start(&self.engine, &self.linked, data, limits, spec.timeout).await?;
        let answer = live
            .call(Function::Configure, async |world, store| match world {
                World::Receiver(receiver) => receiver.call_configure(store, &spec.config).await,
                World::Processor(processor) => processor.call_configure(store, &spec.config).await,
            })
            .await?;
        match answer {
            Ok(()) => Ok(live),
            Err(configuration::ConfigError { field, message }) => Err(CallError::Config { field, message }),
        }
    }

    async fn collect(&mut self) -> Result<Collection, CallError> {
        let live = self.started().await?;
        live.store.data_mut().overlay.discard();
        let answer = live
            .call(Function::Collect, async |world, store| match world {
                World::Receiver(receiver) => receiver.call_collect(store).await,
                World::Processor(_) => Err(wasmtime::Error::msg("a processor cannot collect")),
            })
            .await?;
        let data = live.store.data_mut();
        let batches = data.emitted.take();
        let checkpoint = data.overlay.take();
        let collection::Outcome { failures, more } = answer.map_err(|error| match error {
            collection::CollectError::Unauthorized(text) => CallError::Unauthorized(text),
            collection::CollectError::Unavailable(text) => CallError::Unavailable(text),
            collection::CollectError::InvalidData(text) => CallError::InvalidData(text),
            collection::CollectError::Failed(text) => CallError::Failed(text),
        })?;
        let failures = failures
            .into_iter()
            .map(|failure| PartialFailure { source: failure.source, message: failure.message })
            .collect();
        Ok(Collection { batches, failures, more, checkpoint })
    }

    async fn process(&mut self, view: ProcessorView) -> Result<Vec<ResourceEdit>, CallError> {
        let live = self.started().await?;
        let view = lower_view(view);
        let answer = live
            .call(Function::Process, async |world, store| match world {
                World::Processor(processor) => processor.call_process(store, &view).await,
                World::Receiver(_) => Err(wasmtime::Error::msg("a receiver cannot process")),
            })
            .await?;
        let data = live.store.data_mut();
        // What a processor remembers is its own affair; no batch depends on it.
        let checkpoint = data.overlay.take();
        tokio::task::spawn_blocking(|| checkpoint.commit())
            .await
            .map_or(Ok(()), |committed| committed)
            .map_err(|error| CallError::Failed(error.to_string()))?;
        let edits = answer.map_err(|processing::ProcessError::Failed(text)| CallError::Failed(text))?;
        edits.into_iter().map(|edit| self.lift_edit(edit)).collect()
    }

    /// Understands an edit, which must keep to what the manifest says is written.
    fn lift_edit(&self, edit: processing::Edit) -> Result<ResourceEdit, CallError> {
        let edit = match edit {
            processing::Edit::SetResourceAttribute(set) => {
                ResourceEdit::Set { resource: index(set.target), key: set.key, value: lift_value(set.value) }
            }
            processing::Edit::RemoveResourceAttribute(remove) => {
                ResourceEdit::Remove { resource: index(remove.target), key: remove.key }
            }
            processing::Edit::DropMetric(_)
            | processing::Edit::RenameMetric(_)
            | processing::Edit::DropPoint(_)
            | processing::Edit::SetPointAttribute(_)
            | processing::Edit::RemovePointAttribute(_)
            | processing::Edit::Aggregate(_) => {
                return Err(CallError::Edit("returned an edit below its declared level, resource".to_owned()));
            }
        };
        let (ResourceEdit::Set { key, .. } | ResourceEdit::Remove { key, .. }) = &edit;
        let writes = self.spec.plugin.manifest.processor.as_ref().map(|declared| declared.writes.as_slice());
        if writes.unwrap_or_default().iter().any(|declared| declared == "*" || declared == key) {
            Ok(edit)
        } else {
            Err(CallError::Edit(format!("returned an edit of `{key}`, which its manifest does not say it writes")))
        }
    }
}

fn index(target: u32) -> usize {
    usize::try_from(target).unwrap_or(usize::MAX)
}

fn lower_view(view: ProcessorView) -> processing::View {
    let resources = view
        .resources
        .into_iter()
        .map(|attributes| processing::ResourceView {
            attributes: attributes
                .into_iter()
                .map(|Attribute { key, value }| telemetry::Attribute { key, value: lower_value(value) })
                .collect(),
        })
        .collect();
    processing::View {
        signal: match view.signal {
            Signal::Metrics => processing::Signal::Metrics,
            Signal::Traces => processing::Signal::Spans,
            Signal::Logs => processing::Signal::Logs,
        },
        resources,
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    }
}

fn lower_value(value: AttributeValue) -> telemetry::AttributeValue {
    match value {
        AttributeValue::Text(value) => telemetry::AttributeValue::Text(value),
        AttributeValue::Boolean(value) => telemetry::AttributeValue::Boolean(value),
        AttributeValue::Integer(value) => telemetry::AttributeValue::Integer(value),
        AttributeValue::Float(value) => telemetry::AttributeValue::Float(value),
        AttributeValue::Bytes(value) => telemetry::AttributeValue::Bytes(value),
        AttributeValue::TextList(value) => telemetry::AttributeValue::TextList(value),
        AttributeValue::BooleanList(value) => telemetry::AttributeValue::BooleanList(value),
        AttributeValue::IntegerList(value) => telemetry::AttributeValue::IntegerList(value),
        AttributeValue::FloatList(value) => telemetry::AttributeValue::FloatList(value),
    }
}

fn lift_value(value: telemetry::AttributeValue) -> AttributeValue {
    match value {
        telemetry::AttributeValue::Text(value) => AttributeValue::Text(value),
        telemetry::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
        telemetry::AttributeValue::Integer(value) => AttributeValue::Integer(value),
        telemetry::AttributeValue::Float(value) => AttributeValue::Float(value),
        telemetry::AttributeValue::Bytes(value) => AttributeValue::Bytes(value),
        telemetry::AttributeValue::TextList(value) => AttributeValue::TextList(value),
        telemetry::AttributeValue::BooleanList(value) => AttributeValue::BooleanList(value),
        telemetry::AttributeValue::IntegerList(value) => AttributeValue::IntegerList(value),
        telemetry::AttributeValue::FloatList(value) => AttributeValue::FloatList(value),
    }
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin refuses its configuration.
    #[error("refuses its configuration{}: {message}", at(field))]
    Config {
        /// JSON Pointer to the field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The source refuses the credentials.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The source cannot be reached or is not ready.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The source makes no sense.
    #[error("invalid data: {0}")]
    InvalidData(String),
    /// The plugin gives up for another reason.
    #[error("failed: {0}")]
    Failed(String),
    /// The plugin crashed.
    #[error("trapped: {0}; this is a fault in the plugin")]
    Trap(String),
    /// The plugin computed for too long.
    #[error("used more than {0:?} of CPU in one call and was stopped; if that is reasonable, raise `limits.cpu`")]
    Cpu(Duration),
    /// The plugin, and what it waited for, took too long.
    #[error("took more than {0:?} and was stopped; if that is reasonable, raise `timeout`")]
    Timeout(Duration),
    /// The plugin wanted more memory.
    #[error("needs more than {0} bytes of memory and was stopped; if that is reasonable, raise `limits.memory`")]
    Memory(usize),
    /// A processor returned an edit that is not its to make.
    #[error("{0}; this is a fault in the plugin")]
    Edit(String),
    /// The plugin failed a moment ago and is not started again yet.
    #[error("is stopped after a failure and starts again in {0:.1?}")]
    Pausing(Duration),
    /// The host is stopping.
    #[error("is stopped")]
    Stopped,
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(" at {field}") }
}

impl CallError {
    /// Whether the plugin has to start afresh.
    #[must_use]
    pub const fn is_fatal_to_the_store(&self) -> bool {
        match self {
            Self::Config { .. } | Self::Trap(_) | Self::Cpu(_) | Self::Timeout(_) | Self::Memory(_) => true,
            Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_)
            | Self::Stopped => false,
        }
    }

    pub(crate) const fn outcome(&self) -> CallOutcome {
        match self {
            Self::Trap(_) => CallOutcome::Trap,
            Self::Cpu(_) | Self::Timeout(_) | Self::Memory(_) => CallOutcome::Limit,
            Self::Stopped => CallOutcome::Cancelled,
            Self::Config { .. }
            | Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_) => CallOutcome::Error,
        }
    }
}
