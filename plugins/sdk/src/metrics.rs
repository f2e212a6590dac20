//! What the `Metrics` builder that `manifest!` generates is made of.
//!
//! Points of one metric end up under one metric record, metrics stand in the order of the manifest (by name), and
//! points in the order they were added: the same source gives the same bytes.

use crate::histogram::{Bounds, Histogram};
use crate::prelude::*;
use crate::telemetry::{
    Attribute, Histogram as HistogramData, Metric, MetricData, Number, NumberPoint, Resource, ResourceMetrics, Scope,
    Sum, Temporality,
};
use crate::time::UnixNanos;

/// A metric as the manifest declares it.
#[derive(Debug)]
pub struct Descriptor {
    /// Its name.
    pub name: &'static str,
    /// UCUM.
    pub unit: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Which data it has.
    pub kind: Kind,
}

/// Kinds of metrics a manifest can declare.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Gauge,
    Sum { monotonic: bool },
    Histogram,
}

/// What a manifest says once about everything a plugin emits.
#[derive(Debug)]
pub struct Declarations {
    /// Name of the scope.
    pub scope: &'static str,
    /// Version of the plugin.
    pub version: &'static str,
    /// Every declared metric, by name.
    pub metrics: &'static [Descriptor],
    /// What the names of undeclared metrics start with.
    pub undeclared_prefixes: &'static [&'static str],
}

impl Declarations {
    /// The scope as telemetry carries it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { name: self.scope.to_owned(), version: self.version.to_owned(), attributes: Vec::new() }
    }
}

/// Turns the fields of a generated struct into attributes.
pub trait Attributes {
    /// The attributes that are present.
    fn to_attributes(&self) -> Vec<Attribute>;
}

impl Attributes for () {
    fn to_attributes(&self) -> Vec<Attribute> {
        Vec::new()
    }
}

/// A metric whose name only the source knows.
#[derive(Clone, Copy, Debug)]
pub struct Undeclared<'a> {
    /// The name, starting with a prefix of `[[telemetry.undeclared_metrics]]`.
    pub name: &'a str,
    /// UCUM; empty when nobody knows.
    pub unit: &'a str,
    /// What it means; empty when nobody knows.
    pub description: &'a str,
    /// What its numbers are.
    pub instrument: Instrument,
}

/// What a number means, in the words of the OpenTelemetry API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// A value that cannot be added up.
    Gauge,
    /// A value that can be added up and may fall.
    UpDownCounter,
    /// A value that never falls, counted since `start`.
    Counter {
        /// When counting began.
        start: UnixNanos,
    },
}

/// Why an undeclared metric is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndeclaredError {
    /// No prefix covers the name.
    #[error("metric `{0}` starts with no prefix of [[telemetry.undeclared_metrics]]")]
    Prefix(String),
    /// There is a typed method for it.
    #[error("metric `{0}` is declared under [telemetry.metrics]")]
    Declared(String),
    /// The same name was used as another kind of metric, or with another unit.
    #[error("metric `{0}` was already added with another kind or unit")]
    Conflict(String),
}

/// Metrics of one resource, under construction.
#[derive(Debug)]
pub struct MetricSet {
    declarations: &'static Declarations,
    resource: Vec<Attribute>,
    declared: Vec<Option<MetricData>>,
    /// Sorted by name. A map would be compiled into every plugin, and few have undeclared metrics.
    undeclared: Vec<Metric>,
}

impl MetricSet {
    /// No points yet.
    #[must_use]
    pub fn new(declarations: &'static Declarations, resource: &impl Attributes) -> Self {
        let declared = declarations.metrics.iter().map(|_| None).collect();
        Self { declarations, resource: resource.to_attributes(), declared, undeclared: Vec::new() }
    }

    fn declared(&mut self, index: usize) -> Option<&mut MetricData> {
        let kind = self.declarations.metrics.get(index)?.kind;
        Some(self.declared.get_mut(index)?.get_or_insert_with(|| empty(kind)))
    }

    /// Adds a point to the gauge or sum with this index in the declarations.
    pub fn number(&mut self, index: usize, start: UnixNanos, attributes: &impl Attributes, value: Number) {
        if let Some(points) = self.declared(index).and_then(number_points) {
            points.push(number_point(start, attributes.to_attributes(), value));
        }
    }

