//! A histogram accumulated over many collections.
//!
//! The bounds are part of the type, so values counted under one metric cannot be emitted under another. They are also
//! part of the stored form: a histogram written by a version of the plugin with other bounds is refused when it is
//! read back, because its counts would be wrong in silence.

use core::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::prelude::*;
use crate::telemetry::{Attribute, HistogramPoint};
use crate::time::UnixNanos;

/// The upper bounds of a metric's buckets. `manifest!` implements it for each histogram in a manifest.
pub trait Bounds {
    /// Finite and strictly increasing; one more bucket follows the last.
    const BOUNDS: &'static [f64];
}

/// Counts of values, in the buckets `B` describes, with the smallest and the largest of them.
#[derive(Debug)]
pub struct Histogram<B> {
    counts: Vec<u64>,
    sum: f64,
    extremes: Option<(f64, f64)>,
    bounds: PhantomData<B>,
}

impl<B: Bounds> Histogram<B> {
    /// No values yet.
    #[must_use]
    pub fn new() -> Self {
        let counts = vec![0; B::BOUNDS.len().saturating_add(1)];
        Self { counts, sum: 0.0, extremes: None, bounds: PhantomData }
    }

    /// Counts a value, in the metric's unit. What is not a finite number is not a measurement and is left out.
    pub fn record(&mut self, value: f64) {
        let sum = self.sum + value;
        let bucket = B::BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket).filter(|_| sum.is_finite()) {
            *count = count.saturating_add(1);
            self.sum = sum;
            let (min, max) = self.extremes.unwrap_or((value, value));
            self.extremes = Some((min.min(value), max.max(value)));
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// The sum of the values.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn point(&self, start: UnixNanos, attributes: Vec<Attribute>) -> HistogramPoint {
        HistogramPoint {
            attributes,
            start_time: start.as_nanos(),
            time: 0,
            count: self.count(),
            sum: Some(self.sum),
            min: self.extremes.map(|(min, _)| min),
            max: self.extremes.map(|(_, max)| max),
            bounds: B::BOUNDS.to_vec(),
            bucket_counts: self.counts.clone(),
            exemplars: Vec::new(),
            no_recorded_value: false,
        }
    }
}

impl<B: Bounds> Default for Histogram<B> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is stored: a list rather than an object, because state holds one histogram per series and names would be half
/// of it. Bits rather than decimals: a sum that is parsed back one unit in the last place lower would look like a reset.
#[derive(Serialize, Deserialize)]
struct Stored(
    /// Which bounds the counts belong to.
    u32,
    /// The sum.
    u64,
    /// The smallest and the largest value.
    Option<(u64, u64)>,
    /// The counts, without the empty buckets at the end.
    Vec<u64>,
);

/// FNV-1a over the bits: the bounds themselves would be larger than the counts.
fn fingerprint(bounds: &[f64]) -> u32 {
    let hash = |hash: u64, bound: &f64| (hash ^ bound.to_bits()).wrapping_mul(0x100_0000_01b3);
    let folded = bounds.iter().fold(0xcbf2_9ce4_8422_2325, hash);
    u32::try_from((folded >> 32) ^ (folded & 0xffff_ffff)).unwrap_or_default()
}

impl<B: Bounds> Serialize for Histogram<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let used = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last.saturating_add(1));
        let counts = self.counts.get(..used).unwrap_or_default().to_vec();
        let extremes = self.extremes.map(|(min, max)| (min.to_bits(), max.to_bits()));
        Stored(fingerprint(B::BOUNDS), self.sum.to_bits(), extremes, counts).serialize(serializer)
    }
}

impl<'de, B: Bounds> Deserialize<'de> for Histogram<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored(bounds, sum, extremes, mut counts) = Stored::deserialize(deserializer)?;
        let sum = f64::from_bits(sum);
        let extremes = extremes.map(|(min, max)| (f64::from_bits(min), f64::from_bits(max)));
        let buckets = B::BOUNDS.len().saturating_add(1);
        if bounds != fingerprint(B::BOUNDS) || counts.len() > buckets {
            return Err(D::Error::custom("the histogram was stored with other bounds"));
        }
        let ordered = |(min, max): (f64, f64)| min.is_finite() && max.is_finite() && min <= max;
        if !sum.is_finite() || !extremes.is_none_or(ordered) {
            return Err(D::Error::custom("the histogram's sum or extremes are no numbers"));
        }
        counts.resize(buckets, 0);
        Ok(Self { counts, sum, extremes, bounds: PhantomData })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Seconds;

    impl Bounds for Seconds {
        const BOUNDS: &'static [f64] = &[1.0, 10.0];
    }

    #[derive(Debug)]
    struct Others;

    impl Bounds for Others {
        const BOUNDS: &'static [f64] = &[1.0, 11.0];
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut histogram = Histogram::<Seconds>::new();
        for value in [0.5, 1.0, 1.5, 10.0, 10.5] {
            histogram.record(value);
        }
        assert_eq!(histogram.point(UnixNanos::from_nanos(7), Vec::new()).bucket_counts, [2, 2, 1]);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn the_smallest_and_the_largest_value_are_kept() {
        let mut histogram = Histogram::<Seconds>::new();
        let point = |histogram: &Histogram<Seconds>| histogram.point(UnixNanos::from_nanos(7), Vec::new());
        assert_eq!((point(&histogram).min, point(&histogram).max), (None, None));
        [3.0, 0.5, 40.0].into_iter().for_each(|value| histogram.record(value));
        assert_eq!((point(&histogram).min, point(&histogram).max), (Some(0.5), Some(40.0)));
    }

    #[test]
    fn what_is_no_number_is_not_counted() {
        let mut histogram = Histogram::<Seconds>::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            histogram.record(value);
        }
        assert_eq!((histogram.count(), histogram.sum()), (0, 0.0));
    }

    #[test]
    fn counts_stored_under_other_bounds_are_refused() {
        let stored = serde_json::to_string(&Histogram::<Seconds>::new()).unwrap();
        assert!(serde_json::from_str::<Histogram<Seconds>>(&stored).is_ok());
        let error = serde_json::from_str::<Histogram<Others>>(&stored).unwrap_err();
        assert!(error.to_string().contains("other bounds"), "{error}");
    }

    proptest! {
        #[test]
        fn storing_changes_nothing(values in proptest::collection::vec(any::<f64>(), 0..50)) {
            let mut histogram = Histogram::<Seconds>::new();
            values.into_iter().filter(|value| value.abs() < 1e300).for_each(|value| histogram.record(value));
            let stored = serde_json::to_string(&histogram).unwrap();
            let restored: Histogram<Seconds> = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(restored.sum().to_bits(), histogram.sum().to_bits());
            prop_assert_eq!(restored.extremes, histogram.extremes);
            prop_assert_eq!(restored.counts, histogram.counts);
        }
    }
}
