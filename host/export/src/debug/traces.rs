//! Spans for people to read.

use std::fmt::{Result, Write};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::text::{Hex, Inline, attributes, id, line, resource, resource_inline, scope, time};
use crate::printable::Printable;

/// A line per span.
pub(super) fn normal(out: &mut String, request: &ExportTraceServiceRequest) -> Result {
    for of_resource in &request.resource_spans {
        resource_inline(out, of_resource.resource.as_ref())?;
        for span in of_resource.scope_spans.iter().flat_map(|it| &it.spans) {
            writeln!(
                out,
                "  {} trace={} span={} {}{}",
                Printable(&span.name),
                Hex(&span.trace_id),
                Hex(&span.span_id),
                duration(span),
                Inline(&span.attributes)
            )?;
        }
    }
    Ok(())
}

fn duration(span: &Span) -> String {
    match span.end_time_unix_nano.checked_sub(span.start_time_unix_nano) {
        Some(nanos) => format!("{:?}", Duration::from_nanos(nanos)),
        None => "ends before it starts".to_owned(),
    }
}

/// Every field of every span.
pub(super) fn detailed(out: &mut String, request: &ExportTraceServiceRequest) -> Result {
    for (at, of_resource) in request.resource_spans.iter().enumerate() {
        resource(out, at, of_resource.resource.as_ref(), &of_resource.schema_url)?;
        for (at, of_scope) in of_resource.scope_spans.iter().enumerate() {
            scope(out, at, of_scope.scope.as_ref(), &of_scope.schema_url)?;
            for (at, span) in of_scope.spans.iter().enumerate() {
                writeln!(out, "Span #{at}")?;
                one(out, span)?;
            }
        }
    }
    Ok(())
}

fn one(out: &mut String, span: &Span) -> Result {
    line(out, "Name", &span.name)?;
    id(out, "Trace ID", &span.trace_id)?;
    id(out, "Span ID", &span.span_id)?;
    id(out, "Parent ID", &span.parent_span_id)?;
    line(out, "Trace state", &span.trace_state)?;
    writeln!(out, "Kind: {}", kind(span.kind))?;
    time(out, "Start time", span.start_time_unix_nano)?;
    time(out, "End time", span.end_time_unix_nano)?;
    writeln!(out, "Duration: {}", duration(span))?;
    if let Some(status) = &span.status {
        writeln!(out, "Status: {}", status_code(status.code))?;
        line(out, "Status message", &status.message)?;
    }
    attributes(out, "Attributes", &span.attributes)?;
    dropped(out, "attributes", span.dropped_attributes_count)?;
    for (at, event) in span.events.iter().enumerate() {
        writeln!(out, "Event #{at}")?;
        line(out, "Name", &event.name)?;
        time(out, "Time", event.time_unix_nano)?;
        attributes(out, "Attributes", &event.attributes)?;
        dropped(out, "attributes", event.dropped_attributes_count)?;
    }
    dropped(out, "events", span.dropped_events_count)?;
    for (at, link) in span.links.iter().enumerate() {
        writeln!(out, "Link #{at}")?;
        id(out, "Trace ID", &link.trace_id)?;
        id(out, "Span ID", &link.span_id)?;
        line(out, "Trace state", &link.trace_state)?;
        attributes(out, "Attributes", &link.attributes)?;
        dropped(out, "attributes", link.dropped_attributes_count)?;
    }
    dropped(out, "links", span.dropped_links_count)
}

fn dropped(out: &mut String, what: &str, count: u32) -> Result {
    if count == 0 { Ok(()) } else { writeln!(out, "Dropped {what}: {count}") }
}

fn kind(number: i32) -> &'static str {
    match SpanKind::try_from(number) {
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Unspecified) | Err(_) => "unspecified",
    }
}

fn status_code(number: i32) -> &'static str {
    match StatusCode::try_from(number) {
        Ok(StatusCode::Ok) => "ok",
        Ok(StatusCode::Error) => "error",
        Ok(StatusCode::Unset) | Err(_) => "unset",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status};

    use super::*;

    fn example() -> ExportTraceServiceRequest {
        let span = Span {
            name: "job run\n".to_owned(),
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            kind: 1,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_001_500_000_000,
            events: vec![Event { name: "queued".to_owned(), ..Event::default() }],
            status: Some(Status { code: 2, message: "out of memory".to_owned() }),
            dropped_links_count: 4,
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
    }

    #[test]
    fn normal_is_a_line_per_span() {
        let mut out = String::new();
        normal(&mut out, &example()).unwrap();
        assert_eq!(out, "resource\n  job run\\n trace=01010101010101010101010101010101 span=0202020202020202 1.5s\n");
    }

    #[test]
    fn detailed_is_every_field_that_is_set() {
        let mut out = String::new();
        detailed(&mut out, &example()).unwrap();
        assert_eq!(
            out,
            "Resource #0\nScope #0\nSpan #0\nName: job run\\n\nTrace ID: 01010101010101010101010101010101\n\
             Span ID: 0202020202020202\nKind: internal\nStart time: 2023-11-14T22:13:20.000000000Z\n\
             End time: 2023-11-14T22:13:21.500000000Z\nDuration: 1.5s\nStatus: error\nStatus message: out of memory\n\
             Event #0\nName: queued\nDropped links: 4\n"
        );
    }

    #[test]
    fn a_span_that_ends_before_it_starts_is_told_as_such() {
        let span = Span { start_time_unix_nano: 2, end_time_unix_nano: 1, ..Span::default() };
        assert_eq!(duration(&span), "ends before it starts");
    }
}
