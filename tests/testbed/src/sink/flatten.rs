//! From OTLP's nested messages to flat [`Telemetry`].
//!
//! Invariant: total. Absent messages flatten to empty ones, unknown enumeration values stay visible as
//! [`Temporality::Unspecified`] or as their number; no input is refused here.

use super::telemetry::{Attributes, Event, Exemplar, Kind, Link, LogRecord, Origin, Point, Span, Temporality, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(super) fn points(request: ExportMetricsServiceRequest) -> Vec<Point> {
    let mut points = Vec::new();
    for block in request.resource_metrics {
        for scoped in block.scope_metrics {
            let origin = origin(block.resource.as_ref(), scoped.scope);
            for metric in scoped.metrics {
                flatten_metric(&origin, metric, &mut points);
            }
        }
    }
    points
}

pub(super) fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for block in request.resource_spans {
        for scoped in block.scope_spans {
            let origin = origin(block.resource.as_ref(), scoped.scope);
            spans.extend(scoped.spans.into_iter().map(|span| {
                let status = span.status.unwrap_or_default();
                Span {
                    origin: origin.clone(),
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_span_id: hex(&span.parent_span_id),
                    name: span.name,
                    kind: span.kind,
                    start_nanos: span.start_time_unix_nano,
                    end_nanos: span.end_time_unix_nano,
                    attributes: attributes(span.attributes),
                    events: span
                        .events
                        .into_iter()
                        .map(|event| Event {
                            name: event.name,
                            time_nanos: event.time_unix_nano,
                            attributes: attributes(event.attributes),
                        })
                        .collect(),
                    links: span
                        .links
                        .into_iter()
                        .map(|link| Link {
                            trace_id: hex(&link.trace_id),
                            span_id: hex(&link.span_id),
                            attributes: attributes(link.attributes),
                        })
                        .collect(),
                    status: status.code,
                    status_message: status.message,
                }
            }));
        }
    }
    spans
}

pub(super) fn logs(request: ExportLogsServiceRequest) -> Vec<LogRecord> {
    let mut logs = Vec::new();
    for block in request.resource_logs {
        for scoped in block.scope_logs {
            let origin = origin(block.resource.as_ref(), scoped.scope);
            logs.extend(scoped.log_records.into_iter().map(|record| LogRecord {
                origin: origin.clone(),
                time_nanos: record.time_unix_nano,
                observed_nanos: record.observed_time_unix_nano,
                severity: record.severity_number,
                severity_text: record.severity_text,
                body: any(record.body),
                attributes: attributes(record.attributes),
                trace_id: hex(&record.trace_id),
                span_id: hex(&record.span_id),
                event_name: record.event_name,
            }));
        }
    }
    logs
}

fn origin(resource: Option<&Resource>, scope: Option<InstrumentationScope>) -> Arc<Origin> {
    let scope = scope.unwrap_or_default();
    Arc::new(Origin {
        resource: attributes(resource.map(|resource| resource.attributes.clone()).unwrap_or_default()),
        scope: scope.name,
        scope_version: scope.version,
        scope_attributes: attributes(scope.attributes),
    })
}

fn flatten_metric(origin: &Arc<Origin>, metric: Metric, points: &mut Vec<Point>) {
    let bare = Point {
        origin: origin.clone(),
        metric: metric.name,
        unit: metric.unit,
        description: metric.description,
        metadata: attributes(metric.metadata),
        kind: Kind::Gauge,
        temporality: None,
        monotonic: None,
        attributes: Attributes::new(),
        value: Value::Missing,
        start_nanos: 0,
        time_nanos: 0,
        flags: 0,
        exemplars: Vec::new(),
    };
    match metric.data {
        None => {}
        Some(metric::Data::Gauge(gauge)) => {
            points.extend(gauge.data_points.into_iter().map(|point| number(&bare, point)));
        }
        Some(metric::Data::Sum(sum)) => {
            let bare = Point {
                kind: Kind::Sum,
                temporality: Some(temporality(sum.aggregation_temporality)),
                monotonic: Some(sum.is_monotonic),
                ..bare
            };
            points.extend(sum.data_points.into_iter().map(|point| number(&bare, point)));
        }
        Some(metric::Data::Histogram(histogram)) => {
            let bare = Point {
                kind: Kind::Histogram,
                temporality: Some(temporality(histogram.aggregation_temporality)),
                ..bare
            };
            points.extend(histogram.data_points.into_iter().map(|point| explicit(&bare, point)));
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            let bare = Point {
                kind: Kind::ExponentialHistogram,
                temporality: Some(temporality(histogram.aggregation_temporality)),
                ..bare
            };
            points.extend(histogram.data_points.into_iter().map(|point| exponential(&bare, point)));
        }
        Some(metric::Data::Summary(summary)) => {
            let bare = Point { kind: Kind::Summary, ..bare };
            points.extend(summary.data_points.into_iter().map(|point| quantiles(&bare, point)));
        }
    }
}

