//! Records of the contract, made of references to what is to be sent.

use std::rc::Rc;

use kiln_plugin::Host;
use kiln_plugin::telemetry::EmitError;
use kiln_plugin::telemetry::borrowed::{
    Attribute, AttributeValue, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint,
    Histogram, HistogramPoint, Metric, MetricData, Number, NumberPoint, Resource, ResourceMetrics, Scope, Sum,
    SummaryPoint, Temporality,
};

use crate::memory::Group;
use crate::translate::Head;
use crate::translate::draft::{Kind, Reading};
use crate::translate::exemplar;
use crate::translate::identity::Identity;
use crate::translate::native::{Exponential, Side};

/// Points that are handed to the host at once, so that no page is in memory as a whole twice.
const MAX_EMITTED_POINTS: usize = 5_000;

/// A point on its way out.
#[derive(Debug)]
pub(crate) struct Point {
    identity: Identity,
    start: u64,
    time: u64,
    /// What was read; `None` says that the series has ended.
    reading: Option<Reading>,
    exemplars: Vec<exemplar::Exemplar>,
}

impl Point {
    pub(crate) const fn new(identity: Identity, start: u64, time: u64, reading: Reading) -> Self {
        Self { identity, start, time, reading: Some(reading), exemplars: Vec::new() }
    }

    pub(crate) const fn ended(identity: Identity, time: u64) -> Self {
        Self { identity, start: 0, time, reading: None, exemplars: Vec::new() }
    }

    pub(crate) fn with_exemplars(self, exemplars: Vec<exemplar::Exemplar>) -> Self {
        Self { exemplars, ..self }
    }
}

/// Points on their way to the host, each behind those of the same metric, resource and scope.
pub(crate) struct Batch<'h> {
    host: &'h Host,
    points: Vec<Point>,
    /// And how many of the points each has.
    metrics: Vec<(Rc<Head>, usize)>,
    /// And how many of the metrics each has.
    groups: Vec<(Group, usize)>,
    /// Whether the next point begins a group, though the last may be of its resource and scope.
    is_closed: bool,
    /// Why the host did not take some of them.
    refused: Option<EmitError>,
}

impl<'h> Batch<'h> {
    pub(crate) const fn new(host: &'h Host) -> Self {
        Self { host, points: Vec::new(), metrics: Vec::new(), groups: Vec::new(), is_closed: false, refused: None }
    }

    pub(crate) const fn host(&self) -> &'h Host {
        self.host
    }

    /// What follows has metrics of its own, though they may be called as those before: no group may have one name twice.
    pub(crate) const fn close(&mut self) {
        self.is_closed = true;
    }

    /// Adds a point, to the metric the one before went to if this is its head, and not one like it.
    pub(crate) fn add(&mut self, group: &Group, head: &Rc<Head>, point: Point) {
        if self.is_closed || self.metrics.last().is_none_or(|(last, _)| !Rc::ptr_eq(last, head)) {
            match self.groups.last_mut() {
                Some((last, metrics)) if !self.is_closed && last == group => *metrics += 1,
                _ => self.groups.push((group.clone(), 1)),
            }
            self.is_closed = false;
            self.metrics.push((Rc::clone(head), 0));
        }
        if let Some((_, points)) = self.metrics.last_mut() {
            *points += 1;
        }
        self.points.push(point);
        if self.points.len() >= MAX_EMITTED_POINTS {
            self.flush();
        }
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// The host has refused some of it.
    pub(crate) fn finish(mut self) -> Result<(), EmitError> {
        self.flush();
        self.refused.map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        if let Err(error) = self.send() {
            self.refused.get_or_insert(error);
        }
        self.points.clear();
        self.metrics.clear();
        self.groups.clear();
    }

    fn send(&self) -> Result<(), EmitError> {
        let own_scope = crate::telemetry::scope();
        let mut group_attributes = Lists::default();
        for ((resource, scope), _) in &self.groups {
            group_attributes.push(texts(resource).map(port));
            group_attributes.push(texts(scope.attributes()));
        }
        let mut attributes = Lists::default();
        let mut exemplar_attributes = Lists::default();
        for point in &self.points {
            attributes.push(texts(&point.identity));
            point.exemplars.iter().for_each(|exemplar| exemplar_attributes.push(texts(&exemplar.labels)));
        }
        let mut exemplars = Lists::default();
        let mut attributes_of_exemplars = exemplar_attributes.each();
        for point in &self.points {
            exemplars.push(point.exemplars.iter().map(|found| exemplar(found, attributes_of_exemplars.take())));
        }

        let (mut attributes, mut exemplars) = (attributes.each(), exemplars.each());
        let mut points = Points::default();
        let mut rest = self.points.as_slice();
        for (head, count) in &self.metrics {
            let (own, others) = rest.split_at_checked(*count).unwrap_or_default();
            points.push(head.kind, own, &mut attributes, &mut exemplars);
            rest = others;
        }

        let type_of = |head: &Head| [Attribute { key: "prometheus.type", value: AttributeValue::Text(head.type_name) }];
        let types: Vec<_> = self.metrics.iter().map(|(head, _)| type_of(head)).collect();
        let mut points = points.each();
        let mut metrics = Vec::with_capacity(self.metrics.len());
        for ((head, _), metadata) in self.metrics.iter().zip(&types) {
            let Head { name, description, unit, kind, .. } = &**head;
            metrics.push(Metric { name, description, unit, metadata, data: points.take(*kind) });
        }

        let mut group_attributes = group_attributes.each();
        let mut rest = metrics.as_slice();
        let mut batch = Vec::with_capacity(self.groups.len());
        for ((_, scope), count) in &self.groups {
            let resource = Resource { attributes: group_attributes.take() };
            let (name, version) = scope.named().unwrap_or((&own_scope.name, &own_scope.version));
            let scope = Scope { name, version, attributes: group_attributes.take() };
            let (metrics, others) = rest.split_at_checked(*count).unwrap_or_default();
            batch.push(ResourceMetrics { resource, scope, metrics });
            rest = others;
        }
        if batch.is_empty() { Ok(()) } else { self.host.emit_borrowed_metrics(&batch) }
    }
}

