//! Which finished runs are still to be counted, and which have been.
//!
//! The API lists finished runs by when they *started*, latest first, and only from a given start on; a run that started
//! long ago and has just finished is in no list that is short enough to be read every minute. So there are three ways
//! to find a run that has ended:
//!
//! * the *fresh* list: what started since a little before the latest start known;
//! * the *backlog*: stretches of start times that have not been listed yet, from before the first collection, from an
//!   outage, or because a list broke off. A list that breaks off leaves the stretch below the last run it showed;
//! * asking for it by its id, if it was active, is active no more, and lies in neither.
//!
//! Invariants:
//!
//! * every start time from the reach of the first collection on is listed, in the backlog, or later than the fresh list;
//! * a run is in `seen` as long as a list may show it again, and what is in `seen` is not counted again;
//! * a run that is active, was not before, and had started long ago is being repaired: it was counted when it first
//!   ended. It is followed, so that its trace can be completed, and not counted again.
//!
//! What is remembered grows with the runs of the last [`OVERLAP`], those in the backlog, and those active at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Runs may appear in lists later than they started, and in another order.
const OVERLAP: u64 = 10 * 60 * 1_000;
/// How much further than its ends the first collection looks for starts: a run may take this long and still be found.
const LONGEST: u64 = 24 * 60 * 60 * 1_000;
/// Into how many stretches the first backlog is cut, so that several can be read at the same time.
const STRETCHES: u64 = 24;
/// A start time further in the future than this is not believed.
const MAX_SKEW: u64 = 60 * 60 * 1_000;
/// Bounds on what a workspace can make the ledger remember; real ones are far below.
const MAX_STRETCHES: usize = 1_000;
const MAX_FOLLOWED: usize = 20_000;
const MAX_SEEN: usize = 100_000;
/// A run that cannot be asked for is given up after this many collections: most of a day.
const MAX_TRIES: u16 = 1_000;

/// A stretch of start times, both ends included, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Stretch {
    const fn holds(&self, start: u64) -> bool {
        self.from <= start && start <= self.to
    }
}

/// A run that had not ended when it was last looked at.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Followed {
    /// When it started; 0 if nobody knows.
    start: u64,
    /// It was counted when it ended for the first time.
    counted: bool,
    /// How often it was asked for in vain.
    #[serde(default)]
    tries: u16,
}

/// A run that has ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ended {
    start: u64,
    end: u64,
}

/// What to do about a run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is seen for the first time, and ended since counting began.
    Count,
    /// It was counted before and has been repaired since.
    Repaired,
    /// There is nothing new about it.
    Nothing,
}

/// Times are milliseconds of the workspace's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// What ended before this is not counted.
    began: u64,
    /// The latest start of any run when the active runs were last known completely.
    latest: u64,
    /// Whether the active runs were ever known completely.
    is_following: bool,
    backlog: Vec<Stretch>,
    seen: BTreeMap<i64, Ended>,
    active: BTreeMap<i64, Followed>,
}

impl Ledger {
    /// Begins to count what ended from `lookback` milliseconds ago on.
    pub(crate) fn begin(now: u64, lookback: u64) -> Self {
        let began = now.saturating_sub(lookback);
        // The fresh list reaches back from `latest` by the overlap; the backlog ends where it begins.
        let mut backlog = Vec::new();
        if lookback > 0 {
            let (first, last) = (began.saturating_sub(LONGEST), now.saturating_sub(OVERLAP));
            let width = last.saturating_sub(first).div_ceil(STRETCHES).max(1);
            let mut to = last;
            while to > first {
                let from = to.saturating_sub(width).max(first);
                backlog.push(Stretch { from, to });
                to = from;
            }
        }
        let (seen, active) = (BTreeMap::new(), BTreeMap::new());
        Self { began, latest: now, is_following: false, backlog, seen, active }
    }

    /// From when on what ended is counted.
    pub(crate) const fn began(&self) -> u64 {
        self.began
    }

    /// From which start on finished runs are to be listed in every collection.
    pub(crate) const fn fresh_from(&self) -> u64 {
        self.latest.saturating_sub(OVERLAP)
    }

    /// Whether start times wait to be listed.
    pub(crate) const fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Stretches that wait to be listed, the latest first, `most` at the most.
    pub(crate) fn next_stretches(&self, most: usize) -> Vec<Stretch> {
        self.backlog.iter().copied().take(most).collect()
    }

    /// Notes that a stretch was listed down to `reached`, or to its end.
    pub(crate) fn listed(&mut self, stretch: Stretch, reached: Option<u64>) {
        let Some(index) = self.backlog.iter().position(|known| *known == stretch) else { return };
        match reached {
            Some(to) if to >= stretch.from => {
                if let Some(known) = self.backlog.get_mut(index) {
                    known.to = to.min(stretch.to);
                }
            }
            Some(_) | None => {
                self.backlog.remove(index);
            }
        }
    }

