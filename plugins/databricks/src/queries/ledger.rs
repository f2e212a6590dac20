//! Which queries are still to be counted, and which have been.
//!
//! The history lists queries by when they *started*, latest first, and shows a query from its submission on. So there
//! are three ways to find one that has ended:
//!
//! * the *fresh* list: what started since a little before the latest start known;
//! * the *backlog*: stretches of start times that a list did not get to because it broke off;
//! * asking for it by its id, if it was seen before it ended and lies in neither.
//!
//! Invariants:
//!
//! * every start time from the reach of the first collection on is listed, in the backlog, or later than the fresh list;
//! * a query is in `seen` as long as a list may show it again, and what is in `seen` is not counted again;
//! * what a list shows outside of what was asked for is not judged: it may have been forgotten.
//!
//! What is remembered grows with the queries of the last [`OVERLAP`] and of the backlog, up to [`MAX_SEEN`] — beyond
//! that the overlap shrinks, and what the API shows late is missed rather than something else counted twice — and with
//! the queries that run at once, up to [`MAX_UNFINISHED`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::query::Query;
use crate::ids::digest;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
/// Queries may appear in the history later than they started, and in another order.
const OVERLAP: u64 = 5 * MINUTE;
/// If no query starts for long, the fresh list moves on with the time: it reaches back from the last reading this far.
const QUIET: u64 = 30 * MINUTE;
/// How far the first collection looks back for queries that have not ended.
const FIRST: u64 = 10 * MINUTE;
/// The API keeps 30 days, and refuses to list more.
const KEPT: u64 = 29 * DAY;
/// A start further in the future than this is not believed until time has caught up.
const MAX_SKEW: u64 = 60 * MINUTE;
/// A query that does not end within this is no longer asked for.
const PATIENCE: u64 = DAY;
/// Seen queries are kept by their starts, in stretches of this many milliseconds: with their exact starts they would
/// take twice the room in the state.
const BUCKET: u64 = 10_000;
/// Bounds on what a workspace can make the ledger remember: less than half a megabyte, of which the host allows one
/// unless the operator says otherwise.
pub(crate) const MAX_SEEN: usize = 10_000;
const MAX_UNFINISHED: usize = 1_000;
const MAX_STRETCHES: usize = 200;

/// A stretch of start times, both ends included, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Stretch {
    pub(crate) const fn holds(&self, start: u64) -> bool {
        self.from <= start && start <= self.to
    }
}

/// A query that had not ended when it was last looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unfinished {
    /// When it started; 0 if nobody knows.
    #[serde(rename = "b")]
    start: u64,
    #[serde(rename = "n")]
    first_seen: u64,
    #[serde(rename = "l")]
    last_asked: u64,
    #[serde(rename = "w")]
    warehouse: Option<String>,
    #[serde(rename = "s")]
    status: String,
}

/// Times are milliseconds of the workspace's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// What ended before this is not counted.
    began: u64,
    /// The latest start that was listed.
    latest: u64,
    /// When the fresh list was last read.
    listed_at: u64,
    /// Nothing that started before this is listed any more.
    floor: u64,
    /// Apart from one another, the latest first.
    backlog: Vec<Stretch>,
    /// Queries that ended, as hashes of their ids, by their starts.
    seen: BTreeMap<u64, BTreeSet<u64>>,
    unfinished: BTreeMap<String, Unfinished>,
}

impl Ledger {
    /// Begins to count what ends from now on.
    pub(crate) fn begin(now: u64) -> Self {
        let latest = now.saturating_sub(FIRST).saturating_add(OVERLAP);
        let (backlog, seen, unfinished) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { began: now, latest, listed_at: 0, floor: 0, backlog, seen, unfinished }
    }

    /// From when on what ended is counted.
    pub(crate) const fn began(&self) -> u64 {
        self.began
    }

    /// What is to be listed in every reading.
    pub(crate) fn fresh(&self, now: u64) -> Stretch {
        Stretch { from: self.fresh_from().max(now.saturating_sub(KEPT)), to: u64::MAX }
    }

    fn fresh_from(&self) -> u64 {
        self.latest.saturating_sub(OVERLAP).max(self.listed_at.saturating_sub(QUIET)).max(self.floor)
    }

    /// The stretch that is to be listed next, if any waits. What the API keeps no longer is given up.
    pub(crate) fn next_stretch(&mut self, now: u64) -> Option<Stretch> {
        let oldest = self.floor.max(now.saturating_sub(KEPT));
        self.backlog.retain(|stretch| stretch.to >= oldest);
        let next = self.backlog.first_mut()?;
        next.from = next.from.max(oldest);
        Some(*next)
    }

