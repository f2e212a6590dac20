//! Native histograms: their buckets grow by a constant factor, as those of OTLP's exponential histograms do, or have
//! bounds that are written out.

use kiln_prometheus_text::{NativeBuckets, NativeHistogram};

use crate::translate::histogram::{Buckets, whole};

/// Buckets of one side, gaps included. Gaps cost a target nothing, so their number is limited.
pub(crate) const MAX_BUCKETS: usize = 4_096;

/// An exponential histogram as OTLP has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exponential {
    pub(crate) count: u64,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
}

/// Consecutive buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Side {
    /// Index of the first bucket.
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

impl Exponential {
    /// Nothing has been observed.
    pub(crate) const EMPTY: Self =
        Self { count: 0, scale: 0, zero_count: 0, zero_threshold: 0.0, positive: Side::EMPTY, negative: Side::EMPTY };
}

impl Side {
    const EMPTY: Self = Self { offset: 0, counts: Vec::new() };

    fn total(&self) -> Option<u64> {
        self.counts.iter().try_fold(0_u64, |total, count| total.checked_add(*count))
    }
}

/// Prometheus names a bucket by its upper bound and OTLP by its lower one, hence the offset is one less. `None` for
/// counts that are no whole numbers, too many buckets, and a count of all below that of the buckets. One above, which
/// observations of `NaN` cause, becomes that of the buckets: OTLP has no other place for them.
pub(crate) fn exponential(histogram: &NativeHistogram<'_>) -> Option<Exponential> {
    let side = |buckets| {
        let (first, counts) = dense(buckets)?;
        Some(Side { offset: if counts.is_empty() { 0 } else { first.checked_sub(1)? }, counts })
    };
    let (positive, negative) = (side(histogram.positive)?, side(histogram.negative)?);
    let zero_count = whole(histogram.zero_count)?;
    let count = positive.total()?.checked_add(negative.total()?)?.checked_add(zero_count)?;
    if whole(histogram.count)? < count {
        return None;
    }
    let (scale, zero_threshold) = (histogram.schema, histogram.zero_threshold);
    let finite = zero_threshold.is_finite() && zero_threshold >= 0.0;
    finite.then_some(Exponential { count, scale, zero_count, zero_threshold, positive, negative })
}

/// The same for custom bounds, which make a histogram with explicit buckets.
pub(crate) fn explicit(histogram: &NativeHistogram<'_>) -> Option<Buckets> {
    let bounds: Vec<f64> = histogram.custom_values.iter().collect();
    let increasing = bounds.is_sorted_by(|one, other| one < other) && bounds.iter().all(|bound| bound.is_finite());
    let (first, found) = dense(histogram.positive)?;
    let before = usize::try_from(if found.is_empty() { 0 } else { first }).ok()?;
    if !increasing || bounds.len() > MAX_BUCKETS || before.checked_add(found.len())? > bounds.len() + 1 {
        return None;
    }
    let mut counts = vec![0; before];
    counts.extend(found);
    counts.resize(bounds.len() + 1, 0);
    let count = counts.iter().try_fold(0_u64, |total: u64, count| total.checked_add(*count))?;
    (whole(histogram.count)? >= count).then_some(Buckets { count, bounds, counts })
}

/// The index of the first bucket, and the counts from there on.
fn dense(buckets: NativeBuckets<'_>) -> Option<(i32, Vec<u64>)> {
    let mut counts = Vec::new();
    let mut given = buckets.counts();
    let mut first = 0;
    for (at, span) in buckets.spans().enumerate() {
        if at == 0 {
            first = span.offset;
        } else {
            let gap = usize::try_from(span.offset).ok()?;
            counts.resize(counts.len().checked_add(gap).filter(|length| *length <= MAX_BUCKETS)?, 0);
        }
        for _ in 0..span.length {
            let count = given.next().and_then(|count| whole(kiln_prometheus_text::Value::Float(count)))?;
            counts.push(count);
            if counts.len() > MAX_BUCKETS {
                return None;
            }
        }
    }
    Some((first, counts))
}
