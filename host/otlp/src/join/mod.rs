//! Points of one metric that have become alike, joined into one: the arithmetic of `aggregate`.
//!
//! Two points are alike when they have the same attributes, in any order. What tells them apart beforehand, their
//! attributes as they arrived, is their *series*:
//!
//! - Points that are alike and of one series are left as they are: nothing was summed away between them.
//! - Where several series meet there is one point afterwards. A delta counts every point. Of a gauge or a cumulative
//!   value each series counts once, with its latest point: two points of one counter are not two counters. A series that
//!   has ended (no recorded value) counts no more.
//! - Sums add; they stay integers while they fit. Histograms merge on the bounds all of them have, which is exact.
//!   Exponential histograms merge at the scale of the coarsest. A gauge does what the aggregation says.
//! - The start is the earliest that is set, the time the latest. The other fields are those of the first point, unknown
//!   ones included, and exemplars of all are kept up to a bound.

mod exponential;
mod histogram;
mod number;
mod point;

use std::collections::HashMap;

use crate::attribute::key_value;
use crate::edit::Aggregation;
use crate::point_body::MAX_EXEMPLARS;
use crate::shape::MetricKind;
use crate::wire::{Field, Fields, Malformed, Value, Writer};
use point::{Layout, Member};

/// The points of a metric on their way to be joined. `'d` is the payload.
#[derive(Debug)]
pub(crate) struct Joining<'d, 'a> {
    kind: MetricKind,
    layout: &'static Layout,
    aggregation: &'a Aggregation,
    delta: bool,
    points: Vec<Candidate<'d>>,
}

#[derive(Debug)]
struct Candidate<'d> {
    /// As it arrived.
    original: &'d [u8],
    /// With its attributes changed.
    content: Vec<u8>,
}

/// Points that are alike.
enum Group<'p> {
    OneSeries,
    Several(Vec<Member<'p>>),
    /// Several, which have become one.
    Written,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    pub(crate) points: usize,
    /// Whether any is not as it arrived.
    pub(crate) changed: bool,
}

/// The attributes of a point, sorted: what makes points alike.
type Identity<'p> = Vec<(&'p str, &'p [u8])>;

impl<'d, 'a> Joining<'d, 'a> {
    /// `None` for summaries, which nobody can join.
    pub(crate) const fn new(kind: MetricKind, aggregation: &'a Aggregation) -> Option<Self> {
        match Layout::of(kind) {
            Some(layout) => Some(Self { kind, layout, aggregation, delta: false, points: Vec::new() }),
            None => None,
        }
    }

    /// A field of the metric's data beside its points. What does not say that it is a delta is taken for cumulative,
    /// which counts nothing twice.
    pub(crate) fn note(&mut self, field: Field<'_>) {
        if let (2, Value::Varint(temporality)) = (field.number, field.value) {
            self.delta = temporality == 1;
        }
    }

    /// A point as it arrived, and as it is to be.
    pub(crate) fn add(&mut self, original: &'d [u8], content: Vec<u8>) {
        self.points.push(Candidate { original, content });
    }

    /// Writes what is left in the order of arrival; what was joined is where the first of it was.
    pub(crate) fn write(&self, writer: &mut Writer) -> Result<Left, Malformed> {
        let mut groups: Vec<Vec<&Candidate<'d>>> = Vec::new();
        let mut places: HashMap<Identity<'_>, usize> = HashMap::new();
        let mut place_of_each = Vec::with_capacity(self.points.len());
        for candidate in &self.points {
            let place = *places.entry(self.identity(&candidate.content)?).or_insert(groups.len());
            place_of_each.push(place);
            match groups.get_mut(place) {
                Some(group) => group.push(candidate),
                None => groups.push(vec![candidate]),
            }
        }
        let mut groups = groups.iter().map(|group| self.group(group)).collect::<Result<Vec<_>, _>>()?;
        let mut left = Left::default();
        for (candidate, place) in self.points.iter().zip(place_of_each) {
            let Some(group) = groups.get_mut(place) else { continue };
            match std::mem::replace(group, Group::Written) {
                Group::OneSeries => {
                    *group = Group::OneSeries;
                    writer.bytes(1, &candidate.content);
                    left.changed |= candidate.content != candidate.original;
                }
                Group::Several(members) => {
                    self.write_joined(writer, &members)?;
                    left.changed = true;
                }
                Group::Written => continue,
            }
            left.points += 1;
        }
        Ok(left)
    }