    /// Whether start times wait to be listed.
    pub(crate) const fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether more can be remembered. A reading that goes on for longer leaves the rest for later.
    pub(crate) fn has_room(&self) -> bool {
        self.seen_count() < MAX_SEEN.saturating_mul(2)
    }

    /// Notes that a stretch was listed down to `reached`, or to its end.
    pub(crate) fn listed(&mut self, stretch: Stretch, reached: Option<u64>) {
        let Some(index) = self.backlog.iter().position(|known| *known == stretch) else { return };
        match (reached.map(below), self.backlog.get_mut(index)) {
            (Some(to), Some(known)) if to >= stretch.from => known.to = to.min(stretch.to),
            _ => {
                self.backlog.remove(index);
            }
        }
    }

    /// Moves the fresh list on to `latest`, the latest start it showed, if it was read down to `reached` or to its end.
    /// What it did not reach is left for later.
    pub(crate) fn move_on(&mut self, now: u64, latest: u64, reached: Option<u64>) {
        let from = self.fresh_from();
        if let Some(to) = reached.map(below).filter(|to| *to >= from) {
            let backlog = self.with(Stretch { from, to });
            if backlog.len() > MAX_STRETCHES {
                return;
            }
            self.backlog = backlog;
        }
        // A start in the future would move the list over what starts until then.
        self.latest = self.latest.max(latest.min(now));
        self.listed_at = self.listed_at.max(now);
    }

    /// The backlog and one stretch more. Stretches that overlap become one, which holds nothing that neither held.
    fn with(&self, stretch: Stretch) -> Vec<Stretch> {
        let mut all = self.backlog.clone();
        all.push(stretch);
        all.sort_unstable_by_key(|stretch| core::cmp::Reverse(stretch.to));
        let mut apart: Vec<Stretch> = Vec::new();
        for stretch in all {
            match apart.last_mut().filter(|later| stretch.to >= later.from) {
                Some(later) => later.from = later.from.min(stretch.from),
                None => apart.push(stretch),
            }
        }
        apart
    }

    /// Judges a query that a list of `stretch` shows, or that was asked for by its id: whether it is to be counted.
    pub(crate) fn enter(&mut self, now: u64, query: &Query, id: &str, stretch: Option<Stretch>) -> bool {
        let is_known = self.unfinished.contains_key(id);
        let believable = now.saturating_add(MAX_SKEW);
        let is_listed = stretch
            .is_some_and(|stretch| query.start().is_none_or(|start| stretch.holds(start) && start <= believable));
        if !is_known && !is_listed {
            return false;
        }
        let hash = digest(id);
        if self.seen.values().any(|ids| ids.contains(&hash)) {
            self.unfinished.remove(id);
            if query.start().is_none() {
                // Nobody knows for how long lists will show it.
                self.seen.entry(now / BUCKET).or_default().insert(hash);
            }
            return false;
        }
        if !query.has_ended() {
            self.follow(now, query, id);
            return false;
        }
        self.unfinished.remove(id);
        let end = query.end();
        // A list shows a query by a start it does not tell at most as long as one that started when this one ended.
        let start = query.start().or(end).unwrap_or(now).min(believable);
        self.seen.entry(start / BUCKET).or_default().insert(hash);
        is_known || end.is_none_or(|end| end >= self.began)
    }

    fn follow(&mut self, now: u64, query: &Query, id: &str) {
        let (warehouse, status) = (query.warehouse().map(str::to_owned), query.status().to_owned());
        let start = query.start().unwrap_or_default();
        let has_room = self.unfinished.len() < MAX_UNFINISHED;
        match self.unfinished.get_mut(id) {
            Some(known) => {
                (known.warehouse, known.status, known.start, known.last_asked) = (warehouse, status, start, now);
            }
            None if has_room => {
                let unfinished = Unfinished { start, first_seen: now, last_asked: now, warehouse, status };
                self.unfinished.insert(id.to_owned(), unfinished);
            }
            None => {}
        }
    }

    /// Queries that had not ended, were not `shown`, and will be in no list: those asked for longest ago first, `most`
    /// at the most.
    pub(crate) fn missing(&self, shown: &BTreeSet<String>, most: usize) -> Vec<String> {
        let awaited = |start: u64| self.backlog.iter().any(|stretch| stretch.holds(start));
        let missing = self.unfinished.iter().filter(|(id, query)| !shown.contains(*id) && !awaited(query.start));
        let mut missing: Vec<(u64, &String)> = missing.map(|(id, query)| (query.last_asked, id)).collect();
        missing.sort_unstable();
        missing.into_iter().take(most).map(|(_, id)| id.clone()).collect()
    }

