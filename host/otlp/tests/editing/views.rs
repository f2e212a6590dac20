//! What is shown.

use std::collections::BTreeSet;

use kiln_otlp::{Attribute, AttributeValue, Level, MAX_VIEW_ITEMS, MetricKind, Signal};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;

use crate::generate::{logs_request, metrics_request, text, traces_request};
use crate::{batch, metrics, views};

/// Groups of metrics, each with so many points.
pub(crate) fn gauges(groups: &[&[usize]]) -> ExportMetricsServiceRequest {
    let point = |index: usize| NumberDataPoint {
        attributes: vec![
            text("series", &index.to_string()),
            text("even", if index.is_multiple_of(2) { "yes" } else { "no" }),
        ],
        time_unix_nano: 1,
        value: Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(1)),
        ..Default::default()
    };
    let metric = |(index, points): (usize, &usize)| Metric {
        name: format!("metric.{index}"),
        unit: "By".into(),
        data: Some(Data::Gauge(Gauge { data_points: (0..*points).map(point).collect() })),
        ..Default::default()
    };
    let group = |(index, metrics): (usize, &&[usize])| ResourceMetrics {
        resource: Some(Resource { attributes: vec![text("group", &index.to_string())], ..Default::default() }),
        scope_metrics: vec![ScopeMetrics {
            metrics: metrics.iter().enumerate().map(metric).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    ExportMetricsServiceRequest { resource_metrics: groups.iter().enumerate().map(group).collect() }
}

/// Scenario: one batch, looked at at each level.
/// Guarantees: each shows what it says and nothing below it.
#[test]
fn a_level_shows_what_is_above_it() {
    let batch = metrics(&gauges(&[&[1, 2], &[0]]));
    let [resource] = &views(&batch, Level::Resource, &["*"])[..] else { panic!("one view") };
    assert_eq!((resource.resources.len(), resource.metrics.len(), resource.points.len()), (2, 0, 0));
    assert_eq!(resource.resources[1], [Attribute { key: "group".into(), value: AttributeValue::Text("1".into()) }]);
    let [metric] = &views(&batch, Level::Metric, &["*"])[..] else { panic!("one view") };
    assert_eq!((metric.resources.len(), metric.metrics.len(), metric.points.len()), (2, 3, 0));
    assert_eq!(metric.metrics.iter().map(|metric| metric.resource).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(metric.metrics[0].kind, MetricKind::Gauge);
    let [point] = &views(&batch, Level::Point, &["*"])[..] else { panic!("one view") };
    assert_eq!((point.resources.len(), point.metrics.len(), point.points.len()), (2, 3, 3));
    assert_eq!(point.points.iter().map(|point| point.parent).collect::<Vec<_>>(), [0, 1, 1]);
}

/// Scenario: a processor reads two keys; resources and points have others too.
/// Guarantees: attributes with other keys are not shown, nor is a key that only they have among the strings.
#[test]
fn only_what_is_read_is_shown() {
    let batch = metrics(&gauges(&[&[2]]));
    let [view] = &views(&batch, Level::Point, &["even"])[..] else { panic!("one view") };
    assert_eq!(view.resources, [[]]);
    assert_eq!(view.strings, ["metric.0", "By", "even"]);
    assert_eq!(view.points[1].attributes, [(2, AttributeValue::Text("no".into()))]);
    let [view] = &views(&batch, Level::Point, &["group"])[..] else { panic!("one view") };
    assert_eq!(view.resources[0].len(), 1);
    assert!(view.points.iter().all(|point| point.attributes.is_empty()));
}

/// Scenario: batches around the size of a view, and one whose views end in the middle of a metric and of a resource.
/// Guarantees: no list of a view is longer than 8,192; every point is shown once, in order, with its metric and resource.
#[test]
fn a_large_batch_is_shown_in_parts() {
    for (points, parts) in [(0, 1), (8191, 1), (8192, 1), (8193, 2), (3 * 8192, 3)] {
        let batch = metrics(&gauges(&[&[points]]));
        assert_eq!(views(&batch, Level::Point, &["*"]).len(), parts, "{points}");
        assert_eq!(views(&batch, Level::Metric, &["*"]).len(), 1);
    }
    let batch = metrics(&gauges(&[&[5000, 5000], &[10, 20_000]]));
    let parts = views(&batch, Level::Point, &["*"]);
    assert_eq!(parts.iter().map(|view| view.points.len()).collect::<Vec<_>>(), [8192, 8192, 8192, 5434]);
    let mut shown = Vec::new();
    for view in &parts {
        let distinct: BTreeSet<_> = view.strings.iter().collect();
        assert_eq!(distinct.len(), view.strings.len(), "each once");
        for point in &view.points {
            let metric = &view.metrics[point.parent as usize];
            let resource = &view.resources[metric.resource as usize];
            let (AttributeValue::Text(group), AttributeValue::Text(series)) =
                (&resource[0].value, &point.attributes[0].1)
            else {
                panic!("texts")
            };
            shown.push(format!("{group} {} {series}", view.strings[metric.name as usize]));
        }
    }
    let expected = [("0 metric.0", 5000), ("0 metric.1", 5000), ("1 metric.0", 10), ("1 metric.1", 20_000)];
    let expected: Vec<_> = expected
        .iter()
        .flat_map(|(metric, points)| (0..*points).map(move |index| format!("{metric} {index}")))
        .collect();
    assert!(shown == expected);

    let many: Vec<usize> = vec![0; 2 * MAX_VIEW_ITEMS + 1];
    let batch = metrics(&gauges(&[&many]));
    let sizes = |level| views(&batch, level, &[]).iter().map(|view| view.metrics.len()).collect::<Vec<_>>();
    assert_eq!((sizes(Level::Metric), sizes(Level::Point)), (vec![8192, 8192, 1], vec![8192, 8192, 1]));
    let groups: Vec<&[usize]> = vec![&[]; MAX_VIEW_ITEMS + 1];
    let batch = metrics(&gauges(&groups));
    assert_eq!(
        views(&batch, Level::Resource, &[]).iter().map(|view| view.resources.len()).collect::<Vec<_>>(),
        [8192, 1]
    );
}

proptest! {
    /// Scenario: metrics, spans and log records of every shape.
    /// Guarantees: what is shown is what a decoder reads.
    #[test]
    fn views_are_what_a_decoder_reads(
        request in metrics_request(),
        traces in traces_request(),
        logs in logs_request(),
    ) {
        let [view] = &views(&metrics(&request), Level::Point, &["*"])[..] else { panic!("one view") };
        let all: Vec<_> = request.resource_metrics.iter().flat_map(|group| &group.scope_metrics)
            .flat_map(|scope| &scope.metrics).filter(|metric| metric.data.is_some()).collect();
        prop_assert_eq!(view.resources.len(), request.resource_metrics.len());
        prop_assert_eq!(view.metrics.len(), all.len());
        for (shown, metric) in view.metrics.iter().zip(&all) {
            prop_assert_eq!(&view.strings[shown.name as usize], &metric.name);
            prop_assert_eq!(&view.strings[shown.unit as usize], &metric.unit);
        }
        let points = |metric: &Metric| match metric.data.as_ref().unwrap() {
            Data::Gauge(data) => data.data_points.len(),
            Data::Sum(data) => data.data_points.len(),
            Data::Histogram(data) => data.data_points.len(),
            Data::ExponentialHistogram(data) => data.data_points.len(),
            Data::Summary(data) => data.data_points.len(),
        };
        prop_assert_eq!(view.points.len(), all.iter().map(|metric| points(metric)).sum::<usize>());

        let shown = views(&batch(Signal::Traces, &traces), Level::Point, &["*"]).remove(0);
        let spans: Vec<_> = traces.resource_spans.iter().enumerate().flat_map(|(index, group)| {
            group.scope_spans.iter().flat_map(|scope| &scope.spans).map(move |span| (index as u32, span))
        }).collect();
        prop_assert!(shown.metrics.is_empty());
        prop_assert_eq!(shown.points.len(), spans.len());
        for (point, (resource, span)) in shown.points.iter().zip(spans) {
            prop_assert_eq!(point.parent, resource);
            let expressible = span.attributes.iter().filter(|attribute| !format!("{attribute:?}").contains("Kvlist"));
            let keys: Vec<_> = point.attributes.iter().map(|(key, _)| &shown.strings[*key as usize]).collect();
            prop_assert_eq!(keys, expressible.map(|attribute| &attribute.key).collect::<Vec<_>>());
        }

        let shown = views(&batch(Signal::Logs, &logs), Level::Point, &["*"]).remove(0);
        let records = logs.resource_logs.iter().flat_map(|group| &group.scope_logs).flat_map(|scope| &scope.log_records);
        prop_assert_eq!(shown.points.len(), records.count());
        let none = views(&batch(Signal::Logs, &logs), Level::Metric, &["*"]).remove(0);
        prop_assert!(none.metrics.is_empty() && none.points.is_empty());
    }
}
