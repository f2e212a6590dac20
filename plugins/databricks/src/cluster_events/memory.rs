//! Which events of which clusters have been told, and whose are to be read next.
//!
//! A workspace has hundreds of clusters and the API a request for each, so the events of a cluster are read when it
//! looks different in the list — another state, another size, there, gone — and otherwise once in [`ROTATION`].
//!
//! Invariants:
//!
//! * a cluster is remembered for as long as its end was not told, or for a week: what it told last is where it goes on;
//! * nothing from before the first collection is told.
//!
//! What is remembered grows with the clusters that are up and those that ended within an hour, up to [`MAX_CLUSTERS`].
//! [`Told`] bounds what is remembered of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::told::{GONE, Told, UNREAD};
use crate::attributes::clip;
use crate::clusters::Cluster;
use crate::ids::{digest, is_id};

const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// How often the events of a cluster are read that looks as it did.
const ROTATION: u64 = 10 * MINUTE;
/// How often those of a cluster are read that has gone and whose end was not told, and for how long after the first time.
const FAREWELL: u64 = MINUTE;
const MOURNING: u64 = HOUR;
/// A cluster's first events may be a little older than the start it says it had.
const BEFORE_START: u64 = 5 * MINUTE;
/// Bounds on what a workspace can make the memory hold: half a megabyte where little happens within a minute, of which
/// the host allows one unless the operator says otherwise. Events of further clusters are not told.
pub(crate) const MAX_CLUSTERS: usize = 2_000;
/// Bytes of a name at the most.
const MAX_NAME: usize = 256;

/// All clusters. Times are milliseconds of the workspace's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// When the first collection was.
    began: u64,
    clusters: BTreeMap<String, Told>,
}

/// A cluster whose events are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) id: String,
    /// In milliseconds.
    pub(crate) from: u64,
    look: u64,
}

/// In which order clusters are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Changed,
    OnItsWay,
    InTurn,
}

impl Next {
    fn of(id: &str, told: &Told, look: u64) -> Self {
        Self { id: id.to_owned(), from: told.next_from(), look }
    }
}

impl Memory {
    pub(crate) const fn begin(now: u64) -> Self {
        Self { began: now, clusters: BTreeMap::new() }
    }

    /// Compares the list of clusters with what is known, and gives those whose events are to be read, the most urgent
    /// first.
    pub(crate) fn watch(&mut self, now: u64, clusters: &[Cluster]) -> Vec<Next> {
        let is_first = self.began == now && self.clusters.is_empty();
        let listed: BTreeMap<&str, &Cluster> = clusters
            .iter()
            .filter_map(|cluster| Some((cluster.cluster_id.as_deref().filter(|id| is_id(id))?, cluster)))
            .collect();
        for (id, told) in &mut self.clusters {
            if listed.contains_key(id.as_str()) {
                told.gone = None;
            } else if told.gone.is_none() {
                (told.gone, told.look) = (Some(now), UNREAD);
            }
        }
        self.clusters.retain(|_, told| !told.is_over(now));
        let mut next = Vec::new();
        for (id, cluster) in &listed {
            let look = look(cluster);
            if !self.clusters.contains_key(*id) && !self.make_room() {
                continue;
            }
            let began = self.began;
            let told = self.clusters.entry((*id).to_owned()).or_insert_with(|| {
                let recently = now.saturating_sub(ROTATION);
                let start = cluster.up_since().map_or(recently, |up| up.saturating_sub(BEFORE_START));
                let mut told = Told::nothing(start.min(now).max(began));
                if is_first {
                    // Nothing has happened yet since the first collection.
                    (told.look, told.read_at) = (look, now);
                }
                told
            });
            told.name = cluster.cluster_name.as_deref().map(|name| clip(name, MAX_NAME));
            told.up = told.up.max(cluster.up_since().unwrap_or_default().min(now));
            let up = told.up;
            told.ended = told.ended.filter(|ended| *ended >= up && !is_starting(cluster));
            let urgency = match told.look != look {
                true if is_on_its_way(cluster) => Urgency::OnItsWay,
                true => Urgency::Changed,
                false if told.read_at.saturating_add(ROTATION) <= now => Urgency::InTurn,
                false => continue,
            };
            if told.wait_until <= now {
                next.push((urgency, told.read_at, Next::of(id, told, look)));
            }
        }
        for (id, told) in &self.clusters {
            let is_mourned = told.look == UNREAD || told.gone.is_some_and(|gone| now.saturating_sub(gone) <= MOURNING);
            let is_due = told.gone.is_some() && told.ended.is_none() && told.read_at.saturating_add(FAREWELL) <= now;
            if is_mourned && is_due && told.wait_until <= now {
                next.push((Urgency::Changed, told.read_at, Next::of(id, told, GONE)));
            }
        }
        next.sort_by(|a, b| (a.0, a.1, &a.2.id).cmp(&(b.0, b.1, &b.2.id)));
        next.into_iter().map(|(_, _, next)| next).collect()
    }

