//! Batches taken apart into rows, one for each data point, span and log record.

use std::time::Duration;

use kiln_otlp::{Batch, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::{DecodeError, Message as _};

use crate::table::{shown, table};
use crate::values;

/// A data point, span or log record, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Attributes of its resource, and the scope.
    pub origin: String,
    /// One for each column of its signal.
    pub cells: Vec<String>,
}

/// What a batch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Of what kind.
    pub signal: Signal,
    /// In the order of the batch.
    pub rows: Vec<Row>,
}

impl Emission {
    /// Takes a batch apart.
    ///
    /// # Errors
    /// Its payload is not OTLP.
    pub fn of(batch: &Batch) -> Result<Self, DecodeError> {
        let payload = batch.payload.clone();
        let rows = match batch.signal {
            Signal::Metrics => metrics(&ExportMetricsServiceRequest::decode(payload)?),
            Signal::Traces => spans(&ExportTraceServiceRequest::decode(payload)?),
            Signal::Logs => records(&ExportLogsServiceRequest::decode(payload)?),
        };
        Ok(Self { signal: batch.signal, rows })
    }

    /// The names of the columns.
    #[must_use]
    pub const fn header(signal: Signal) -> &'static [&'static str] {
        match signal {
            Signal::Metrics => &["METRIC", "KIND", "UNIT", "ATTRIBUTES", "VALUE"],
            Signal::Traces => &["SPAN", "KIND", "TOOK", "STATUS", "TRACE", "ID", "PARENT", "ATTRIBUTES"],
            Signal::Logs => &["SEVERITY", "EVENT", "BODY", "ATTRIBUTES"],
        }
    }

    /// The first `most` rows as tables, one below each origin.
    #[must_use]
    pub fn to_text(&self, most: usize) -> String {
        let mut text = String::new();
        let shown_rows = self.rows.get(..most).unwrap_or(&self.rows);
        for group in shown_rows.chunk_by(|one, next| one.origin == next.origin) {
            let origin = group.first().map(|row| row.origin.as_str()).unwrap_or_default();
            let cells: Vec<_> = group.iter().map(|row| row.cells.clone()).collect();
            text += &format!("\nfrom {}\n{}", shown(origin), table(Self::header(self.signal), &cells));
        }
        let left = self.rows.len().saturating_sub(shown_rows.len());
        if left > 0 {
            text += &format!("  … and {left} more; `--rows {}` shows them\n", self.rows.len());
        }
        text
    }
}

fn origin(resource: Option<&Resource>, scope: Option<&InstrumentationScope>) -> String {
    let attributes = resource.map(|resource| values::attributes(&resource.attributes)).unwrap_or_default();
    let scope = scope.map(|scope| format!("{} {}", scope.name, scope.version)).unwrap_or_default();
    let parts = [scope.trim(), attributes.as_str()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "a resource without attributes".to_owned() } else { parts.join(": ") }
}

fn metrics(request: &ExportMetricsServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for of_resource in &request.resource_metrics {
        for of_scope in &of_resource.scope_metrics {
            let origin = origin(of_resource.resource.as_ref(), of_scope.scope.as_ref());
            for metric in &of_scope.metrics {
                for (attributes, value) in points(metric) {
                    let cells = vec![metric.name.clone(), kind(metric), metric.unit.clone(), attributes, value];
                    rows.push(Row { origin: origin.clone(), cells });
                }
            }
        }
    }
    rows
}

fn points(metric: &Metric) -> Vec<(String, String)> {
    let Some(data) = &metric.data else { return Vec::new() };
    match data {
        Data::Gauge(it) => {
            it.data_points.iter().map(|it| (values::attributes(&it.attributes), values::number(it))).collect()
        }
        Data::Sum(it) => {
            it.data_points.iter().map(|it| (values::attributes(&it.attributes), values::number(it))).collect()
        }
        Data::Histogram(it) => {
            it.data_points.iter().map(|it| (values::attributes(&it.attributes), values::histogram(it))).collect()
        }
        Data::ExponentialHistogram(it) => {
            let point = |it| values::exponential_histogram(it);
            it.data_points.iter().map(|it| (values::attributes(&it.attributes), point(it))).collect()
        }
        Data::Summary(it) => {
            it.data_points.iter().map(|it| (values::attributes(&it.attributes), values::summary(it))).collect()
        }
    }
}

/// What kind of metric it is; cumulative goes without saying.
fn kind(metric: &Metric) -> String {
    let delta = |temporality: i32| match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Cumulative) => "",
        Ok(AggregationTemporality::Delta) => " of deltas",
        Ok(AggregationTemporality::Unspecified) | Err(_) => " of unknown temporality",
    };
    match &metric.data {
        None => "no data".to_owned(),
        Some(Data::Gauge(_)) => "gauge".to_owned(),
        Some(Data::Sum(sum)) => {
            let monotonic = if sum.is_monotonic { "monotonic " } else { "" };
            format!("{monotonic}sum{}", delta(sum.aggregation_temporality))
        }
        Some(Data::Histogram(it)) => format!("histogram{}", delta(it.aggregation_temporality)),
        Some(Data::ExponentialHistogram(it)) => {
            format!("exponential histogram{}", delta(it.aggregation_temporality))
        }
        Some(Data::Summary(_)) => "summary".to_owned(),
    }
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for of_resource in &request.resource_spans {
        for of_scope in &of_resource.scope_spans {
            let origin = origin(of_resource.resource.as_ref(), of_scope.scope.as_ref());
            rows.extend(of_scope.spans.iter().map(|span| Row { origin: origin.clone(), cells: span_cells(span) }));
        }
    }
    rows
}

