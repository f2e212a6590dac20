//! Which updates of which pipelines are still to be counted, and which have been.
//!
//! The list of pipelines shows the latest few updates of each, the newest first, without saying when they ended. If all
//! of those are new there may be more than it shows, and if one that had not ended is missing it has been pushed out:
//! then the pipeline has a *gap*, which its own list of updates closes.
//!
//! Invariants:
//!
//! * an update is known, with how it was, for as long as the list shows it or it has not ended;
//! * what is forgotten was created at the `floor` or before, and what ended with an unknown id from then is not counted;
//! * while there is a gap nothing is forgotten, so the floor stays below what the gap hides;
//! * an update that was seen before it ended is counted when it has, whenever it was created.
//!
//! What is remembered grows with the pipelines, up to [`MAX_PIPELINES`], and with what the list shows of each — or, in a
//! gap, what was read of it, up to [`MAX_UPDATES`] in all: beyond that gaps are given up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::api::lenient;
use crate::ids::{digest, is_id};

/// For how long a pipeline is remembered that is in the list no more, in milliseconds.
const REMEMBERED: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Bounds on what a workspace can make the memory hold: half a megabyte, of which the host allows one unless the operator
/// says otherwise. Updates of further pipelines are not counted.
pub(crate) const MAX_PIPELINES: usize = 2_000;
const MAX_UPDATES: usize = 8_000;

/// An update as the lists show it (databricks-sdk, `pipelines.UpdateStateInfo` and `pipelines.UpdateInfo`).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Update {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) update_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) state: Option<String>,
    /// In milliseconds.
    #[serde(default, rename = "creation_time", deserialize_with = "kiln_plugin::moment::deserialize")]
    pub(crate) created: Option<u64>,
}

impl Update {
    pub(crate) fn id(&self) -> Option<&str> {
        self.update_id.as_deref().filter(|id| is_id(id))
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<&'static str> {
        ["COMPLETED", "FAILED", "CANCELED"].into_iter().find(|end| self.state.as_deref() == Some(end))
    }
}

/// All pipelines, by the digests of their ids. Times are milliseconds of the workspace's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Updates {
    /// The floor of pipelines that appear from now on.
    base: u64,
    pipelines: BTreeMap<u64, Known>,
}

/// What is known of a pipeline. The names are short because state holds thousands of these.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    #[serde(rename = "f")]
    floor: u64,
    #[serde(rename = "s")]
    last_seen: u64,
    /// Updates created since then may be missing.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    gap: Option<u64>,
    #[serde(rename = "u")]
    updates: BTreeMap<u64, Entry>,
}

/// When an update was created — 0 if nobody knows — and whether it has ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry(u64, bool);

impl Updates {
    /// Begins to count what is created from now on, or has not ended yet.
    pub(crate) const fn begin(now: u64) -> Self {
        Self { base: now.saturating_sub(1), pipelines: BTreeMap::new() }
    }

    /// Enters the updates the list shows of a pipeline. Gives those that are to be counted.
    pub(crate) fn enter(&mut self, now: u64, pipeline: &str, shown: &[Update], is_first: bool) -> Vec<Update> {
        let key = digest(pipeline);
        // Of a pipeline that was never updated there is nothing to remember.
        if !self.pipelines.contains_key(&key) && (shown.is_empty() || !self.make_room(now)) {
            return Vec::new();
        }
        let floor = self.base;
        let fresh = || Known { floor, last_seen: now, gap: None, updates: BTreeMap::new() };
        let known = self.pipelines.entry(key).or_insert_with(fresh);
        known.last_seen = now;
        if !is_first {
            known.look_for_gap(shown);
        }
        let counted: Vec<Update> = shown.iter().filter(|update| known.judge(update, is_first)).cloned().collect();
        if known.gap.is_none() {
            let shown: BTreeSet<u64> = shown.iter().filter_map(Update::id).map(digest).collect();
            known.forget(|id, entry| shown.contains(&id) || !entry.1);
        }
        counted
    }

