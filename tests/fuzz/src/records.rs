//! Typed records → OTLP → what a protobuf library reads: the same.
//!
//! What is expected is built by itself from the same choices, as the messages of `opentelemetry-proto`, so nothing of the
//! writer is trusted.

use kiln_otlp::{
    Amount, AttributeValue, Attributes, Batch, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Invalid,
    ListItem, LogRecord, LogsPayload, Metric, MetricItems, MetricsPayload, Number, NumberPoint, Scope, Severity,
    SummaryPoint, Temporality,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{self as proto, metric, number_data_point};
use prost::Message as _;

use crate::choices::Choices;

const NOW: u64 = 1_700_000_000_000_000_000;
const LIMIT: Amount = Amount { bytes: 1 << 20, items: 10_000 };

type Pairs = Vec<(String, AttributeValue)>;

/// Whatever records a plugin emits, what leaves the host says what they said, or nothing leaves.
pub fn records(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    match choices.below(2) {
        0 => metrics(&mut choices),
        _ => logs(&mut choices),
    }
}

fn value(choices: &mut Choices<'_>) -> AttributeValue {
    match choices.below(9) {
        0 => AttributeValue::Text(choices.text()),
        1 => AttributeValue::Boolean(choices.below(2) == 1),
        2 => AttributeValue::Integer(choices.word() as i64),
        3 => AttributeValue::Float(choices.float()),
        4 => AttributeValue::Bytes(choices.bytes().to_vec()),
        5 => AttributeValue::TextList(choices.several(4, Choices::text)),
        6 => AttributeValue::BooleanList(choices.several(4, |choices| choices.below(2) == 1)),
        7 => AttributeValue::IntegerList(choices.several(4, |choices| choices.word() as i64)),
        _ => AttributeValue::FloatList(choices.several(4, Choices::float)),
    }
}

fn pairs(choices: &mut Choices<'_>) -> Pairs {
    choices.several(5, |choices| (choices.text(), value(choices)))
}

/// Writes as the bindings do: value by value, never an attribute as a whole.
fn write(pairs: &Pairs, attributes: &mut Attributes<'_>) -> Result<(), Invalid> {
    for (key, value) in pairs {
        match value {
            AttributeValue::Text(text) => attributes.value(key, ListItem::Text(text)),
            AttributeValue::Boolean(boolean) => attributes.value(key, ListItem::Boolean(*boolean)),
            AttributeValue::Integer(integer) => attributes.value(key, ListItem::Integer(*integer)),
            AttributeValue::Float(float) => attributes.value(key, ListItem::Float(*float)),
            AttributeValue::Bytes(bytes) => attributes.bytes(key, bytes),
            AttributeValue::TextList(items) => list(attributes, key, items.iter().map(|item| ListItem::Text(item))),
            AttributeValue::BooleanList(items) => {
                list(attributes, key, items.iter().map(|item| ListItem::Boolean(*item)))
            }
            AttributeValue::IntegerList(items) => {
                list(attributes, key, items.iter().map(|item| ListItem::Integer(*item)))
            }
            AttributeValue::FloatList(items) => list(attributes, key, items.iter().map(|item| ListItem::Float(*item))),
        }?;
    }
    Ok(())
}

fn list<'a>(
    attributes: &mut Attributes<'_>,
    key: &str,
    items: impl Iterator<Item = ListItem<'a>>,
) -> Result<(), Invalid> {
    attributes.list(key, items.map(Ok::<_, Invalid>))
}

fn expected_value(value: &AttributeValue) -> AnyValue {
    let array = |values: Vec<Value>| {
        let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
        Value::ArrayValue(ArrayValue { values })
    };
    let value = match value {
        AttributeValue::Text(text) => Value::StringValue(text.clone()),
        AttributeValue::Boolean(boolean) => Value::BoolValue(*boolean),
        AttributeValue::Integer(integer) => Value::IntValue(*integer),
        AttributeValue::Float(float) => Value::DoubleValue(*float),
        AttributeValue::Bytes(bytes) => Value::BytesValue(bytes.clone()),
        AttributeValue::TextList(items) => array(items.iter().cloned().map(Value::StringValue).collect()),
        AttributeValue::BooleanList(items) => array(items.iter().copied().map(Value::BoolValue).collect()),
        AttributeValue::IntegerList(items) => array(items.iter().copied().map(Value::IntValue).collect()),
        AttributeValue::FloatList(items) => array(items.iter().copied().map(Value::DoubleValue).collect()),
    };
    AnyValue { value: Some(value) }
}