    fn identity<'p>(&self, point: &'p [u8]) -> Result<Identity<'p>, Malformed> {
        let mut identity = Identity::new();
        for field in Fields::of(point) {
            let field = field?;
            if field.number == self.layout.attributes {
                identity.push(key_value(field.content()?)?);
            }
        }
        identity.sort_unstable();
        Ok(identity)
    }

    fn group<'p>(&self, alike: &'p [&Candidate<'d>]) -> Result<Group<'p>, Malformed> {
        if alike.len() == 1 {
            return Ok(Group::OneSeries);
        }
        let members = self.members(alike)?;
        let several = members.iter().any(|member| member.series > 0);
        Ok(if several { Group::Several(members) } else { Group::OneSeries })
    }

    /// Points that are alike, each with the number of its series.
    fn members<'p>(&self, group: &'p [&Candidate<'d>]) -> Result<Vec<Member<'p>>, Malformed> {
        let mut series: HashMap<Identity<'_>, usize> = HashMap::new();
        let mut members = Vec::with_capacity(group.len());
        for candidate in group {
            let next = series.len();
            let series = *series.entry(self.identity(candidate.original)?).or_insert(next);
            members.push(Member::read(&candidate.content, self.layout, series)?);
        }
        Ok(members)
    }

    /// Those that count.
    fn counting<'m, 'p>(&self, members: &'m [Member<'p>]) -> Vec<&'m Member<'p>> {
        if self.delta && self.kind != MetricKind::Gauge {
            return members.iter().filter(|member| !member.has_ended).collect();
        }
        let mut latest: HashMap<usize, usize> = HashMap::new();
        for (index, member) in members.iter().enumerate() {
            let best = latest.entry(member.series).or_insert(index);
            if members.get(*best).is_some_and(|best| best.time <= member.time) {
                *best = index;
            }
        }
        let is_latest = |index: usize, member: &Member<'_>| latest.get(&member.series) == Some(&index);
        let counts = |(index, member): &(usize, &Member<'_>)| is_latest(*index, member) && !member.has_ended;
        members.iter().enumerate().filter(counts).map(|(_, member)| member).collect()
    }

    fn write_joined(&self, writer: &mut Writer, members: &[Member<'_>]) -> Result<(), Malformed> {
        let counting = self.counting(members);
        let Some(first) = counting.first() else {
            // All have ended, and so has what they were joined into.
            if let Some(last) = members.iter().max_by_key(|member| member.time) {
                writer.bytes(1, last.content);
            }
            return Ok(());
        };
        let Layout { attributes, exemplars, is_known, .. } = self.layout;
        let message = writer.open(1);
        for field in Fields::of(first.content) {
            let field = field?;
            if field.number == *attributes || !is_known(field.number) {
                writer.raw(field.raw);
            }
        }
        let start = counting.iter().map(|member| member.start).filter(|start| *start != 0).min();
        writer.fixed64_unless_zero(2, start.unwrap_or_default());
        writer.fixed64_unless_zero(3, counting.iter().map(|member| member.time).max().unwrap_or_default());
        match self.kind {
            MetricKind::Gauge => number::write_gauge(writer, &counting, self.aggregation.gauges)?,
            MetricKind::Sum => number::write_sum(writer, &counting)?,
            MetricKind::Histogram => histogram::write(writer, &counting)?,
            MetricKind::ExponentialHistogram => exponential::write(writer, &counting)?,
            // Not made, see `new`.
            MetricKind::Summary => {}
        }
        let mut room = MAX_EXEMPLARS;
        for member in &counting {
            for field in Fields::of(member.content) {
                let field = field?;
                if field.number == *exemplars && room > 0 {
                    room -= 1;
                    writer.raw(field.raw);
                }
            }
        }
        writer.close(message);
        Ok(())
    }
}