    /// From which creation on updates of a pipeline may be missing, if any may.
    pub(crate) fn gap(&self, pipeline: &str) -> Option<u64> {
        self.pipelines.get(&digest(pipeline))?.gap
    }

    /// Enters an update that a pipeline's own list shows: whether it is to be counted.
    pub(crate) fn fill(&mut self, pipeline: &str, update: &Update) -> bool {
        self.pipelines.get_mut(&digest(pipeline)).is_some_and(|known| known.judge(update, false))
    }

    /// Notes that nothing is missing any more, where `found` are all that were looked at; or that it cannot be had.
    pub(crate) fn close(&mut self, pipeline: &str, found: &BTreeSet<String>) {
        let Some(known) = self.pipelines.get_mut(&digest(pipeline)) else { return };
        known.gap = None;
        // What had not ended and is nowhere to be found is no more. What has ended is forgotten when the list is next read.
        let found: BTreeSet<u64> = found.iter().map(|id| digest(id)).collect();
        known.updates.retain(|id, entry| entry.1 || found.contains(id));
    }

    /// Whether a pipeline is remembered.
    pub(crate) fn remembers(&self, pipeline: &str) -> bool {
        self.pipelines.contains_key(&digest(pipeline))
    }

    /// Forgets pipelines that are long gone, and bounds the rest.
    pub(crate) fn settle(&mut self, now: u64) {
        let mut base = self.base;
        self.pipelines.retain(|_, known| {
            let is_here = now.saturating_sub(known.last_seen) <= REMEMBERED;
            if !is_here {
                base = base.max(known.newest());
            }
            is_here
        });
        self.base = base;
        let count =
            |pipelines: &BTreeMap<u64, Known>| pipelines.values().map(|known| known.updates.len()).sum::<usize>();
        while count(&self.pipelines) > MAX_UPDATES {
            let Some(largest) = self.pipelines.values_mut().max_by_key(|known| known.updates.len()) else { return };
            largest.gap = None;
            largest.forget(|_, _| false);
        }
    }

    /// Drops a pipeline that is in the list no more, if there are too many. Should it come back, none of its updates may
    /// seem new: from now on nothing that old is.
    fn make_room(&mut self, now: u64) -> bool {
        if self.pipelines.len() < MAX_PIPELINES {
            return true;
        }
        let gone = self.pipelines.iter().filter(|(_, known)| known.last_seen < now);
        let Some(key) = gone.min_by_key(|(_, known)| known.last_seen).map(|(key, _)| *key) else { return false };
        if let Some(known) = self.pipelines.remove(&key) {
            self.base = self.base.max(known.newest());
        }
        true
    }
}

impl Known {
    /// Compares what the list shows with what is known.
    fn look_for_gap(&mut self, shown: &[Update]) {
        let ids: BTreeSet<u64> = shown.iter().filter_map(Update::id).map(digest).collect();
        let is_new = |update: &Update| update.created.is_none_or(|created| created > self.floor);
        let all_new = ids.iter().all(|id| !self.updates.contains_key(id)) && shown.iter().all(is_new);
        let missing = self.updates.iter().filter(|(id, entry)| !entry.1 && !ids.contains(*id));
        let missing = missing.map(|(_, entry)| entry.0).min();
        let since_known = (!ids.is_empty() && all_new).then(|| self.newest());
        self.gap = [self.gap, missing, since_known].into_iter().flatten().min();
    }

    /// The creation of the newest update known.
    fn newest(&self) -> u64 {
        self.updates.values().map(|entry| entry.0).fold(self.floor, u64::max)
    }

    /// Whether an update has ended and was not counted before.
    fn judge(&mut self, update: &Update, is_first: bool) -> bool {
        let Some(id) = update.id().map(digest) else { return false };
        let has_ended = update.end().is_some();
        if let Some(entry) = self.updates.get_mut(&id) {
            let is_news = has_ended && !entry.1;
            entry.1 |= has_ended;
            return is_news;
        }
        let is_old = update.created.map_or(is_first, |created| created <= self.floor);
        if update.created.is_none() || !(is_old && has_ended) {
            self.updates.insert(id, Entry(update.created.unwrap_or_default(), has_ended));
        }
        has_ended && !is_old
    }

