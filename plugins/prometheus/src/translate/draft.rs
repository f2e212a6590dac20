//! A point while its samples come together.

use kiln_prometheus_text::NativeHistogram;

use crate::page::{Measured, Number};
use crate::series::Series;
use crate::translate::exemplar;
use crate::translate::histogram::{Buckets, buckets, whole};
use crate::translate::native::{Exponential, explicit, exponential};
use crate::translate::role::Role;

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
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    Number(f64),
    Histogram { sum: Option<f64>, buckets: Buckets },
    Exponential { sum: Option<f64>, buckets: Exponential },
    Summary { count: u64, sum: f64, quantiles: Vec<(f64, f64)> },
}

/// Samples of one point, as far as they have been met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft<'a> {
    /// The samples' own time, if they have one.
    pub(crate) timestamp: Option<u64>,
    /// When counting began, if the page says.
    pub(crate) created: Option<u64>,
    /// How many series of Prometheus it is.
    pub(crate) series: u32,
    pub(crate) exemplars: Vec<exemplar::Exposed<'a>>,
    value: Option<Number>,
    sum: Option<f64>,
    count: Option<Number>,
    parts: Vec<(f64, Number)>,
    native: Option<Box<NativeHistogram<'a>>>,
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
        let value = match &series.value {
            Measured::Number(value) => *value,
            Measured::Histogram(histogram) => {
                put(&mut self.native, histogram.clone())?;
                self.met(series);
                return Ok(());
            }
        };
        match role {
            Role::Value => put(&mut self.value, value)?,
            Role::Sum => put(&mut self.sum, value.as_f64())?,
            Role::Count => put(&mut self.count, value)?,
            Role::Created => put(&mut self.created, seconds(value.as_f64()).ok_or(Misfit::Unplaced)?)?,
            Role::Bucket | Role::Quantile => {
                let part = part.ok_or(Misfit::Unplaced)?;
                if self.parts.last().is_some_and(|(last, _)| part <= *last)
                    && self.parts.iter().any(|(found, _)| *found == part)
                {
                    return Err(Misfit::Repeated);
                }
                self.parts.push((part, value));
            }
            Role::Dropped => return Err(Misfit::Unplaced),
        }
        self.met(series);
        Ok(())
    }

    fn met(&mut self, series: &mut Series<'a>) {
        self.series += 1;
        self.timestamp = self.timestamp.or(series.timestamp);
        self.exemplars.extend(series.exemplar.take().map(|exemplar| *exemplar));
    }

    /// Whether there is something it should have come to.
    pub(crate) const fn says_something(&self) -> bool {
        self.value.is_some()
            || self.sum.is_some()
            || self.count.is_some()
            || !self.parts.is_empty()
            || self.native.is_some()
    }

    /// What the samples say together; `None` if that is nothing, or if they contradict each other.
    pub(crate) fn reading(&self, kind: Kind) -> Option<Reading> {
        match kind {
            Kind::Gauge | Kind::Counter | Kind::UpDownCounter => Some(Reading::Number(self.value?.as_f64())),
            Kind::Histogram => match &self.native {
                Some(native) => Some(Reading::Histogram { sum: Some(native.sum), buckets: explicit(native)? }),
                None => Some(Reading::Histogram { sum: self.sum, buckets: buckets(&self.parts, self.count?)? }),
            },
            Kind::ExponentialHistogram => {
                let native = self.native.as_ref()?;
                Some(Reading::Exponential { sum: Some(native.sum), buckets: exponential(native)? })
            }
            Kind::Summary => {
                let in_range = |(quantile, _): &&(f64, Number)| (0.0..=1.0).contains(quantile);
                let mut quantiles: Vec<(f64, f64)> =
                    self.parts.iter().filter(in_range).map(|(quantile, value)| (*quantile, value.as_f64())).collect();
                quantiles.sort_by(|(one, _), (other, _)| one.total_cmp(other));
                let count = whole(self.count?)?;
                Some(Reading::Summary { count, sum: self.sum.unwrap_or(0.0), quantiles })
            }
        }
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), Misfit> {
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
