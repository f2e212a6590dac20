//! One running plugin: a store and the exports in it. It lives until something goes wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_config::Limits;
use kiln_telemetry::metrics::{CallOutcome, Function};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::bindings::v0_1::{processor, receiver};
use crate::breach::Breach;
use crate::call_error::CallError;
use crate::engine::{Engine, wasmtime_text};
use crate::epoch::Epoch;
use crate::host_calls::HostCalls;
use crate::limiter::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use crate::plugin::Linked;
use crate::settings::WASM_STACK_BYTES;
use crate::store_data::StoreData;
use crate::trap_place::place;
use crate::wasi;

/// Handles a plugin may hold. Its only ones are those of open bodies, which are few, but one that never drops them
/// collects handles that lead nowhere.
const MAX_HANDLES: usize = 1000;

/// A started plugin.
pub(crate) struct Live {
    pub(crate) store: Store<StoreData>,
    pub(crate) world: World,
    timeout: Duration,
    epoch: Arc<Epoch>,
}

/// The exports, of either world.
pub(crate) enum World {
    Receiver(receiver::Receiver),
    Processor(processor::Processor),
}

impl Live {
    /// Instantiates a linked plugin under its limits.
    pub(crate) async fn start(
        engine: &Engine,
        linked: &Linked,
        data: StoreData,
        limits: &Limits,
        timeout: Duration,
    ) -> Result<Self, CallError> {
        let mut store = Store::new(&engine.wasmtime, data);
        store.limiter(|data| &mut data.limiter);
        // What wasmtime lifts for one host call, and what it lifts of a returned value.
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(MAX_HANDLES);
        store.epoch_deadline_callback(|mut context| {
            let cpu = &mut context.data_mut().cpu;
            cpu.pause();
            Ok(if cpu.is_exhausted() { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        let instantiate = async |store: &mut Store<StoreData>| {
            Ok(match linked {
                Linked::Receiver(linked) => World::Receiver(linked.instantiate_async(store).await?),
                Linked::Processor(linked) => World::Processor(linked.instantiate_async(store).await?),
            })
        };
        let epoch = engine.epoch.clone();
        let world = spend(&mut store, &epoch, timeout, None, instantiate).await?;
        Ok(Self { store, world, timeout, epoch })
    }

    /// Calls into the plugin under the limits of a call. After an error the store must not be used again.
    pub(crate) async fn call<T>(
        &mut self,
        function: Function,
        call: impl AsyncFnOnce(&World, &mut Store<StoreData>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let Self { store, world, timeout, epoch } = self;
        spend(store, epoch, *timeout, Some(function), async |store| call(world, store).await).await
    }
}

/// Lets the plugin run under its limits and says which one it broke.
async fn spend<T>(
    store: &mut Store<StoreData>,
    epoch: &Epoch,
    timeout: Duration,
    function: Option<Function>,
    work: impl AsyncFnOnce(&mut Store<StoreData>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let data = store.data_mut();
    data.host_calls.begin();
    data.cpu.begin();
    data.egress.iter().for_each(|egress| egress.begin_call());
    store.set_epoch_deadline(1);
    let started = Instant::now();
    let ended = tokio::time::timeout(timeout, epoch.during(work(store))).await;
    let took = started.elapsed();
    let data = store.data_mut();
    data.cpu.pause();
    data.open_bodies.clear();
    data.wasi.end_call();
    let denied = data.limiter.take_denied();
    let result = match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(&error, data.cpu.budget(), denied, &data.host_calls)),
        Err(_) => Err(Breach::Timeout(timeout).into()),
    };
    data.metrics.cpu(data.cpu.used());
    data.metrics.memory(data.limiter.memory());
    match (&result, denied) {
        (Err(CallError::Limit(breach)), _) => data.metrics.limit_hit(breach.limit()),
        // A plugin may live with a refused allocation; it is counted all the same.
        (_, Some(denied)) => data.metrics.limit_hit(denied.limit()),
        (_, None) => {}
    }
    if let Some(function) = function {
        let outcome = result.as_ref().map_or_else(CallError::outcome, |_| CallOutcome::Ok);
        data.metrics.called(function, outcome, took);
    }
    result
}

/// What an error of wasmtime's means. `denied` is what the limiter refused during the call: a plugin that is not given
/// what it asked for mostly gives up with a trap.
fn classify(error: &wasmtime::Error, cpu: Duration, denied: Option<Breach>, host_calls: &HostCalls) -> CallError {
    if let Some(breach) = error.downcast_ref::<Breach>() {
        return (*breach).into();
    }
    if wasi::is_exit(error) {
        return CallError::Trap("called exit".to_owned());
    }
    if wasi::is_too_many_resources(error) {
        return Breach::Resources(wasi::MAX_RESOURCES).into();
    }
    let text = wasmtime_text(error);
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Breach::Cpu(cpu).into(),
        Some(Trap::StackOverflow) => return Breach::Stack(WASM_STACK_BYTES).into(),
        Some(_) => {}
        None => {
            if let Some(breach) = spoken_breach(&text, host_calls) {
                return breach.into();
            }
        }
    }
    denied.map_or_else(|| CallError::Trap(text + &place(error)), CallError::Limit)
}

/// Limits of wasmtime's that it has no type for. Should it find other words, the plugin is stopped all the same and the
/// error is a trap; a test of each tells.
fn spoken_breach(text: &str, host_calls: &HostCalls) -> Option<Breach> {
    [
        ("fuel allocated for hostcalls has been exhausted", Breach::HostCallBytes(host_calls.limit())),
        ("store handle limit exceeded", Breach::Handles(MAX_HANDLES)),
        ("instance count too high", Breach::Instances(MAX_INSTANCES)),
        ("memory count too high", Breach::Memories(MAX_MEMORIES)),
        ("table count too high", Breach::Tables(MAX_TABLES)),
    ]
    .into_iter()
    .find_map(|(words, breach)| text.contains(words).then_some(breach))
}
