//! When a plugin that failed may run again.
//!
//! Every failure in a row doubles the pause before the next start. After as many as the operator allows the plugin is
//! quarantined: it rests for a long time, then has one try, and rests again if that fails too. A success ends all of
//! it, and so does a reload, which makes a new instance.
//!
//! A plugin that ran out of wall-clock time pauses like any other but is not on its way to quarantine: what it waited
//! for may be a server that hangs, and it must be read again as soon as that answers.

use std::time::Duration;

use tokio::time::Instant;

use crate::breach::Breach;
use crate::call_error::CallError;

/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The failures of one instance since its last success.
#[derive(Debug)]
pub(crate) struct Restarts {
    /// Failures that lead to quarantine, and how long it lasts.
    quarantine_after: u32,
    quarantine_period: Duration,
    /// All failures in a row.
    failures: u32,
    /// Those of them that count towards quarantine.
    faults: u32,
    not_before: Option<Instant>,
    quarantined: Option<CallError>,
}

/// What a failure leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The plugin starts again after a pause.
    Pause,
    /// The plugin has just been quarantined.
    Quarantine(CallError),
}

impl Restarts {
    pub(crate) const fn new(quarantine_after: u32, quarantine_period: Duration) -> Self {
        Self { quarantine_after, quarantine_period, failures: 0, faults: 0, not_before: None, quarantined: None }
    }

    /// Whether the plugin may run now.
    ///
    /// # Errors
    /// How long it still pauses or is quarantined.
    pub(crate) fn check(&self, now: Instant) -> Result<(), CallError> {
        let left = self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match &self.quarantined {
            _ if left.is_zero() => Ok(()),
            Some(last) => Err(self.quarantine(left, last)),
            None => Err(CallError::Pausing(left)),
        }
    }

    /// Whether the last call failed.
    pub(crate) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether the plugin is in quarantine, or at its one try.
    pub(crate) const fn is_quarantined(&self) -> bool {
        self.quarantined.is_some()
    }

    /// The plugin broke. `random` is between 0 and 1.
    pub(crate) fn failed(&mut self, now: Instant, error: &CallError, random: f64) -> Consequence {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        if !matches!(error, CallError::Limit(Breach::Timeout(_))) {
            self.faults = self.faults.saturating_add(1);
        }
        if self.faults >= self.quarantine_after {
            self.not_before = Some(now + self.quarantine_period);
            let quarantine = self.quarantine(self.quarantine_period, error);
            self.quarantined = Some(error.clone());
            return Consequence::Quarantine(quarantine);
        }
        // Between half of it and all of it, so that instances that failed together do not start together.
        self.not_before = Some(now + doubled.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0)));
        Consequence::Pause
    }

    /// The plugin worked.
    pub(crate) fn succeeded(&mut self) {
        (self.failures, self.faults, self.not_before, self.quarantined) = (0, 0, None, None);
    }

    fn quarantine(&self, left: Duration, last: &CallError) -> CallError {
        CallError::Quarantined { failures: self.faults, left, last: Box::new(last.clone()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn trap() -> CallError {
        CallError::Trap("unreachable".to_owned())
    }

    fn pause_after(restarts: &mut Restarts, now: Instant, error: &CallError, random: f64) -> Duration {
        assert_eq!(restarts.failed(now, error, random), Consequence::Pause);
        match restarts.check(now) {
            Err(CallError::Pausing(left)) => left,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_spread_over_their_second_half() {
        let now = Instant::now();
        let (mut least, mut most) = (Restarts::new(100, HOUR), Restarts::new(100, HOUR));
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
            assert_eq!(pause_after(&mut least, now, &trap(), 0.0), Duration::from_secs(seconds) / 2);
            assert_eq!(pause_after(&mut most, now, &trap(), 1.0), Duration::from_secs(seconds));
        }
        assert_eq!(most.check(now + Duration::from_secs(300)), Ok(()));
        most.succeeded();
        assert_eq!(pause_after(&mut most, now, &trap(), 1.0), Duration::from_secs(1), "a success starts anew");
    }

    #[test]
    fn failures_in_a_row_end_in_quarantine_which_one_try_leaves_or_renews() {
        let now = Instant::now();
        let mut restarts = Restarts::new(3, HOUR);
        for _ in 0..2 {
            pause_after(&mut restarts, now, &trap(), 1.0);
        }
        let quarantined = |left| CallError::Quarantined { failures: 3, left, last: Box::new(trap()) };
        assert_eq!(restarts.failed(now, &trap(), 1.0), Consequence::Quarantine(quarantined(HOUR)));
        assert_eq!(restarts.check(now + HOUR / 2), Err(quarantined(HOUR / 2)));
        let later = now + HOUR;
        assert_eq!(restarts.check(later), Ok(()));
        assert!(matches!(restarts.failed(later, &trap(), 1.0), Consequence::Quarantine(_)), "its one try failed");
        assert!(restarts.check(later + HOUR / 2).is_err());
        restarts.succeeded();
        assert_eq!(restarts.check(later), Ok(()));
        assert!(!restarts.is_quarantined() && !restarts.is_failing());
    }

    #[test]
    fn a_server_that_hangs_does_not_lead_to_quarantine() {
        let now = Instant::now();
        let mut restarts = Restarts::new(2, HOUR);
        let timeout = CallError::Limit(Breach::Timeout(Duration::from_secs(30)));
        for _ in 0..100 {
            assert_eq!(restarts.failed(now, &timeout, 1.0), Consequence::Pause);
        }
        assert_eq!(restarts.failed(now, &trap(), 1.0), Consequence::Pause);
        assert!(matches!(restarts.failed(now, &trap(), 1.0), Consequence::Quarantine(_)));
    }
}
