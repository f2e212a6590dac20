//! A walk over a payload, as deep as a processor looks and no deeper.
//!
//! A cursor stands at every level, so that the walk can rest between two points and go on later. What is not entered is
//! stepped over: at resource level a group costs the same whatever it holds.

use super::Level;
use crate::batch::Signal;
use crate::shape::{MetricKind, item_attributes_field};
use crate::wire::{Fields, Malformed};

/// What the walk comes to, in the order of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// A resource with all that belongs to it.
    Group(&'a [u8]),
    Metric(&'a [u8], MetricKind),
    /// A data point, span or log record, and the field its attributes are.
    Point(&'a [u8], u32),
}

#[derive(Debug)]
pub(super) struct Walk<'a> {
    signal: Signal,
    level: Level,
    groups: Fields<'a>,
    group: Fields<'a>,
    scope: Fields<'a>,
    metric: Fields<'a>,
    data: Fields<'a>,
    attributes_field: u32,
}

const NOTHING: Fields<'static> = Fields::of(&[]);

impl<'a> Walk<'a> {
    pub(super) const fn new(signal: Signal, level: Level, payload: &'a [u8]) -> Self {
        Self {
            signal,
            level,
            groups: Fields::of(payload),
            group: NOTHING,
            scope: NOTHING,
            metric: NOTHING,
            data: NOTHING,
            attributes_field: 0,
        }
    }

    /// The next step, or `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<Step<'a>>, Malformed> {
        loop {
            if let Some(field) = self.data.next().transpose()? {
                if field.number == 1 {
                    return Ok(Some(Step::Point(field.content()?, self.attributes_field)));
                }
            } else if let Some(field) = self.metric.next().transpose()? {
                if let Some(kind) = MetricKind::of_field(field.number) {
                    self.data = Fields::of(field.content()?);
                    self.attributes_field = kind.attributes_field();
                }
            } else if let Some(field) = self.scope.next().transpose()? {
                if field.number == 2
                    && let Some(step) = self.item(field.content()?)?
                {
                    return Ok(Some(step));
                }
            } else if let Some(field) = self.group.next().transpose()? {
                if field.number == 2 {
                    self.scope = Fields::of(field.content()?);
                }
            } else if let Some(field) = self.groups.next().transpose()? {
                if field.number == 1 {
                    let group = field.content()?;
                    if self.enters_groups() {
                        self.group = Fields::of(group);
                    }
                    return Ok(Some(Step::Group(group)));
                }
            } else {
                return Ok(None);
            }
        }
    }

    /// Only metrics have something between the resource and the points.
    const fn enters_groups(&self) -> bool {
        match self.level {
            Level::Resource => false,
            Level::Metric => matches!(self.signal, Signal::Metrics),
            Level::Point => true,
        }
    }

    /// A metric without data holds nothing to look at and is stepped over.
    fn item(&mut self, item: &'a [u8]) -> Result<Option<Step<'a>>, Malformed> {
        if let Some(attributes_field) = item_attributes_field(self.signal) {
            return Ok(Some(Step::Point(item, attributes_field)));
        }
        let kind = MetricKind::of_metric(item)?;
        if self.level == Level::Point && kind.is_some() {
            self.metric = Fields::of(item);
        }
        Ok(kind.map(|kind| Step::Metric(item, kind)))
    }
}