/// Lists of all points in one, since one for each would be half of the work.
#[derive(Debug)]
struct Lists<T> {
    items: Vec<T>,
    lengths: Vec<usize>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { items: Vec::new(), lengths: Vec::new() }
    }
}

impl<T> Lists<T> {
    fn push(&mut self, list: impl Iterator<Item = T>) {
        let before = self.items.len();
        self.items.extend(list);
        self.lengths.push(self.items.len() - before);
    }

    fn each(&self) -> Each<'_, T> {
        Each { rest: &self.items, lengths: self.lengths.iter() }
    }
}

/// The lists, in the order in which they were pushed.
#[derive(Debug)]
struct Each<'l, T> {
    rest: &'l [T],
    lengths: core::slice::Iter<'l, usize>,
}

impl<'l, T> Each<'l, T> {
    fn take(&mut self) -> &'l [T] {
        let length = self.lengths.next().copied().unwrap_or(0);
        let (list, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        list
    }
}

/// The points of all metrics, by their kinds.
#[derive(Debug, Default)]
struct Points<'p> {
    numbers: Lists<NumberPoint<'p>>,
    histograms: Lists<HistogramPoint<'p>>,
    exponential_histograms: Lists<ExponentialHistogramPoint<'p>>,
    summaries: Lists<SummaryPoint<'p>>,
}

impl<'p> Points<'p> {
    fn push(
        &mut self,
        kind: Kind,
        points: &'p [Point],
        attributes: &mut Each<'p, Attribute<'p>>,
        exemplars: &mut Each<'p, Exemplar<'p>>,
    ) {
        let points = points.iter().map(|point| (point, attributes.take(), exemplars.take()));
        match kind {
            Kind::Gauge | Kind::Counter | Kind::UpDownCounter => {
                self.numbers.push(points.map(|(point, attributes, exemplars)| point.number(attributes, exemplars)));
            }
            Kind::Histogram => {
                self.histograms
                    .push(points.map(|(point, attributes, exemplars)| point.histogram(attributes, exemplars)));
            }
            Kind::ExponentialHistogram => self
                .exponential_histograms
                .push(points.map(|(point, attributes, exemplars)| point.exponential_histogram(attributes, exemplars))),
            Kind::Summary => self.summaries.push(points.map(|(point, attributes, _)| point.summary(attributes))),
        }
    }

    fn each(&self) -> EachPoints<'_> {
        EachPoints {
            numbers: self.numbers.each(),
            histograms: self.histograms.each(),
            exponential_histograms: self.exponential_histograms.each(),
            summaries: self.summaries.each(),
        }
    }
}

struct EachPoints<'p> {
    numbers: Each<'p, NumberPoint<'p>>,
    histograms: Each<'p, HistogramPoint<'p>>,
    exponential_histograms: Each<'p, ExponentialHistogramPoint<'p>>,
    summaries: Each<'p, SummaryPoint<'p>>,
}

