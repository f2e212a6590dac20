//! Writing a batch anew, with its edits.
//!
//! One walk, counting resources, metrics and points as the views did. A message nothing of which has changed is taken over
//! as it stood, so that what no edit names survives byte for byte; only what encloses a change is written again.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::attributes::write_attributes;
use super::{Changes, EditError, Edits, MetricChange, PointChange};
use crate::batch::{Batch, Signal};
use crate::join::Joining;
use crate::shape::{MetricKind, count_points, item_attributes_field};
use crate::wire::{Field, Fields, Malformed, Writer};

pub(super) fn apply(edits: &Edits, batch: &Batch) -> Result<Batch, EditError> {
    // Edits are few beside what they leave as it is.
    let writer = Writer::with_capacity(batch.payload.len() + batch.payload.len() / 16);
    let mut rewrite = Rewrite { edits, signal: batch.signal, writer, at: Counts::default(), gone: 0 };
    for field in Fields::of(&batch.payload) {
        let field = field?;
        if field.number == 1 {
            rewrite.group(field)?;
        } else {
            rewrite.writer.raw(field.raw);
        }
    }
    let items = batch.items.saturating_sub(rewrite.gone);
    Ok(Batch { payload: Bytes::from(rewrite.writer.into_bytes()), signal: batch.signal, items })
}

/// How many came before.
#[derive(Default)]
struct Counts {
    resources: usize,
    metrics: usize,
    points: usize,
}

struct Rewrite<'e> {
    edits: &'e Edits,
    signal: Signal,
    writer: Writer,
    at: Counts,
    /// Items that are not in the batch any more.
    gone: usize,
}

/// What writing a message came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    AsItStood,
    Changed,
    /// It had something in it and has nothing any more.
    Emptied,
}

/// What became of the parts of a message that make it worth having.
#[derive(Default)]
struct Parts {
    left: usize,
    changed: bool,
}

impl Parts {
    fn note(&mut self, written: Written) {
        self.left += usize::from(written != Written::Emptied);
        self.changed |= written != Written::AsItStood;
    }

    const fn outcome(&self) -> Written {
        match (self.changed, self.left) {
            (false, _) => Written::AsItStood,
            (true, 0) => Written::Emptied,
            (true, _) => Written::Changed,
        }
    }
}