    fn forget(&mut self, keep: impl Fn(u64, &Entry) -> bool) {
        let mut floor = self.floor;
        self.updates.retain(|id, entry| {
            let is_kept = keep(*id, entry);
            if !is_kept {
                floor = floor.max(entry.0);
            }
            is_kept
        });
        self.floor = floor;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn update(id: u64, state: &str, created: u64) -> Update {
        let created = Some(created).filter(|created| *created > 0);
        Update { update_id: Some(format!("u{id}")), state: Some(state.to_owned()), created }
    }

    fn ids(updates: &[Update]) -> Vec<&str> {
        updates.iter().filter_map(Update::id).collect()
    }

    /// The first collection shows one update that runs.
    fn begun() -> Updates {
        let mut updates = Updates::begin(NOW);
        let shown = [update(2, "RUNNING", NOW - 5), update(1, "FAILED", NOW - 9)];
        assert_eq!(ids(&updates.enter(NOW, "p", &shown, true)), Vec::<&str>::new());
        updates
    }

    #[test]
    fn an_update_is_counted_once_when_it_ends_and_not_if_it_ended_before_the_first_collection() {
        let mut updates = begun();
        let shown = [update(3, "COMPLETED", NOW + 5), update(2, "CANCELED", NOW - 5), update(1, "FAILED", NOW - 9)];
        assert_eq!(ids(&updates.enter(NOW + 9, "p", &shown, false)), ["u3", "u2"]);
        assert_eq!(updates.enter(NOW + 9, "p", &shown, false).len(), 0);
        assert_eq!(updates.gap("p"), None);
    }

    #[test]
    fn what_is_pushed_out_of_the_list_is_forgotten_and_not_counted_if_it_comes_back() {
        let mut updates = begun();
        let shown = |ids: core::ops::Range<u64>| -> Vec<Update> {
            ids.rev().map(|id| update(id, "COMPLETED", NOW + id)).collect()
        };
        updates.enter(NOW, "p", &[update(2, "COMPLETED", NOW - 5)], false);
        assert_eq!(
            updates.enter(NOW, "p", &[shown(3..5), vec![update(2, "COMPLETED", NOW - 5)]].concat(), false).len(),
            2
        );
        assert_eq!(updates.enter(NOW, "p", &shown(4..7), false).len(), 2);
        assert_eq!(updates.enter(NOW, "p", &shown(3..7), false).len(), 0);
        assert_eq!(updates.pipelines[&digest("p")].updates.len(), 3);
    }

    #[test]
    fn a_list_of_which_all_is_new_has_a_gap_below_it() {
        let mut updates = begun();
        updates.enter(NOW, "p", &[update(2, "COMPLETED", NOW - 5)], false);
        let shown = [update(9, "COMPLETED", NOW + 9), update(8, "COMPLETED", NOW + 8)];
        assert_eq!(updates.enter(NOW + 9, "p", &shown, false).len(), 2);
        assert_eq!(updates.gap("p"), Some(NOW - 1));
        // It stays until it is closed, and nothing is forgotten before.
        let shown = [update(10, "COMPLETED", NOW + 10), update(9, "COMPLETED", NOW + 9)];
        assert_eq!(updates.enter(NOW + 10, "p", &shown, false).len(), 1);
        assert_eq!(updates.gap("p"), Some(NOW - 1));
        let filled = (2..=10).rev().filter(|id| updates.fill("p", &update(*id, "FAILED", NOW + id)));
        assert_eq!(filled.count(), 5);
        updates.close("p", &BTreeSet::new());
        assert_eq!(updates.gap("p"), None);
        updates.enter(NOW + 10, "p", &shown, false);
        assert_eq!((updates.gap("p"), updates.pipelines[&digest("p")].updates.len()), (None, 2));
    }

    #[test]
    fn an_update_that_had_not_ended_and_is_not_shown_is_looked_for() {
        let mut updates = begun();
        updates.enter(NOW + 9, "p", &[update(3, "RUNNING", NOW + 5), update(2, "COMPLETED", NOW - 5)], false);
        let shown = [update(5, "COMPLETED", NOW + 8), update(4, "COMPLETED", NOW + 7)];
        updates.enter(NOW + 9, "p", &shown, false);
        assert_eq!(updates.gap("p"), Some(NOW + 5));
        updates.close("p", &["u5".to_owned(), "u4".to_owned()].into());
        updates.enter(NOW + 9, "p", &shown, false);
        assert_eq!(updates.gap("p"), None);
    }

    #[test]
    fn a_pipeline_that_appears_later_is_counted_from_the_first_collection_on() {
        let mut updates = begun();
        let shown = [update(12, "COMPLETED", NOW + 1), update(11, "COMPLETED", NOW - 1)];
        assert_eq!(ids(&updates.enter(NOW + 9, "q", &shown, false)), ["u12"]);
        assert_eq!(updates.gap("q"), None);
        updates.enter(NOW + 9, "r", &[update(13, "COMPLETED", NOW + 1)], false);
        assert_eq!(updates.gap("r"), Some(NOW - 1));
        updates.enter(NOW + 9, "s", &[], false);
        assert_eq!(updates.gap("s"), None);
    }

    #[test]
    fn updates_without_a_time_are_new_unless_they_are_the_first_to_be_seen() {
        let mut updates = Updates::begin(NOW);
        assert_eq!(updates.enter(NOW, "p", &[update(1, "COMPLETED", 0)], true).len(), 0);
        let shown = [update(2, "COMPLETED", 0), update(1, "COMPLETED", 0)];
        assert_eq!(ids(&updates.enter(NOW, "p", &shown, false)), ["u2"]);
        assert_eq!(updates.enter(NOW, "p", &shown, false).len(), 0);
    }

    #[test]
    fn a_pipeline_that_comes_back_is_not_counted_again() {
        let mut updates = begun();
        let shown = [update(3, "COMPLETED", NOW + 5), update(2, "COMPLETED", NOW - 5)];
        assert_eq!(updates.enter(NOW + 9, "p", &shown, false).len(), 2);
        updates.settle(NOW + REMEMBERED);
        assert!(updates.remembers("p"));
        assert_eq!(updates.enter(NOW + REMEMBERED, "p", &shown, false).len(), 0);
        updates.settle(NOW + 3 * REMEMBERED);
        assert!(!updates.remembers("p"));
        assert_eq!(updates.enter(NOW + 3 * REMEMBERED, "p", &shown, false).len(), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut updates = begun();
        let shown = [update(3, "COMPLETED", NOW + 5), update(2, "COMPLETED", NOW - 5)];
        updates.enter(NOW + 1, "p", &shown, false);
        for n in 0..3_000 {
            updates.enter(NOW + 2, &n.to_string(), &[update(n, "COMPLETED", NOW + 5)], false);
        }
        assert_eq!(updates.pipelines.len(), MAX_PIPELINES);
        assert!(!updates.remembers("p"));
        let many: Vec<Update> = (0..50_000).map(|id| update(id, "RUNNING", NOW + 9 + id)).collect();
        updates.enter(NOW + 3, "1", &many, false);
        updates.settle(NOW + 3);
        let total: usize = updates.pipelines.values().map(|known| known.updates.len()).sum();
        assert!(total <= MAX_UPDATES);
        for n in 0..2_000_u64 {
            let shown: Vec<Update> = (0..4).map(|id| update(4 * n + id, "RUNNING", NOW + 5)).collect();
            updates.enter(NOW + 4, &n.to_string(), &shown, false);
        }
        updates.settle(NOW + 4);
        let size = serde_json::to_string(&updates).unwrap().len();
        assert!((300_000..550_000).contains(&size), "{size}");
        assert_eq!(updates.enter(NOW + 4, "p", &shown, false).len(), 0);
    }
}
