//! Counting each finished run exactly once.
//!
//! The API lists finished runs by when they *started*, and only from a given start on; a run that started long ago
//! and has just finished is in no list that is short enough to be read every minute. So the ledger keeps the ids of
//! active runs: one that is active no more and was not listed as finished is asked for by its id. Invariants:
//!
//! * a run id in `seen` is never counted again; it stays there until the run ended a lookback before the newest start
//!   the server has shown, and lists never reach further back than that;
//! * nothing that ended before the first collection is counted;
//! * from the first collection on, what is forgotten follows from the server's times and not from Kiln's clock, so a
//!   clock that jumps costs nothing that does not heal when it jumps back.
//!
//! Growth is bounded by the runs of one lookback, the runs active at once, and [`MAX_SERIES`].

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use crate::api::{JobKey, Run};
use crate::telemetry::DatabricksJobDurationRunHistogram;

/// Runs may appear in lists later than they started, and in another order.
const OVERLAP_MILLIS: u64 = 10 * 60 * 1_000;
/// How far back a list reaches that is read without need. A collection has to end in time, and a day of runs of a large
/// workspace is hundreds of pages.
const REACH: Duration = Duration::from_secs(2 * 60 * 60);
/// How often that is done, in case a run was active and yet in no list.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// A start time further in the future than this is not believed.
const MAX_SKEW: Duration = Duration::from_secs(60 * 60);
/// Series kept; the ones that were least recently counted go first.
const MAX_SERIES: usize = 2_000;

/// What has been counted, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// When the first collection was.
    began: UnixNanos,
    /// Start time of series that appear from now on.
    start: UnixNanos,
    /// The latest start of any run, in milliseconds, when all lists were last complete.
    newest_start: u64,
    /// Runs that ended before this, in milliseconds, may be missing from `seen`.
    forgotten_before: u64,
    /// When a list was last read as far back as is reasonable.
    swept: UnixNanos,
    /// Ended runs, and when they ended in milliseconds.
    seen: BTreeMap<i64, u64>,
    /// Runs that had not ended when they were last looked at.
    active: BTreeSet<i64>,
    series: Vec<Series>,
}

/// The finished runs of one job with one result.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) job: JobKey,
    pub(crate) result_state: String,
    pub(crate) start: UnixNanos,
    pub(crate) count: i64,
    pub(crate) durations: DatabricksJobDurationRunHistogram,
    last_counted: UnixNanos,
}

/// What the lists of runs said. A list that broke off holds what was read before.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) active: BTreeMap<i64, Run>,
    pub(crate) active_is_complete: bool,
    pub(crate) completed: BTreeMap<i64, Run>,
    pub(crate) completed_is_complete: bool,
}

/// From which start on finished runs have to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Milliseconds since the epoch.
    pub(crate) from: u64,
    whole: bool,
}

impl Window {
    /// As far back as is reasonable: for the first time, and every now and then. What ended before the first collection is
    /// not counted whether it was listed or not.
    pub(crate) fn whole(now: UnixNanos, lookback: Duration) -> Self {
        Self { from: now.before(lookback.min(REACH)).as_millis(), whole: true }
    }
}

impl Ledger {
    /// Begins to count at `now`: whatever has ended by then is known and not counted.
    pub(crate) fn begin(now: UnixNanos, lookback: Duration, window: Window, lists: &Lists) -> Self {
        let ended = |run: &&Run| run.has_ended();
        let end = |run: &Run| (run.run_id, run.end_millis().unwrap_or_else(|| now.as_millis()));
        let mut ledger = Self {
            began: now,
            start: now,
            newest_start: 0,
            forgotten_before: 0,
            swept: now,
            seen: lists.completed.values().filter(ended).map(end).collect(),
            active: BTreeSet::new(),
            series: Vec::new(),
        };
        ledger.remember_active(lists);
        ledger.settle(now, lookback, window, lists);
        ledger
    }