fn expected(pairs: &Pairs) -> Vec<KeyValue> {
    let pair = |(key, value): &(String, AttributeValue)| KeyValue {
        key: key.clone(),
        value: Some(expected_value(value)),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

/// Whether a list of attributes keeps the rules: a key is not empty and occurs once.
fn is_valid(pairs: &Pairs) -> bool {
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key).collect();
    keys.iter().enumerate().all(|(at, key)| !key.is_empty() && !keys[..at].contains(key))
}

/// Two messages are the same if their bytes are: floats that are no numbers are compared as they are.
fn assert_same(written: &[u8], expected: &[u8], shown: &dyn std::fmt::Debug) {
    assert!(written == expected, "what was written does not read as {shown:#?}");
}

struct Point {
    attributes: Pairs,
    start: u64,
    time: u64,
    value: Option<Number>,
}

fn metrics(choices: &mut Choices<'_>) {
    let (resource, scope) = (pairs(choices), pairs(choices));
    let (scope_name, version) = (choices.text(), choices.text());
    let mut payload = MetricsPayload::new(NOW, LIMIT, Amount::default());
    let mut wanted = Vec::new();
    let mut valid = is_valid(&resource) && is_valid(&scope);
    let written = payload.group(
        |attributes| write(&resource, attributes),
        Scope { name: &scope_name, version: &version },
        |attributes| write(&scope, attributes),
        |items| {
            for _ in 0..choices.below(4) {
                let (metric, is_metric_valid) = metric(choices, items)?;
                valid &= is_metric_valid;
                wanted.push(metric);
            }
            Ok::<(), Invalid>(())
        },
    );
    if written.is_err() {
        return;
    }
    assert!(valid, "what breaks a rule was written");
    let Some(Batch { payload, items, .. }) = payload.finish() else { return };
    let request = ExportMetricsServiceRequest::decode(payload.clone()).expect("OTLP");
    let scoped = proto::ScopeMetrics {
        scope: Some(instrumentation(&scope_name, &version, &scope)),
        metrics: wanted,
        schema_url: String::new(),
    };
    let group = proto::ResourceMetrics {
        resource: Some(resource_of(&resource)),
        scope_metrics: vec![scoped],
        schema_url: String::new(),
    };
    let wanted = ExportMetricsServiceRequest { resource_metrics: vec![group] };
    assert_same(&request.encode_to_vec(), &wanted.encode_to_vec(), &wanted);
    let points = wanted.resource_metrics[0].scope_metrics[0].metrics.iter().map(points_of).sum::<usize>();
    assert_eq!(items, points);
}

fn resource_of(pairs: &Pairs) -> opentelemetry_proto::tonic::resource::v1::Resource {
    opentelemetry_proto::tonic::resource::v1::Resource { attributes: expected(pairs), ..Default::default() }
}

fn instrumentation(
    name: &str,
    version: &str,
    pairs: &Pairs,
) -> opentelemetry_proto::tonic::common::v1::InstrumentationScope {
    opentelemetry_proto::tonic::common::v1::InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: expected(pairs),
        dropped_attributes_count: 0,
    }
}

