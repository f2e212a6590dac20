//! `emit`: records in the plugin's memory become OTLP in one pass.
//!
//! Arguments of an import stay where they are for the length of the call, so nothing is lifted before it is written:
//! lists and strings are cursors into guest memory.

mod logs;
mod metrics;
mod read;
mod records;
mod spans;

use kiln_otlp as otlp;
use kiln_otlp::Invalid;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use self::logs::logs;
use self::metrics::metrics;
use self::records::{ResourceLogs, ResourceMetrics, ResourceSpans};
use self::spans::spans;
use super::receiver::kiln::plugin::emit::EmitError;
use crate::store_data::StoreData;

type Store<'s> = StoreContextMut<'s, StoreData>;

/// Why a call fails: the telemetry is wrong, which the plugin is told, or its memory is, which traps.
enum Failure {
    Invalid(Invalid),
    Undeclared(String),
    Trap(wasmtime::Error),
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// Adds the interface to the linker.
pub(super) fn link(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    let mut emit = linker.instance("kiln:plugin/emit@0.1.0")?;
    emit.func_wrap("metrics", |store, (batch,): (WasmList<ResourceMetrics>,)| {
        answer(store, |store| metrics(store, &batch))
    })?;
    emit.func_wrap("spans", |store, (batch,): (WasmList<ResourceSpans>,)| answer(store, |store| spans(store, &batch)))?;
    emit.func_wrap("logs", |store, (batch,): (WasmList<ResourceLogs>,)| answer(store, |store| logs(store, &batch)))
}

type Answer = (Result<(), EmitError>,);

fn answer(
    mut store: Store<'_>,
    write: impl FnOnce(&mut Store<'_>) -> Result<Option<otlp::Batch>, Failure>,
) -> wasmtime::Result<Answer> {
    let error = match write(&mut store) {
        Ok(batch) => {
            store.data_mut().emitted.push(batch);
            return Ok((Ok(()),));
        }
        Err(Failure::Trap(error)) => return Err(error),
        Err(Failure::Undeclared(text)) => EmitError::Invalid(text),
        Err(Failure::Invalid(invalid)) if invalid.is_limit() => {
            let limit = if matches!(invalid, Invalid::TooManyBytes(_)) { "output_bytes" } else { "output_points" };
            store.data().metrics.limit_hit(limit);
            EmitError::Limit(invalid.to_string())
        }
        Err(Failure::Invalid(invalid)) => EmitError::Invalid(invalid.to_string()),
    };
    Ok((Err(error),))
}
