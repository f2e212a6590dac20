//! The points of metrics, each kind with the rules it has to keep.

use crate::attribute::Attributes;
use crate::encode::{Invalid, Payload};
use crate::point_body::PointBody;
use crate::wire::Writer;

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

/// A point of a histogram. When it has ended, the no-recorded-value flag is written in place of what was counted.
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
    pub no_recorded_value: bool,
}

/// Consecutive buckets, beginning with the one of index `offset`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ExponentialBuckets<'a> {
    pub offset: i32,
    pub counts: &'a [u64],
}

/// A point of an exponential histogram. When it has ended, the no-recorded-value flag is written in place of what was
/// counted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ExponentialHistogramPoint<'a> {
    pub start_time: u64,
    pub time: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: ExponentialBuckets<'a>,
    pub negative: ExponentialBuckets<'a>,
    pub no_recorded_value: bool,
}

/// A point of a summary; quantiles as (quantile, value). When it has ended, the no-recorded-value flag is written in
/// place of what was counted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct SummaryPoint<'a> {
    pub start_time: u64,
    pub time: u64,
    pub count: u64,
    pub sum: f64,
    pub quantiles: &'a [(f64, f64)],
    pub no_recorded_value: bool,
}

/// OTLP's `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

/// What the OpenTelemetry SDKs produce. Beyond 20 a `f64` cannot tell the buckets apart; at -10 one bucket holds all.
const SCALES: std::ops::RangeInclusive<i32> = -10..=20;

/// Writes the points of a gauge or sum.
#[derive(Debug)]
pub struct NumberPoints<'p>(&'p mut Payload);

impl<'p> NumberPoints<'p> {
    pub(crate) const fn new(payload: &'p mut Payload) -> Self {
        Self(payload)
    }

    /// Writes one point.
    ///
    /// # Errors
    /// What the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: NumberPoint,
        body: impl FnOnce(&mut PointBody<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        times(writer, point.start_time, time);
        match point.value {
            Some(Number::Float(value)) => writer.double(4, value),
            Some(Number::Integer(value)) => writer.fixed64(6, value as u64),
            None => writer.varint(8, NO_RECORDED_VALUE),
        }
        body(&mut PointBody::new(self.0, 7, 5, time).ended(point.value.is_none()))?;
        self.0.writer.close(message);
        Ok(self.0.item()?)
    }
}

/// Writes the points of a histogram.
#[derive(Debug)]
pub struct HistogramPoints<'p>(&'p mut Payload);

impl<'p> HistogramPoints<'p> {
    pub(crate) const fn new(payload: &'p mut Payload) -> Self {
        Self(payload)
    }

    /// Writes one point.
    ///
    /// # Errors
    /// Bounds and counts that do not fit, what the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: HistogramPoint<'_>,
        body: impl FnOnce(&mut PointBody<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !point.no_recorded_value {
            check_histogram(&point)?;
        }
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        times(writer, point.start_time, time);
        if point.no_recorded_value {
            writer.varint(10, NO_RECORDED_VALUE);
        } else {
            writer.fixed64(4, point.count);
            optional(writer, 5, point.sum);
            writer.packed_fixed64(6, point.bucket_counts.iter().copied());
            writer.packed_fixed64(7, point.bounds.iter().map(|bound| bound.to_bits()));
            optional(writer, 11, point.min);
            optional(writer, 12, point.max);
        }
        body(&mut PointBody::new(self.0, 9, 8, time).ended(point.no_recorded_value))?;
        self.0.writer.close(message);
        Ok(self.0.item()?)
    }
}

fn check_histogram(point: &HistogramPoint<'_>) -> Result<(), Invalid> {
    let bounds = point.bounds;
    if !bounds.is_sorted_by(|a, b| a < b) || !bounds.iter().all(|bound| bound.is_finite()) {
        return Err(Invalid::Bounds);
    }
    let no_buckets = bounds.is_empty() && point.bucket_counts.is_empty();
    let fits = point.bucket_counts.len() == bounds.len() + 1 && total(point.bucket_counts.iter()) == Some(point.count);
    if no_buckets || fits { Ok(()) } else { Err(Invalid::BucketCounts) }
}

/// Writes the points of an exponential histogram.
#[derive(Debug)]
pub struct ExponentialHistogramPoints<'p>(&'p mut Payload);

