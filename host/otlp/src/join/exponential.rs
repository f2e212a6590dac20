//! Merging exponential histograms.
//!
//! Buckets of one scale fall whole into those of the next lower one, so all are brought to the lowest scale among them,
//! and lower still where the buckets would become more than [`MAX_BUCKETS`]. The zero bucket is the widest of all; what
//! lies in it is counted there, and if its threshold lies within a bucket that holds something, it is moved to that
//! bucket's end, as the data model has it.

use super::point::{Member, of_all};
use crate::wire::{Fields, Malformed, Value, Writer};

/// As SDKs have by default. More are written only if one of those that are merged has more.
const MAX_BUCKETS: usize = 160;

#[derive(Clone, Debug, Default)]
struct Buckets {
    /// Index of the first.
    offset: i64,
    counts: Vec<u64>,
}

impl Buckets {
    fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut buckets = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Varint(zigzag)) => buckets.offset = i64::from(signed(zigzag)),
                (2, Value::Varint(count)) => buckets.counts.push(count),
                (2, Value::Bytes(packed)) => Fields::varints(packed, |count| buckets.counts.push(count))?,
                _ => {}
            }
        }
        Ok(buckets)
    }

    /// Index and count of every bucket that holds something.
    fn occupied(&self) -> impl Iterator<Item = (i64, u64)> {
        (self.offset..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// From the first to the last that holds something.
    fn range(&self) -> Option<(i64, i64)> {
        let first = self.occupied().next()?.0;
        Some((first, self.occupied().last()?.0))
    }

    fn add(&mut self, index: i64, count: u64) {
        let slot = usize::try_from(index - self.offset).ok().and_then(|slot| self.counts.get_mut(slot));
        if let Some(slot) = slot {
            *slot = slot.saturating_add(count);
        }
    }

    /// Takes out what lies, at least in part, below the threshold; says how much that was and where the last of it ends.
    fn take_below(&mut self, threshold: f64, scale: i32) -> (u64, f64) {
        let (mut taken, mut end) = (0_u64, threshold);
        let offset = self.offset;
        for (index, count) in (offset..).zip(&mut self.counts) {
            if boundary(index, scale) >= end {
                break;
            }
            if *count > 0 {
                taken = taken.saturating_add(std::mem::take(count));
                end = end.max(boundary(index.saturating_add(1), scale));
            }
        }
        (taken, end)
    }

    fn write(&self, writer: &mut Writer, field: u32) {
        let Some((first, last)) = self.range() else { return };
        let counts = (self.offset..).zip(&self.counts).filter(|(index, _)| (first..=last).contains(index));
        let message = writer.open(field);
        writer.sint32_unless_zero(1, i32::try_from(first).unwrap_or_default());
        writer.packed_varint(2, counts.map(|(_, count)| *count));
        writer.close(message);
    }
}

/// Where the bucket of this index begins.
fn boundary(index: i64, scale: i32) -> f64 {
    (index as f64 * f64::from(scale).exp2().recip()).exp2()
}

#[derive(Debug, Default)]
struct Histogram {
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

impl Histogram {
    fn read(point: &[u8]) -> Result<Self, Malformed> {
        let mut histogram = Self::default();
        for field in Fields::of(point) {
            let field = field?;
            match (field.number, field.value) {
                (4, Value::Fixed64(count)) => histogram.count = count,
                (5, Value::Fixed64(bits)) => histogram.sum = Some(f64::from_bits(bits)),
                (6, Value::Varint(zigzag)) => histogram.scale = signed(zigzag),
                (7, Value::Fixed64(count)) => histogram.zero_count = count,
                (8, Value::Bytes(buckets)) => histogram.positive = Buckets::read(buckets)?,
                (9, Value::Bytes(buckets)) => histogram.negative = Buckets::read(buckets)?,
                (12, Value::Fixed64(bits)) => histogram.min = Some(f64::from_bits(bits)),
                (13, Value::Fixed64(bits)) => histogram.max = Some(f64::from_bits(bits)),
                (14, Value::Fixed64(bits)) => histogram.zero_threshold = f64::from_bits(bits),
                _ => {}
            }
        }
        Ok(histogram)
    }
}

pub(super) fn write(writer: &mut Writer, members: &[&Member<'_>]) -> Result<(), Malformed> {
    let histograms = members.iter().map(|member| Histogram::read(member.content)).collect::<Result<Vec<_>, _>>()?;
    let positive: Vec<_> = histograms.iter().map(|histogram| (histogram.scale, &histogram.positive)).collect();
    let negative: Vec<_> = histograms.iter().map(|histogram| (histogram.scale, &histogram.negative)).collect();
    let mut scale = histograms.iter().map(|histogram| histogram.scale).min().unwrap_or_default();
    scale = fitting_scale(&positive, scale).min(fitting_scale(&negative, scale));
    let mut positive = merge(&positive, scale);
    let mut negative = merge(&negative, scale);
    let mut zero_count = histograms.iter().fold(0_u64, |sum, histogram| sum.saturating_add(histogram.zero_count));
    let threshold = histograms.iter().map(|histogram| histogram.zero_threshold).fold(0.0, f64::max);
    let mut end = threshold;
    if histograms.iter().any(|histogram| histogram.zero_threshold < threshold) {
        loop {
            let before = end;
            for side in [&mut positive, &mut negative] {
                let (taken, now) = side.take_below(end, scale);
                zero_count = zero_count.saturating_add(taken);
                end = now;
            }
            if end <= before {
                break;
            }
        }
    }
    writer.fixed64(4, histograms.iter().fold(0, |count, histogram| count.saturating_add(histogram.count)));
    let sum = of_all(histograms.iter().map(|histogram| histogram.sum), |a, b| a + b);
    let min = of_all(histograms.iter().map(|histogram| histogram.min), f64::min);
    let max = of_all(histograms.iter().map(|histogram| histogram.max), f64::max);
    sum.into_iter().for_each(|sum| writer.double(5, sum));
    writer.sint32_unless_zero(6, scale);
    writer.fixed64_unless_zero(7, zero_count);
    positive.write(writer, 8);
    negative.write(writer, 9);
    min.into_iter().for_each(|min| writer.double(12, min));
    max.into_iter().for_each(|max| writer.double(13, max));
    if end > 0.0 {
        writer.double(14, end);
    }
    Ok(())
}

/// The highest scale, at most `scale`, at which the buckets of all are few enough.
fn fitting_scale(sides: &[(i32, &Buckets)], scale: i32) -> i32 {
    let longest = sides.iter().map(|(_, buckets)| buckets.counts.len()).max().unwrap_or_default();
    let limit = i64::try_from(longest.max(MAX_BUCKETS)).unwrap_or(i64::MAX);
    let Some((mut first, mut last)) = range(sides, scale) else { return scale };
    let mut scale = scale;
    while last - first >= limit {
        first >>= 1;
        last >>= 1;
        scale = scale.saturating_sub(1);
    }
    scale
}

/// From the first to the last bucket that holds something, at this scale.
fn range(sides: &[(i32, &Buckets)], scale: i32) -> Option<(i64, i64)> {
    let ranges = sides.iter().filter_map(|(from, buckets)| {
        let (first, last) = buckets.range()?;
        Some((lowered(first, *from, scale), lowered(last, *from, scale)))
    });
    ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn merge(sides: &[(i32, &Buckets)], scale: i32) -> Buckets {
    let Some((first, last)) = range(sides, scale) else { return Buckets::default() };
    let length = usize::try_from(last - first + 1).unwrap_or_default();
    let mut merged = Buckets { offset: first, counts: vec![0; length] };
    for (from, buckets) in sides {
        buckets.occupied().for_each(|(index, count)| merged.add(lowered(index, *from, scale), count));
    }
    merged
}

/// The bucket at a lower scale that this one is part of.
fn lowered(index: i64, from: i32, to: i32) -> i64 {
    let steps = from.saturating_sub(to).clamp(0, 63);
    index >> steps
}

/// A number as protobuf's `sint32` writes it.
const fn signed(zigzag: u64) -> i32 {
    let zigzag = zigzag as u32;
    (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32)
}