impl<'p> EachPoints<'p> {
    /// Those of the next metric, which is of this kind.
    fn take(&mut self, kind: Kind) -> MetricData<'p> {
        let temporality = Temporality::Cumulative;
        match kind {
            Kind::Gauge => MetricData::Gauge(self.numbers.take()),
            Kind::Counter => MetricData::Sum(Sum { temporality, monotonic: true, points: self.numbers.take() }),
            Kind::UpDownCounter => MetricData::Sum(Sum { temporality, monotonic: false, points: self.numbers.take() }),
            Kind::Histogram => MetricData::Histogram(Histogram { temporality, points: self.histograms.take() }),
            Kind::ExponentialHistogram => {
                let points = self.exponential_histograms.take();
                MetricData::ExponentialHistogram(ExponentialHistogram { temporality, points })
            }
            Kind::Summary => MetricData::Summary(self.summaries.take()),
        }
    }
}

impl Point {
    fn number<'p>(&'p self, attributes: &'p [Attribute<'p>], exemplars: &'p [Exemplar<'p>]) -> NumberPoint<'p> {
        let value = match self.reading {
            Some(Reading::Number(value)) => Some(Number::Float(value)),
            _ => None,
        };
        NumberPoint { attributes, start_time: self.start, time: self.time, value, exemplars }
    }

    fn histogram<'p>(&'p self, attributes: &'p [Attribute<'p>], exemplars: &'p [Exemplar<'p>]) -> HistogramPoint<'p> {
        let (count, sum, bounds, bucket_counts): (_, _, &[f64], &[u64]) = match &self.reading {
            Some(Reading::Histogram { sum, buckets }) => (buckets.count, *sum, &buckets.bounds, &buckets.counts),
            _ => (0, None, &[], &[]),
        };
        HistogramPoint {
            attributes,
            start_time: self.start,
            time: self.time,
            count,
            sum,
            min: None,
            max: None,
            bounds,
            bucket_counts,
            exemplars,
            no_recorded_value: self.reading.is_none(),
        }
    }

    fn exponential_histogram<'p>(
        &'p self,
        attributes: &'p [Attribute<'p>],
        exemplars: &'p [Exemplar<'p>],
    ) -> ExponentialHistogramPoint<'p> {
        static ENDED: Exponential = Exponential::EMPTY;
        let (sum, buckets) = match &self.reading {
            Some(Reading::Exponential { sum, buckets }) => (*sum, buckets),
            _ => (None, &ENDED),
        };
        let side = |side: &'p Side| ExponentialBuckets { offset: side.offset, counts: &side.counts };
        ExponentialHistogramPoint {
            attributes,
            start_time: self.start,
            time: self.time,
            count: buckets.count,
            sum,
            min: None,
            max: None,
            scale: buckets.scale,
            zero_count: buckets.zero_count,
            zero_threshold: buckets.zero_threshold,
            positive: side(&buckets.positive),
            negative: side(&buckets.negative),
            exemplars,
            no_recorded_value: self.reading.is_none(),
        }
    }

    fn summary<'p>(&'p self, attributes: &'p [Attribute<'p>]) -> SummaryPoint<'p> {
        let (count, sum, quantiles): (_, _, &[_]) = match &self.reading {
            Some(Reading::Summary { count, sum, quantiles }) => (*count, *sum, quantiles),
            _ => (0, 0.0, &[]),
        };
        SummaryPoint {
            attributes,
            start_time: self.start,
            time: self.time,
            count,
            sum,
            quantiles,
            no_recorded_value: self.reading.is_none(),
        }
    }
}

/// A key without a character cannot be sent.
fn texts(identity: &Identity) -> impl Iterator<Item = Attribute<'_>> {
    let pairs = identity.pairs().filter(|(key, _)| !key.is_empty());
    pairs.map(|(key, value)| Attribute { key, value: AttributeValue::Text(value) })
}

/// The one attribute of a resource that is a number by the semantic conventions.
fn port(attribute: Attribute<'_>) -> Attribute<'_> {
    match (attribute.key, &attribute.value) {
        (key @ "server.port", AttributeValue::Text(port)) => match port.parse() {
            Ok(port) => Attribute { key, value: AttributeValue::Integer(port) },
            Err(_) => attribute,
        },
        _ => attribute,
    }
}

fn exemplar<'e>(exemplar: &'e exemplar::Exemplar, attributes: &'e [Attribute<'e>]) -> Exemplar<'e> {
    let exemplar::Exemplar { value, time, trace_id, span_id, .. } = exemplar;
    Exemplar { attributes, time: *time, value: Number::Float(*value), trace_id, span_id }
}
