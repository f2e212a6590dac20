//! Looking at what arrived.

use std::collections::BTreeMap;

use kiln_testbed::sink::{Attributes, Point, Span, Telemetry, Value};

/// The latest points after a moment, one for each series.
pub(crate) struct Latest<'t> {
    points: BTreeMap<(&'t str, String), &'t Point>,
}

impl<'t> Latest<'t> {
    pub(crate) fn after(telemetry: &'t Telemetry, nanos: u64) -> Self {
        let later = telemetry.points.iter().filter(|point| point.time_nanos > nanos);
        Self { points: later.map(|point| ((point.metric.as_str(), attributes(point)), point)).collect() }
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
    attributes.get(key).is_some_and(|known| known.as_str() == Some(value) || known.to_string() == value)
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

/// All spans belong to one trace, under one root, and every parent is there. A span that was sent again is one.
pub(crate) fn assert_one_tree(spans: &[Span]) {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let roots: Vec<&&Span> = by_id.values().filter(|span| !by_id.contains_key(span.parent_span_id.as_str())).collect();
    let names: Vec<(&str, &str)> =
        roots.iter().map(|span| (span.name.as_str(), span.parent_span_id.as_str())).collect();
    assert!(by_id.values().all(|span| span.trace_id == spans[0].trace_id), "several traces");
    // The root itself, or what is below a run of Databricks that another receiver tells of.
    let parents: std::collections::BTreeSet<&str> = names.iter().map(|(_, parent)| *parent).collect();
    assert_eq!(parents.len(), 1, "{names:?}");
    for span in by_id.values() {
        assert!(span.start_nanos <= span.end_nanos, "{} ends before it starts", span.name);
    }
}
