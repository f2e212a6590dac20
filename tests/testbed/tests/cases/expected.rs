//! Telemetry that must arrive, by what matters of it.

use std::collections::BTreeMap;

use kiln_testbed::sink::{Attributes, LogRecord, Span, Telemetry};

use crate::case::{Case, ExpectedLog, ExpectedPoint, ExpectedTrace};

/// What the case expects and has not arrived, for people.
pub(crate) fn missing(telemetry: &Telemetry, case: &Case) -> Option<String> {
    let point = case.points.iter().find(|expected| !has_point(telemetry, expected));
    let trace = || case.traces.iter().find(|expected| !has_trace(telemetry, expected));
    point.map(|expected| format!("{expected:#?}")).or_else(|| trace().map(|expected| format!("{expected:#?}")))
}

fn has_point(telemetry: &Telemetry, expected: &ExpectedPoint) -> bool {
    let points = telemetry.points_of(&expected.metric).filter(|point| {
        expected.unit.as_ref().is_none_or(|unit| point.unit == *unit)
            && has(&point.origin.resource, &expected.resource)
            && has(&point.attributes, &expected.attributes)
            && expected.value.is_none_or(|value| point.number() == Some(value))
    });
    points.take(expected.times).count() == expected.times
}

fn has_trace(telemetry: &Telemetry, expected: &ExpectedTrace) -> bool {
    let roots = telemetry.spans.iter().filter(|span| span.parent_span_id.is_empty());
    let mut roots = roots.filter(|span| has(&span.attributes, &expected.root));
    roots.any(|root| {
        let is_child = |span: &Span| {
            span.trace_id == root.trace_id
                && span.parent_span_id == root.span_id
                && has(&span.attributes, &expected.child)
        };
        let has_log = |expected: &ExpectedLog| telemetry.logs.iter().any(|record| is_log_of(record, root, expected));
        telemetry.spans.iter().any(is_child) && expected.log.as_ref().is_none_or(has_log)
    })
}

fn is_log_of(record: &LogRecord, root: &Span, expected: &ExpectedLog) -> bool {
    record.event_name == expected.event
        && record.trace_id == root.trace_id
        && record.span_id == root.span_id
        && has(&record.attributes, &expected.attributes)
}

/// Whether there are these attributes with these values; `*` stands for any.
fn has(attributes: &Attributes, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| match attributes.get(key) {
        Some(_) if value == "*" => true,
        Some(serde_json::Value::String(text)) => text == value,
        Some(other) => serde_json::from_str(value).is_ok_and(|value: serde_json::Value| value == *other),
        None => false,
    })
}
