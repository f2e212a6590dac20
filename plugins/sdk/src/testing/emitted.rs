//! Emitted metrics in a form tests can ask questions of.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::telemetry::{
    Attribute, AttributeValue, HistogramPoint, Metric, MetricData, Number, NumberPoint, ResourceMetrics,
};
use crate::time::UnixNanos;

/// The metrics of one collection.
#[derive(Clone, Debug)]
pub struct Emitted(Vec<ResourceMetrics>);

/// One point of a gauge or a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The attributes of its resource, as text.
    pub resource: BTreeMap<String, String>,
    /// Its own attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// When counting began; zero if it did not.
    pub start: UnixNanos,
    /// The value; `NaN` says that the series has ended.
    pub value: f64,
}

impl Emitted {
    pub(super) const fn new(batch: Vec<ResourceMetrics>) -> Self {
        Self(batch)
    }

    /// The records as they were emitted.
    #[must_use]
    pub fn records(&self) -> &[ResourceMetrics] {
        &self.0
    }

    /// The names of all metrics, sorted, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.all().map(|(_, metric)| metric.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The metric of this name, if there is one; the first one, where several resources have it.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.all().map(|(_, metric)| metric).find(|metric| metric.name == name)
    }

    /// The attributes of the only resource.
    ///
    /// # Panics
    /// There are several resources, or none.
    #[must_use]
    pub fn resource(&self) -> BTreeMap<String, String> {
        match self.0.as_slice() {
            [resource] => text(&resource.resource.attributes),
            resources => panic!("expected one resource, there are {}", resources.len()),
        }
    }

    /// All points of the gauges and sums of this name.
    #[must_use]
    pub fn points(&self, name: &str) -> Vec<Point> {
        let metrics = self.all().filter(|(_, metric)| metric.name == name);
        let points = metrics.flat_map(|(resource, metric)| {
            let points: &[NumberPoint] = match &metric.data {
                MetricData::Gauge(points) => points,
                MetricData::Sum(sum) => &sum.points,
                MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) | MetricData::Summary(_) => &[],
            };
            points.iter().map(|point| Point {
                resource: text(&resource.resource.attributes),
                attributes: text(&point.attributes),
                start: UnixNanos::from_nanos(point.start_time),
                value: number(point.value),
            })
        });
        points.collect()
    }

    /// The point of a gauge or sum that has all these attributes, on itself or its resource.
    ///
    /// # Panics
    /// There is not exactly one.
    #[must_use]
    pub fn point(&self, name: &str, attributes: &[(&str, &str)]) -> Point {
        let mut points = self.points(name);
        points.retain(|point| has_all(&[&point.attributes, &point.resource], attributes));
        match points.as_slice() {
            [point] => point.clone(),
            _ => panic!("expected one point of `{name}` with {attributes:?}, emitted was:\n{}", self.listing()),
        }
    }

    /// The value of the point of a gauge or sum that has all these attributes, on itself or its resource.
    ///
    /// # Panics
    /// There is not exactly one.
    #[must_use]
    pub fn value(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        self.point(name, attributes).value
    }

    /// The histogram that has all these attributes, on itself or its resource.
    ///
    /// # Panics
    /// There is not exactly one.
    #[must_use]
    pub fn histogram(&self, name: &str, attributes: &[(&str, &str)]) -> HistogramPoint {
        let metrics = self.all().filter(|(_, metric)| metric.name == name);
        let points = metrics.flat_map(|(resource, metric)| {
            let points: &[HistogramPoint] = match &metric.data {
                MetricData::Histogram(histogram) => &histogram.points,
                MetricData::Gauge(_)
                | MetricData::Sum(_)
                | MetricData::ExponentialHistogram(_)
                | MetricData::Summary(_) => &[],
            };
            points.iter().map(|point| (text(&resource.resource.attributes), point))
        });
        let alike: Vec<_> = points
            .filter(|(resource, point)| has_all(&[&text(&point.attributes), resource], attributes))
            .map(|(_, point)| point)
            .collect();
        match alike.as_slice() {
            [point] => (*point).clone(),
            _ => panic!("expected one histogram `{name}` with {attributes:?}, emitted was:\n{}", self.listing()),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&ResourceMetrics, &Metric)> {
        self.0.iter().flat_map(|resource| resource.metrics.iter().map(move |metric| (resource, metric)))
    }

    fn listing(&self) -> String {
        let mut listing = String::new();
        for name in self.names() {
            for point in self.points(name) {
                let _ = writeln!(listing, "  {name}{:?} {}", point.attributes, point.value);
            }
            if self.points(name).is_empty() {
                let _ = writeln!(listing, "  {name} (no numbers)");
            }
        }
        listing
    }
}

fn has_all(places: &[&BTreeMap<String, String>], wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(key, value)| places.iter().any(|place| place.get(*key).is_some_and(|found| found == value)))
}

const fn number(value: Option<Number>) -> f64 {
    match value {
        Some(Number::Integer(value)) => value as f64,
        Some(Number::Float(value)) => value,
        None => f64::NAN,
    }
}

fn text(attributes: &[Attribute]) -> BTreeMap<String, String> {
    let entry = |attribute: &Attribute| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Boolean(value) => value.to_string(),
            AttributeValue::Integer(value) => value.to_string(),
            AttributeValue::Float(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key.clone(), value)
    };
    attributes.iter().map(entry).collect()
}