impl Rewrite<'_> {
    /// Writes a message with what `fields` makes of its content; takes it back where nothing has changed or nothing is
    /// left.
    fn message(
        &mut self,
        field: Field<'_>,
        fields: impl FnOnce(&mut Self, &[u8]) -> Result<Written, EditError>,
    ) -> Result<Written, EditError> {
        let start = self.writer.len();
        let message = self.writer.open(field.number);
        let written = fields(self, field.content()?)?;
        match written {
            Written::Changed => self.writer.close(message),
            Written::AsItStood => {
                self.writer.truncate(start);
                self.writer.raw(field.raw);
            }
            Written::Emptied => self.writer.truncate(start),
        }
        Ok(written)
    }

    fn group(&mut self, field: Field<'_>) -> Result<(), EditError> {
        let edits = self.edits;
        let changes = edits.resources.get(&self.at.resources);
        self.at.resources += 1;
        let deeper = !edits.metrics.is_empty() || !edits.points.is_empty();
        if changes.is_none() && !deeper {
            self.writer.raw(field.raw);
            return Ok(());
        }
        self.message(field, |rewrite, group| {
            let mut scopes = Parts::default();
            let mut pending = changes;
            for field in Fields::of(group) {
                let field = field?;
                match (field.number, pending) {
                    (1, Some(changes)) => {
                        pending = None;
                        rewrite.resource(field.content()?, changes)?;
                    }
                    (2, _) if deeper => scopes.note(rewrite.scope(field)?),
                    _ => rewrite.writer.raw(field.raw),
                }
            }
            if let Some(changes) = pending {
                rewrite.resource(&[], changes)?;
            }
            Ok(match scopes.outcome() {
                Written::AsItStood if changes.is_some() => Written::Changed,
                written => written,
            })
        })?;
        Ok(())
    }

    fn resource(&mut self, resource: &[u8], changes: &Changes) -> Result<(), EditError> {
        let message = self.writer.open(1);
        write_attributes(&mut self.writer, resource, 1, changes, &BTreeSet::new())?;
        self.writer.close(message);
        Ok(())
    }

    fn scope(&mut self, field: Field<'_>) -> Result<Written, EditError> {
        self.message(field, |rewrite, scope| {
            let mut items = Parts::default();
            for field in Fields::of(scope) {
                let field = field?;
                if field.number == 2 {
                    items.note(rewrite.item(field)?);
                } else {
                    rewrite.writer.raw(field.raw);
                }
            }
            Ok(items.outcome())
        })
    }

    fn item(&mut self, field: Field<'_>) -> Result<Written, EditError> {
        match item_attributes_field(self.signal) {
            Some(attributes_field) => self.point(field, attributes_field),
            None => self.metric(field),
        }
    }

    fn metric(&mut self, field: Field<'_>) -> Result<Written, EditError> {
        let metric = field.content()?;
        if MetricKind::of_metric(metric)?.is_none() {
            self.writer.raw(field.raw);
            return Ok(Written::AsItStood);
        }
        let edits = self.edits;
        let change = edits.metrics.get(&self.at.metrics);
        self.at.metrics += 1;
        if change.is_some_and(|change| change.dropped) {
            let points = count_points(metric)?;
            self.at.points += points;
            self.gone += points;
            return Ok(Written::Emptied);
        }
        if change.is_none() {
            // Counting is for those whose points are named.
            let points = if edits.points.is_empty() { 0 } else { count_points(metric)? };
            if edits.points.range(self.at.points..self.at.points + points).next().is_none() {
                self.at.points += points;
                self.writer.raw(field.raw);
                return Ok(Written::AsItStood);
            }
        }
        self.message(field, |rewrite, metric| rewrite.metric_fields(metric, change))
    }

    fn metric_fields(&mut self, metric: &[u8], change: Option<&MetricChange>) -> Result<Written, EditError> {
        let mut data = Parts::default();
        let mut name = change.and_then(|change| change.name.as_deref());
        let renamed = name.is_some();
        for field in Fields::of(metric) {
            let field = field?;
            match (field.number, name) {
                (1, Some(new)) => {
                    name = None;
                    self.writer.text(1, new);
                }
                (1, None) if renamed => {}
                (number, _) => match MetricKind::of_field(number) {
                    Some(kind) => data.note(self.data(field, kind, metric, change)?),
                    None => self.writer.raw(field.raw),
                },
            }
        }
        if let Some(name) = name {
            self.writer.text(1, name);
        }
        Ok(match data.outcome() {
            Written::AsItStood if renamed => Written::Changed,
            written => written,
        })
    }

    fn data(
        &mut self,
        field: Field<'_>,
        kind: MetricKind,
        metric: &[u8],
        change: Option<&MetricChange>,
    ) -> Result<Written, EditError> {
        let Some(aggregation) = change.and_then(|change| change.aggregation.as_ref()) else {
            return self.message(field, |rewrite, data| {
                let mut points = Parts::default();
                for field in Fields::of(data) {
                    let field = field?;
                    if field.number == 1 {
                        points.note(rewrite.point(field, kind.attributes_field())?);
                    } else {
                        rewrite.writer.raw(field.raw);
                    }
                }
                Ok(points.outcome())
            });
        };
        self.message(field, |rewrite, data| {
            let joining = Joining::new(kind, aggregation);
            let mut joining = joining.ok_or_else(|| EditError::Summary(name_of(metric)))?;
            let mut total = 0;
            for field in Fields::of(data) {
                let field = field?;
                if field.number != 1 {
                    joining.note(field);
                    rewrite.writer.raw(field.raw);
                    continue;
                }
                total += 1;
                rewrite.collect(field.content()?, kind, &aggregation.without, &mut joining)?;
            }
            let left = joining.write(&mut rewrite.writer)?;
            rewrite.gone += total - left.points;
            Ok(match left.points {
                0 if total > 0 => Written::Emptied,
                _ if left.changed || left.points != total => Written::Changed,
                _ => Written::AsItStood,
            })
        })
    }

    /// Hands a point over to be joined, with its attributes as they are to be.
    fn collect<'d>(
        &mut self,
        point: &'d [u8],
        kind: MetricKind,
        without: &BTreeSet<String>,
        joining: &mut Joining<'d, '_>,
    ) -> Result<(), EditError> {
        let edits = self.edits;
        let change = edits.points.get(&self.at.points);
        self.at.points += 1;
        let no_changes = Changes::new();
        let changes = match change {
            Some(PointChange::Drop) => return Ok(()),
            Some(PointChange::Attributes(changes)) => changes,
            None => &no_changes,
        };
        let mut writer = Writer::default();
        write_attributes(&mut writer, point, kind.attributes_field(), changes, without)?;
        joining.add(point, writer.into_bytes());
        Ok(())
    }

    /// A data point, span or log record on its own.
    fn point(&mut self, field: Field<'_>, attributes_field: u32) -> Result<Written, EditError> {
        let edits = self.edits;
        let change = edits.points.get(&self.at.points);
        self.at.points += 1;
        match change {
            None => {
                self.writer.raw(field.raw);
                Ok(Written::AsItStood)
            }
            Some(PointChange::Drop) => {
                self.gone += 1;
                Ok(Written::Emptied)
            }
            Some(PointChange::Attributes(changes)) => self.message(field, |rewrite, point| {
                write_attributes(&mut rewrite.writer, point, attributes_field, changes, &BTreeSet::new())?;
                Ok(Written::Changed)
            }),
        }
    }
}

/// For people.
fn name_of(metric: &[u8]) -> String {
    let name = Fields::of(metric).filter_map(Result::ok).find(|field| field.number == 1);
    let name = name.ok_or(Malformed).and_then(|name| name.content());
    name.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}
