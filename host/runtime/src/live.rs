//! One running plugin: a store and the exports in it. It lives until something goes wrong.

use std::time::{Duration, Instant};

use kiln_config::Limits;
use kiln_telemetry::metrics::{CallOutcome, Function};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::v0_1::{processor, receiver};
use crate::engine::{Engine, Linked, TICK, wasmtime_text};
use crate::instance::CallError;
use crate::store_data::StoreData;

/// Handles a plugin may hold. The contract has no resources, so this is only a floor under surprises.
const MAX_HANDLES: usize = 1000;

/// A started plugin.
pub(crate) struct Live {
    pub(crate) store: Store<StoreData>,
    pub(crate) world: World,
    budget: Budget,
}

/// The exports, of either world.
pub(crate) enum World {
    Receiver(receiver::Receiver),
    Processor(processor::Processor),
}

/// What one call may take.
#[derive(Clone, Copy)]
struct Budget {
    ticks: u64,
    cpu: Duration,
    timeout: Duration,
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
            let data = context.data_mut();
            match data.ticks_left.checked_sub(1) {
                Some(left) => {
                    data.ticks_left = left;
                    Ok(UpdateDeadline::Yield(1))
                }
                None => {
                    data.out_of_cpu = true;
                    Ok(UpdateDeadline::Interrupt)
                }
            }
        });
        let ticks = u64::try_from(limits.cpu.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX);
        let budget = Budget { ticks, cpu: limits.cpu, timeout };
        let world = budget
            .spend(&mut store, None, async |store| {
                Ok(match linked {
                    Linked::Receiver(linked) => World::Receiver(linked.instantiate_async(store).await?),
                    Linked::Processor(linked) => World::Processor(linked.instantiate_async(store).await?),
                })
            })
            .await?;
        Ok(Self { store, world, budget })
    }

    /// Calls into the plugin under the limits of a call. After an error the store must not be used again.
    pub(crate) async fn call<T>(
        &mut self,
        function: Function,
        call: impl AsyncFnOnce(&World, &mut Store<StoreData>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let Self { store, world, budget } = self;
        budget.spend(store, Some(function), async |store| call(world, store).await).await
    }
}

impl Budget {
    async fn spend<T>(
        self,
        store: &mut Store<StoreData>,
        function: Option<Function>,
        work: impl AsyncFnOnce(&mut Store<StoreData>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let data = store.data_mut();
        data.ticks_left = self.ticks;
        data.out_of_cpu = false;
        data.waited = Duration::ZERO;
        store.set_epoch_deadline(1);
        let started = Instant::now();
        let ended = tokio::time::timeout(self.timeout, work(store)).await;
        let took = started.elapsed();
        let data = store.data_mut();
        let result = match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.classify(data, &error)),
            Err(_) => Err(CallError::Timeout(self.timeout)),
        };
        data.metrics.cpu(took.saturating_sub(data.waited));
        data.metrics.memory(data.limiter.memory());
        let denied = data.limiter.take_denied();
        match &result {
            Err(CallError::Cpu(_)) => data.metrics.limit_hit("cpu"),
            Err(CallError::Timeout(_)) => data.metrics.limit_hit("timeout"),
            // A plugin may live with a refused allocation; it is counted all the same.
            _ => denied.into_iter().for_each(|limit| data.metrics.limit_hit(limit)),
        }
        if let (Some(function), Err(error)) = (function, &result) {
            data.metrics.called(function, error.outcome(), took);
        } else if let Some(function) = function {
            data.metrics.called(function, CallOutcome::Ok, took);
        }
        result
    }

    fn classify(self, data: &StoreData, error: &wasmtime::Error) -> CallError {
        if data.out_of_cpu {
            return CallError::Cpu(self.cpu);
        }
        match data.limiter.denied() {
            Some("memory") => CallError::Memory(data.limiter.memory_limit()),
            Some(limit) => CallError::Trap(format!("{} (the limit on {limit} was reached)", wasmtime_text(error))),
            None => CallError::Trap(wasmtime_text(error)),
        }
    }
}
