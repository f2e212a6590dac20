//! Records of the contract.

use kiln_plugin::telemetry::{
    Attribute, AttributeValue, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint,
    Histogram, HistogramPoint, Metric, MetricData, Number, NumberPoint, Quantile, Resource, ResourceMetrics, Scope,
    Sum, SummaryPoint, Temporality,
};

use crate::memory::Group;
use crate::translate::Head;
use crate::translate::draft::{Kind, Reading};
use crate::translate::histogram::Buckets;
use crate::translate::identity::Identity;
use crate::translate::native::{Exponential, Side};

/// A point on its way out.
#[derive(Debug)]
pub(crate) struct Point {
    attributes: Vec<Attribute>,
    start: u64,
    time: u64,
    /// What was read; `None` says that the series has ended.
    reading: Option<Reading>,
    exemplars: Vec<Exemplar>,
}

impl Point {
    pub(crate) fn new(identity: &Identity, start: u64, time: u64, reading: Reading, exemplars: Vec<Exemplar>) -> Self {
        Self { attributes: attributes(identity), start, time, reading: Some(reading), exemplars }
    }

    pub(crate) fn ended(identity: &Identity, time: u64) -> Self {
        Self { attributes: attributes(identity), start: 0, time, reading: None, exemplars: Vec::new() }
    }
}

pub(crate) fn record(group: &Group, metrics: Vec<Metric>) -> ResourceMetrics {
    let (resource, scope) = group;
    let scope = match scope.named() {
        None => crate::telemetry::scope(),
        Some((name, version)) => {
            let (name, version) = (name.to_owned(), version.to_owned());
            Scope { name, version, attributes: attributes(scope.attributes()) }
        }
    };
    // The one attribute of a resource that is a number by the semantic conventions.
    let port = |mut attribute: Attribute| {
        if let ("server.port", AttributeValue::Text(port)) = (attribute.key.as_str(), &attribute.value)
            && let Ok(port) = port.parse()
        {
            attribute.value = AttributeValue::Integer(port);
        }
        attribute
    };
    ResourceMetrics {
        resource: Resource { attributes: attributes(resource).into_iter().map(port).collect() },
        scope,
        metrics,
    }
}

pub(crate) fn metric(head: &Head, points: Vec<Point>) -> Metric {
    let temporality = Temporality::Cumulative;
    let numbers = |points: Vec<Point>| points.into_iter().map(Point::number).collect();
    let data = match head.kind {
        Kind::Gauge => MetricData::Gauge(numbers(points)),
        Kind::Counter => MetricData::Sum(Sum { temporality, monotonic: true, points: numbers(points) }),
        Kind::UpDownCounter => MetricData::Sum(Sum { temporality, monotonic: false, points: numbers(points) }),
        Kind::Histogram => {
            let points = points.into_iter().map(Point::histogram).collect();
            MetricData::Histogram(Histogram { temporality, points })
        }
        Kind::ExponentialHistogram => {
            let points = points.into_iter().map(Point::exponential).collect();
            MetricData::ExponentialHistogram(ExponentialHistogram { temporality, points })
        }
        Kind::Summary => MetricData::Summary(points.into_iter().map(Point::summary).collect()),
    };
    Metric {
        name: head.name.clone(),
        description: head.description.clone(),
        unit: head.unit.clone(),
        metadata: vec![Attribute::new("prometheus.type", head.type_name)],
        data,
    }
}

/// A key without a character cannot be sent.
fn attributes(identity: &Identity) -> Vec<Attribute> {
    identity.pairs().filter(|(key, _)| !key.is_empty()).map(|(key, value)| Attribute::new(key, value)).collect()
}

impl Point {
    fn number(self) -> NumberPoint {
        let value = match self.reading {
            Some(Reading::Number(value)) => Some(Number::Float(value)),
            _ => None,
        };
        NumberPoint {
            attributes: self.attributes,
            start_time: self.start,
            time: self.time,
            value,
            exemplars: self.exemplars,
        }
    }

    fn histogram(self) -> HistogramPoint {
        let no_recorded_value = self.reading.is_none();
        let (sum, buckets) = match self.reading {
            Some(Reading::Histogram { sum, buckets }) => (sum, buckets),
            _ => (None, Buckets { count: 0, bounds: Vec::new(), counts: Vec::new() }),
        };
        HistogramPoint {
            attributes: self.attributes,
            start_time: self.start,
            time: self.time,
            count: buckets.count,
            sum,
            min: None,
            max: None,
            bounds: buckets.bounds,
            bucket_counts: buckets.counts,
            exemplars: self.exemplars,
            no_recorded_value,
        }
    }

    fn exponential(self) -> ExponentialHistogramPoint {
        let no_recorded_value = self.reading.is_none();
        let (sum, buckets) = match self.reading {
            Some(Reading::Exponential { sum, buckets }) => (sum, buckets),
            _ => (None, Exponential::default()),
        };
        let side = |side: Side| ExponentialBuckets { offset: side.offset, counts: side.counts };
        ExponentialHistogramPoint {
            attributes: self.attributes,
            start_time: self.start,
            time: self.time,
            count: buckets.count,
            sum,
            min: None,
            max: None,
            scale: buckets.scale,
            zero_count: buckets.zero_count,
            zero_threshold: buckets.zero_threshold,
            positive: side(buckets.positive),
            negative: side(buckets.negative),
            exemplars: self.exemplars,
            no_recorded_value,
        }
    }

    fn summary(self) -> SummaryPoint {
        let no_recorded_value = self.reading.is_none();
        let (count, sum, quantiles) = match self.reading {
            Some(Reading::Summary { count, sum, quantiles }) => (count, sum, quantiles),
            _ => (0, 0.0, Vec::new()),
        };
        let quantiles = quantiles.into_iter().map(|(quantile, value)| Quantile { quantile, value }).collect();
        SummaryPoint {
            attributes: self.attributes,
            start_time: self.start,
            time: self.time,
            count,
            sum,
            quantiles,
            no_recorded_value,
        }
    }
}