fn span_cells(span: &Span) -> Vec<String> {
    let kind = match SpanKind::try_from(span.kind) {
        Ok(SpanKind::Internal) => "internal",
        Ok(SpanKind::Server) => "server",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Unspecified) | Err(_) => "-",
    };
    let took = match span.end_time_unix_nano.checked_sub(span.start_time_unix_nano) {
        Some(nanos) => values::duration(Duration::from_nanos(nanos)),
        None => "ends before it starts".to_owned(),
    };
    let status = match &span.status {
        None => "-".to_owned(),
        Some(status) => {
            let code = match StatusCode::try_from(status.code) {
                Ok(StatusCode::Ok) => "ok",
                Ok(StatusCode::Error) => "error",
                Ok(StatusCode::Unset) | Err(_) => "-",
            };
            let message = if status.message.is_empty() { String::new() } else { format!(": {}", status.message) };
            format!("{code}{message}")
        }
    };
    let mut attributes = values::attributes(&span.attributes);
    for (count, what) in [(span.events.len(), "event"), (span.links.len(), "link")] {
        if count > 0 {
            attributes += &format!(" ({count} {what}{})", if count == 1 { "" } else { "s" });
        }
    }
    let id = |bytes: &[u8]| if bytes.is_empty() { "-".to_owned() } else { values::hexadecimal(bytes) };
    vec![
        span.name.clone(),
        kind.to_owned(),
        took,
        status,
        id(&span.trace_id),
        id(&span.span_id),
        id(&span.parent_span_id),
        attributes,
    ]
}

fn records(request: &ExportLogsServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for of_resource in &request.resource_logs {
        for of_scope in &of_resource.scope_logs {
            let origin = origin(of_resource.resource.as_ref(), of_scope.scope.as_ref());
            let row = |record| Row { origin: origin.clone(), cells: record_cells(record) };
            rows.extend(of_scope.log_records.iter().map(row));
        }
    }
    rows
}

fn record_cells(record: &LogRecord) -> Vec<String> {
    let severity = match record.severity_number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "-",
    };
    let body = if record.body.is_some() { values::value(record.body.as_ref()) } else { "-".to_owned() };
    let event = if record.event_name.is_empty() { "-".to_owned() } else { record.event_name.clone() };
    vec![severity.to_owned(), event, body, values::attributes(&record.attributes)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_otlp::from_json;
    use proptest::prelude::*;

    use super::*;

    const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"run","traceId":"0102","spanId":"03",
        "kind":2,"startTimeUnixNano":"1000000","endTimeUnixNano":"2500000","status":{"code":2,"message":"boom"},
        "events":[{"name":"e"}],"attributes":[{"key":"a","value":{"intValue":"1"}}]}]}]}]}"#;
    const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"host","value":{"stringValue":"h"}}]},
        "scopeMetrics":[{"scope":{"name":"p","version":"1"},"metrics":[
        {"name":"a","unit":"s","gauge":{"dataPoints":[{"asDouble":0.5},{"asInt":"3","attributes":[{"key":"k",
        "value":{"stringValue":"v"}}]}]}},{"name":"b","sum":{"isMonotonic":true,"aggregationTemporality":1,
        "dataPoints":[{"flags":1}]}}]}]}]}"#;

    #[test]
    fn every_point_is_a_row_below_its_resource() {
        let emission = Emission::of(&from_json(METRICS).unwrap()).unwrap();
        assert_eq!(
            emission.to_text(10),
            "\nfrom p 1: host=\"h\"\n  METRIC  KIND                     UNIT  ATTRIBUTES  VALUE\n  a       \
             gauge                    s                 0.5\n  a       gauge                    s     k=\"v\"       3\n  \
             b       monotonic sum of deltas                    ended\n"
        );
        assert!(emission.to_text(1).ends_with("  … and 2 more; `--rows 3` shows them\n"));
    }

    #[test]
    fn a_span_shows_its_time_its_status_and_its_ids() {
        let emission = Emission::of(&from_json(SPAN).unwrap()).unwrap();
        let cells = &emission.rows.first().unwrap().cells;
        assert_eq!(cells, &["run", "server", "1.5 ms", "error: boom", "0102", "03", "-", "a=1 (1 event)"]);
        assert_eq!(cells.len(), Emission::header(Signal::Traces).len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for signal in Signal::ALL {
                let batch = Batch { signal, payload: bytes.clone().into(), items: 1 };
                if let Ok(emission) = Emission::of(&batch) {
                    prop_assert!(emission.to_text(10).chars().all(|it| it == '\n' || !it.is_control()));
                }
            }
        }
    }
}
