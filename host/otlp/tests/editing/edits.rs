//! Edits of every kind, against the slow way.

use kiln_otlp::{
    Amount, AttributeValue, Edit, EditError, Edits, GaugeAggregation, Level, MAX_ATTRIBUTES, Sight, Signal,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;

use crate::generate::{logs_request, metrics_request, text, traces_request};
use crate::views::gauges;
use crate::{LIMIT, batch, decoded, metrics, process, reference};

fn gauge_aggregation() -> impl Strategy<Value = GaugeAggregation> {
    prop_oneof![
        Just(GaugeAggregation::Last),
        Just(GaugeAggregation::Min),
        Just(GaugeAggregation::Max),
        Just(GaugeAggregation::Mean),
        Just(GaugeAggregation::Sum),
    ]
}

/// An edit of whatever there may be; indexes are taken modulo how many there are.
fn edit() -> impl Strategy<Value = Edit> {
    let index = || 0_usize..1000;
    let value = || "[xy]".prop_map(AttributeValue::Text);
    prop_oneof![
        1 => (index(), "[abc]", value()).prop_map(|(resource, key, value)| Edit::SetResourceAttribute { resource, key, value }),
        1 => (index(), "[abc]").prop_map(|(resource, key)| Edit::RemoveResourceAttribute { resource, key }),
        1 => index().prop_map(Edit::DropMetric),
        1 => (index(), "[pq]").prop_map(|(metric, name)| Edit::RenameMetric { metric, name }),
        2 => index().prop_map(Edit::DropPoint),
        3 => (index(), "[abc]", value()).prop_map(|(point, key, value)| Edit::SetPointAttribute { point, key, value }),
        2 => (index(), "[abc]").prop_map(|(point, key)| Edit::RemovePointAttribute { point, key }),
        4 => (index(), vec("[abc]", 0..3), gauge_aggregation())
            .prop_map(|(metric, without, gauges)| Edit::Aggregate { metric, without, gauges }),
    ]
}

/// The edit of something there is.
fn fitted(edit: Edit, counts: (usize, usize, usize)) -> Option<Edit> {
    let (resources, metrics, points) = counts;
    let fit = |index: usize, count: usize| index.checked_rem(count);
    Some(match edit {
        Edit::SetResourceAttribute { resource, key, value } => {
            Edit::SetResourceAttribute { resource: fit(resource, resources)?, key, value }
        }
        Edit::RemoveResourceAttribute { resource, key } => {
            Edit::RemoveResourceAttribute { resource: fit(resource, resources)?, key }
        }
        Edit::DropMetric(metric) => Edit::DropMetric(fit(metric, metrics)?),
        Edit::RenameMetric { metric, name } => Edit::RenameMetric { metric: fit(metric, metrics)?, name },
        Edit::DropPoint(point) => Edit::DropPoint(fit(point, points)?),
        Edit::SetPointAttribute { point, key, value } => {
            Edit::SetPointAttribute { point: fit(point, points)?, key, value }
        }
        Edit::RemovePointAttribute { point, key } => Edit::RemovePointAttribute { point: fit(point, points)?, key },
        Edit::Aggregate { metric, without, gauges } => {
            Edit::Aggregate { metric: fit(metric, metrics)?, without, gauges }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Scenario: edits of resources alone, whose values are of any length.
    /// Guarantees: the same, whether the batch is shared or changed where it stands.
    #[test]
    fn resources_grow_and_shrink_where_they_stand(
        request in metrics_request(),
        wanted in vec((0_usize..1000, "[abc]", option::of(0_usize..300)), 1..12),
    ) {
        let mut fitting = Vec::new();
        let edited = process(&metrics(&request), |view| {
            let edit = |(resource, key, value): &(usize, String, Option<usize>)| {
                let (resource, key) = (*resource, key.clone());
                fitted(match value {
                    Some(length) => Edit::SetResourceAttribute { resource, key, value: AttributeValue::Text("v".repeat(*length)) },
                    None => Edit::RemoveResourceAttribute { resource, key },
                }, (view.resources.len(), 0, 0))
            };
            fitting = wanted.iter().filter_map(edit).collect();
            fitting.clone()
        });
        let expected = reference::apply(request, &fitting).unwrap();
        prop_assert_eq!(reference::normal(decoded(&edited.unwrap())), reference::normal(expected));
    }

    /// Scenario: any metrics, any edits.
    /// Guarantees: the outcome is what comes of decoding everything, changing the objects and encoding them again.
    #[test]
    fn edits_are_what_the_slow_way_makes_of_them(request in metrics_request(), wanted in vec(edit(), 0..12)) {
        let mut fitting = Vec::new();
        let edited = process(&metrics(&request), |view| {
            let counts = (view.resources.len(), view.metrics.len(), view.points.len());
            fitting = wanted.iter().filter_map(|edit| fitted(edit.clone(), counts)).collect();
            fitting.clone()
        });
        match (edited, reference::apply(request, &fitting)) {
            (Err(EditError::Summary(_)), None) => {}
            (edited, expected) => {
                let edited = decoded(&edited.unwrap());
                prop_assert_eq!(reference::normal(edited), reference::normal(expected.unwrap()));
            }
        }
    }

    /// Scenario: spans and log records; every other is dropped, the others get an attribute.
    /// Guarantees: what is left is them, changed by that attribute alone.
    #[test]
    fn spans_and_records_are_points(traces in traces_request(), logs in logs_request()) {
        let wants = |view: &kiln_otlp::View| (0..view.points.len()).map(|point| if point % 2 == 0 {
            Edit::SetPointAttribute { point, key: "new".into(), value: AttributeValue::Text("x".into()) }
        } else {
            Edit::DropPoint(point)
        }).collect::<Vec<_>>();
        let edited = process(&batch(Signal::Traces, &traces), wants).unwrap();
        let edited = ExportTraceServiceRequest::decode(edited.payload).unwrap();
        let spans = |request: ExportTraceServiceRequest| request.resource_spans.into_iter()
            .flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).collect::<Vec<_>>();
        let expected: Vec<_> = spans(traces).into_iter().step_by(2).map(|mut span| {
            span.attributes.push(text("new", "x"));
            span
        }).collect();
        prop_assert_eq!(spans(edited), expected);

        let edited = process(&batch(Signal::Logs, &logs), wants).unwrap();
        let edited = ExportLogsServiceRequest::decode(edited.payload).unwrap();
        let records = |request: ExportLogsServiceRequest| request.resource_logs.into_iter()
            .flat_map(|group| group.scope_logs).flat_map(|scope| scope.log_records).collect::<Vec<_>>();
        let expected: Vec<_> = records(logs).into_iter().step_by(2).map(|mut record| {
            record.attributes.push(text("new", "x"));
            record
        }).collect();
        prop_assert_eq!(records(edited), expected);
    }
}

/// Scenario: a batch of four views; in each, edits that name its own first and last point, and the resource and metric it
/// ends in.
/// Guarantees: they reach exactly those, and what is dropped is not counted any more.
#[test]
fn indexes_of_a_view_reach_what_it_showed() {
    let request = gauges(&[&[5000, 5000], &[10, 20_000]]);
    let before = kiln_otlp::Batch { items: 30_010, ..metrics(&request) };
    let mut global = Vec::new();
    let mut seen = 0;
    let edited = process(&before, |view| {
        let last = view.points.len() - 1;
        global.extend([Edit::DropPoint(seen), Edit::DropPoint(seen + last)]);
        seen += view.points.len();
        vec![Edit::DropPoint(0), Edit::DropPoint(last)]
    })
    .unwrap();
    assert_eq!(edited.items, 30_010 - 8);
    assert!(decoded(&edited) == reference::apply(request.clone(), &global).unwrap());

    let mut renamed = Vec::new();
    let edited = process(&before, |view| {
        let metric = view.metrics.len() - 1;
        let resource = view.resources.len() - 1;
        let value = AttributeValue::Text("x".into());
        renamed.push(view.strings[view.metrics[metric].name as usize].clone());
        vec![
            Edit::RenameMetric { metric, name: format!("renamed.{}", renamed.len()) },
            Edit::SetResourceAttribute { resource, key: "seen".into(), value },
        ]
    })
    .unwrap();
    let edited = decoded(&edited);
    let names: Vec<_> = edited
        .resource_metrics
        .iter()
        .flat_map(|group| &group.scope_metrics[0].metrics)
        .map(|metric| metric.name.clone())
        .collect();
    assert_eq!(names, ["metric.0", "renamed.1", "metric.0", "renamed.4"], "of several views the last wins");
    assert!(edited.resource_metrics.iter().all(|group| group.resource.as_ref().unwrap().attributes.len() == 2));
}

/// Scenario: edits of what is not there, without a key, without a name, and too many.
/// Guarantees: each is refused and says why; nothing is applied.
#[test]
fn an_edit_that_does_not_fit_is_refused() {
    let before = metrics(&gauges(&[&[1]]));
    let refused = |edit: Edit| process(&before, |_| vec![edit.clone()]).unwrap_err().to_string();
    let value = || AttributeValue::Boolean(true);
    for (edit, expected) in [
        (Edit::RemoveResourceAttribute { resource: 1, key: "a".into() }, "names resource 1 of a view with 1"),
        (Edit::DropMetric(1), "names metric 1 of a view with 1"),
        (Edit::RenameMetric { metric: usize::MAX, name: "a".into() }, "of a view with 1"),
        (Edit::DropPoint(1), "names point 1 of a view with 1"),
        (Edit::SetPointAttribute { point: 1, key: "a".into(), value: value() }, "names point 1"),
        (Edit::SetPointAttribute { point: 0, key: String::new(), value: value() }, "an empty key"),
        (Edit::RemoveResourceAttribute { resource: 0, key: String::new() }, "an empty key"),
        (Edit::RenameMetric { metric: 0, name: String::new() }, "an empty name"),
        (Edit::Aggregate { metric: 0, without: vec![String::new()], gauges: GaugeAggregation::Sum }, "an empty key"),
    ] {
        let error = refused(edit.clone());
        assert!(error.contains(expected), "{edit:?}: {error}");
    }
    let many = |count: usize| {
        process(&before, |_| {
            let set = |index| Edit::SetPointAttribute { point: 0, key: format!("k{index}"), value: value() };
            (0..count).map(set).collect()
        })
    };
    assert!(many(MAX_ATTRIBUTES - 2).is_ok());
    assert_eq!(many(MAX_ATTRIBUTES - 1), Err(EditError::TooManyAttributes(MAX_ATTRIBUTES)));
    assert_eq!(many(MAX_ATTRIBUTES).unwrap_err().limit(), Some("attributes"));
}

/// Scenario: as many edits, and as much text in them, as are allowed over the views of one batch; then more.
/// Guarantees: the first are taken, the others refused with the name of the limit.
#[test]
fn edits_of_a_batch_are_limited_in_number_and_in_bytes() {
    let before = metrics(&gauges(&[&[20_000]]));
    let process = |limit: Amount| {
        let mut edits = Edits::new(limit);
        for part in Sight::new(Level::Point, &[]).views(&before) {
            let (view, extent) = part.unwrap();
            let set =
                |point| Edit::SetPointAttribute { point, key: "key".into(), value: AttributeValue::Text("x".into()) };
            edits.add(&extent, (0..view.points.len()).map(set).collect())?;
        }
        edits.apply(before.clone()).map(|_| ())
    };
    assert_eq!(process(Amount { items: 20_000, bytes: 80_000 }), Ok(()));
    let many = process(Amount { items: 19_999, ..LIMIT }).unwrap_err();
    assert_eq!((many.limit(), many), (Some("edits"), EditError::TooMany(19_999)));
    let large = process(Amount { bytes: 79_999, ..LIMIT }).unwrap_err();
    assert_eq!((large.limit(), large), (Some("edit_bytes"), EditError::TooManyBytes(79_999)));
}
