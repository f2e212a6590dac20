//! Merging histograms of explicit bounds.
//!
//! A bucket between two bounds that both histograms have is the sum of their buckets in between, exactly. So histograms
//! are merged on the bounds they share; equal bounds, which nearly all have, lose nothing. One without buckets leaves the
//! others' out: where its values lie nobody knows.

use super::point::{Member, of_all, read_fixed64s};
use crate::wire::{Fields, Malformed, Value, Writer};

#[derive(Debug, Default)]
struct Histogram {
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
}

impl Histogram {
    fn read(point: &[u8]) -> Result<Self, Malformed> {
        let mut histogram = Self::default();
        let mut bounds = Vec::new();
        for field in Fields::of(point) {
            let field = field?;
            match (field.number, field.value) {
                (4, Value::Fixed64(count)) => histogram.count = count,
                (5, Value::Fixed64(bits)) => histogram.sum = Some(f64::from_bits(bits)),
                (6, counts) => read_fixed64s(&mut histogram.counts, counts)?,
                (7, values) => read_fixed64s(&mut bounds, values)?,
                (11, Value::Fixed64(bits)) => histogram.min = Some(f64::from_bits(bits)),
                (12, Value::Fixed64(bits)) => histogram.max = Some(f64::from_bits(bits)),
                _ => {}
            }
        }
        histogram.bounds = bounds.into_iter().map(f64::from_bits).collect();
        Ok(histogram)
    }

    /// Whether its buckets are what they should be: one more than there are bounds, which increase.
    fn has_buckets(&self) -> bool {
        self.counts.len() == self.bounds.len() + 1 && self.bounds.is_sorted_by(|a, b| a < b)
    }

    /// Counts between these bounds, all of which are among its own, added to `counts`.
    fn add_to(&self, counts: &mut [u64], bounds: &[f64]) {
        let mut bucket = 0;
        for (index, count) in self.counts.iter().enumerate() {
            if let Some(sum) = counts.get_mut(bucket) {
                *sum = sum.saturating_add(*count);
            }
            // The upper bound of this bucket ends one of the merged ones.
            if self.bounds.get(index).is_some_and(|upper| bounds.get(bucket) == Some(upper)) {
                bucket += 1;
            }
        }
    }
}

pub(super) fn write(writer: &mut Writer, members: &[&Member<'_>]) -> Result<(), Malformed> {
    let histograms = members.iter().map(|member| Histogram::read(member.content)).collect::<Result<Vec<_>, _>>()?;
    writer.fixed64(4, histograms.iter().fold(0, |count, histogram| count.saturating_add(histogram.count)));
    let sum = of_all(histograms.iter().map(|histogram| histogram.sum), |a, b| a + b);
    let min = of_all(histograms.iter().map(|histogram| histogram.min), f64::min);
    let max = of_all(histograms.iter().map(|histogram| histogram.max), f64::max);
    sum.into_iter().for_each(|sum| writer.double(5, sum));
    if histograms.iter().all(Histogram::has_buckets) {
        let bounds = shared_bounds(&histograms);
        let mut counts = vec![0; bounds.len() + 1];
        histograms.iter().for_each(|histogram| histogram.add_to(&mut counts, &bounds));
        writer.packed_fixed64(6, counts.into_iter());
        writer.packed_fixed64(7, bounds.iter().map(|bound| bound.to_bits()));
    }
    min.into_iter().for_each(|min| writer.double(11, min));
    max.into_iter().for_each(|max| writer.double(12, max));
    Ok(())
}

/// The bounds all of them have.
fn shared_bounds(histograms: &[Histogram]) -> Vec<f64> {
    let Some((first, others)) = histograms.split_first() else { return Vec::new() };
    let mut shared = first.bounds.clone();
    for other in others {
        let has = |bound: &f64| other.bounds.binary_search_by(|candidate| candidate.total_cmp(bound)).is_ok();
        shared.retain(has);
    }
    shared
}
