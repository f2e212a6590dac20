//! The task that owns an instance: it starts the plugin, serves one call after another and draws the consequences.
//!
//! After a trap or a broken limit the store is dropped with everything in it; the next call starts the plugin afresh,
//! but not before the pause that [`Restarts`] demands. A plugin that holds ever more is started afresh between two
//! calls, before it comes to its limit; what it has put into its state outlives that as it outlives a restart of Kiln.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use kiln_otlp::{Edit, View};
use kiln_telemetry::metrics::Function;
use tokio::sync::mpsc;

use crate::bindings::v0_1::processing;
use crate::bindings::v0_1::processor::kiln::plugin::processing::ProcessError;
use crate::bindings::v0_1::receiver::kiln::plugin::{collection, configuration};
use crate::call_error::CallError;
use crate::cpu_meter::CpuMeter;
use crate::emitted::Emitted;
use crate::engine::Engine;
use crate::host_calls::HostCalls;
use crate::instance::{Call, Collection, InstanceSpec, PartialFailure};
use crate::limiter::Limiter;
use crate::live::{Live, World};
use crate::log_gate::LogGate;
use crate::open_bodies::OpenBodies;
use crate::plugin::{LinkError, Linked};
use crate::printable::printable;
use crate::restarts::{Consequence, Restarts};
use crate::state::{Overlay, StateLimits};
use crate::store_data::StoreData;
use crate::wasi::{MAX_RESOURCES, Wasi};

/// Partial failures of one collection that are told of; more are merely counted.
const MAX_FAILURES: usize = 100;

/// Resources of WASI of which a plugin that takes ever more is started afresh: what one call needs still fits on top.
const RECYCLE_RESOURCES: usize = MAX_RESOURCES / 2;

/// What a store holds from one call to the next.
#[derive(Clone, Copy)]
struct Held {
    /// Bytes of linear memory.
    memory: usize,
    /// Streams, timers, requests and others of WASI.
    resources: usize,
}

/// An instance, seen from its task.
pub(crate) struct Actor {
    engine: Engine,
    spec: InstanceSpec,
    linked: Linked,
    live: Option<Live>,
    restarts: Restarts,
    /// What the store held after its last collection or batch; `None` before the first.
    last_held: Option<Held>,
    /// What was remembered when the plugin was started ahead of its first call; `None` from then on.
    started_at: Option<u64>,
}