fn points_of(metric: &proto::Metric) -> usize {
    match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

fn stamped(time: u64) -> u64 {
    if time == 0 { NOW } else { time }
}

fn temporality(choices: &mut Choices<'_>) -> (Temporality, i32) {
    if choices.below(2) == 0 { (Temporality::Delta, 1) } else { (Temporality::Cumulative, 2) }
}

/// Writes one metric, and says what it should be and whether it keeps the rules.
fn metric(choices: &mut Choices<'_>, items: &mut MetricItems<'_>) -> Result<(proto::Metric, bool), Invalid> {
    let (name, description, unit) = (choices.text(), choices.text(), choices.text());
    let metadata = pairs(choices);
    let mut valid = is_valid(&metadata) && !name.is_empty();
    let head = Metric { name: &name, description: &description, unit: &unit };
    let mut data = None;
    items.metric(
        head,
        |attributes| write(&metadata, attributes),
        |body| match choices.below(5) {
            0 => {
                let points = choices.several(4, number_point);
                valid &= points.iter().all(|point| is_valid(&point.attributes));
                let wanted = points.iter().map(expected_number).collect();
                data = Some(metric::Data::Gauge(proto::Gauge { data_points: wanted }));
                body.gauge(|writer| points.iter().try_for_each(|point| write_number(point, writer)))
            }
            1 => {
                let ((kind, number), monotonic) = (temporality(choices), choices.below(2) == 1);
                let points = choices.several(4, number_point);
                valid &= points.iter().all(|point| is_valid(&point.attributes));
                data = Some(metric::Data::Sum(proto::Sum {
                    data_points: points.iter().map(expected_number).collect(),
                    aggregation_temporality: number,
                    is_monotonic: monotonic,
                }));
                body.sum(kind, monotonic, |writer| points.iter().try_for_each(|point| write_number(point, writer)))
            }
            2 => {
                let (kind, number) = temporality(choices);
                let mut wanted = Vec::new();
                let written = body.histogram(kind, |writer| {
                    for _ in 0..choices.below(4) {
                        wanted.push(histogram(choices, writer, &mut valid)?);
                    }
                    Ok(())
                });
                data = Some(metric::Data::Histogram(proto::Histogram {
                    data_points: wanted,
                    aggregation_temporality: number,
                }));
                written
            }
            3 => {
                let (kind, number) = temporality(choices);
                let mut wanted = Vec::new();
                let written = body.exponential_histogram(kind, |writer| {
                    for _ in 0..choices.below(4) {
                        wanted.push(exponential(choices, writer, &mut valid)?);
                    }
                    Ok(())
                });
                data = Some(metric::Data::ExponentialHistogram(proto::ExponentialHistogram {
                    data_points: wanted,
                    aggregation_temporality: number,
                }));
                written
            }
            _ => {
                let mut wanted = Vec::new();
                let written = body.summary(|writer| {
                    for _ in 0..choices.below(4) {
                        wanted.push(summary(choices, writer, &mut valid)?);
                    }
                    Ok(())
                });
                data = Some(metric::Data::Summary(proto::Summary { data_points: wanted }));
                written
            }
        },
    )?;
    let metadata = expected(&metadata);
    Ok((proto::Metric { name, description, unit, metadata, data }, valid))
}

fn number_point(choices: &mut Choices<'_>) -> Point {
    let value = choices.maybe(|choices| match choices.below(2) {
        0 => Number::Integer(choices.word() as i64),
        _ => Number::Float(choices.float()),
    });
    Point { attributes: pairs(choices), start: choices.word(), time: choices.word(), value }
}

fn write_number(point: &Point, writer: &mut kiln_otlp::NumberPoints<'_>) -> Result<(), Invalid> {
    let Point { attributes, start, time, value } = point;
    writer.point(NumberPoint { start_time: *start, time: *time, value: *value }, |body| {
        body.attributes(|writer| write(attributes, writer))
    })
}

fn expected_number(point: &Point) -> proto::NumberDataPoint {
    proto::NumberDataPoint {
        attributes: expected(&point.attributes),
        start_time_unix_nano: point.start,
        time_unix_nano: stamped(point.time),
        flags: u32::from(point.value.is_none()),
        value: point.value.map(|value| match value {
            Number::Integer(value) => number_data_point::Value::AsInt(value),
            Number::Float(value) => number_data_point::Value::AsDouble(value),
        }),
        exemplars: Vec::new(),
    }
}

fn histogram(
    choices: &mut Choices<'_>,
    writer: &mut kiln_otlp::HistogramPoints<'_>,
    valid: &mut bool,
) -> Result<proto::HistogramDataPoint, Invalid> {
    let attributes = pairs(choices);
    let bounds: Vec<f64> = match choices.below(4) {
        0 => choices.several(5, Choices::float),
        _ => (0..choices.below(5)).map(f64::from).collect(),
    };
    let counts: Vec<u64> = (0..=bounds.len()).map(|_| u64::from(choices.byte())).collect();
    let count = if choices.below(4) == 0 { choices.word() } else { counts.iter().sum() };
    let ended = choices.below(4) == 3;
    let (start, time) = (choices.word(), choices.word());
    let (sum, min, max) = (choices.maybe(Choices::float), choices.maybe(Choices::float), choices.maybe(Choices::float));
    *valid &= is_valid(&attributes)
        && (ended
            || bounds.iter().all(|bound| bound.is_finite())
                && bounds.windows(2).all(|pair| pair[0] < pair[1])
                && count == counts.iter().sum::<u64>());
    let point = HistogramPoint {
        start_time: start,
        time,
        count,
        sum,
        min,
        max,
        bounds: &bounds,
        bucket_counts: &counts,
        no_recorded_value: ended,
    };
    writer.point(point, |body| body.attributes(|writer| write(&attributes, writer)))?;
    let nothing = proto::HistogramDataPoint {
        attributes: expected(&attributes),
        start_time_unix_nano: start,
        time_unix_nano: stamped(time),
        flags: u32::from(ended),
        ..Default::default()
    };
    if ended {
        return Ok(nothing);
    }
    Ok(proto::HistogramDataPoint { count, sum, min, max, explicit_bounds: bounds, bucket_counts: counts, ..nothing })
}

fn exponential(
    choices: &mut Choices<'_>,
    writer: &mut kiln_otlp::ExponentialHistogramPoints<'_>,
    valid: &mut bool,
) -> Result<proto::ExponentialHistogramDataPoint, Invalid> {
    let attributes = pairs(choices);
    let counts = |choices: &mut Choices<'_>| choices.several(5, |choices| u64::from(choices.byte()));
    let (positive, negative) = (counts(choices), counts(choices));
    let (zero_count, scale) = (u64::from(choices.byte()), i32::from(choices.below(40)) - 15);
    let (positive_offset, negative_offset) = (choices.word() as i32, choices.word() as i32);
    let zero_threshold = choices.float();
    let (start, time) = (choices.word(), choices.word());
    let ended = choices.below(4) == 3;
    let count = positive.iter().chain(&negative).sum::<u64>() + zero_count;
    *valid &= is_valid(&attributes)
        && (ended || (-10..=20).contains(&scale) && zero_threshold.is_finite() && zero_threshold >= 0.0);
    let point = ExponentialHistogramPoint {
        start_time: start,
        time,
        count,
        sum: None,
        min: None,
        max: None,
        scale,
        zero_count,
        zero_threshold,
        positive: ExponentialBuckets { offset: positive_offset, counts: &positive },
        negative: ExponentialBuckets { offset: negative_offset, counts: &negative },
        no_recorded_value: ended,
    };
    writer.point(point, |body| body.attributes(|writer| write(&attributes, writer)))?;
    let nothing = proto::ExponentialHistogramDataPoint {
        attributes: expected(&attributes),
        start_time_unix_nano: start,
        time_unix_nano: stamped(time),
        flags: u32::from(ended),
        ..Default::default()
    };
    if ended {
        return Ok(nothing);
    }
    let buckets = |offset, counts: Vec<u64>| {
        (!counts.is_empty())
            .then_some(proto::exponential_histogram_data_point::Buckets { offset, bucket_counts: counts })
    };
    Ok(proto::ExponentialHistogramDataPoint {
        count,
        scale,
        zero_count,
        // Nobody can tell the two zeros apart.
        zero_threshold: if zero_threshold == 0.0 { 0.0 } else { zero_threshold },
        positive: buckets(positive_offset, positive),
        negative: buckets(negative_offset, negative),
        ..nothing
    })
}

fn summary(
    choices: &mut Choices<'_>,
    writer: &mut kiln_otlp::SummaryPoints<'_>,
    valid: &mut bool,
) -> Result<proto::SummaryDataPoint, Invalid> {
    let attributes = pairs(choices);
    let quantiles = choices.several(4, |choices| match choices.below(4) {
        0 => (choices.float(), choices.float()),
        _ => (f64::from(choices.below(5)) / 4.0, choices.float()),
    });
    let (count, sum) = (choices.word(), choices.float());
    let (start, time) = (choices.word(), choices.word());
    let ended = choices.below(4) == 3;
    *valid &= is_valid(&attributes) && (ended || quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile)));
    let point = SummaryPoint { start_time: start, time, count, sum, quantiles: &quantiles, no_recorded_value: ended };
    writer.point(point, |writer| write(&attributes, writer))?;
    let nothing = proto::SummaryDataPoint {
        attributes: expected(&attributes),
        start_time_unix_nano: start,
        time_unix_nano: stamped(time),
        flags: u32::from(ended),
        ..Default::default()
    };
    if ended {
        return Ok(nothing);
    }
    let pair = |(quantile, value)| proto::summary_data_point::ValueAtQuantile { quantile, value };
    Ok(proto::SummaryDataPoint { count, sum, quantile_values: quantiles.into_iter().map(pair).collect(), ..nothing })
}

