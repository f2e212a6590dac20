//! The share of runs that succeeded, among those that ended within a window.
//!
//! Ends are kept by the minute, so what is remembered is bounded by the minutes of the window, and its edge is precise
//! to one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60_000;

/// How many runs ended in each minute, and how many of them succeeded.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Successes(BTreeMap<u64, (u32, u32)>);

impl Successes {
    /// Notes that a run ended.
    pub(crate) fn note(&mut self, end: u64, success: bool) {
        let (ended, succeeded) = self.0.entry(end / MINUTE).or_default();
        *ended = ended.saturating_add(1);
        *succeeded = succeeded.saturating_add(u32::from(success));
    }

    /// Forgets what ended before the window of `window` milliseconds up to `now`.
    pub(crate) fn forget(&mut self, now: u64, window: u64) {
        let first = now.saturating_sub(window) / MINUTE;
        self.0.retain(|minute, _| *minute >= first);
    }

    /// In per cent; nothing if no run ended.
    pub(crate) fn rate(&self) -> Option<f64> {
        let sum = |(ended, succeeded): (u64, u64), minute: &(u32, u32)| {
            (ended.saturating_add(u64::from(minute.0)), succeeded.saturating_add(u64::from(minute.1)))
        };
        let (ended, succeeded) = self.0.values().fold((0, 0), sum);
        // Counts of runs are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        (ended > 0).then(|| 100.0 * succeeded as f64 / ended as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_taken_over_the_window() {
        let mut successes = Successes::default();
        assert_eq!(successes.rate(), None);
        for (minute, success) in [(10, true), (20, false), (30, true), (31, true)] {
            successes.note(minute * MINUTE + 5, success);
        }
        assert_eq!(successes.rate(), Some(75.0));
        successes.forget(40 * MINUTE, 15 * MINUTE);
        assert_eq!(successes.rate(), Some(100.0));
        successes.forget(100 * MINUTE, 15 * MINUTE);
        assert_eq!(successes.rate(), None);
    }
}
