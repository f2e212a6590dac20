//! Requests of every shape, small enough that two points are often alike.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.into());
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// A value the contract has no word for.
fn map(key: &str) -> KeyValue {
    let value = any_value::Value::KvlistValue(KeyValueList { values: vec![text("inner", "kept")] });
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Each key at most once, in any order.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let one = |key: &'static str| {
        option::weighted(0.7, prop_oneof![4 => "[xy]".prop_map(move |value| text(key, &value)), 1 => Just(map(key))])
    };
    (one("a"), one("b"), one("c"), any::<bool>()).prop_map(|(a, b, c, reversed)| {
        let mut all: Vec<_> = [a, b, c].into_iter().flatten().collect();
        if reversed {
            all.reverse();
        }
        all
    })
}

/// Halves, so that adding them up is exact.
fn float() -> impl Strategy<Value = f64> {
    (-40_i32..40).prop_map(|halves| f64::from(halves) / 2.0)
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    vec(float(), 0..3).prop_map(|values| {
        let exemplar = |value| Exemplar {
            filtered_attributes: vec![text("user", "u")],
            time_unix_nano: 5,
            span_id: vec![1; 8],
            trace_id: vec![2; 16],
            value: Some(exemplar::Value::AsDouble(value)),
        };
        values.into_iter().map(exemplar).collect()
    })
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        (-9_i64..9).prop_map(number_data_point::Value::AsInt),
        float().prop_map(number_data_point::Value::AsDouble),
        Just(number_data_point::Value::AsInt(i64::MAX)),
    ];
    (attributes(), 0_u64..3, 10_u64..13, value, any::<bool>(), exemplars()).prop_map(
        |(attributes, start, time, value, ended, exemplars)| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            flags: u32::from(ended && time == 12),
            value: (!(ended && time == 12)).then_some(value),
            exemplars,
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let bounds = prop_oneof![3 => Just(vec![1.0, 2.0, 4.0]), 1 => Just(vec![1.0, 4.0, 8.0]), 1 => Just(vec![])];
    let buckets = (bounds, vec(0_u64..5, 4), any::<bool>());
    (attributes(), 0_u64..3, 10_u64..13, buckets, option::of(float()), option::of(float()), exemplars()).prop_map(
        |(attributes, start, time, (bounds, counts, bare), sum, min, exemplars)| {
            let bare = bare && bounds.is_empty();
            let counts: Vec<_> = if bare { vec![] } else { counts.into_iter().take(bounds.len() + 1).collect() };
            HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: counts.iter().sum(),
                sum,
                bucket_counts: counts,
                explicit_bounds: bounds,
                exemplars,
                flags: 0,
                min,
                max: min,
            }
        },
    )
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        option::of(
            (-6_i32..6, vec(0_u64..4, 0..5)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }),
        )
    };
    let zero = (0_u64..3, prop_oneof![3 => Just(0.0), 1 => Just(0.5), 1 => Just(1.5)]);
    (attributes(), 0_u64..3, 10_u64..13, (-2_i32..4, zero), buckets(), buckets(), option::of(float())).prop_map(
        |(attributes, start, time, (scale, (zero_count, zero_threshold)), positive, negative, sum)| {
            let total = |buckets: &Option<Buckets>| buckets.as_ref().map_or(0, |b| b.bucket_counts.iter().sum::<u64>());
            ExponentialHistogramDataPoint {
                count: zero_count + total(&positive) + total(&negative),
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                sum,
                scale,
                zero_count,
                positive,
                negative,
                flags: 0,
                exemplars: vec![],
                min: None,
                max: sum,
                zero_threshold,
            }
        },
    )
}

fn data() -> impl Strategy<Value = Data> {
    let temporality = || 0_i32..3;
    prop_oneof![
        vec(number_point(), 0..6).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..6), temporality(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        (vec(histogram_point(), 0..6), temporality()).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential_point(), 0..6), temporality()).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(attributes(), 0..4).prop_map(|points| {
            let point = |attributes| SummaryDataPoint { attributes, count: 3, ..Default::default() };
            Data::Summary(Summary { data_points: points.into_iter().map(point).collect() })
        }),
    ]
}

fn metric() -> impl Strategy<Value = Metric> {
    ("[mn]", "(s|By)?", option::weighted(0.9, data())).prop_map(|(name, unit, data)| Metric {
        name,
        description: "what it is".into(),
        unit,
        metadata: vec![text("prometheus.type", "counter")],
        data,
    })
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let resource = |attributes| Resource { attributes, dropped_attributes_count: 7, ..Default::default() };
    option::weighted(0.9, attributes().prop_map(resource))
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "scope".into(), attributes: vec![text("of", "scope")], ..Default::default() })
}

pub(crate) fn metrics_request() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scopes = vec(vec(metric(), 0..4), 0..3).prop_map(|scopes| {
        let scoped = |metrics| ScopeMetrics { scope: scope(), metrics, schema_url: "https://x/1".into() };
        scopes.into_iter().map(scoped).collect()
    });
    let group = (resource(), scopes).prop_map(|(resource, scope_metrics)| ResourceMetrics {
        resource,
        scope_metrics,
        schema_url: "https://x/2".into(),
    });
    vec(group, 0..4).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

pub(crate) fn traces_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let span = attributes().prop_map(|attributes| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "span".into(),
        attributes,
        ..Default::default()
    });
    let scopes = vec(vec(span, 0..4), 0..3).prop_map(|scopes| {
        let scoped = |spans| ScopeSpans { scope: scope(), spans, schema_url: String::new() };
        scopes.into_iter().map(scoped).collect()
    });
    let group = (resource(), scopes).prop_map(|(resource, scope_spans)| ResourceSpans {
        resource,
        scope_spans,
        schema_url: "https://x/2".into(),
    });
    vec(group, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn logs_request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let record = attributes().prop_map(|attributes| LogRecord {
        time_unix_nano: 5,
        attributes,
        event_name: "event".into(),
        ..Default::default()
    });
    let scopes = vec(vec(record, 0..4), 0..3).prop_map(|scopes| {
        let scoped = |log_records| ScopeLogs { scope: scope(), log_records, schema_url: String::new() };
        scopes.into_iter().map(scoped).collect()
    });
    let group = (resource(), scopes).prop_map(|(resource, scope_logs)| ResourceLogs {
        resource,
        scope_logs,
        schema_url: "https://x/2".into(),
    });
    vec(group, 0..4).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}
