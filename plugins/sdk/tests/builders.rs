//! What `manifest!` makes of a manifest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared, UndeclaredError};
use kiln_plugin::telemetry::{Attribute, MetricData, Number, ResourceMetrics};

kiln_plugin::manifest!("tests/example/plugin.toml");

const START: UnixNanos = UnixNanos::from_nanos(5);

fn metrics() -> telemetry::Metrics {
    telemetry::Metrics::new(&telemetry::Resource { example_host: "https://a.example", example_region: None })
}

#[test]
fn points_of_one_metric_form_one_record() {
    let mut metrics = metrics();
    metrics.example_messages_count(START, &telemetry::ExampleMessagesCount { queue: "b", r#type: Some(2) }, 1);
    metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "a" }, 7);
    metrics.example_messages_count(START, &telemetry::ExampleMessagesCount { queue: "a", r#type: None }, 2);
    let record = ResourceMetrics::from(metrics);

    assert_eq!((record.scope.name.as_str(), record.scope.version.as_str()), ("kiln/example", "1.2.3"));
    assert_eq!(record.resource.attributes, [Attribute::new("example.host", "https://a.example")]);
    let names: Vec<_> = record.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    assert_eq!(names, [("example.messages.count", "{message}"), ("example.queue.depth", "{message}")]);
    let MetricData::Sum(sum) = &record.metrics[0].data else { panic!("a sum") };
    assert!(sum.monotonic);
    assert_eq!(sum.points.len(), 2);
    assert_eq!(sum.points[0].attributes, [Attribute::new("queue", "b"), Attribute::new("type", 2)]);
    assert_eq!(sum.points[1].attributes, [Attribute::new("queue", "a")]);
    assert_eq!((sum.points[1].start_time, sum.points[1].value), (5, Some(Number::Integer(2))));
}

#[test]
fn a_histogram_has_the_bounds_of_the_manifest() {
    let mut metrics = metrics();
    let mut histogram = telemetry::ExampleWaitHistogram::new();
    histogram.record(1.5);
    metrics.example_wait(START, &histogram);
    let record = ResourceMetrics::from(metrics);
    let MetricData::Histogram(data) = &record.metrics[0].data else { panic!("a histogram") };
    assert_eq!(data.points[0].bounds, [1.0, 10.5]);
    assert_eq!(data.points[0].bucket_counts, [0, 1, 0]);
    assert_eq!((data.points[0].count, data.points[0].sum), (1, Some(1.5)));
}

#[test]
fn an_undeclared_metric_must_belong_to_a_declared_family() {
    let mut metrics = metrics();
    let mut add = |name, unit, instrument| {
        let metric = Undeclared { name, unit, description: "", instrument };
        metrics.undeclared(&metric, vec![Attribute::new("queue", "a")], Number::Float(1.0))
    };
    assert_eq!(add("example.raw.x", "1", Instrument::Gauge), Ok(()));
    assert_eq!(add("example.raw.y", "By", Instrument::Counter { start: START }), Ok(()));
    let conflict = Err(UndeclaredError::Conflict("example.raw.x".to_owned()));
    assert_eq!(add("example.raw.x", "1", Instrument::UpDownCounter), conflict);
    assert_eq!(add("example.raw.x", "By", Instrument::Gauge), conflict);
    assert_eq!(add("other", "1", Instrument::Gauge), Err(UndeclaredError::Prefix("other".to_owned())));
    assert_eq!(
        add("example.consumers", "1", Instrument::Gauge),
        Err(UndeclaredError::Prefix("example.consumers".to_owned()))
    );
    let names: Vec<_> = ResourceMetrics::from(metrics).metrics.into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["example.raw.x", "example.raw.y"]);
}
