//! One running plugin: a store and the exports in it. It lives until something goes wrong.

use std::time::{Duration, Instant};

use kiln_config::Limits;
use kiln_telemetry::metrics::{CallOutcome, Function};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::bindings::v0_1::{processor, receiver};
use crate::call_error::CallError;
use crate::engine::{Engine, Linked, wasmtime_text};
use crate::store_data::StoreData;
use crate::wasi;

/// Handles a plugin may hold. Its only ones are those of open bodies, which are few, but one that never drops them
/// collects handles that lead nowhere.
const MAX_HANDLES: usize = 1000;

/// A started plugin.
pub(crate) struct Live {
    pub(crate) store: Store<StoreData>,
    pub(crate) world: World,
    timeout: Duration,
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
        // One call cannot hand over more than all of its memory, however often its lists point at the same bytes.
        store.set_hostcall_fuel(usize::try_from(limits.memory).unwrap_or(usize::MAX));
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
        let world = spend(&mut store, timeout, None, instantiate).await?;
        Ok(Self { store, world, timeout })
    }

    /// Calls into the plugin under the limits of a call. After an error the store must not be used again.
    pub(crate) async fn call<T>(
        &mut self,
        function: Function,
        call: impl AsyncFnOnce(&World, &mut Store<StoreData>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let Self { store, world, timeout } = self;
        spend(store, *timeout, Some(function), async |store| call(world, store).await).await
    }
}

/// Lets the plugin run under its limits and says which one it broke.
async fn spend<T>(
    store: &mut Store<StoreData>,
    timeout: Duration,
    function: Option<Function>,
    work: impl AsyncFnOnce(&mut Store<StoreData>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let data = store.data_mut();
    data.cpu.begin();
    data.egress.iter().for_each(|egress| egress.begin_call());
    store.set_epoch_deadline(1);
    let started = Instant::now();
    let ended = tokio::time::timeout(timeout, work(store)).await;
    let took = started.elapsed();
    let data = store.data_mut();
    data.cpu.pause();
    data.open_bodies.clear();
    data.wasi.end_call();
    let result = match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(data, &error)),
        Err(_) => Err(CallError::Timeout(timeout)),
    };
    data.metrics.cpu(data.cpu.used());
    data.metrics.memory(data.limiter.memory());
    let denied = data.limiter.take_denied();
    match &result {
        Err(CallError::Cpu(_)) => data.metrics.limit_hit("cpu"),
        Err(CallError::Timeout(_)) => data.metrics.limit_hit("timeout"),
        // A plugin may live with a refused allocation; it is counted all the same.
        _ => denied.into_iter().for_each(|limit| data.metrics.limit_hit(limit)),
    }
    if let Some(function) = function {
        let outcome = result.as_ref().map_or_else(CallError::outcome, |_| CallOutcome::Ok);
        data.metrics.called(function, outcome, took);
    }
    result
}

fn classify(data: &StoreData, error: &wasmtime::Error) -> CallError {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return CallError::Cpu(data.cpu.budget());
    }
    if wasi::is_exit(error) {
        return CallError::Trap("called exit".to_owned());
    }
    if wasi::is_too_many_resources(error) {
        data.metrics.limit_hit("resources");
        return CallError::Trap("holds more resources of WASI than it may at the same time".to_owned());
    }
    match data.limiter.denied() {
        Some("memory") => CallError::Memory(data.limiter.memory_limit()),
        Some(limit) => CallError::Trap(format!("{} (the limit on {limit} was reached)", wasmtime_text(error))),
        None => CallError::Trap(wasmtime_text(error)),
    }
}