impl<'p> ExponentialHistogramPoints<'p> {
    pub(crate) const fn new(payload: &'p mut Payload) -> Self {
        Self(payload)
    }

    /// Writes one point.
    ///
    /// # Errors
    /// A scale or zero threshold out of range, counts that do not add up, what the closure returns, or the payload is
    /// full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: ExponentialHistogramPoint<'_>,
        body: impl FnOnce(&mut PointBody<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !point.no_recorded_value {
            check_exponential_histogram(&point)?;
        }
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        times(writer, point.start_time, time);
        if point.no_recorded_value {
            writer.varint(10, NO_RECORDED_VALUE);
        } else {
            writer.fixed64(4, point.count);
            optional(writer, 5, point.sum);
            writer.sint32_unless_zero(6, point.scale);
            writer.fixed64_unless_zero(7, point.zero_count);
            buckets(writer, 8, point.positive);
            buckets(writer, 9, point.negative);
            optional(writer, 12, point.min);
            optional(writer, 13, point.max);
            if point.zero_threshold > 0.0 {
                writer.double(14, point.zero_threshold);
            }
        }
        body(&mut PointBody::new(self.0, 1, 11, time).ended(point.no_recorded_value))?;
        self.0.writer.close(message);
        Ok(self.0.item()?)
    }
}

fn check_exponential_histogram(point: &ExponentialHistogramPoint<'_>) -> Result<(), Invalid> {
    if !SCALES.contains(&point.scale) {
        return Err(Invalid::Scale);
    }
    if !(point.zero_threshold.is_finite() && point.zero_threshold >= 0.0) {
        return Err(Invalid::ZeroThreshold);
    }
    let indexed = |buckets: ExponentialBuckets<'_>| {
        let after_last = i32::try_from(buckets.counts.len()).ok().and_then(|count| buckets.offset.checked_add(count));
        after_last.is_some()
    };
    let counts = point.positive.counts.iter().chain(point.negative.counts).chain([&point.zero_count]);
    if indexed(point.positive) && indexed(point.negative) && total(counts) == Some(point.count) {
        Ok(())
    } else {
        Err(Invalid::ExponentialBuckets)
    }
}

fn buckets(writer: &mut Writer, field: u32, buckets: ExponentialBuckets<'_>) {
    if buckets.counts.is_empty() {
        return;
    }
    let message = writer.open(field);
    writer.sint32_unless_zero(1, buckets.offset);
    writer.packed_varint(2, buckets.counts.iter().copied());
    writer.close(message);
}

/// Writes the points of a summary.
#[derive(Debug)]
pub struct SummaryPoints<'p>(&'p mut Payload);

impl<'p> SummaryPoints<'p> {
    pub(crate) const fn new(payload: &'p mut Payload) -> Self {
        Self(payload)
    }

    /// Writes one point.
    ///
    /// # Errors
    /// A quantile out of range, what the closure returns, or the payload is full.
    pub fn point<E: From<Invalid>>(
        &mut self,
        point: SummaryPoint<'_>,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let in_range = |quantile: &f64| (0.0..=1.0).contains(quantile);
        if !point.no_recorded_value && !point.quantiles.iter().all(|(quantile, _)| in_range(quantile)) {
            return Err(Invalid::Quantile.into());
        }
        let time = self.0.stamp(point.time);
        let writer = &mut self.0.writer;
        let message = writer.open(1);
        times(writer, point.start_time, time);
        if point.no_recorded_value {
            writer.varint(8, NO_RECORDED_VALUE);
        } else {
            writer.fixed64(4, point.count);
            writer.double(5, point.sum);
            for (quantile, value) in point.quantiles {
                let pair = writer.open(6);
                writer.double(1, *quantile);
                writer.double(2, *value);
                writer.close(pair);
            }
        }
        attributes(&mut Attributes::new(writer, 7))?;
        writer.close(message);
        Ok(self.0.item()?)
    }
}

fn times(writer: &mut Writer, start: u64, time: u64) {
    writer.fixed64_unless_zero(2, start);
    writer.fixed64(3, time);
}

fn optional(writer: &mut Writer, field: u32, value: Option<f64>) {
    if let Some(value) = value {
        writer.double(field, value);
    }
}

fn total<'a>(counts: impl IntoIterator<Item = &'a u64>) -> Option<u64> {
    counts.into_iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))
}
