//! Looking at what arrived.

use std::collections::{BTreeMap, BTreeSet};

use kiln_testbed::sink::{Attributes, Point, Span, Telemetry, Value};

/// The latest points after a moment, one for each series.
pub(crate) struct Latest<'t> {
    points: BTreeMap<(&'t str, String), &'t Point>,
}

impl<'t> Latest<'t> {
    pub(crate) fn after(telemetry: &'t Telemetry, nanos: u64) -> Self {
        let mut later: Vec<&Point> = telemetry.points.iter().filter(|point| point.time_nanos > nanos).collect();
        // Several requests are under way at once, and the one that was sent first may arrive last.
        later.sort_by_key(|point| point.time_nanos);
        Self { points: later.into_iter().map(|point| ((point.metric.as_str(), attributes(point)), point)).collect() }
    }

    /// The number of the one series of a metric that has these attributes, if there is one.
    pub(crate) fn number(&self, metric: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.points.values().filter(|point| {
            point.metric == metric && wanted.iter().all(|(key, value)| is(&point.attributes, key, value))
        });
        let number = found.next()?.number();
        assert!(found.next().is_none(), "several series of {metric} have {wanted:?}");
        number
    }

    /// The numbers of a metric, by one attribute.
    pub(crate) fn by(&self, metric: &str, attribute: &str) -> BTreeMap<String, f64> {
        let points = self.points.values().filter(|point| point.metric == metric);
        points.filter_map(|point| Some((point.text(attribute)?.to_owned(), point.number()?))).collect()
    }
}

/// Whether an attribute has a value, as text.
fn is(attributes: &Attributes, key: &str, value: &str) -> bool {
    attributes.get(key).is_some_and(|known| known == value)
}

fn attributes(point: &Point) -> String {
    serde_json::to_string(&(&point.origin.resource.get("spark.application.id"), &point.attributes)).unwrap()
}

/// No counter falls, no count of a histogram, unless its start says that it begins anew.
pub(crate) fn assert_nothing_falls(telemetry: &Telemetry) {
    let mut before: BTreeMap<(&str, String, u64), &Point> = BTreeMap::new();
    for point in telemetry.points.iter().filter(|point| counted(point).is_some()) {
        if let Some(earlier) = before.insert((&point.metric, attributes(point), point.start_nanos), point) {
            assert!(counted(earlier) <= counted(point), "{} fell:\n{earlier:?}\n{point:?}", point.metric);
            assert!(earlier.time_nanos <= point.time_nanos, "{} goes back in time", point.metric);
        }
    }
}

/// What can only grow in a point, if anything.
fn counted(point: &Point) -> Option<f64> {
    match point.value {
        Value::Histogram { count, .. } => Some(count as f64),
        _ if point.monotonic == Some(true) => point.number(),
        _ => None,
    }
}

/// All spans belong to one trace and hang together: those of stages below those of jobs, and what is above is the run of a
/// Databricks job and its task, of which another receiver tells. A span that was sent again is one.
pub(crate) fn assert_one_tree(spans: &[Span]) {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    assert!(!by_id.is_empty(), "no span");
    let mut above = BTreeSet::new();
    for span in by_id.values() {
        assert_eq!(span.trace_id, spans[0].trace_id, "{} is in a trace of its own", span.name);
        assert!(span.start_nanos <= span.end_nanos, "{} ends before it starts", span.name);
        match by_id.get(span.parent_span_id.as_str()) {
            Some(parent) => {
                assert!(parent.start_nanos <= span.start_nanos, "{} begins before {}", span.name, parent.name)
            }
            None => {
                assert!(!span.attributes.contains_key("spark.stage.id"), "{} is of no job", span.name);
                above.insert(span.parent_span_id.as_str());
            }
        }
    }
    assert!(above.len() <= 2, "more is above than a run and its task: {above:?}");
    let stages = by_id.values().filter(|span| span.attributes.contains_key("spark.stage.id"));
    assert!(stages.clone().any(|span| span.status == 2), "no stage is told to have failed");
    assert!(stages.count() > 10, "few stages");
}