    /// Notes that queries were asked for in vain: they come last the next time.
    pub(crate) fn asked(&mut self, now: u64, ids: &[String]) {
        for id in ids {
            if let Some(query) = self.unfinished.get_mut(id) {
                query.last_asked = now;
            }
        }
    }

    /// Forgets a query the API no longer knows.
    pub(crate) fn give_up(&mut self, id: &str) {
        self.unfinished.remove(id);
    }

    /// The warehouses and statuses of the queries that have not ended.
    pub(crate) fn running(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.unfinished.values().map(|query| (query.warehouse.as_deref(), query.status.as_str()))
    }

    /// Forgets what no list can show again, and what takes too long.
    pub(crate) fn settle(&mut self, now: u64) {
        self.unfinished.retain(|_, query| now.saturating_sub(query.first_seen) <= PATIENCE);
        self.forget();
        while self.seen_count() > MAX_SEEN && self.seen.len() > 1 {
            let Some((bucket, _)) = self.seen.pop_first() else { break };
            self.floor = self.floor.max(bucket.saturating_add(1).saturating_mul(BUCKET));
        }
        self.forget();
    }

    fn forget(&mut self) {
        let (fresh, floor, backlog) = (self.fresh_from(), self.floor, &self.backlog);
        self.seen.retain(|bucket, _| {
            let first = bucket.saturating_mul(BUCKET);
            let last = first.saturating_add(BUCKET.saturating_sub(1));
            let waits = |stretch: &Stretch| first <= stretch.to && stretch.from <= last;
            last >= fresh || (last >= floor && backlog.iter().any(waits))
        });
    }

    fn seen_count(&self) -> usize {
        self.seen.values().map(BTreeSet::len).sum()
    }
}

