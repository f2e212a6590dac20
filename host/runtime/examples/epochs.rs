//! What it costs that a plugin can be interrupted: the same component, compiled with and without epoch checks, by turns.
//!
//! `epochs COMPONENT ROUNDS PAIRS`, where the component is the parser that computes before it calls anything. For each
//! pair a line with the nanoseconds of processor time of a collection with the checks and of one without.
#![allow(clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Component, Instance, Linker, Val};
use wasmtime::{Config, Engine, OptLevel, Result, Store, UpdateDeadline};

const TICK: Duration = Duration::from_millis(10);

struct Side {
    engine: Engine,
    component: Component,
    is_interruptible: bool,
}

impl Side {
    fn new(bytes: &[u8], is_interruptible: bool) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(is_interruptible).cranelift_opt_level(OptLevel::Speed);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, bytes)?;
        Ok(Self { engine, component, is_interruptible })
    }

    /// The time until the plugin calls the host, which ends it: there is nothing behind its imports.
    fn collect(&self, rounds: &str) -> Result<Duration> {
        let mut store = Store::new(&self.engine, ());
        if self.is_interruptible {
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        }
        let mut linker = Linker::new(&self.engine);
        linker.define_unknown_imports_as_traps(&self.component)?;
        let instance = linker.instantiate(&mut store, &self.component)?;
        call(&mut store, &instance, "configure", &[Val::String(format!("{{\"rounds\":{rounds}}}"))])?;
        let before = clock_gettime(ClockId::ThreadCPUTime);
        let ended = call(&mut store, &instance, "collect", &[]);
        let after = clock_gettime(ClockId::ThreadCPUTime);
        if ended.is_ok() {
            return Err(wasmtime::Error::msg("a collection that called nothing has emitted nothing"));
        }
        let time = |time: rustix::time::Timespec| {
            Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
        };
        Ok(time(after).saturating_sub(time(before)))
    }
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str, arguments: &[Val]) -> Result<()> {
    let function = instance.get_func(&mut *store, name).ok_or_else(|| wasmtime::Error::msg("no such export"))?;
    function.call(store, arguments, &mut [Val::Bool(false)])
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, rounds, pairs] = arguments.as_slice() else {
        return Err(wasmtime::Error::msg("epochs COMPONENT ROUNDS PAIRS"));
    };
    let bytes = std::fs::read(component)?;
    let (with, without) = (Side::new(&bytes, true)?, Side::new(&bytes, false)?);
    let is_over = Arc::new(AtomicBool::new(false));
    let (ticking, until) = (with.engine.clone(), is_over.clone());
    let clock = std::thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            ticking.increment_epoch();
        }
    });
    for _ in 0..pairs.parse::<u32>()? {
        println!("{} {}", with.collect(rounds)?.as_nanos(), without.collect(rounds)?.as_nanos());
    }
    is_over.store(true, Ordering::Relaxed);
    drop(clock.join());
    Ok(())
}
