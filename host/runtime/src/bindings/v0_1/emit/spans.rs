//! Spans, written as they are read.

use kiln_otlp as otlp;
use wasmtime::component::WasmList;

use super::super::guest_memory::{Failure, Store, bytes, get, value};
use super::super::receiver::kiln::plugin::telemetry::SpanKind;
use super::read::{Head, write_attributes};
use super::records::{ResourceSpans, Span, SpanStatus};
use crate::store_data::unix_nanos;

pub(super) fn spans(store: &mut Store<'_>, batch: &WasmList<ResourceSpans>) -> Result<Option<otlp::Batch>, Failure> {
    if batch.len() > 0 && store.data().emitted.declared.spans.is_empty() {
        return Err(Failure::Undeclared(
            "spans are not declared in the plugin's manifest: add [telemetry.spans.\"NAME\"] to plugin.toml".to_owned(),
        ));
    }
    let emitted = &store.data().emitted;
    let mut payload = otlp::SpansPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.spans.len() {
                    let span = get(&group.spans, store, index)?;
                    write_span(store, items, &span)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_span(store: &mut Store<'_>, items: &mut otlp::SpanItems<'_>, span: &Span) -> Result<(), Failure> {
    let name = value(&span.name, store)?.into_owned();
    let trace_id = bytes(&span.trace_id, store)?.to_vec();
    let span_id = bytes(&span.span_id, store)?.to_vec();
    let parent_span_id = bytes(&span.parent_span_id, store)?.to_vec();
    let message = match &span.status {
        SpanStatus::Error(message) => value(message, store)?.into_owned(),
        SpanStatus::Unset | SpanStatus::Ok => String::new(),
    };
    let plain = otlp::Span {
        trace_id: &trace_id,
        span_id: &span_id,
        parent_span_id: &parent_span_id,
        name: &name,
        kind: span.kind.into(),
        start_time: span.start_time,
        end_time: span.end_time,
        status: match span.status {
            SpanStatus::Unset => otlp::SpanStatus::Unset,
            SpanStatus::Ok => otlp::SpanStatus::Ok,
            SpanStatus::Error(_) => otlp::SpanStatus::Error(&message),
        },
    };
    items.span(plain, |body| {
        body.attributes(|attributes| write_attributes(store, attributes, &span.attributes))?;
        for index in 0..span.events.len() {
            let event = get(&span.events, store, index)?;
            let name = value(&event.name, store)?.into_owned();
            body.event(&name, event.time, |attributes| write_attributes(store, attributes, &event.attributes))?;
        }
        for index in 0..span.links.len() {
            let link = get(&span.links, store, index)?;
            let trace_id = bytes(&link.trace_id, store)?.to_vec();
            let span_id = bytes(&link.span_id, store)?.to_vec();
            body.link(&trace_id, &span_id, |attributes| write_attributes(store, attributes, &link.attributes))?;
        }
        Ok(())
    })
}

impl From<SpanKind> for otlp::SpanKind {
    fn from(kind: SpanKind) -> Self {
        match kind {
            SpanKind::Internal => Self::Internal,
            SpanKind::Server => Self::Server,
            SpanKind::Client => Self::Client,
            SpanKind::Producer => Self::Producer,
            SpanKind::Consumer => Self::Consumer,
        }
    }
}