    /// Adds a point to the histogram with this index in the declarations.
    pub fn histogram<B: Bounds>(
        &mut self,
        index: usize,
        start: UnixNanos,
        attributes: &impl Attributes,
        histogram: &Histogram<B>,
    ) {
        if let Some(MetricData::Histogram(data)) = self.declared(index) {
            data.points.push(histogram.point(start, attributes.to_attributes()));
        }
    }

    /// Adds a point to a metric the manifest does not name.
    ///
    /// # Errors
    /// The name is not one that may be used so, or was used for something else before.
    pub fn undeclared(
        &mut self,
        metric: &Undeclared<'_>,
        attributes: Vec<Attribute>,
        value: Number,
    ) -> Result<(), UndeclaredError> {
        let name = metric.name;
        if !self.declarations.undeclared_prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(UndeclaredError::Prefix(name.to_owned()));
        }
        if self.declarations.metrics.iter().any(|declared| declared.name == name) {
            return Err(UndeclaredError::Declared(name.to_owned()));
        }
        let (kind, start) = match metric.instrument {
            Instrument::Gauge => (Kind::Gauge, UnixNanos::default()),
            Instrument::UpDownCounter => (Kind::Sum { monotonic: false }, UnixNanos::default()),
            Instrument::Counter { start } => (Kind::Sum { monotonic: true }, start),
        };
        let place = self.undeclared.binary_search_by(|entry| entry.name.as_str().cmp(name));
        let index = place.unwrap_or_else(|index| {
            let (name, description) = (name.to_owned(), metric.description.to_owned());
            let (unit, metadata) = (metric.unit.to_owned(), Vec::new());
            self.undeclared.insert(index, Metric { name, description, unit, metadata, data: empty(kind) });
            index
        });
        let conflict = || UndeclaredError::Conflict(name.to_owned());
        let entry = self.undeclared.get_mut(index).ok_or_else(conflict)?;
        let alike = entry.unit == metric.unit && is_kind(&entry.data, kind);
        let points = number_points(&mut entry.data).filter(|_| alike).ok_or_else(conflict)?;
        points.push(number_point(start, attributes, value));
        Ok(())
    }
}

const fn empty(kind: Kind) -> MetricData {
    match kind {
        Kind::Gauge => MetricData::Gauge(Vec::new()),
        Kind::Sum { monotonic } => {
            MetricData::Sum(Sum { temporality: Temporality::Cumulative, monotonic, points: Vec::new() })
        }
        Kind::Histogram => {
            MetricData::Histogram(HistogramData { temporality: Temporality::Cumulative, points: Vec::new() })
        }
    }
}

const fn is_kind(data: &MetricData, kind: Kind) -> bool {
    match (data, kind) {
        (MetricData::Gauge(_), Kind::Gauge) | (MetricData::Histogram(_), Kind::Histogram) => true,
        (MetricData::Sum(sum), Kind::Sum { monotonic }) => sum.monotonic == monotonic,
        _ => false,
    }
}

const fn number_points(data: &mut MetricData) -> Option<&mut Vec<NumberPoint>> {
    match data {
        MetricData::Gauge(points) => Some(points),
        MetricData::Sum(sum) => Some(&mut sum.points),
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) | MetricData::Summary(_) => None,
    }
}

const fn number_point(start: UnixNanos, attributes: Vec<Attribute>, value: Number) -> NumberPoint {
    NumberPoint { attributes, start_time: start.as_nanos(), time: 0, value: Some(value), exemplars: Vec::new() }
}

impl From<MetricSet> for ResourceMetrics {
    fn from(set: MetricSet) -> Self {
        let declared = set.declarations.metrics.iter().zip(set.declared).filter_map(|(descriptor, data)| {
            Some(Metric {
                name: descriptor.name.to_owned(),
                description: descriptor.description.to_owned(),
                unit: descriptor.unit.to_owned(),
                metadata: Vec::new(),
                data: data?,
            })
        });
        let mut metrics: Vec<Metric> = declared.collect();
        metrics.extend(set.undeclared);
        Self { resource: Resource { attributes: set.resource }, scope: set.declarations.scope(), metrics }
    }
}
