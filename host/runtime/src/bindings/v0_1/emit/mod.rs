//! `emit`: records in the plugin's memory become OTLP in one pass.
//!
//! Arguments of an import stay where they are for the length of the call, so nothing is lifted before it is written:
//! lists and strings are cursors into guest memory.

mod logs;
mod metrics;
mod read;
pub(super) mod records;
mod spans;

use kiln_otlp as otlp;
use kiln_otlp::Invalid;
use wasmtime::component::{Linker, WasmList};

use self::logs::logs;
use self::metrics::metrics;
use self::records::{ResourceLogs, ResourceMetrics, ResourceSpans};
use self::spans::spans;
use super::guest_memory::{Failure, Store, begin};
use super::receiver::kiln::plugin::emit::EmitError;
use crate::store_data::StoreData;

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
    begin(&mut store);
    let computing = store.data_mut().cpu.begin_host_work();
    let result = write(&mut store);
    let data = store.data_mut();
    data.cpu.end_host_work(computing);
    let error = match result {
        Ok(batch) => {
            data.emitted.push(batch);
            return Ok((Ok(()),));
        }
        Err(Failure::Trap(error)) => return Err(error),
        Err(Failure::Undeclared(text)) => EmitError::Invalid(text),
        Err(Failure::Limit(limit, text)) => {
            data.metrics.limit_hit(limit);
            EmitError::Limit(text)
        }
        Err(Failure::Invalid(invalid)) => match limit(&invalid) {
            Some(limit) => {
                data.metrics.limit_hit(limit);
                EmitError::Limit(invalid.to_string())
            }
            None => EmitError::Invalid(invalid.to_string()),
        },
    };
    let (EmitError::Invalid(text) | EmitError::Limit(text)) = &error;
    data.metrics.refused(text);
    Ok((Err(error),))
}

/// The limit a payload does not keep to, if that is what is wrong with it.
const fn limit(invalid: &Invalid) -> Option<&'static str> {
    match invalid {
        Invalid::TooManyBytes(_) => Some("output_bytes"),
        Invalid::TooManyItems(_) => Some("output_points"),
        Invalid::TooManyAttributes(_) => Some("attributes"),
        _ => None,
    }
}