fn number(bare: &Point, point: NumberDataPoint) -> Point {
    Point {
        attributes: attributes(point.attributes),
        value: match point.value {
            Some(number_data_point::Value::AsInt(value)) => Value::Int(value),
            Some(number_data_point::Value::AsDouble(value)) => Value::Double(value),
            None => Value::Missing,
        },
        start_nanos: point.start_time_unix_nano,
        time_nanos: point.time_unix_nano,
        flags: point.flags,
        exemplars: exemplars(point.exemplars),
        ..bare.clone()
    }
}

fn explicit(bare: &Point, point: HistogramDataPoint) -> Point {
    Point {
        attributes: attributes(point.attributes),
        value: Value::Histogram {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            bounds: point.explicit_bounds,
            counts: point.bucket_counts,
        },
        start_nanos: point.start_time_unix_nano,
        time_nanos: point.time_unix_nano,
        flags: point.flags,
        exemplars: exemplars(point.exemplars),
        ..bare.clone()
    }
}

fn exponential(bare: &Point, point: ExponentialHistogramDataPoint) -> Point {
    let buckets = |buckets: Option<Buckets>| {
        let buckets = buckets.unwrap_or_default();
        (buckets.offset, buckets.bucket_counts)
    };
    Point {
        attributes: attributes(point.attributes),
        value: Value::ExponentialHistogram {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: buckets(point.positive),
            negative: buckets(point.negative),
        },
        start_nanos: point.start_time_unix_nano,
        time_nanos: point.time_unix_nano,
        flags: point.flags,
        exemplars: exemplars(point.exemplars),
        ..bare.clone()
    }
}

fn quantiles(bare: &Point, point: SummaryDataPoint) -> Point {
    Point {
        attributes: attributes(point.attributes),
        value: Value::Summary {
            count: point.count,
            sum: point.sum,
            quantiles: point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect(),
        },
        start_nanos: point.start_time_unix_nano,
        time_nanos: point.time_unix_nano,
        flags: point.flags,
        ..bare.clone()
    }
}

fn exemplars(exemplars: Vec<proto::Exemplar>) -> Vec<Exemplar> {
    let exemplar = |exemplar: proto::Exemplar| Exemplar {
        attributes: attributes(exemplar.filtered_attributes),
        time_nanos: exemplar.time_unix_nano,
        value: match exemplar.value {
            Some(proto::exemplar::Value::AsInt(value)) => Value::Int(value),
            Some(proto::exemplar::Value::AsDouble(value)) => Value::Double(value),
            None => Value::Missing,
        },
        trace_id: hex(&exemplar.trace_id),
        span_id: hex(&exemplar.span_id),
    };
    exemplars.into_iter().map(exemplar).collect()
}

fn temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, any(pair.value))).collect()
}

fn any(value: Option<AnyValue>) -> Json {
    use any_value::Value::{
        ArrayValue, BoolValue, BytesValue, DoubleValue, IntValue, KvlistValue, StringValue, StringValueStrindex,
    };
    match value.and_then(|value| value.value) {
        None => Json::Null,
        Some(StringValue(text)) => text.into(),
        Some(BoolValue(flag)) => flag.into(),
        Some(IntValue(number)) => number.into(),
        Some(DoubleValue(number)) => number.into(),
        Some(BytesValue(bytes)) => json!({ "bytes": hex(&bytes) }),
        Some(ArrayValue(array)) => array.values.into_iter().map(|value| any(Some(value))).collect(),
        Some(KvlistValue(list)) => list.values.into_iter().map(|pair| (pair.key, any(pair.value))).collect(),
        // Refers to a dictionary that only profiles have.
        Some(StringValueStrindex(index)) => json!({ "string_index": index }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
