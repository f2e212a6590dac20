//! What was folded, for the operator: a line in the log now and then, and totals in the state.

use core::time::Duration;
use std::collections::BTreeSet;

use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{Level, ProcessorHost, UnixNanos};
use serde::{Deserialize, Serialize};

/// The key of the state that holds the totals.
const TOTALS: &str = "folded";

/// Metrics that are named in one line; more are not.
const MAX_NAMES: usize = 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    dropped_metrics: u64,
    dropped_points: u64,
    other: u64,
    overflow: u64,
}

#[derive(Debug)]
pub(crate) struct Report {
    interval: Duration,
    tells_at: Option<UnixNanos>,
    /// Since the last line.
    counts: Counts,
    totals: Counts,
    /// Metrics that had something folded since the last line.
    names: BTreeSet<String>,
}

impl Report {
    pub(crate) const fn new(interval: Duration) -> Self {
        let nothing = Counts { dropped_metrics: 0, dropped_points: 0, other: 0, overflow: 0 };
        Self { interval, tells_at: None, counts: nothing, totals: nothing, names: BTreeSet::new() }
    }

    /// Goes on from the totals before a restart.
    pub(crate) fn begin(&mut self, host: &ProcessorHost) -> Result<(), StateError> {
        self.totals = host.state().get(TOTALS)?.unwrap_or_default();
        Ok(())
    }

    /// A metric was dropped, or the part of it that has so many points.
    pub(crate) fn dropped_metric(&mut self, points: usize) {
        self.counts.dropped_metrics += 1;
        self.counts.dropped_points += u64::try_from(points).unwrap_or(u64::MAX);
    }

    /// A point was called `other`.
    pub(crate) fn other(&mut self, metric: &str) {
        self.counts.other += 1;
        self.name(metric);
    }

    /// A point was folded into the overflow, or dropped for want of one.
    pub(crate) fn overflow(&mut self, metric: &str) {
        self.counts.overflow += 1;
        self.name(metric);
    }

    fn name(&mut self, metric: &str) {
        if self.names.len() < MAX_NAMES && !self.names.contains(metric) {
            self.names.insert(metric.to_owned());
        }
    }

    /// Writes the line, if there is something to say and it is time: at once the first time, then once an interval.
    pub(crate) fn tell(&mut self, host: &ProcessorHost) -> Result<(), StateError> {
        let now = host.now();
        if self.counts == Counts::default() || self.tells_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.tells_at = Some(now.after(self.interval));
        let Counts { dropped_metrics, dropped_points, other, overflow } = core::mem::take(&mut self.counts);
        self.totals.dropped_metrics = self.totals.dropped_metrics.saturating_add(dropped_metrics);
        self.totals.dropped_points = self.totals.dropped_points.saturating_add(dropped_points);
        self.totals.other = self.totals.other.saturating_add(other);
        self.totals.overflow = self.totals.overflow.saturating_add(overflow);
        let names = core::mem::take(&mut self.names);
        let number = |key: &str, count: u64| Attribute::new(key, i64::try_from(count).unwrap_or(i64::MAX));
        let names: Vec<_> = names.into_iter().collect();
        let attributes = [
            number("overflow", overflow),
            number("other", other),
            number("dropped_metrics", dropped_metrics),
            number("dropped_points", dropped_points),
            Attribute::new("metrics", names.join(" ")),
        ];
        host.log(if overflow > 0 { Level::Warn } else { Level::Info }, "folded points", &attributes);
        host.state().set(TOTALS, &self.totals)
    }
}
