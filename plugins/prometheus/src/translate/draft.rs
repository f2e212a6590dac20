//! A point while its samples come together.

use kiln_plugin::telemetry::borrowed::Quantile;
use kiln_prometheus_text::NativeHistogram;

use crate::page::{Measured, Number};
use crate::series::Series;
use crate::translate::exemplar;
use crate::translate::histogram::Buckets;
use crate::translate::native::{Exponential, explicit, exponential};
use crate::translate::role::Role;
use crate::translate::samples::Samples;

/// Which data a metric has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    #[default]
    Gauge,
    /// A monotonic sum.
    Counter,
    /// A sum that is not monotonic.
    UpDownCounter,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Kind {
    /// Whether counting has a start.
    pub(crate) const fn is_cumulative(self) -> bool {
        matches!(self, Self::Counter | Self::Histogram | Self::ExponentialHistogram | Self::Summary)
    }
}

/// What a point says.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Number(f64),
    Histogram { sum: Option<f64>, buckets: Buckets },
    Exponential { sum: Option<f64>, buckets: Exponential },
    Summary { count: u64, sum: f64, quantiles: Vec<Quantile> },
}

/// Samples of one point, as far as they have been met.
#[derive(Debug, Default)]
pub(crate) struct Draft<'a> {
    pub(crate) samples: Samples,
    /// The samples' own time, if they have one.
    pub(crate) timestamp: Option<u64>,
    /// How many series of Prometheus it is.
    pub(crate) series: u32,
    /// What few points have, in a box of its own.
    rare: Option<Box<Rare<'a>>>,
}

#[derive(Debug, Default)]
struct Rare<'a> {
    exemplars: Vec<exemplar::Exposed<'a>>,
    native: Option<NativeHistogram<'a>>,
}

/// A sample that does not go into its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The page has said this already.
    Repeated,
    /// A part without the label that says which.
    Unplaced,
}

impl<'a> Draft<'a> {
    /// Adds a sample; `part` is the value of `le` or `quantile`.
    pub(crate) fn add(&mut self, role: Role, part: Option<f64>, series: &mut Series<'a>) -> Result<(), Misfit> {
        match &series.value {
            Measured::Number(value) => {
                if role == Role::Created && seconds(value.as_f64()).is_none() {
                    return Err(Misfit::Unplaced);
                }
                self.samples.add(role, part, series.place)?;
            }
            Measured::Histogram(histogram) => put(&mut self.rare.get_or_insert_default().native, **histogram)?,
        }
        self.series += 1;
        self.timestamp = self.timestamp.or(series.timestamp);
        if let Some(exemplar) = series.exemplar.take() {
            self.rare.get_or_insert_default().exemplars.push(*exemplar);
        }
        Ok(())
    }

    pub(crate) fn exemplars(&self) -> &[exemplar::Exposed<'a>] {
        self.rare.as_ref().map_or(&[], |rare| &rare.exemplars)
    }

    /// Whether there is something it should have come to.
    pub(crate) fn says_something(&self) -> bool {
        self.samples.say_something() || self.native().is_some()
    }

    fn native(&self) -> Option<&NativeHistogram<'a>> {
        self.rare.as_ref()?.native.as_ref()
    }

    /// What the samples say together; `None` if that is nothing, or if they contradict each other.
    pub(crate) fn reading(&self, kind: Kind, values: &[Number]) -> Option<Reading> {
        match (kind, self.native()) {
            (Kind::Histogram, Some(native)) => {
                Some(Reading::Histogram { sum: Some(native.sum), buckets: explicit(native)? })
            }
            (Kind::ExponentialHistogram, native) => {
                let native = native?;
                Some(Reading::Exponential { sum: Some(native.sum), buckets: exponential(native)? })
            }
            (kind, _) => self.samples.reading(kind, values),
        }
    }
}

/// Fills a place that is free.
pub(super) fn put<T>(place: &mut Option<T>, value: T) -> Result<(), Misfit> {
    match place {
        Some(_) => Err(Misfit::Repeated),
        None => {
            *place = Some(value);
            Ok(())
        }
    }
}

/// Seconds since the Unix epoch as nanoseconds; `None` if they are no time after it.
pub(crate) fn seconds(seconds: f64) -> Option<u64> {
    let nanos = seconds * 1e9;
    (1.0..18_446_744_073_709_551_616.0).contains(&nanos).then_some(nanos as u64)
}
