//! What a target had when it was last scraped, so that what vanishes is told to have ended.
//!
//! A series is remembered as its attributes, which series of one page share: their bytes, 8 more for each, and some 40
//! for the entry; with a start to find, 32 more, and its first value. Remembered are at most [`MAX_SERIES`] over all
//! targets of an instance, and nothing outlives the process: a series that vanished while Kiln was not running ends by
//! the backend's own look-back, as it does with Prometheus.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::emit::Point;
use crate::start::Run;
use crate::translate::draft::Kind;
use crate::translate::identity::Identity;
use crate::translate::{Head, ScopeId};

/// Series that are remembered by an instance. Those beyond are sent, and not told to have ended.
pub(crate) const MAX_SERIES: usize = 200_000;

/// Resource and scope.
pub(crate) type Group = (Identity, ScopeId);

/// What of a metric tells its series apart from another's.
type Metric = (String, Kind, String);

/// The series of a target.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    groups: BTreeMap<Group, BTreeMap<Metric, Remembered>>,
    scrape: u64,
}

#[derive(Debug)]
pub(crate) struct Remembered {
    head: Rc<Head>,
    series: BTreeMap<Identity, Trace>,
}

/// What is known of one series.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    scrape: u64,
    /// Whether its end is told.
    ends: bool,
    pub(crate) run: Option<Box<Run>>,
}

/// How many series may still be remembered.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_SERIES)
    }
}

/// Whether a series was there before.
pub(crate) enum Seen<'m> {
    Again(&'m mut Trace),
    New(&'m mut Trace),
    /// There is no room for it.
    Forgotten,
}

impl Memory {
    /// A scrape begins; nothing has been seen yet.
    pub(crate) fn begin(&mut self) {
        self.scrape += 1;
    }

    /// How many series are remembered.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().flat_map(BTreeMap::values).map(|remembered| remembered.series.len()).sum()
    }

    /// The metric with this head.
    pub(crate) fn metric(&mut self, group: &Group, head: &Rc<Head>) -> (&mut Remembered, u64) {
        let metrics = self.groups.entry(group.clone()).or_default();
        let key = (head.name.clone(), head.kind, head.unit.clone());
        let remembered =
            metrics.entry(key).or_insert_with(|| Remembered { head: Rc::clone(head), series: BTreeMap::new() });
        // Its description may be another than before.
        remembered.head = Rc::clone(head);
        (remembered, self.scrape)
    }

    /// Everything that is remembered, in the order in which it is sent.
    pub(crate) fn series(&mut self) -> impl Iterator<Item = (&Group, &Rc<Head>, &Identity, &mut Trace)> {
        self.groups.iter_mut().flat_map(|(group, metrics)| {
            metrics.values_mut().flat_map(move |Remembered { head, series }| {
                let head = &*head;
                series.iter_mut().map(move |(identity, trace)| (group, head, identity, trace))
            })
        })
    }

    /// Forgets what has not been seen since [`Memory::begin`], and says that it has ended.
    pub(crate) fn end_vanished(&mut self, time: u64, room: &mut Room, tell: impl FnMut(&Group, &Rc<Head>, Point)) {
        let scrape = self.scrape;
        self.end(time, room, |trace| trace.scrape != scrape, tell);
    }

    /// Forgets everything, and says that it has ended.
    pub(crate) fn end_all(&mut self, time: u64, room: &mut Room, tell: impl FnMut(&Group, &Rc<Head>, Point)) {
        self.end(time, room, |_| true, tell);
    }

    fn end(
        &mut self,
        time: u64,
        room: &mut Room,
        has_ended: impl Fn(&Trace) -> bool,
        mut tell: impl FnMut(&Group, &Rc<Head>, Point),
    ) {
        for (group, metrics) in &mut self.groups {
            for remembered in metrics.values_mut() {
                let head = &remembered.head;
                remembered.series.retain(|identity, trace| {
                    let has_ended = has_ended(trace);
                    if has_ended {
                        room.0 += 1;
                    }
                    if has_ended && trace.ends {
                        tell(group, head, Point::ended(identity.clone(), time));
                    }
                    !has_ended
                });
            }
            metrics.retain(|_, remembered| !remembered.series.is_empty());
        }
        self.groups.retain(|_, metrics| !metrics.is_empty());
    }
}

impl Remembered {
    /// Notes that a series is there, and whether its end is to be told.
    pub(crate) fn see(&mut self, identity: &Identity, ends: bool, scrape: u64, room: &mut Room) -> Seen<'_> {
        if !self.series.contains_key(identity) {
            if room.0 == 0 {
                return Seen::Forgotten;
            }
            room.0 -= 1;
            return Seen::New(self.series.entry(identity.clone()).or_insert(Trace { scrape, ends, run: None }));
        }
        let Some(trace) = self.series.get_mut(identity) else { return Seen::Forgotten };
        (trace.scrape, trace.ends) = (scrape, ends);
        Seen::Again(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(memory: &mut Memory, series: &[&str], room: &mut Room) -> usize {
        let (group, head) = (Group::default(), Rc::new(Head { name: "a".to_owned(), ..Head::default() }));
        memory.begin();
        let (metric, scrape) = memory.metric(&group, &head);
        let see =
            |name: &&&str| !matches!(metric.see(&Identity::new([("x", **name)]), true, scrape, room), Seen::Forgotten);
        series.iter().filter(see).count()
    }

    #[test]
    fn beyond_the_room_series_are_not_remembered_and_what_ends_makes_room() {
        let (mut memory, mut room) = (Memory::default(), Room(2));
        assert_eq!(seen(&mut memory, &["1", "2", "3"], &mut room), 2);
        let ended = |memory: &mut Memory, time, room: &mut Room| {
            let mut ended = 0;
            memory.end_vanished(time, room, |_, _, _| ended += 1);
            ended
        };
        assert_eq!(ended(&mut memory, 1, &mut room), 0);
        assert_eq!(seen(&mut memory, &["2", "3"], &mut room), 1);
        assert_eq!(ended(&mut memory, 2, &mut room), 1);
        assert_eq!(seen(&mut memory, &["2", "3"], &mut room), 2);
        memory.end_all(3, &mut room, |_, _, _| {});
        assert_eq!(room.0, 2);
    }
}