    /// Notes which runs are active, and that these are all. `starts` are theirs; 0 if nobody knows.
    pub(crate) fn follow(&mut self, starts: &BTreeMap<i64, u64>) {
        let fresh_from = self.fresh_from();
        for (id, start) in starts {
            // What waits in the queue may start later than it said.
            if let Some(followed) = self.active.get_mut(id) {
                followed.start = *start;
                continue;
            }
            let had_started = *start > 0 && *start < fresh_from && !self.is_awaited(*start);
            let counted = self.seen.contains_key(id) || (self.is_following && had_started);
            if self.active.len() < MAX_FOLLOWED {
                self.active.insert(*id, Followed { start: *start, counted, tries: 0 });
            }
        }
        self.is_following = true;
    }

    /// Runs that are active no more and will be in no list: they have to be asked for. `starts` as for
    /// [`Self::follow`], after the fresh list was read. Those asked for in vain come last.
    pub(crate) fn missing(&self, starts: &BTreeMap<i64, u64>) -> Vec<i64> {
        let gone = self.active.iter().filter(|(id, _)| !starts.contains_key(id));
        let gone = gone.filter(|(_, followed)| !self.is_awaited(followed.start));
        let mut missing: Vec<(u16, i64)> = gone.map(|(id, followed)| (followed.tries, *id)).collect();
        missing.sort_unstable();
        missing.into_iter().map(|(_, id)| id).collect()
    }

    /// Notes that a run was asked for in vain. Nobody asks for ever.
    pub(crate) fn asked_in_vain(&mut self, id: i64) {
        let Some(followed) = self.active.get_mut(&id) else { return };
        followed.tries = followed.tries.saturating_add(1);
        if followed.tries >= MAX_TRIES {
            self.active.remove(&id);
        }
    }

    /// Whether the backlog will list runs that started then.
    fn is_awaited(&self, start: u64) -> bool {
        self.backlog.iter().any(|stretch| stretch.holds(start))
    }

    /// Whether there is anything new about a run that ended then.
    pub(crate) fn is_news(&self, id: i64, end: u64) -> bool {
        self.seen.get(&id).is_none_or(|ended| end > ended.end)
    }

    /// Judges a run that has ended, and remembers it.
    pub(crate) fn finish(&mut self, id: i64, start: Option<u64>, end: u64) -> Verdict {
        let followed = self.active.remove(&id);
        // A list shows a run by a start it does not tell at most as long as one that started when this one ended.
        let start = start.unwrap_or(end);
        let before = self.seen.insert(id, Ended { start, end });
        match (followed, before) {
            (_, Some(before)) if end > before.end => Verdict::Repaired,
            (_, Some(_)) => Verdict::Nothing,
            (Some(Followed { counted: true, .. }), None) => Verdict::Repaired,
            (Some(_) | None, None) if end >= self.began => Verdict::Count,
            (Some(_) | None, None) => Verdict::Nothing,
        }
    }

    /// Takes a run that has ended for one that has not: it cannot be judged yet and has to be asked for again.
    pub(crate) fn postpone(&mut self, id: i64, start: Option<u64>) {
        let followed = Followed { start: start.unwrap_or_default(), counted: false, tries: 0 };
        if !self.seen.contains_key(&id) {
            self.active.entry(id).or_insert(followed);
        }
    }

    /// Forgets a run that no longer exists.
    pub(crate) fn give_up(&mut self, id: i64) {
        self.active.remove(&id);
    }

    /// Moves the fresh list on to `latest`, the latest start seen, if it was read down to `reached` or to its end. What
    /// it did not reach is left for later.
    pub(crate) fn move_on(&mut self, now: u64, latest: u64, reached: Option<u64>) {
        let from = self.fresh_from();
        if let Some(to) = reached.filter(|to| *to >= from) {
            if self.backlog.len() >= MAX_STRETCHES {
                return;
            }
            self.backlog.insert(0, Stretch { from, to });
        }
        if latest <= now.saturating_add(MAX_SKEW) {
            self.latest = self.latest.max(latest);
        }
    }

