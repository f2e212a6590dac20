//! A batch in two: nothing is lost, nothing is twice, and everything stays where it belongs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use kiln_otlp::{Batch, Signal};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

/// Resources, each with scopes, each with metrics, each with so many points; odd metrics are histograms.
fn request(shape: &[Vec<Vec<usize>>]) -> (ExportMetricsServiceRequest, usize) {
    let mut items = 0;
    let mut resource_metrics = Vec::new();
    for (number, scopes) in shape.iter().enumerate() {
        let value = Some(AnyValue { value: Some(any_value::Value::IntValue(number as i64)) });
        let attributes = vec![KeyValue { key: "r".to_owned(), value, ..KeyValue::default() }];
        let resource = Some(Resource { attributes, ..Resource::default() });
        let mut scope_metrics = Vec::new();
        for metrics in scopes {
            let metrics = metrics.iter().enumerate().map(|(number, points)| {
                let times = items as u64 + 1..=(items + points) as u64;
                items += points;
                let data = if number % 2 == 0 {
                    let point = |time| NumberDataPoint { time_unix_nano: time, ..NumberDataPoint::default() };
                    metric::Data::Gauge(Gauge { data_points: times.map(point).collect() })
                } else {
                    let point = |time| HistogramDataPoint { time_unix_nano: time, ..HistogramDataPoint::default() };
                    let data_points = times.map(point).collect();
                    metric::Data::Histogram(Histogram { data_points, aggregation_temporality: 2 })
                };
                Metric { name: format!("m{number}"), unit: "s".to_owned(), data: Some(data), ..Metric::default() }
            });
            scope_metrics.push(ScopeMetrics { metrics: metrics.collect(), schema_url: "s".to_owned(), scope: None });
        }
        resource_metrics.push(ResourceMetrics { resource, scope_metrics, schema_url: String::new() });
    }
    (ExportMetricsServiceRequest { resource_metrics }, items)
}

/// Each point: of which resource and metric it is, and its time.
fn points(payload: &[u8]) -> Vec<String> {
    let mut points = Vec::new();
    for resource in ExportMetricsServiceRequest::decode(payload).unwrap().resource_metrics {
        for scope in resource.scope_metrics {
            assert_eq!(scope.schema_url, "s");
            for metric in scope.metrics {
                assert_eq!(metric.unit, "s");
                let times: Vec<_> = match metric.data.unwrap() {
                    metric::Data::Gauge(gauge) => gauge.data_points.iter().map(|it| it.time_unix_nano).collect(),
                    metric::Data::Histogram(histogram) => {
                        assert_eq!(histogram.aggregation_temporality, 2);
                        histogram.data_points.iter().map(|it| it.time_unix_nano).collect()
                    }
                    _ => panic!(),
                };
                points.extend(times.iter().map(|time| format!("{:?} {} {time}", resource.resource, metric.name)));
            }
        }
    }
    points
}

proptest! {
    #[test]
    fn halves_are_the_whole(shape in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_usize..5, 0..4), 0..3), 0..3)) {
        let (request, items) = request(&shape);
        let whole = Batch { signal: Signal::Metrics, payload: request.encode_to_vec().into(), items };
        match whole.halves() {
            None => prop_assert!(items < 2),
            Some((first, second)) => {
                prop_assert_eq!((first.items, second.items), (items / 2, items - items / 2));
                prop_assert_eq!(points(&first.payload).len(), first.items);
                let mut both = points(&first.payload);
                both.extend(points(&second.payload));
                prop_assert_eq!(both, points(&whole.payload));
            }
        }
    }

    #[test]
    fn parts_are_the_whole(
        shape in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_usize..5, 0..4), 0..3), 0..3),
        most in 0_usize..6,
    ) {
        let (request, items) = request(&shape);
        let whole = Batch { signal: Signal::Metrics, payload: request.encode_to_vec().into(), items };
        let parts = whole.clone().parts(most);
        prop_assert_eq!(parts.len(), items.div_ceil(most.max(1)).max(1));
        let all: Vec<_> = parts.iter().flat_map(|part| points(&part.payload)).collect();
        prop_assert_eq!(all, points(&whole.payload));
        prop_assert!(parts.iter().all(|part| part.items <= most.max(1)));
    }

    #[test]
    fn arbitrary_bytes_are_split_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            let _any = Batch { signal, payload: bytes.clone().into(), items: 7 }.halves();
            let parts = Batch { signal, payload: bytes.clone().into(), items: 7 }.parts(2);
            prop_assert!(!parts.is_empty());
        }
    }
}

#[test]
fn a_batch_ends_as_single_items_and_keeps_fields_nobody_knows() {
    let spans = (1..=5).map(|id| Span { span_id: vec![id; 8], ..Span::default() }).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, schema_url: "s".to_owned(), ..ResourceSpans::default() }],
    };
    // Field 99 of the request, a text.
    let mut payload = request.encode_to_vec();
    payload.extend(b"\x9a\x06\x03new");
    let mut pieces = vec![Batch { signal: Signal::Traces, payload: payload.into(), items: 5 }];
    let mut single = Vec::new();
    while let Some(piece) = pieces.pop() {
        match piece.halves() {
            Some((first, second)) => pieces.extend([second, first]),
            None => single.push(piece),
        }
    }
    let ids: Vec<_> = single
        .iter()
        .map(|piece| {
            assert!(piece.payload.ends_with(b"\x9a\x06\x03new"));
            let decoded = ExportTraceServiceRequest::decode(piece.payload.clone()).unwrap();
            decoded.resource_spans[0].scope_spans[0].spans[0].span_id[0]
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}