    /// Which finished runs have to be listed now.
    pub(crate) fn window(&self, now: UnixNanos, lookback: Duration) -> Window {
        let is_due = now < self.swept || self.swept.after(SWEEP) <= now;
        let recent = self.newest_start.saturating_sub(OVERLAP_MILLIS);
        // After an outage the list reaches back to where the last one ended, however long that takes.
        let from = if is_due { recent.min(Window::whole(now, lookback).from) } else { recent };
        let oldest = now.before(lookback).as_millis().max(self.forgotten_before);
        Window { from: from.max(oldest), whole: is_due }
    }

    /// Enters what the lists said, and names the runs that have to be asked for: no longer active, and not listed as
    /// finished.
    pub(crate) fn enter(&mut self, now: UnixNanos, lists: &Lists) -> Vec<i64> {
        for run in lists.completed.values() {
            self.finish(now, run);
        }
        let vanished = match lists.active_is_complete {
            true => self.active.iter().filter(|id| !lists.active.contains_key(id)).copied().collect(),
            false => Vec::new(),
        };
        self.remember_active(lists);
        vanished
    }

    /// Concludes a collection: moves the window on and forgets what it no longer covers.
    pub(crate) fn settle(&mut self, now: UnixNanos, lookback: Duration, window: Window, lists: &Lists) {
        if lists.active_is_complete && lists.completed_is_complete {
            let believable = now.after(MAX_SKEW).as_millis();
            let starts = lists.active.values().chain(lists.completed.values()).filter_map(Run::start_millis);
            let newest = starts.filter(|start| *start <= believable).max().unwrap_or_default();
            self.newest_start = self.newest_start.max(newest);
            if window.whole {
                self.swept = now;
            }
        }
        let horizon = self.newest_start.saturating_sub(millis(lookback));
        self.forgotten_before = self.forgotten_before.max(horizon);
        let forgotten_before = self.forgotten_before;
        self.seen.retain(|_, end| *end >= forgotten_before);
        self.forget_series(now);
    }

    /// Counts a run if it has ended and was not counted before.
    pub(crate) fn finish(&mut self, now: UnixNanos, run: &Run) {
        if !run.has_ended() {
            return;
        }
        self.active.remove(&run.run_id);
        let end = run.end_millis().unwrap_or_else(|| now.as_millis());
        let is_new = self.seen.insert(run.run_id, end).is_none();
        if is_new && UnixNanos::from_millis(end) >= self.began {
            self.count(now, run);
        }
    }

    /// Forgets a run that no longer exists.
    pub(crate) fn give_up(&mut self, run_id: i64) {
        self.active.remove(&run_id);
    }

    /// The series counted so far, sorted.
    pub(crate) fn series(&self) -> &[Series] {
        &self.series
    }

    fn remember_active(&mut self, lists: &Lists) {
        let active = lists.active.keys().copied().filter(|id| !self.seen.contains_key(id));
        self.active.extend(active);
    }

    fn count(&mut self, now: UnixNanos, run: &Run) {
        let (job, result_state) = (run.job(), run.result_state());
        let place = self
            .series
            .binary_search_by(|series| (&series.job, series.result_state.as_str()).cmp(&(&job, result_state)));
        let index = place.unwrap_or_else(|index| {
            let result_state = result_state.to_owned();
            let durations = DatabricksJobDurationRunHistogram::new();
            let series = Series { job, result_state, start: self.start, count: 0, durations, last_counted: now };
            self.series.insert(index, series);
            index
        });
        if let Some(series) = self.series.get_mut(index) {
            series.count = series.count.saturating_add(1);
            series.last_counted = now;
            if let Some(seconds) = run.duration_seconds() {
                series.durations.record(seconds);
            }
        }
    }

    /// A series that is dropped may come back, and then it must not seem to have counted all along: from here on series
    /// start now.
    fn forget_series(&mut self, now: UnixNanos) {
        let excess = self.series.len().saturating_sub(MAX_SERIES);
        if excess == 0 {
            return;
        }
        let mut ages: Vec<UnixNanos> = self.series.iter().map(|series| series.last_counted).collect();
        ages.sort_unstable();
        let oldest_kept = ages.get(excess).copied().unwrap_or_default();
        let mut left = excess;
        self.series.retain(|series| {
            let drop = left > 0 && series.last_counted <= oldest_kept;
            left -= usize::from(drop);
            !drop
        });
        self.start = now;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
