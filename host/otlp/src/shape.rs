//! Where the items of a payload are, and which of their fields is which.
//!
//! The three request types are alike down to the items: field 1 repeats a group, whose field 1 is the resource and whose
//! field 2 repeats scopes; field 2 of a scope repeats metrics, spans or log records. A metric is the one with a level
//! below it: its data, whose field 1 repeats points.

use crate::batch::Signal;
use crate::wire::{Fields, Malformed};

/// What a metric is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MetricKind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl MetricKind {
    /// The kind whose data is this field of a metric.
    pub(crate) const fn of_field(number: u32) -> Option<Self> {
        match number {
            5 => Some(Self::Gauge),
            7 => Some(Self::Sum),
            9 => Some(Self::Histogram),
            10 => Some(Self::ExponentialHistogram),
            11 => Some(Self::Summary),
            _ => None,
        }
    }

    /// The kind of an encoded metric; `None` if it has no data at all.
    pub(crate) fn of_metric(metric: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut kind = None;
        for field in Fields::of(metric) {
            // Of several the last holds.
            kind = Self::of_field(field?.number).or(kind);
        }
        Ok(kind)
    }

    /// The field that repeats the attributes of a point.
    pub(crate) const fn attributes_field(self) -> u32 {
        match self {
            Self::Gauge | Self::Sum | Self::Summary => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 1,
        }
    }
}

/// The field that repeats the attributes of a span or of a log record; metrics have none of their own.
pub(crate) const fn item_attributes_field(signal: Signal) -> Option<u32> {
    match signal {
        Signal::Metrics => None,
        Signal::Traces => Some(9),
        Signal::Logs => Some(6),
    }
}

/// How many points an encoded metric has.
pub(crate) fn count_points(metric: &[u8]) -> Result<usize, Malformed> {
    let mut points = 0;
    for field in Fields::of(metric) {
        let field = field?;
        if MetricKind::of_field(field.number).is_some() {
            for point in Fields::of(field.content()?) {
                points += usize::from(point?.number == 1);
            }
        }
    }
    Ok(points)
}