    /// Drops a cluster that has gone, if there are too many. One that has not, nobody may forget.
    fn make_room(&mut self) -> bool {
        if self.clusters.len() < MAX_CLUSTERS {
            return true;
        }
        let gone = self.clusters.iter().filter_map(|(id, told)| Some((told.ended.is_none(), told.gone?, id)));
        let Some(id) = gone.min().map(|(_, _, id)| id.clone()) else { return false };
        self.clusters.remove(&id);
        true
    }

    /// Whether an event is to be told, with the name of its cluster.
    pub(crate) fn enter(&mut self, now: u64, id: &str, event: &Event) -> Option<Option<&str>> {
        let told = self.clusters.get_mut(id)?;
        told.enter(now, event).then_some(told.name.as_deref())
    }

    /// Notes that the events of a cluster were read to the end.
    pub(crate) fn read(&mut self, now: u64, next: &Next) {
        if let Some(told) = self.clusters.get_mut(&next.id) {
            (told.look, told.read_at, told.broke_off) = (next.look, now, false);
        }
    }

    /// Notes that there are more than there was room for. They come next, and so that they come closer each time,
    /// without those told already.
    pub(crate) fn broke_off(&mut self, id: &str) {
        if let Some(told) = self.clusters.get_mut(id) {
            told.broke_off = true;
        }
    }

    /// Notes that they could not be: others come first.
    pub(crate) fn failed(&mut self, now: u64, id: &str) {
        if let Some(told) = self.clusters.get_mut(id) {
            told.read_at = now;
        }
    }

    /// Leaves a cluster alone for so many milliseconds; for ever, if it has gone anyway.
    pub(crate) fn refused(&mut self, now: u64, id: &str, pause: u64) {
        if let Some(told) = self.clusters.get_mut(id) {
            (told.read_at, told.wait_until) = (now, now.saturating_add(pause));
            told.ended = told.ended.or(told.gone);
        }
    }

    /// Whether the list no longer has it.
    pub(crate) fn is_gone(&self, id: &str) -> bool {
        self.clusters.get(id).is_none_or(|told| told.gone.is_some())
    }
}

/// Whether it will soon look different again: a cluster of a job is then worth one request less, or two.
fn is_on_its_way(cluster: &Cluster) -> bool {
    is_starting(cluster) || cluster.state.as_deref() == Some("TERMINATING")
}

/// Whether it is not even up yet, and has not ended for that reason.
fn is_starting(cluster: &Cluster) -> bool {
    matches!(cluster.state.as_deref(), Some("PENDING" | "RESTARTING"))
}

