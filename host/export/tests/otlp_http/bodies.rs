//! What is in a request: JSON, zstd, and halves of what is too large.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};

use super::*;

/// One gauge with points whose values are given.
fn gauge(values: &[f64]) -> Batch {
    let point = |value: &f64| NumberDataPoint {
        value: Some(number_data_point::Value::AsDouble(*value)),
        ..NumberDataPoint::default()
    };
    let data = Some(metric::Data::Gauge(Gauge { data_points: values.iter().map(point).collect() }));
    let metrics = vec![Metric { name: "g".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let payload = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into();
    Batch { signal: Signal::Metrics, payload, items: values.len() }
}

fn values(body: &[u8]) -> Vec<f64> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let metric = request.resource_metrics[0].scope_metrics[0].metrics[0].clone();
    let Some(metric::Data::Gauge(gauge)) = metric.data else { panic!() };
    let value = |point: &NumberDataPoint| match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        _ => panic!(),
    };
    gauge.data_points.iter().map(value).collect()
}

#[tokio::test]
async fn must_declare_json_and_write_it_as_the_specification_says() {
    let partial = "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"too old\"}}";
    let answer = (StatusCode::OK, [("content-type", "application/json")], partial).into_response();
    let backend = Backend::start([Line::Answer(answer)]).await;
    let mut settings = settings(&backend);
    settings.destinations.metrics.encoding = Encoding::Json;
    let kiln = Running::start(settings);
    kiln.exporter.enqueue(gauge(&[1.5, f64::NAN])).await.unwrap();
    kiln.finish().await;
    let received = &backend.received()[0];
    assert_eq!(received.headers.get_all("content-type").iter().collect::<Vec<_>>(), ["application/json"]);
    assert_eq!(received.headers["content-encoding"], "gzip");
    let points = "[{\"asDouble\":1.5},{\"asDouble\":\"NaN\"}]";
    let scope = format!("{{\"metrics\":[{{\"name\":\"g\",\"gauge\":{{\"dataPoints\":{points}}}}}]}}");
    let expected = format!("{{\"resourceMetrics\":[{{\"scopeMetrics\":[{scope}]}}]}}");
    assert_eq!(String::from_utf8(gunzip(&received.body)).unwrap(), expected);
    assert_eq!(kiln.sent("metric_points"), 1);
    assert_eq!(kiln.lost("metric_points", "partially_rejected"), 1);
}

#[tokio::test]
async fn may_compress_with_zstd_and_says_so() {
    let backend = Backend::start([]).await;
    let mut settings = settings(&backend);
    settings.destinations.metrics.compression = Compression::Zstd;
    let kiln = Running::start(settings);
    let numbers: Vec<_> = (0..10_000).map(f64::from).collect();
    kiln.exporter.enqueue(gauge(&numbers)).await.unwrap();
    kiln.finish().await;
    let received = &backend.received()[0];
    assert_eq!(received.headers.get_all("content-encoding").iter().collect::<Vec<_>>(), ["zstd"]);
    assert_eq!(values(&zstd::decode_all(&received.body[..]).unwrap()), numbers);
}

/// Scenario: a backend refuses every request with more than one of five points with 413, and the third point even alone.
/// Guarantees: the other four arrive, in order and once; the third alone is lost, with its reason; the splits are counted.
#[tokio::test]
async fn a_request_that_is_too_large_is_split_down_to_the_item_that_is() {
    let ok = || Line::Answer(ok());
    // 12345 → 12 345 → 1, 2, 3 45 → 4, 5.
    let script = [status(413), status(413), ok(), ok(), status(413), status(413), status(413), ok(), ok()];
    let backend = Backend::start(script).await;
    let mut settings = settings(&backend);
    settings.destinations.metrics.compression = Compression::None;
    let kiln = Running::start(settings);
    kiln.exporter.enqueue(gauge(&[1.0, 2.0, 3.0, 4.0, 5.0])).await.unwrap();
    kiln.finish().await;
    let received: Vec<_> = backend.received().iter().map(|it| values(&it.body)).collect();
    let expected: [&[f64]; 9] = [
        &[1.0, 2.0, 3.0, 4.0, 5.0],
        &[1.0, 2.0],
        &[1.0],
        &[2.0],
        &[3.0, 4.0, 5.0],
        &[3.0],
        &[4.0, 5.0],
        &[4.0],
        &[5.0],
    ];
    assert_eq!(received, expected);
    assert_eq!(kiln.sent("metric_points"), 4);
    assert_eq!(kiln.lost("metric_points", "too_large"), 1);
    assert_eq!(kiln.sample("kiln_exporter_splits_total{exporter=\"otlp_http\"}"), 4);
}

/// Scenario: a batch is larger than OTLP lets a client send, and made of many points.
/// Guarantees: it arrives in parts that are small enough.
#[tokio::test]
async fn what_is_larger_than_64_mib_is_sent_in_parts() {
    let backend = Backend::start([]).await;
    let kiln = Running::start(settings(&backend));
    let numbers: Vec<_> = (0..6_500_000).map(f64::from).collect();
    let batch = gauge(&numbers);
    assert!(batch.payload.len() > 64 << 20);
    kiln.exporter.enqueue(batch).await.unwrap();
    kiln.finish().await;
    assert_eq!(backend.received().len(), 2);
    assert_eq!(kiln.sent("metric_points"), 6_500_000);
}

/// Scenario: Kiln has to stop while the first half of a split batch is on its way.
/// Guarantees: all that was not taken counts as undelivered.
#[tokio::test]
async fn pieces_that_are_left_at_the_end_are_counted() {
    let backend = Backend::start([status(413), Line::Answer(ok()), Line::Never]).await;
    let kiln = Running::start(settings(&backend));
    kiln.exporter.enqueue(gauge(&[1.0, 2.0, 3.0])).await.unwrap();
    backend.requests(3).await;
    let report = kiln.exporter.drain(Instant::now()).await;
    assert_eq!(report.undelivered.metrics, 2);
    assert_eq!(kiln.sent("metric_points"), 1);
}
