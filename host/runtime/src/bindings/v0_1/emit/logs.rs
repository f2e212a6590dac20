//! Log records, written as they are read.

use kiln_otlp as otlp;
use wasmtime::component::WasmList;

use super::super::guest_memory::{Failure, Store, bytes, get, key};
use super::super::receiver::kiln::plugin::telemetry::Severity;
use super::read::{Head, read_value, write_attributes};
use super::records::{LogRecord, ResourceLogs};
use crate::store_data::unix_nanos;

pub(super) fn logs(store: &mut Store<'_>, batch: &WasmList<ResourceLogs>) -> Result<Option<otlp::Batch>, Failure> {
    if batch.len() > 0 && store.data().emitted.declared.logs.is_empty() {
        return Err(Failure::Undeclared(
            "logs are not declared in the plugin's manifest: add [telemetry.logs.\"NAME\"] to plugin.toml".to_owned(),
        ));
    }
    let emitted = &store.data().emitted;
    let mut payload = otlp::LogsPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.records.len() {
                    let record = get(&group.records, store, index)?;
                    write_record(store, items, &record)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_record(store: &mut Store<'_>, items: &mut otlp::LogItems<'_>, record: &LogRecord) -> Result<(), Failure> {
    let severity_text = key(&record.severity_text, store)?.into_owned();
    let event_name = key(&record.event_name, store)?.into_owned();
    let body = read_value(store, &record.body)?;
    let trace_id = bytes(&record.trace_id, store)?.to_vec();
    let span_id = bytes(&record.span_id, store)?.to_vec();
    let plain = otlp::LogRecord {
        time: record.time,
        observed_time: record.observed_time,
        severity: record.severity.into(),
        severity_text: &severity_text,
        event_name: &event_name,
        body: &body,
        trace_id: &trace_id,
        span_id: &span_id,
    };
    items.record(plain, |attributes| write_attributes(store, attributes, &record.attributes))
}

impl From<Severity> for otlp::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Trace => Self::Trace,
            Severity::Debug => Self::Debug,
            Severity::Info => Self::Info,
            Severity::Warn => Self::Warn,
            Severity::Error => Self::Error,
            Severity::Fatal => Self::Fatal,
        }
    }
}
