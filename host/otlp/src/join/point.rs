//! What points of every kind have in common, and where each kind has it.

use crate::shape::MetricKind;
use crate::wire::{Fields, Malformed, Value};

/// Bit of the flags that says the series has ended.
const NO_RECORDED_VALUE: u64 = 1;

/// Numbers of a point's fields.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) attributes: u32,
    pub(super) exemplars: u32,
    flags: u32,
    /// Whether a field is one whose meaning is known, so that joining takes care of it.
    pub(super) is_known: fn(u32) -> bool,
}

const NUMBER: Layout = Layout { attributes: 7, exemplars: 5, flags: 8, is_known: |field| matches!(field, 2..=8) };
const HISTOGRAM: Layout = Layout { attributes: 9, exemplars: 8, flags: 10, is_known: |field| matches!(field, 2..=12) };
const EXPONENTIAL: Layout =
    Layout { attributes: 1, exemplars: 11, flags: 10, is_known: |field| matches!(field, 1..=14) };

impl Layout {
    pub(super) const fn of(kind: MetricKind) -> Option<&'static Self> {
        match kind {
            MetricKind::Gauge | MetricKind::Sum => Some(&NUMBER),
            MetricKind::Histogram => Some(&HISTOGRAM),
            MetricKind::ExponentialHistogram => Some(&EXPONENTIAL),
            MetricKind::Summary => None,
        }
    }
}

/// One of several points that are alike.
#[derive(Debug)]
pub(super) struct Member<'p> {
    pub(super) content: &'p [u8],
    /// Which series it was of, counted from 0 in the order of arrival.
    pub(super) series: usize,
    pub(super) start: u64,
    pub(super) time: u64,
    pub(super) has_ended: bool,
}

impl<'p> Member<'p> {
    pub(super) fn read(content: &'p [u8], layout: &Layout, series: usize) -> Result<Self, Malformed> {
        let mut member = Self { content, series, start: 0, time: 0, has_ended: false };
        for field in Fields::of(content) {
            let field = field?;
            match (field.number, field.value) {
                (2, Value::Fixed64(start)) => member.start = start,
                (3, Value::Fixed64(time)) => member.time = time,
                (number, Value::Varint(flags)) if number == layout.flags => {
                    member.has_ended = flags & NO_RECORDED_VALUE != 0;
                }
                _ => {}
            }
        }
        Ok(member)
    }
}

/// A double that is there in all, put together; `None` if one of them does not have it.
pub(super) fn of_all(values: impl Iterator<Item = Option<f64>>, join: fn(f64, f64) -> f64) -> Option<f64> {
    let mut joined = None;
    for value in values {
        let value = value?;
        joined = Some(joined.map_or(value, |joined| join(joined, value)));
    }
    joined
}

/// Repeated 64-bit values, packed or not.
pub(super) fn read_fixed64s(list: &mut Vec<u64>, value: Value<'_>) -> Result<(), Malformed> {
    match value {
        Value::Fixed64(value) => list.push(value),
        Value::Bytes(packed) => {
            let (values, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(Malformed);
            }
            list.extend(values.iter().map(|value| u64::from_le_bytes(*value)));
        }
        Value::Varint(_) | Value::Fixed32 => return Err(Malformed),
    }
    Ok(())
}
