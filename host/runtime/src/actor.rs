//! The task that owns an instance: it starts the plugin, serves one call after another and draws the consequences.
//!
//! After a trap or a broken limit the store is dropped with everything in it; the next call starts the plugin afresh,
//! but not before a pause that doubles with every failure.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kiln_otlp::ResourceEdit;
use kiln_telemetry::metrics::Function;
use tokio::sync::mpsc;

use crate::bindings::v0_1::processing;
use crate::bindings::v0_1::processor::kiln::plugin::processing::ProcessError;
use crate::bindings::v0_1::receiver::kiln::plugin::{collection, configuration};
use crate::call_error::CallError;
use crate::cpu_meter::CpuMeter;
use crate::emitted::Emitted;
use crate::engine::{Engine, LinkError, Linked};
use crate::instance::{Call, Collection, InstanceSpec, PartialFailure, ProcessorView};
use crate::limiter::Limiter;
use crate::live::{Live, World};
use crate::log_gate::LogGate;
use crate::open_bodies::OpenBodies;
use crate::state::Overlay;
use crate::store_data::StoreData;
use crate::wasi::Wasi;

/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// An instance, seen from its task.
pub(crate) struct Actor {
    engine: Engine,
    spec: InstanceSpec,
    linked: Linked,
    live: Option<Live>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Actor {
    /// Links the plugin.
    ///
    /// # Errors
    /// The component does not fit the contract.
    pub(crate) fn new(engine: &Engine, spec: InstanceSpec) -> Result<Self, LinkError> {
        let linked = spec.plugin.link(engine, &spec.policy)?;
        Ok(Self { engine: engine.clone(), spec, linked, live: None, failures: 0, not_before: None })
    }

    /// Serves calls until nobody can call any more.
    pub(crate) async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        while let Some(call) = calls.recv().await {
            self.serve(call).await;
        }
        self.spec.metrics.up(false);
    }

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
            let live = Self::start(&self.engine, &self.spec, &self.linked).await?;
            self.spec.metrics.up(true);
            self.live = Some(live);
        }
        self.live.as_mut().ok_or(CallError::Stopped)
    }

    async fn start(engine: &Engine, spec: &InstanceSpec, linked: &Linked) -> Result<Live, CallError> {
        let limits = &spec.limits;
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let output = kiln_otlp::Amount { bytes: bytes(limits.output_bytes), items: bytes(limits.output_points) };
        let logs = Arc::new(Mutex::new(LogGate::new(spec.id.clone())));
        let wasi = Wasi::new(&spec.policy, spec.egress.clone(), &logs, &spec.metrics);
        let wasi = wasi.map_err(|error| CallError::Unavailable(error.to_string()))?;
        let data = StoreData {
            metrics: spec.metrics.clone(),
            limiter: Limiter::new(bytes(limits.memory)),
            emitted: Emitted::new(Arc::new(spec.plugin.manifest.telemetry.clone()), output),
            overlay: Overlay::new(spec.state.clone(), bytes(limits.state_bytes)),
            egress: spec.egress.clone(),
            open_bodies: OpenBodies::default(),
            logs,
            cpu: CpuMeter::new(limits.cpu),
            started: Instant::now(),
            wasi,
        };
        let mut live = Live::start(engine, linked, data, limits, spec.timeout).await?;
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
        let view = processing::lower_view(view);
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
        let edits = answer.map_err(|ProcessError::Failed(text)| CallError::Failed(text))?;
        let manifest = &self.spec.plugin.manifest;
        let writes = manifest.processor.as_ref().map(|declared| declared.writes.as_slice()).unwrap_or_default();
        processing::lift_edits(edits, writes)
    }
}