/// What of a cluster changes when something happens to it.
fn look(cluster: &Cluster) -> u64 {
    let state = cluster.state.as_deref();
    digest(&format!("{state:?} {:?} {:?} {:?}", cluster.running_workers(), cluster.num_workers, cluster.up_since()))
        .max(GONE.saturating_add(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn cluster(id: &str, state: &str, workers: i64, start: u64) -> Cluster {
        let body = json!({ "cluster_id": id, "cluster_name": id, "state": state, "num_workers": workers, "start_time": start });
        serde_json::from_value(body).unwrap()
    }

    fn event(time: u64, kind: &str) -> Event {
        serde_json::from_value(json!({ "timestamp": time, "type": kind })).unwrap()
    }

    fn ids(next: &[Next]) -> Vec<&str> {
        next.iter().map(|next| next.id.as_str()).collect()
    }

    fn read_all(memory: &mut Memory, now: u64, next: &[Next]) {
        next.iter().for_each(|next| memory.read(now, next));
    }

    #[test]
    fn a_cluster_is_read_when_it_looks_different_and_otherwise_in_its_turn() {
        let mut memory = Memory::begin(NOW);
        let before = |workers| [cluster("a", "RUNNING", workers, NOW - HOUR), cluster("b", "RUNNING", 1, NOW - HOUR)];
        assert_eq!(memory.watch(NOW, &before(1)), []);
        assert_eq!(memory.watch(NOW + MINUTE, &before(1)), []);
        let next = memory.watch(NOW + 2 * MINUTE, &before(2));
        assert_eq!((ids(&next), next[0].from), (vec!["a"], NOW));
        // Not until it has been read.
        assert_eq!(ids(&memory.watch(NOW + 3 * MINUTE, &before(2))), ["a"]);
        read_all(&mut memory, NOW + 3 * MINUTE, &next);
        assert_eq!(memory.watch(NOW + 4 * MINUTE, &before(2)), []);
        assert_eq!(ids(&memory.watch(NOW + 10 * MINUTE, &before(2))), ["b"]);
        assert_eq!(ids(&memory.watch(NOW + 13 * MINUTE, &before(2))), ["b", "a"]);
        assert_eq!(ids(&memory.watch(NOW + 13 * MINUTE, &before(3))), ["a", "b"]);
    }

    #[test]
    fn what_will_change_again_comes_after_what_has_changed() {
        let mut memory = Memory::begin(NOW);
        let at = |states: [&str; 4]| {
            let named = ["a", "b", "c", "d"].into_iter().zip(states);
            named.map(|(id, state)| cluster(id, state, 1, NOW - HOUR)).collect::<Vec<_>>()
        };
        memory.watch(NOW, &at(["RUNNING", "RUNNING", "PENDING", "RUNNING"]));
        let next = memory.watch(NOW + 20 * MINUTE, &at(["RUNNING", "TERMINATING", "RUNNING", "RESIZING"]));
        assert_eq!(ids(&next), ["c", "d", "b", "a"]);
    }

    #[test]
    fn a_new_cluster_is_read_from_its_start_and_not_from_before_the_first_collection() {
        let mut memory = Memory::begin(NOW);
        memory.watch(NOW, &[]);
        let later = NOW + 60 * MINUTE;
        let new =
            [cluster("new", "PENDING", 1, later - 1), cluster("old", "RUNNING", 1, 5), cluster("odd", "PENDING", 1, 0)];
        let next = memory.watch(later, &new);
        let from: Vec<_> = next.iter().map(|next| (next.id.as_str(), next.from)).collect();
        assert_eq!(from, [("old", NOW), ("new", later - 1 - BEFORE_START), ("odd", later - ROTATION)]);
    }

    #[test]
    fn a_cluster_that_vanished_is_read_until_its_end_was_told_and_forgotten_an_hour_later() {
        let mut memory = Memory::begin(NOW);
        memory.watch(NOW, &[cluster("a", "RUNNING", 1, 5), cluster("b", "RUNNING", 1, 5)]);
        let next = memory.watch(NOW + MINUTE, &[]);
        assert_eq!(ids(&next), ["a", "b"]);
        assert!(memory.enter(NOW + MINUTE, "a", &event(NOW + 5, "TERMINATING")).is_some());
        read_all(&mut memory, NOW + MINUTE, &next);
        assert_eq!(ids(&memory.watch(NOW + 2 * MINUTE, &[])), ["b"]);
        assert_eq!(ids(&memory.watch(NOW + 60 * MINUTE, &[])), ["b"]);
        assert_eq!(memory.clusters.len(), 2);
        assert_eq!(memory.watch(NOW + 62 * MINUTE, &[]), []);
        assert_eq!(memory.clusters.len(), 1);
        memory.watch(NOW + 15 * 24 * HOUR, &[]);
        assert_eq!(memory.clusters.len(), 0);
    }

    #[test]
    fn a_cluster_that_starts_again_is_as_before() {
        let mut memory = Memory::begin(NOW);
        memory.watch(NOW, &[cluster("a", "RUNNING", 1, 5)]);
        memory.watch(NOW + MINUTE, &[]);
        memory.enter(NOW + MINUTE, "a", &event(NOW + 5, "TERMINATING"));
        let again = [cluster("a", "PENDING", 1, NOW + 30 * MINUTE)];
        assert_eq!(memory.watch(NOW + 30 * MINUTE, &again)[0].from, NOW);
        assert!(memory.enter(NOW + 30 * MINUTE, "a", &event(NOW + 30 * MINUTE, "STARTING")).is_some());
        assert_eq!(memory.clusters["a"].ended, None);
    }

    #[test]
    fn a_cluster_that_starts_again_and_vanishes_before_it_is_read_is_read_then() {
        let mut memory = Memory::begin(NOW);
        memory.watch(NOW, &[cluster("a", "RUNNING", 1, 5)]);
        memory.enter(NOW, "a", &event(NOW, "TERMINATING"));
        memory.watch(NOW + MINUTE, &[]);
        memory.watch(NOW + 30 * MINUTE, &[cluster("a", "RUNNING", 1, NOW + 29 * MINUTE)]);
        assert_eq!(ids(&memory.watch(NOW + 31 * MINUTE, &[])), ["a"]);
        // The list may lag behind the events: that is no start.
        memory.enter(NOW + 31 * MINUTE, "a", &event(NOW + 30 * MINUTE, "TERMINATING"));
        memory.watch(NOW + 32 * MINUTE, &[cluster("a", "TERMINATING", 1, NOW + 29 * MINUTE)]);
        assert_eq!(memory.watch(NOW + 33 * MINUTE, &[]), []);
    }

    #[test]
    fn a_cluster_that_is_refused_is_left_alone_for_a_while() {
        let mut memory = Memory::begin(NOW);
        let clusters = [cluster("a", "RUNNING", 1, 5)];
        memory.watch(NOW, &clusters);
        memory.refused(NOW, "a", HOUR);
        assert!(!memory.is_gone("a"));
        assert_eq!(memory.watch(NOW + 59 * MINUTE, &clusters), []);
        assert_eq!(ids(&memory.watch(NOW + 60 * MINUTE, &clusters)), ["a"]);
        memory.watch(NOW + 61 * MINUTE, &[]);
        memory.refused(NOW + 61 * MINUTE, "a", MINUTE);
        assert!(memory.is_gone("a"));
        assert_eq!(memory.watch(NOW + 70 * MINUTE, &[]), []);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::begin(NOW);
        let clusters: Vec<Cluster> = (0..3_000).map(|n| cluster(&n.to_string(), "RUNNING", 1, NOW)).collect();
        memory.watch(NOW, &clusters);
        assert_eq!(memory.clusters.len(), MAX_CLUSTERS);
        let others: Vec<Cluster> = (3_000..3_100).map(|n| cluster(&n.to_string(), "RUNNING", 1, NOW)).collect();
        memory.watch(NOW + 1, &others);
        assert!(others.iter().all(|cluster| memory.clusters.contains_key(cluster.cluster_id.as_deref().unwrap())));
        assert_eq!(memory.clusters.len(), MAX_CLUSTERS);
        let size = serde_json::to_string(&memory).unwrap().len();
        assert!((200_000..500_000).contains(&size), "{size}");
    }
}