/// The end of a stretch that holds what started at `reached`, whether the API takes ends as included or not.
const fn below(reached: u64) -> u64 {
    reached.saturating_add(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;
    const ALL: Option<Stretch> = Some(Stretch { from: 0, to: u64::MAX });

    fn query(start: u64, end: Option<u64>) -> Query {
        let status = if end.is_some() { "FINISHED" } else { "RUNNING" };
        let body = json!({ "status": status, "query_start_time_ms": start, "query_end_time_ms": end });
        serde_json::from_value(body).unwrap()
    }

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    #[test]
    fn a_query_is_counted_once_and_only_if_it_ended_since_counting_began() {
        let mut ledger = Ledger::begin(NOW);
        assert!(!ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW - 1)), "a", ALL));
        assert!(ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW)), "b", ALL));
        assert!(!ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW)), "b", ALL));
        ledger.settle(NOW);
        assert!(!ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW)), "b", ALL));
    }

    #[test]
    fn what_was_seen_running_is_counted_and_what_goes_back_to_running_is_not_counted_again() {
        let mut ledger = Ledger::begin(NOW);
        assert!(!ledger.enter(NOW, &query(NOW - MINUTE, None), "a", ALL));
        assert_eq!(ledger.running().count(), 1);
        // Its clock may say that it ended before counting began.
        assert!(ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW - 5)), "a", ALL));
        assert!(!ledger.enter(NOW, &query(NOW - MINUTE, None), "a", ALL));
        assert_eq!(ledger.running().count(), 0);
    }

    #[test]
    fn what_was_not_asked_for_is_not_judged() {
        let mut ledger = Ledger::begin(NOW);
        let asked = Some(ledger.fresh(NOW));
        assert!(!ledger.enter(NOW, &query(NOW - 60 * MINUTE, Some(NOW + 1)), "a", asked));
        assert!(ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW + 1)), "a", asked));
    }

    #[test]
    fn a_query_older_than_the_list_is_asked_for_unless_the_backlog_will_list_it() {
        let mut ledger = Ledger::begin(NOW);
        ledger.enter(NOW, &query(NOW - MINUTE, None), "a", ALL);
        ledger.enter(NOW, &query(NOW + 59 * MINUTE, None), "b", ALL);
        let later = NOW + 60 * MINUTE;
        ledger.move_on(later, later, Some(NOW + MINUTE));
        assert_eq!(ledger.missing(&none(), 9), ["b"]);
        assert_eq!(ledger.missing(&["b".to_owned()].into(), 9), Vec::<String>::new());
        let stretch = ledger.next_stretch(later).unwrap();
        ledger.listed(stretch, None);
        assert_eq!(ledger.missing(&none(), 9), ["a", "b"]);
        ledger.asked(later, &["a".to_owned()]);
        assert_eq!(ledger.missing(&none(), 1), ["b"]);
        ledger.give_up("b");
        assert_eq!(ledger.missing(&none(), 9), ["a"]);
    }

    #[test]
    fn a_list_that_breaks_off_leaves_the_rest_to_the_backlog() {
        let mut ledger = Ledger::begin(NOW);
        let from = ledger.fresh(NOW).from;
        assert_eq!(from, NOW - FIRST);
        let later = NOW + 60 * MINUTE;
        ledger.move_on(later, later, Some(NOW + 20 * MINUTE));
        assert_eq!(ledger.fresh(later).from, later - OVERLAP);
        let stretch = ledger.next_stretch(later).unwrap();
        assert_eq!(stretch, Stretch { from, to: NOW + 20 * MINUTE + 1 });
        ledger.listed(stretch, Some(NOW));
        assert_eq!(ledger.next_stretch(later), Some(Stretch { from, to: NOW + 1 }));
        assert_eq!(ledger.next_stretch(NOW + 40 * DAY), None);
    }

    #[test]
    fn a_query_is_remembered_as_long_as_a_list_may_show_it() {
        let mut ledger = Ledger::begin(NOW);
        ledger.enter(NOW, &query(NOW - MINUTE, Some(NOW)), "a", ALL);
        let later = NOW + 60 * MINUTE;
        ledger.move_on(later, later, Some(NOW));
        ledger.settle(later);
        assert_eq!(ledger.seen_count(), 1);
        let stretch = ledger.next_stretch(later).unwrap();
        ledger.listed(stretch, None);
        ledger.settle(later);
        assert_eq!(ledger.seen_count(), 0);
    }

    #[test]
    fn a_start_in_the_future_moves_the_list_to_now_and_no_further() {
        let mut ledger = Ledger::begin(NOW);
        ledger.move_on(NOW, NOW + DAY, None);
        assert_eq!(ledger.fresh(NOW).from, NOW - OVERLAP);
    }

    #[test]
    fn a_query_from_the_future_is_counted_once_when_time_has_come_near_it() {
        let mut ledger = Ledger::begin(NOW);
        let far = query(NOW + 2 * DAY, Some(NOW + 2 * DAY));
        assert!(!ledger.enter(NOW, &far, "a", ALL));
        assert_eq!(ledger.seen_count(), 0);
        let near = query(NOW + 30 * MINUTE, Some(NOW + 31 * MINUTE));
        let counted = (0..60).filter(|minute| {
            let now = NOW + minute * MINUTE;
            ledger.move_on(now, now, None);
            ledger.settle(now);
            let fresh = Some(ledger.fresh(now));
            ledger.enter(now, &near, "b", fresh)
        });
        assert_eq!(counted.count(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_is_not_listed() {
        let mut ledger = Ledger::begin(NOW);
        for n in 0..15_000_u64 {
            ledger.enter(NOW, &query(NOW - n * 10, Some(NOW)), &n.to_string(), ALL);
        }
        for n in 0..2_000_u64 {
            ledger.enter(NOW, &query(NOW, None), &format!("r{n}"), ALL);
        }
        ledger.settle(NOW);
        assert!(ledger.seen_count() <= MAX_SEEN);
        let size = serde_json::to_string(&ledger).unwrap().len();
        assert!((250_000..500_000).contains(&size), "{size}");
        assert_eq!(ledger.running().count(), MAX_UNFINISHED);
        let asked = ledger.fresh(NOW);
        let again =
            (0..15_000_u64).filter(|n| ledger.enter(NOW, &query(NOW - n * 10, Some(NOW)), &n.to_string(), Some(asked)));
        assert_eq!(again.count(), 0);
        for n in 0..1_500 {
            let now = NOW + n * 20 * MINUTE;
            ledger.move_on(now, now, None);
            ledger.move_on(now + 10 * MINUTE, now + 10 * MINUTE, Some(now + 9 * MINUTE));
        }
        assert_eq!(ledger.backlog.len(), MAX_STRETCHES);
        assert!(ledger.backlog.windows(2).all(|pair| pair[1].to < pair[0].from));
        ledger.settle(NOW + 2 * DAY);
        assert_eq!(ledger.running().count(), 0);
    }
}
