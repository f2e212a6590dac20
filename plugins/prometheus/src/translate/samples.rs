//! Which samples of a page make a point, by their places among the samples of the page.

use kiln_plugin::telemetry::borrowed::Quantile;

use crate::page::Number;
use crate::translate::draft::{Kind, Misfit, Reading, put, seconds};
use crate::translate::histogram::{buckets, whole};
use crate::translate::role::Role;

/// The samples of a point. Nearly all points are one number, which takes no memory of its own.
#[derive(Debug, Default)]
pub(crate) enum Samples {
    #[default]
    None,
    Value(u32),
    Several(Box<Several>),
}

/// More than a value: the samples of a histogram or a summary, or a counter and its start.
#[derive(Debug, Default)]
pub(crate) struct Several {
    value: Option<u32>,
    sum: Option<u32>,
    count: Option<u32>,
    created: Option<u32>,
    /// By the value of `le` or `quantile`.
    parts: Vec<(f64, u32)>,
}

impl Samples {
    /// Adds the sample at `place`; `part` is the value of `le` or `quantile`.
    pub(super) fn add(&mut self, role: Role, part: Option<f64>, place: u32) -> Result<(), Misfit> {
        if let (Role::Value, Self::None) = (role, &*self) {
            *self = Self::Value(place);
            return Ok(());
        }
        let mut several = match std::mem::take(self) {
            Self::Several(several) => several,
            Self::Value(value) => Box::new(Several { value: Some(value), ..Several::default() }),
            Self::None => Box::default(),
        };
        let added = several.add(role, part, place);
        *self = Self::Several(several);
        added
    }

    /// Whether it takes more than one number.
    pub(crate) const fn are_several(&self) -> bool {
        matches!(self, Self::Several(_))
    }

    /// Whether there is more than the start of counting.
    pub(super) fn say_something(&self) -> bool {
        match self {
            Self::None => false,
            Self::Value(_) => true,
            Self::Several(several) => {
                several.value.is_some() || several.sum.is_some() || several.count.is_some() || !several.parts.is_empty()
            }
        }
    }

    /// When counting began, if the page says.
    pub(crate) fn created(&self, values: &[Number]) -> Option<u64> {
        match self {
            Self::Several(several) => seconds(number(several.created, values)?.as_f64()),
            Self::None | Self::Value(_) => None,
        }
    }

    /// What the samples say together; `None` if that is nothing, or if they contradict each other.
    pub(crate) fn reading(&self, kind: Kind, values: &[Number]) -> Option<Reading> {
        let several = match self {
            Self::None => return None,
            Self::Value(place) => return if is_number(kind) { value(Some(*place), values) } else { None },
            Self::Several(several) => several,
        };
        let parts = || several.parts.iter().filter_map(|(part, place)| Some((*part, number(Some(*place), values)?)));
        match kind {
            Kind::Gauge | Kind::Counter | Kind::UpDownCounter => value(several.value, values),
            Kind::Histogram => {
                let sum = number(several.sum, values).map(Number::as_f64);
                let buckets = buckets(&parts().collect::<Vec<_>>(), number(several.count, values)?)?;
                Some(Reading::Histogram { sum, buckets })
            }
            Kind::ExponentialHistogram => None,
            Kind::Summary => {
                let mut quantiles: Vec<Quantile> = parts()
                    .filter(|(quantile, _)| (0.0..=1.0).contains(quantile))
                    .map(|(quantile, value)| Quantile { quantile, value: value.as_f64() })
                    .collect();
                quantiles.sort_by(|one, other| one.quantile.total_cmp(&other.quantile));
                let count = whole(number(several.count, values)?)?;
                Some(Reading::Summary {
                    count,
                    sum: number(several.sum, values).map_or(0.0, Number::as_f64),
                    quantiles,
                })
            }
        }
    }
}

impl Several {
    fn add(&mut self, role: Role, part: Option<f64>, place: u32) -> Result<(), Misfit> {
        let single = match role {
            Role::Value => &mut self.value,
            Role::Sum => &mut self.sum,
            Role::Count => &mut self.count,
            Role::Created => &mut self.created,
            Role::Bucket | Role::Quantile => {
                let part = part.ok_or(Misfit::Unplaced)?;
                let is_out_of_order = self.parts.last().is_some_and(|(last, _)| part <= *last);
                if is_out_of_order && self.parts.iter().any(|(found, _)| *found == part) {
                    return Err(Misfit::Repeated);
                }
                self.parts.push((part, place));
                return Ok(());
            }
            Role::Dropped => return Err(Misfit::Unplaced),
        };
        put(single, place)
    }
}

const fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Gauge | Kind::Counter | Kind::UpDownCounter)
}

fn value(place: Option<u32>, values: &[Number]) -> Option<Reading> {
    Some(Reading::Number(number(place, values)?.as_f64()))
}

fn number(place: Option<u32>, values: &[Number]) -> Option<Number> {
    values.get(place? as usize).copied()
}
