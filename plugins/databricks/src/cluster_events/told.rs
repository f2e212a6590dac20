//! What was told of one cluster: no event twice, and none left out.
//!
//! Events are asked for by their times, and may appear later than others that happened after them. So they are asked for
//! again from a little before the last one on; what was told within that [`OVERLAP`] is known by its key, and what is
//! older is not told any more. The keys are bounded by [`MAX_KEYS`]: where more happens within the overlap, it shrinks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::memory::HOUR;
use crate::ids::digest;

/// In milliseconds.
const OVERLAP: u64 = 60_000;
const MAX_KEYS: usize = 50;
/// For how long a cluster is remembered that has gone without an end.
const LOST: u64 = 7 * 24 * HOUR;
/// The look of a cluster whose events were not read since it came or went, and that of one that has gone.
pub(crate) const UNREAD: u64 = 0;
pub(crate) const GONE: u64 = 1;

/// What was told of a cluster. The names are short because state holds thousands of these.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(rename = "n")]
    pub(crate) name: Option<String>,
    /// Events from before this are not told.
    #[serde(rename = "f")]
    since: u64,
    /// The time of the last event that was read.
    #[serde(rename = "t")]
    last: u64,
    /// The times of the events told since a little before the last, and what tells them apart.
    #[serde(rename = "k")]
    keys: BTreeSet<(u64, u64)>,
    /// How it looked when its events were last read to the end.
    #[serde(rename = "l")]
    pub(crate) look: u64,
    #[serde(rename = "r")]
    pub(crate) read_at: u64,
    /// Its events were not read to the end the last time.
    #[serde(rename = "b", default)]
    pub(crate) broke_off: bool,
    /// Not to be asked for before then.
    #[serde(rename = "w", default)]
    pub(crate) wait_until: u64,
    /// Since when it is in the list no more.
    #[serde(rename = "g", default)]
    pub(crate) gone: Option<u64>,
    /// When it was last started, as far as the list has shown.
    #[serde(rename = "u", default)]
    pub(crate) up: u64,
    /// When it ended, if that was told and it has not started since.
    #[serde(rename = "e", default)]
    pub(crate) ended: Option<u64>,
}

impl Told {
    /// Nothing yet, and nothing from before `since` ever.
    pub(crate) const fn nothing(since: u64) -> Self {
        Self {
            name: None,
            since,
            last: since,
            keys: BTreeSet::new(),
            look: UNREAD,
            read_at: 0,
            broke_off: false,
            wait_until: 0,
            gone: None,
            up: 0,
            ended: None,
        }
    }

    /// Whether an event is to be told. One that has no time or no type cannot be.
    pub(crate) fn enter(&mut self, now: u64, event: &Event) -> bool {
        let (Some(time), Some(kind)) = (event.time(), event.kind()) else { return false };
        if time < self.known_from() {
            return false;
        }
        // An event from the future must not hide those until then.
        let last = self.last.max(time.min(now));
        if event.is_noise() {
            self.last = last;
            return false;
        }
        if !self.keys.insert((time, digest(&event.key()))) {
            return false;
        }
        self.last = last;
        match kind {
            // There may be a start that the list has shown and the events have not come to.
            "TERMINATING" if time >= self.up => self.ended = Some(time),
            "CREATING" | "STARTING" | "RESTARTING" | "RUNNING" => self.ended = None,
            _ => {}
        }
        self.forget();
        true
    }

    /// From when on events are to be asked for. Reading that broke off goes on where it was, or it would not come closer.
    pub(crate) fn next_from(&self) -> u64 {
        if self.broke_off { self.last } else { self.known_from() }
    }

    /// From when on it is known what has been told.
    fn known_from(&self) -> u64 {
        self.last.saturating_sub(OVERLAP).max(self.since)
    }

    /// Forgets the keys of what is not asked for again.
    fn forget(&mut self) {
        while self.keys.len() > MAX_KEYS {
            let Some((time, _)) = self.keys.pop_first() else { break };
            self.since = self.since.max(time.saturating_add(1));
        }
        let from = self.known_from();
        self.keys.retain(|(time, _)| *time >= from);
    }

    /// Whether nothing is to be expected of it any more.
    pub(crate) const fn is_over(&self, now: u64) -> bool {
        let Some(gone) = self.gone else { return false };
        let quiet = now.saturating_sub(if gone > self.last { gone } else { self.last });
        (self.ended.is_some() && quiet > HOUR) || now.saturating_sub(gone) > LOST
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;
    const MINUTE: u64 = 60_000;

    fn event(time: u64, kind: &str) -> Event {
        serde_json::from_value(json!({ "timestamp": time, "type": kind })).unwrap()
    }

    #[test]
    fn an_event_is_told_once() {
        let mut told = Told::nothing(NOW);
        let mut enter = |time, kind| told.enter(NOW + HOUR, &event(time, kind));
        assert!(!enter(NOW - 1, "RESIZING"));
        assert!(enter(NOW + 5, "RESIZING"));
        assert!(enter(NOW + 5, "NODES_LOST"));
        assert!(!enter(NOW + 5, "RESIZING"));
        assert!(enter(NOW + 5 + OVERLAP, "RESIZING"));
        // It came late, but not too late.
        assert!(enter(NOW + 6, "RESIZING"));
        assert!(!enter(NOW + 6, "RESIZING"));
        assert!(!enter(NOW + 4, "RESIZING"));
        assert!(!enter(NOW + 6, "AUTOSCALING_STATS_REPORT"));
    }

    #[test]
    fn an_event_from_the_future_is_told_once_and_hides_nothing() {
        let mut told = Told::nothing(NOW);
        assert!(told.enter(NOW, &event(NOW + 9 * HOUR, "RESIZING")));
        for minutes in 1..60 {
            let now = NOW + minutes * MINUTE;
            assert!(told.enter(now, &event(now, "RESIZING")));
            assert!(!told.enter(now, &event(NOW + 9 * HOUR, "RESIZING")));
        }
    }

    #[test]
    fn reading_that_broke_off_goes_on_where_it_was() {
        let mut told = Told::nothing(NOW);
        told.enter(NOW + HOUR, &event(NOW + 30 * MINUTE, "RESIZING"));
        assert_eq!(told.next_from(), NOW + 30 * MINUTE - OVERLAP);
        told.broke_off = true;
        assert_eq!(told.next_from(), NOW + 30 * MINUTE);
    }

    #[test]
    fn the_keys_are_bounded_and_nothing_is_told_twice_for_it() {
        let mut told = Told::nothing(NOW);
        let mut tell = || (0..1_000_u64).filter(|n| told.enter(NOW + HOUR, &event(NOW + n, "RESIZING"))).count();
        assert_eq!((tell(), tell()), (1_000, 0));
        assert!(told.keys.len() <= MAX_KEYS);
    }
}