fn logs(choices: &mut Choices<'_>) {
    use opentelemetry_proto::tonic::logs::v1 as proto;

    let (resource, attributes) = (pairs(choices), pairs(choices));
    let body = value(choices);
    let (text, event) = (choices.text(), choices.text());
    let (time, observed) = (choices.word(), choices.word());
    let severities =
        [Severity::Trace, Severity::Debug, Severity::Info, Severity::Warn, Severity::Error, Severity::Fatal];
    let severity = severities[usize::from(choices.below(6))];
    let id = |choices: &mut Choices<'_>, length: usize| match choices.below(3) {
        0 => Vec::new(),
        1 => choices.bytes().to_vec(),
        _ => (0..length).map(|_| choices.byte()).collect(),
    };
    let (trace, span) = (id(choices, 16), id(choices, 8));
    let is_id = |id: &[u8], length: usize| id.is_empty() || id.len() == length && id.iter().any(|byte| *byte != 0);
    let valid = is_valid(&resource) && is_valid(&attributes) && is_id(&trace, 16) && is_id(&span, 8);
    let mut payload = LogsPayload::new(NOW, LIMIT, Amount::default());
    let record = LogRecord {
        time,
        observed_time: observed,
        severity,
        severity_text: &text,
        event_name: &event,
        body: &body,
        trace_id: &trace,
        span_id: &span,
    };
    let written = payload.group(
        |writer| write(&resource, writer),
        Scope { name: "s", version: "" },
        |_| Ok::<(), Invalid>(()),
        |items| items.record(record, |writer| write(&attributes, writer)),
    );
    assert_eq!(written.is_ok(), valid, "{written:?}");
    let Ok(()) = written else { return };
    let Batch { payload, .. } = payload.finish().expect("one record");
    let request = ExportLogsServiceRequest::decode(payload.clone()).expect("OTLP");
    let record = proto::LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: stamped(observed),
        severity_number: severity as i32,
        severity_text: text,
        body: Some(expected_value(&body)),
        attributes: expected(&attributes),
        trace_id: trace,
        span_id: span,
        event_name: event,
        ..Default::default()
    };
    let scoped = proto::ScopeLogs {
        scope: Some(instrumentation("s", "", &Vec::new())),
        log_records: vec![record],
        schema_url: String::new(),
    };
    let group = proto::ResourceLogs {
        resource: Some(resource_of(&resource)),
        scope_logs: vec![scoped],
        schema_url: String::new(),
    };
    let wanted = ExportLogsServiceRequest { resource_logs: vec![group] };
    assert_same(&request.encode_to_vec(), &wanted.encode_to_vec(), &wanted);
}
