//! What is written is what the OpenTelemetry protobuf definitions read. What becomes of it by edits: `editing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use bytes::Bytes;
use kiln_otlp::*;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use proptest::prelude::*;
use prost::Message;

const NOW: u64 = 1_700_000_000_000_000_000;
const LIMIT: Amount = Amount { bytes: 1 << 20, items: 10_000 };
const SCOPE: Scope<'_> = Scope { name: "kiln/test", version: "1.2.3" };

fn nothing(_: &mut Attributes<'_>) -> Result<(), Invalid> {
    Ok(())
}

fn bare(_: &mut PointBody<'_>) -> Result<(), Invalid> {
    Ok(())
}

fn metrics(body: impl FnOnce(&mut MetricItems<'_>) -> Result<(), Invalid>) -> Result<Option<Batch>, Invalid> {
    let mut payload = MetricsPayload::new(NOW, LIMIT, Amount::default());
    payload.group(|resource| resource.value("service.name", ListItem::Text("x")), SCOPE, nothing, body)?;
    Ok(payload.finish())
}

fn named(name: &str) -> Metric<'_> {
    Metric { name, description: "what it is", unit: "{run}" }
}

#[test]
fn metrics_read_back_field_by_field() {
    let batch = metrics(|items| {
        items.metric(
            named("a.sum"),
            |metadata| metadata.value("prometheus.type", ListItem::Text("counter")),
            |body| {
                body.sum(Temporality::Cumulative, true, |points| {
                    points.point(NumberPoint { start_time: 5, time: 7, value: Some(Number::Integer(-3)) }, |body| {
                        body.attributes(|attributes| {
                            attributes.value("text", ListItem::Text("é"))?;
                            attributes.value("boolean", ListItem::Boolean(true))?;
                            attributes.value("integer", ListItem::Integer(i64::MIN))?;
                            attributes.value("float", ListItem::Float(0.5))?;
                            attributes.bytes("bytes", &[0, 255])?;
                            attributes.list(
                                "list",
                                [Ok::<_, Invalid>(ListItem::Text("a")), Ok(ListItem::Text(""))].into_iter(),
                            )
                        })
                    })?;
                    points.point(NumberPoint { start_time: 0, time: 0, value: None }, bare)
                })
            },
        )?;
        items.metric(named("a.histogram"), nothing, |body| {
            body.histogram(Temporality::Delta, |points| {
                let point = HistogramPoint {
                    start_time: 1,
                    time: 2,
                    count: 3,
                    sum: Some(4.5),
                    min: Some(0.5),
                    max: Some(3.0),
                    bounds: &[1.0, 2.0],
                    bucket_counts: &[1, 0, 2],
                    no_recorded_value: false,
                };
                points.point(point, bare)
            })
        })?;
        items.metric(named("a.summary"), nothing, |body| {
            body.summary(|points| {
                let point = SummaryPoint {
                    start_time: 0,
                    time: 9,
                    count: 2,
                    sum: 3.0,
                    quantiles: &[(0.5, 1.0), (1.0, 2.0)],
                    no_recorded_value: false,
                };
                points.point(point, nothing)
            })
        })
    })
    .unwrap()
    .unwrap();
    assert_eq!(batch.items, 4);
    let request = ExportMetricsServiceRequest::decode(batch.payload.clone()).unwrap();
    assert_eq!(request.encoded_len(), batch.payload.len(), "nothing but known fields, minimally encoded");
    let group = &request.resource_metrics[0];
    assert_eq!(group.resource.as_ref().unwrap().attributes[0].key, "service.name");
    let scoped = &group.scope_metrics[0];
    assert_eq!(scoped.scope.as_ref().unwrap().version, "1.2.3");
    let [sum, histogram, summary] = &scoped.metrics[..] else { panic!("three metrics") };
    assert_eq!((sum.name.as_str(), sum.unit.as_str(), sum.metadata.len()), ("a.sum", "{run}", 1));
    let Some(metric::Data::Sum(sum)) = &sum.data else { panic!("a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let point = &sum.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 7));
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(-3)));
    let values: Vec<_> = point.attributes.iter().map(|pair| pair.value.clone().unwrap().value.unwrap()).collect();
    assert_eq!(values[0], any_value::Value::StringValue("é".into()));
    assert_eq!(values[2], any_value::Value::IntValue(i64::MIN));
    assert_eq!(values[4], any_value::Value::BytesValue(vec![0, 255]));
    let any_value::Value::ArrayValue(list) = &values[5] else { panic!("a list") };
    assert_eq!(list.values[1].value, Some(any_value::Value::StringValue(String::new())));
    let ended = &sum.data_points[1];
    assert_eq!((ended.value, ended.flags, ended.time_unix_nano), (None, 1, NOW));
    let Some(metric::Data::Histogram(histogram)) = &histogram.data else { panic!("a histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(4.5), Some(0.5), Some(3.0)));
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[1.0, 2.0][..], &[1, 0, 2][..]));
    let Some(metric::Data::Summary(summary)) = &summary.data else { panic!("a summary") };
    assert_eq!(summary.data_points[0].quantile_values[1].value, 2.0);
}