impl Actor {
    /// Links the plugin.
    ///
    /// # Errors
    /// The component does not fit the contract.
    pub(crate) fn new(engine: &Engine, spec: InstanceSpec) -> Result<Self, LinkError> {
        let linked = spec.plugin.link(engine, &spec.policy)?;
        let restarts = Restarts::new(spec.limits.quarantine_after, spec.limits.quarantine_period);
        spec.metrics.memory_limit(bytes(spec.limits.memory));
        spec.metrics.quarantined(false);
        Ok(Self { engine: engine.clone(), spec, linked, live: None, restarts, last_held: None, started_at: None })
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
                self.started_at = Some(self.spec.state.revision());
                let result = self.started().await.map(|_| ());
                let _ = answer.send(self.settle(result));
            }
            Call::Collect(answer) => {
                self.forget_if_overtaken();
                let result = self.collect().await;
                let result = self.settle(result);
                self.recycle_if_growing();
                let _ = answer.send(result);
            }
            Call::Process(view, answer) => {
                self.forget_if_overtaken();
                let result = self.process(view).await;
                let result = self.settle(result);
                self.recycle_if_growing();
                let _ = answer.send(result);
            }
        }
    }

    /// Drops a store that was made ready while another instance of the same id was still at work, if that has changed what
    /// both remember: nothing says that the plugin has not looked already.
    fn forget_if_overtaken(&mut self) {
        if self.started_at.take().is_some_and(|revision| revision != self.spec.state.revision()) {
            self.live = None;
        }
    }

    /// Draws the consequences of how a call ended.
    fn settle<T>(&mut self, result: Result<T, CallError>) -> Result<T, CallError> {
        let metrics = &self.spec.metrics;
        match &result {
            Ok(_) => {
                if self.restarts.is_quarantined() {
                    metrics.quarantined(false);
                    tracing::info!(instance = self.spec.id, "works again and leaves quarantine");
                }
                self.restarts.succeeded();
            }
            Err(error) if error.is_fatal_to_the_store() => {
                metrics.failed(error.error_type());
                metrics.up(false);
                self.live = None;
                let consequence = self.restarts.failed(tokio::time::Instant::now(), error, random());
                if let Consequence::Quarantine(quarantine) = consequence {
                    metrics.quarantined(true);
                    tracing::error!(instance = self.spec.id, "error.type" = quarantine.error_type(), "{quarantine}");
                    return Err(quarantine);
                }
            }
            Err(error) if error.was_called() => metrics.failed(error.error_type()),
            Err(_) => {}
        }
        result
    }

    /// Drops the store of a plugin that holds much, memory or resources of WASI, and still takes more. One that merely needs
    /// much is left alone: it would need as much again. The next call starts it; by then what this one changed in its state
    /// is committed, or given up.
    fn recycle_if_growing(&mut self) {
        let Some(live) = &mut self.live else { return };
        let data = live.store.data_mut();
        let held = Held { memory: data.limiter.memory(), resources: data.wasi.resources() };
        let Some(last) = self.last_held.replace(held) else { return };
        let memory_grows = held.memory > last.memory && held.memory >= bytes(self.spec.limits.recycle_memory);
        let resources_grow = held.resources > last.resources && held.resources >= RECYCLE_RESOURCES;
        if !memory_grows && !resources_grow {
            return;
        }
        self.live = None;
        self.spec.metrics.recycled();
        let Held { memory, resources } = held;
        tracing::info!(instance = self.spec.id, memory, resources, "starts afresh because what it holds keeps growing");
    }

    async fn started(&mut self) -> Result<&mut Live, CallError> {
        self.restarts.check(tokio::time::Instant::now())?;
        if self.live.is_none() {
            if self.restarts.is_failing() {
                self.spec.metrics.restarted();
            }
            let live = Self::start(&self.engine, &self.spec, &self.linked).await?;
            self.spec.metrics.up(true);
            self.last_held = None;
            self.live = Some(live);
        }
        self.live.as_mut().ok_or(CallError::Stopped)
    }

    async fn start(engine: &Engine, spec: &InstanceSpec, linked: &Linked) -> Result<Live, CallError> {
        let limits = &spec.limits;
        let output = kiln_otlp::Amount { bytes: bytes(limits.output_bytes), items: bytes(limits.output_points) };
        let logs = LogGate::new(spec.id.clone(), limits.log_messages, bytes(limits.log_bytes));
        let logs = Arc::new(Mutex::new(logs));
        let wasi = Wasi::new(&spec.policy, spec.egress.clone(), &logs, &spec.metrics, &spec.clock);
        let wasi = wasi.map_err(|error| CallError::Unavailable(error.to_string()))?;
        let state = StateLimits { bytes: bytes(limits.state_bytes), entries: bytes(limits.state_entries) };
        let data = StoreData {
            metrics: spec.metrics.clone(),
            denials: spec.denials.clone(),
            limiter: Limiter::new(bytes(limits.memory)),
            host_calls: HostCalls::new(bytes(limits.host_call_bytes), bytes(limits.host_call_total_bytes)),
            string_bytes: bytes(limits.string_bytes),
            emitted: Emitted::new(Arc::new(spec.plugin.manifest.telemetry.clone()), output),
            overlay: Overlay::new(spec.state.clone(), state),
            egress: spec.egress.clone(),
            open_bodies: OpenBodies::default(),
            logs,
            cpu: CpuMeter::new(limits.cpu),
            clock: spec.clock.clone(),
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
            Err(configuration::ConfigError { field, message }) => {
                Err(CallError::Config { field: printable(&field), message: printable(&message) })
            }
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
            .await;
        let data = live.store.data_mut();
        let batches = data.emitted.take();
        if !matches!(answer, Ok(Ok(_))) {
            batches.iter().for_each(|batch| data.metrics.discarded(batch.signal, batch.items));
        }
        let answer = answer?;
        let state_bytes = data.overlay.bytes();
        let checkpoint = data.overlay.take();
        let collection::Outcome { failures, more } = answer.map_err(|error| match error {
            collection::CollectError::Unauthorized(text) => CallError::Unauthorized(printable(&text)),
            collection::CollectError::Unavailable(text) => CallError::Unavailable(printable(&text)),
            collection::CollectError::InvalidData(text) => CallError::InvalidData(printable(&text)),
            collection::CollectError::Failed(text) => CallError::Failed(printable(&text)),
        })?;
        data.metrics.state(state_bytes);
        if failures.len() > MAX_FAILURES {
            data.metrics.limit_hit("failures");
        }
        let failure_count = failures.len();
        let told = failures.into_iter().take(MAX_FAILURES);
        let failures = told
            .map(|failure| PartialFailure { source: printable(&failure.source), message: printable(&failure.message) })
            .collect();
        Ok(Collection { batches, failures, failure_count, more, checkpoint })
    }

    async fn process(&mut self, view: View) -> Result<Vec<Edit>, CallError> {
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
        let edits = answer.map_err(|ProcessError::Failed(text)| CallError::Failed(printable(&text)))?;
        let declared = self.spec.plugin.manifest.processor.as_ref();
        let declared = declared.ok_or_else(|| CallError::Edit("is not declared as a processor".to_owned()))?;
        processing::lift_edits(edits, declared, bytes(self.spec.limits.string_bytes)).map_err(|refused| {
            refused.limit.into_iter().for_each(|limit| self.spec.metrics.limit_hit(limit));
            CallError::Edit(refused.text)
        })
    }
}

/// A number of bytes as this machine counts them.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// A random number from 0 to 1; 1 where the system has no randomness, which only makes instances start together.
fn random() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}
