//! Emits one of everything the contract can express, with values a test can look for.
//!
//! The same values stand in `tests/cases/everything-arrives/case.toml`.

use kiln_plugin::telemetry::{
    Attribute, AttributeValue, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint,
    Histogram, HistogramPoint, LogRecord, Metric, MetricData, Number, NumberPoint, Quantile, Resource, ResourceLogs,
    ResourceMetrics, ResourceSpans, Scope, Severity, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, Sum,
    SummaryPoint, Temporality,
};
use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Everything);

/// Nothing to configure.
#[derive(Debug, Deserialize)]
pub struct Config {}

/// The receiver.
#[derive(Debug)]
pub struct Everything;

impl Receiver for Everything {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        host.emit_metrics([metrics()])?;
        host.emit_spans(&[spans()])?;
        host.emit_logs(&[logs()])?;
        Ok(Outcome::complete())
    }
}

const TRACE: [u8; 16] = [0xab; 16];
const SPAN: [u8; 8] = [0xcd; 8];

fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::new("text", "ünï"),
        Attribute::new("boolean", true),
        Attribute::new("integer", -7_i64),
        Attribute::new("float", 0.25),
        Attribute::new("bytes", AttributeValue::Bytes(vec![1, 255])),
        Attribute::new("text-list", AttributeValue::TextList(vec!["a".into(), String::new()])),
        Attribute::new("boolean-list", AttributeValue::BooleanList(vec![true, false])),
        Attribute::new("integer-list", AttributeValue::IntegerList(vec![1, -1])),
        Attribute::new("float-list", AttributeValue::FloatList(vec![0.5])),
    ]
}

fn resource() -> Resource {
    Resource { attributes: attributes() }
}

fn scope() -> Scope {
    Scope { name: "kiln/everything".into(), version: "1.2".into(), attributes: vec![Attribute::new("of", "scope")] }
}

fn exemplars(value: Number) -> Vec<Exemplar> {
    let (trace_id, span_id) = (TRACE.to_vec(), SPAN.to_vec());
    vec![Exemplar { attributes: vec![Attribute::new("user", "u")], time: 15, value, trace_id, span_id }]
}

fn number(value: Option<Number>) -> NumberPoint {
    let exemplars = value.map(exemplars).unwrap_or_default();
    NumberPoint { attributes: attributes(), start_time: 10, time: 20, value, exemplars }
}

fn metric(name: &str, data: MetricData) -> Metric {
    let metadata = vec![Attribute::new("prometheus.type", "counter")];
    Metric { name: name.into(), description: "a metric".into(), unit: "By".into(), metadata, data }
}

fn metrics() -> ResourceMetrics {
    let sum = Sum {
        temporality: Temporality::Delta,
        monotonic: true,
        points: vec![number(Some(Number::Integer(5))), number(None)],
    };
    let histogram = HistogramPoint {
        attributes: attributes(),
        start_time: 10,
        time: 20,
        count: 3,
        sum: Some(4.5),
        min: Some(0.5),
        max: Some(3.0),
        bounds: vec![1.0, 2.0],
        bucket_counts: vec![1, 0, 2],
        exemplars: exemplars(Number::Float(2.5)),
        no_recorded_value: false,
    };
    let histograms = vec![histogram.clone(), HistogramPoint { no_recorded_value: true, ..histogram }];
    let exponential = ExponentialHistogramPoint {
        attributes: attributes(),
        start_time: 10,
        time: 20,
        count: 7,
        sum: Some(6.5),
        min: Some(-2.0),
        max: Some(5.0),
        scale: -3,
        zero_count: 1,
        zero_threshold: 0.25,
        positive: ExponentialBuckets { offset: -2, counts: vec![3, 0, 2] },
        negative: ExponentialBuckets { offset: 300, counts: vec![1] },
        exemplars: exemplars(Number::Integer(5)),
        no_recorded_value: false,
    };
    let exponentials = vec![exponential.clone(), ExponentialHistogramPoint { no_recorded_value: true, ..exponential }];
    let summary = SummaryPoint {
        attributes: attributes(),
        start_time: 10,
        time: 20,
        count: 2,
        sum: 3.0,
        quantiles: vec![Quantile { quantile: 0.5, value: 1.5 }],
        no_recorded_value: false,
    };
    let summaries = vec![summary.clone(), SummaryPoint { no_recorded_value: true, ..summary }];
    let temporality = Temporality::Cumulative;
    let metrics = vec![
        metric("kiln.test.gauge", MetricData::Gauge(vec![number(Some(Number::Float(1.5)))])),
        metric("kiln.test.sum", MetricData::Sum(sum)),
        metric("kiln.test.histogram", MetricData::Histogram(Histogram { temporality, points: histograms })),
        metric(
            "kiln.test.exponential_histogram",
            MetricData::ExponentialHistogram(ExponentialHistogram { temporality, points: exponentials }),
        ),
        metric("kiln.test.summary", MetricData::Summary(summaries)),
    ];
    ResourceMetrics { resource: resource(), scope: scope(), metrics }
}

fn spans() -> ResourceSpans {
    let span = Span {
        trace_id: TRACE.to_vec(),
        span_id: SPAN.to_vec(),
        parent_span_id: vec![0xef; 8],
        name: "kiln.test.span".into(),
        kind: SpanKind::Consumer,
        start_time: 10,
        end_time: 20,
        attributes: attributes(),
        events: vec![SpanEvent { name: "phase".into(), time: 15, attributes: attributes() }],
        links: vec![SpanLink { trace_id: TRACE.to_vec(), span_id: SPAN.to_vec(), attributes: attributes() }],
        status: SpanStatus::Error("out of memory".into()),
    };
    ResourceSpans { resource: resource(), scope: scope(), spans: vec![span] }
}

fn logs() -> ResourceLogs {
    let record = LogRecord {
        time: 10,
        observed_time: 20,
        severity: Severity::Warn,
        severity_text: "WARNING".into(),
        event_name: "kiln.test.event".into(),
        body: AttributeValue::Text("lost a node".into()),
        attributes: attributes(),
        trace_id: TRACE.to_vec(),
        span_id: SPAN.to_vec(),
    };
    ResourceLogs { resource: resource(), scope: scope(), records: vec![record] }
}