#[test]
fn spans_read_back_field_by_field() {
    let mut payload = SpansPayload::new(NOW, LIMIT, Amount::default());
    let span = Span {
        trace_id: &[1; 16],
        span_id: &[2; 8],
        parent_span_id: &[],
        name: "job",
        kind: SpanKind::Consumer,
        start_time: 10,
        end_time: 20,
        status: SpanStatus::Error("out of memory"),
    };
    payload
        .group(nothing, SCOPE, nothing, |items| {
            items.span(span, |body| {
                body.attributes(|attributes| attributes.value("k", ListItem::Integer(1)))?;
                body.event("phase", 12, nothing)?;
                body.link(&[3; 16], &[4; 8], nothing)
            })
        })
        .unwrap();
    let batch = payload.finish().unwrap();
    let request = ExportTraceServiceRequest::decode(batch.payload.clone()).unwrap();
    assert_eq!(request.encoded_len(), batch.payload.len());
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((&span.trace_id[..], span.kind, span.end_time_unix_nano), (&[1; 16][..], 5, 20));
    assert_eq!(span.status.as_ref().map(|status| (status.code, status.message.as_str())), Some((2, "out of memory")));
    assert_eq!((span.events[0].time_unix_nano, &span.links[0].span_id[..]), (12, &[4; 8][..]));
}

#[test]
fn log_records_read_back_field_by_field() {
    let mut payload = LogsPayload::new(NOW, LIMIT, Amount::default());
    let record = LogRecord {
        time: 0,
        observed_time: 0,
        severity: Severity::Warn,
        severity_text: "WARN",
        event_name: "databricks.cluster.event",
        body: &AttributeValue::Text("lost a node".into()),
        trace_id: &[],
        span_id: &[],
    };
    payload.group(nothing, SCOPE, nothing, |items| items.record(record, nothing)).unwrap();
    let batch = payload.finish().unwrap();
    let request = ExportLogsServiceRequest::decode(batch.payload.clone()).unwrap();
    assert_eq!(request.encoded_len(), batch.payload.len());
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano, record.severity_number), (0, NOW, 13));
    assert_eq!(record.event_name, "databricks.cluster.event");
}