    /// Forgets what no list can show again.
    pub(crate) fn settle(&mut self) {
        let fresh = self.fresh_from();
        let backlog = &self.backlog;
        let listable = |start: u64| start >= fresh || backlog.iter().any(|stretch| stretch.holds(start));
        self.seen.retain(|_, ended| listable(ended.start));
        if self.seen.len() > MAX_SEEN {
            let mut ends: Vec<u64> = self.seen.values().map(|ended| ended.end).collect();
            ends.sort_unstable_by(|a, b| b.cmp(a));
            let oldest_kept = ends.get(MAX_SEEN).copied().unwrap_or_default();
            self.seen.retain(|_, ended| ended.end > oldest_kept);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;
    const NOW: u64 = 1_790_000_000_000;

    fn starts(runs: &[(i64, u64)]) -> BTreeMap<i64, u64> {
        runs.iter().copied().collect()
    }

    #[test]
    fn the_first_backlog_covers_every_start_up_to_the_fresh_list() {
        let ledger = Ledger::begin(NOW, DAY);
        assert_eq!(ledger.backlog[0].to, ledger.fresh_from());
        assert!(ledger.backlog.windows(2).all(|pair| pair[0].from == pair[1].to));
        assert_eq!(ledger.backlog.last().unwrap().from, NOW - DAY - LONGEST);
        assert_eq!(ledger.began(), NOW - DAY);
        assert!(!Ledger::begin(NOW, 0).has_backlog());
    }

    #[test]
    fn a_run_is_counted_once_and_only_if_it_ended_since_counting_began() {
        let mut ledger = Ledger::begin(NOW, 0);
        assert_eq!(ledger.finish(1, Some(NOW - MINUTE), NOW - 1), Verdict::Nothing);
        assert_eq!(ledger.finish(2, Some(NOW - MINUTE), NOW), Verdict::Count);
        assert_eq!(ledger.finish(2, Some(NOW - MINUTE), NOW), Verdict::Nothing);
        ledger.settle();
        assert_eq!(ledger.finish(2, Some(NOW - MINUTE), NOW), Verdict::Nothing);
    }

    #[test]
    fn a_run_that_vanishes_is_missing_unless_the_backlog_will_list_it() {
        let mut ledger = Ledger::begin(NOW, DAY);
        ledger.follow(&starts(&[(1, NOW - 60 * MINUTE), (2, NOW - 9 * DAY), (3, 0)]));
        assert_eq!(ledger.missing(&starts(&[(3, 0)])), [2]);
        for stretch in ledger.next_stretches(100) {
            ledger.listed(stretch, None);
        }
        assert_eq!(ledger.missing(&starts(&[(3, 0)])), [1, 2]);
        ledger.give_up(1);
        assert_eq!(ledger.missing(&starts(&[])), [2, 3]);
    }

    #[test]
    fn a_repair_is_followed_and_not_counted_again() {
        let mut ledger = Ledger::begin(NOW, 0);
        ledger.follow(&starts(&[]));
        // Counted a moment ago, or so long ago that it is forgotten.
        assert_eq!(ledger.finish(1, Some(NOW), NOW + MINUTE), Verdict::Count);
        ledger.follow(&starts(&[(1, NOW), (2, NOW - DAY)]));
        assert_eq!(ledger.finish(1, Some(NOW), NOW + 5 * MINUTE), Verdict::Repaired);
        assert_eq!(ledger.finish(2, Some(NOW - DAY), NOW + 5 * MINUTE), Verdict::Repaired);
    }

    #[test]
    fn what_was_active_at_first_is_counted_however_long_ago_it_started() {
        let mut ledger = Ledger::begin(NOW, 0);
        ledger.follow(&starts(&[(1, NOW - 30 * DAY)]));
        ledger.follow(&starts(&[(1, NOW - 30 * DAY)]));
        assert_eq!(ledger.finish(1, Some(NOW - 30 * DAY), NOW + MINUTE), Verdict::Count);
    }

    #[test]
    fn a_fresh_list_that_breaks_off_leaves_the_rest_to_the_backlog() {
        let mut ledger = Ledger::begin(NOW, 0);
        let latest = NOW + 60 * MINUTE;
        ledger.move_on(latest, latest, Some(NOW + 20 * MINUTE));
        let stretch = ledger.next_stretches(9)[0];
        assert_eq!(stretch, Stretch { from: NOW - OVERLAP, to: NOW + 20 * MINUTE });
        ledger.listed(stretch, Some(NOW));
        assert_eq!(ledger.next_stretches(9), [Stretch { from: NOW - OVERLAP, to: NOW }]);
    }

    #[test]
    fn a_run_is_remembered_as_long_as_a_list_may_show_it() {
        let mut ledger = Ledger::begin(NOW, DAY);
        ledger.finish(1, Some(NOW - 60 * MINUTE), NOW);
        ledger.finish(2, Some(NOW + 60 * MINUTE), NOW + 61 * MINUTE);
        ledger.move_on(NOW + 65 * MINUTE, NOW + 60 * MINUTE, None);
        ledger.settle();
        assert_eq!(ledger.seen.len(), 2);
        for stretch in ledger.next_stretches(100) {
            ledger.listed(stretch, None);
        }
        ledger.settle();
        assert_eq!(ledger.seen.keys().copied().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_start_from_the_far_future_moves_nothing() {
        let mut ledger = Ledger::begin(NOW, 0);
        ledger.move_on(NOW, NOW + DAY, None);
        assert_eq!(ledger.fresh_from(), NOW - OVERLAP);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut ledger = Ledger::begin(NOW, 0);
        for n in 0..1_500 {
            ledger.move_on(NOW + n, NOW + n, Some(NOW));
        }
        assert_eq!(ledger.backlog.len(), MAX_STRETCHES);
        let runs: Vec<(i64, u64)> = (0..30_000).map(|id| (id, NOW)).collect();
        ledger.follow(&starts(&runs));
        assert_eq!(ledger.active.len(), MAX_FOLLOWED);
        for n in 0..120_000_u32 {
            ledger.finish(i64::from(n), Some(NOW), NOW + u64::from(n));
        }
        ledger.settle();
        assert_eq!(ledger.seen.len(), MAX_SEEN);
    }
}
