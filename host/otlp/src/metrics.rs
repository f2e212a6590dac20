//! Writing `ExportMetricsServiceRequest`.

use crate::attribute::Attributes;
use crate::batch::{Batch, Signal};
use crate::encode::{Amount, Invalid, Payload, Scope};
use crate::points::{ExponentialHistogramPoints, HistogramPoints, NumberPoints, SummaryPoints};

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
        points(&mut NumberPoints::new(self.0))?;
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
        points(&mut NumberPoints::new(self.0))?;
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
        points(&mut HistogramPoints::new(self.0))?;
        self.0.writer.varint(2, temporality.number());
        self.0.writer.close(data);
        Ok(())
    }

    /// An exponential histogram.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn exponential_histogram<E: From<Invalid>>(
        self,
        temporality: Temporality,
        points: impl FnOnce(&mut ExponentialHistogramPoints<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.0.writer.open(10);
        points(&mut ExponentialHistogramPoints::new(self.0))?;
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
        points(&mut SummaryPoints::new(self.0))?;
        self.0.writer.close(data);
        Ok(())
    }
}