#[test]
fn broken_rules_are_refused_by_name() {
    let with_attributes = |write: fn(&mut Attributes<'_>) -> Result<(), Invalid>| {
        metrics(|items| {
            items.metric(named("m"), nothing, |body| {
                body.gauge(|points| {
                    points.point(NumberPoint { start_time: 0, time: 0, value: Some(Number::Float(1.0)) }, |body| {
                        body.attributes(write)
                    })
                })
            })
        })
        .unwrap_err()
    };
    assert_eq!(with_attributes(|attributes| attributes.value("", ListItem::Integer(1))), Invalid::EmptyKey);
    let repeated = with_attributes(|attributes| {
        attributes.value("another", ListItem::Integer(1))?;
        attributes.value("key", ListItem::Text(&"long".repeat(100)))?;
        attributes.value("key", ListItem::Integer(2))
    });
    assert_eq!(repeated, Invalid::RepeatedKey("key".into()));
    let many = with_attributes(|attributes| {
        (0..200).try_for_each(|index| attributes.value(&format!("k{index}"), ListItem::Integer(1)))
    });
    assert_eq!(many, Invalid::TooManyAttributes(128));
    assert_eq!(metrics(|items| items.metric(named(""), nothing, |_| Ok(()))), Err(Invalid::EmptyName("metric")));

    let histogram = |bounds: &[f64], bucket_counts: &[u64], count| {
        let point = HistogramPoint {
            start_time: 0,
            time: 0,
            count,
            sum: None,
            min: None,
            max: None,
            bounds,
            bucket_counts,
            no_recorded_value: false,
        };
        metrics(|items| {
            items.metric(named("h"), nothing, |body| {
                body.histogram(Temporality::Cumulative, |points| points.point(point, bare))
            })
        })
        .map(|_| ())
    };
    assert_eq!(histogram(&[1.0], &[1, 1], 2), Ok(()));
    assert_eq!(histogram(&[], &[], 2), Ok(()));
    assert_eq!(histogram(&[1.0], &[1, 1], 3), Err(Invalid::BucketCounts));
    assert_eq!(histogram(&[1.0], &[2], 2), Err(Invalid::BucketCounts));
    assert_eq!(histogram(&[1.0], &[u64::MAX, 3], 2), Err(Invalid::BucketCounts));
    assert_eq!(histogram(&[2.0, 1.0], &[0, 0, 0], 0), Err(Invalid::Bounds));
    assert_eq!(histogram(&[f64::NAN], &[0, 0], 0), Err(Invalid::Bounds));
    assert_eq!(histogram(&[f64::INFINITY], &[0, 0], 0), Err(Invalid::Bounds));
}

#[test]
fn a_payload_ends_at_its_limits() {
    let points = |limit, spent, count: usize| {
        let mut payload = MetricsPayload::new(NOW, limit, spent);
        payload.group(nothing, SCOPE, nothing, |items| {
            items.metric(named("m"), nothing, |body| {
                body.gauge(|points| {
                    (0..count).try_for_each(|_| {
                        points.point(NumberPoint { start_time: 0, time: 0, value: Some(Number::Integer(1)) }, bare)
                    })
                })
            })
        })
    };
    let nothing = Amount::default();
    let some = Amount { bytes: 900, items: 4 };
    let ten = Amount { bytes: 1 << 20, items: 10 };
    assert_eq!(points(ten, nothing, 10), Ok(()));
    assert_eq!(points(ten, nothing, 11), Err(Invalid::TooManyItems(10)));
    assert_eq!(points(ten, some, 6), Ok(()));
    assert_eq!(points(ten, some, 7), Err(Invalid::TooManyItems(10)));
    let thousand = Amount { bytes: 1000, items: 1 << 20 };
    assert_eq!(points(thousand, nothing, 1 << 20), Err(Invalid::TooManyBytes(1000)));
    assert_eq!(points(thousand, nothing, 5), Ok(()));
    assert_eq!(points(thousand, some, 5), Err(Invalid::TooManyBytes(1000)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let batch = Batch { signal: Signal::Logs, payload: Bytes::from(bytes), items: 1 };
        for signal in Signal::ALL {
            let batch = Batch { signal, ..batch.clone() };
            for part in Sight::new(Level::Point, &["*".to_owned()]).views(&batch) {
                let Ok((view, extent)) = part else { break };
                let mut edits = Edits::new(LIMIT);
                let set = |resource| Edit::SetResourceAttribute { resource, key: "k".into(), value: AttributeValue::Boolean(true) };
                let aggregate = |metric| Edit::Aggregate { metric, without: vec![], gauges: GaugeAggregation::Sum };
                let wanted = (0..view.resources.len()).map(set).chain((0..view.metrics.len()).map(aggregate));
                let _ = edits.add(&extent, wanted.collect()).and_then(|()| edits.apply(batch.clone()));
            }
        }
    }
}
