//! Writing `ExportMetricsServiceRequest`.

use crate::attribute::Attributes;
use crate::batch::{Batch, Signal};
use crate::encode::{Amount, Invalid, Payload, Scope};

/// Metrics being written; finished into a [`Batch`].
#[derive(Debug)]
pub struct MetricsPayload(Payload);

impl MetricsPayload {
    /// An empty payload of a collection that has `spent` some of its `limit`. `now` (nanoseconds since the epoch) is stamped on points without a time.
    #[must_use]
    pub fn new(now: u64, limit: Amount, spent: Amount) -> Self {
        Self(Payload::new(Signal::Metrics, now, limit, spent))
    }

    /// Writes the metrics of one resource and scope.
    ///
    /// # Errors
    /// Whatever the closures return, and broken rules of the data model. The payload is unusable afterwards.
    pub fn group<E: From<Invalid>>(
        &mut self,
        resource: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        scope: Scope<'_>,
        scope_attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        metrics: impl FnOnce(&mut MetricItems<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.0.group(resource, scope, scope_attributes, |payload| metrics(&mut MetricItems(payload)))
    }

    /// The batch, unless nothing was written.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        self.0.finish()
    }
}

/// Name and description of a metric.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Metric<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub unit: &'a str,
}

/// How values of different times relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Temporality {
    Delta,
    Cumulative,
}

impl Temporality {
    const fn number(self) -> u64 {
        match self {
            Self::Delta => 1,
            Self::Cumulative => 2,
        }
    }
}

/// The value of a gauge or sum.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

/// A point of a gauge or sum; `None` writes the no-recorded-value flag.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct NumberPoint {
    pub start_time: u64,
    pub time: u64,
    pub value: Option<Number>,
}

/// A point of a histogram.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct HistogramPoint<'a> {
    pub start_time: u64,
    pub time: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub bounds: &'a [f64],
    pub bucket_counts: &'a [u64],
}

/// A point of a summary; quantiles as (quantile, value).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct SummaryPoint<'a> {
    pub start_time: u64,
    pub time: u64,
    pub count: u64,
    pub sum: f64,
    pub quantiles: &'a [(f64, f64)],
}

/// Writes the metrics of one group.
#[derive(Debug)]
pub struct MetricItems<'p>(&'p mut Payload);

impl MetricItems<'_> {
    /// Writes one metric.
    ///
    /// # Errors
    /// The name is empty, or what the closures return.
    pub fn metric<E: From<Invalid>>(
        &mut self,
        metric: Metric<'_>,
        metadata: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        body: impl FnOnce(MetricBody<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if metric.name.is_empty() {
            return Err(Invalid::EmptyName("metric").into());
        }
        let message = self.0.writer.open(2);
        self.0.writer.text(1, metric.name);
        self.0.writer.text(2, metric.description);
        self.0.writer.text(3, metric.unit);
        body(MetricBody(self.0))?;
        metadata(&mut Attributes::new(&mut self.0.writer, 12))?;
        self.0.writer.close(message);
        Ok(())
    }
}

/// Writes the data of one metric: exactly one of its kinds.
#[derive(Debug)]
pub struct MetricBody<'p>(&'p mut Payload);

impl MetricBody<'_> {
    /// A gauge.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn gauge<E: From<Invalid>>(self, points: impl FnOnce(&mut NumberPoints<'_>) -> Result<(), E>) -> Result<(), E> {
        let data = self.0.writer.open(5);
        points(&mut NumberPoints(self.0))?;
        self.0.writer.close(data);
        Ok(())
    }

    /// A sum.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn sum<E: From<Invalid>>(
        self,
        temporality: Temporality,
        monotonic: bool,
        points: impl FnOnce(&mut NumberPoints<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.0.writer.open(7);
        points(&mut NumberPoints(self.0))?;
        self.0.writer.varint(2, temporality.number());
        if monotonic {
            self.0.writer.varint(3, 1);
        }
        self.0.writer.close(data);
        Ok(())
    }

    /// A histogram.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn histogram<E: From<Invalid>>(
        self,
        temporality: Temporality,
        points: impl FnOnce(&mut HistogramPoints<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.0.writer.open(9);
        points(&mut HistogramPoints(self.0))?;
        self.0.writer.varint(2, temporality.number());
        self.0.writer.close(data);
        Ok(())
    }

    /// A summary.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn summary<E: From<Invalid>>(
        self,
        points: impl FnOnce(&mut SummaryPoints<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.0.writer.open(11);
        points(&mut SummaryPoints(self.0))?;
        self.0.writer.close(data);
        Ok(())
    }
}

/// OTLP's `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

/// Writes the points of a gauge or sum.
#[derive(Debug)]
pub struct NumberPoints<'p>(&'p mut Payload);

impl NumberPoints<'_> {
    /// Writes one point.
    ///
    /// # Errors
    /// What the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: NumberPoint,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        writer.fixed64_unless_zero(2, point.start_time);
        writer.fixed64(3, time);
        match point.value {
            Some(Number::Float(value)) => writer.double(4, value),
            Some(Number::Integer(value)) => writer.fixed64(6, value as u64),
            None => writer.varint(8, NO_RECORDED_VALUE),
        }
        attributes(&mut Attributes::new(writer, 7))?;
        writer.close(message);
        Ok(self.0.item()?)
    }
}

/// Writes the points of a histogram.
#[derive(Debug)]
pub struct HistogramPoints<'p>(&'p mut Payload);

impl HistogramPoints<'_> {
    /// Writes one point.
    ///
    /// # Errors
    /// Bounds and counts that do not fit, what the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: HistogramPoint<'_>,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let bounds = point.bounds;
        if !bounds.is_sorted_by(|a, b| a < b) || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(Invalid::Bounds.into());
        }
        let counted = point.bucket_counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let no_buckets = bounds.is_empty() && point.bucket_counts.is_empty();
        let fits = point.bucket_counts.len() == bounds.len() + 1 && counted == Some(point.count);
        if !(no_buckets || fits) {
            return Err(Invalid::BucketCounts.into());
        }
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        writer.fixed64_unless_zero(2, point.start_time);
        writer.fixed64(3, time);
        writer.fixed64(4, point.count);
        if let Some(sum) = point.sum {
            writer.double(5, sum);
        }
        writer.packed_fixed64(6, point.bucket_counts.iter().copied());
        writer.packed_fixed64(7, bounds.iter().map(|bound| bound.to_bits()));
        if let Some(min) = point.min {
            writer.double(11, min);
        }
        if let Some(max) = point.max {
            writer.double(12, max);
        }
        attributes(&mut Attributes::new(writer, 9))?;
        writer.close(message);
        Ok(self.0.item()?)
    }
}

/// Writes the points of a summary.
#[derive(Debug)]
pub struct SummaryPoints<'p>(&'p mut Payload);

impl SummaryPoints<'_> {
    /// Writes one point.
    ///
    /// # Errors
    /// A quantile out of range, what the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: SummaryPoint<'_>,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !point.quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile)) {
            return Err(Invalid::Quantile.into());
        }
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        writer.fixed64_unless_zero(2, point.start_time);
        writer.fixed64(3, time);
        writer.fixed64(4, point.count);
        writer.double(5, point.sum);
        for (quantile, value) in point.quantiles {
            let pair = writer.open(6);
            writer.double(1, *quantile);
            writer.double(2, *value);
            writer.close(pair);
        }
        attributes(&mut Attributes::new(writer, 7))?;
        writer.close(message);
        Ok(self.0.item()?)
    }
}
