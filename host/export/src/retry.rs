//! How long to wait before sending again, and when to stop.
//!
//! Exponential back-off with jitter, as OTLP demands and with the meaning the Collector gives to each setting. Two
//! bounds always hold: a wait is never longer than the longest interval or what the server was allowed to ask for, and
//! no wait ends after the time a batch may be tried for. Chance is an argument, so tests are not left to it.

use std::time::Duration;

use kiln_config::Retry;

/// The longest a server may make an exporter wait at a time. A server that means longer says so again.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The retry settings of one exporter, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    enabled: bool,
    initial: Duration,
    max: Duration,
    max_elapsed: Option<Duration>,
    multiplier: f64,
    spread: f64,
}

/// Retry settings that describe no back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRetry {
    /// Would hammer the backend.
    #[error("initial_interval must be longer than 0")]
    NoInterval,
    /// The two contradict each other.
    #[error("max_interval must not be shorter than initial_interval")]
    MaxBelowInitial,
    /// Waits would get shorter.
    #[error("multiplier must be a number of at least 1")]
    Multiplier,
    /// Waits would be negative.
    #[error("randomization_factor must be a number from 0 to 1")]
    Spread,
}

impl RetryPolicy {
    /// One attempt and no more.
    pub(crate) const NEVER: Self = Self {
        enabled: false,
        initial: Duration::ZERO,
        max: Duration::ZERO,
        max_elapsed: None,
        multiplier: 1.0,
        spread: 0.0,
    };

    /// Checks the settings.
    pub(crate) fn new(settings: &Retry) -> Result<Self, InvalidRetry> {
        if settings.initial_interval.is_zero() {
            return Err(InvalidRetry::NoInterval);
        }
        if settings.max_interval < settings.initial_interval {
            return Err(InvalidRetry::MaxBelowInitial);
        }
        if !(settings.multiplier.is_finite() && settings.multiplier >= 1.0) {
            return Err(InvalidRetry::Multiplier);
        }
        if !(0.0..=1.0).contains(&settings.randomization_factor) {
            return Err(InvalidRetry::Spread);
        }
        Ok(Self {
            enabled: settings.enabled,
            initial: settings.initial_interval,
            max: settings.max_interval,
            max_elapsed: settings.max_elapsed_time,
            multiplier: settings.multiplier,
            spread: settings.randomization_factor,
        })
    }

    /// The waits of one batch, from the first.
    pub(crate) fn waits(self) -> Waits {
        Waits { policy: self, interval: self.initial }
    }
}

/// The waits of one batch.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    policy: RetryPolicy,
    interval: Duration,
}

impl Waits {
    /// The next wait, or `None` when it is time to give up.
    ///
    /// `elapsed` is the time since the batch was first sent; `told` what the server asked for; `chance` is from 0 to 1
    /// and moves the wait from the short end of its jitter to the long one.
    pub(crate) fn next(&mut self, elapsed: Duration, told: Option<Duration>, chance: f64) -> Option<Duration> {
        let RetryPolicy { enabled, max, max_elapsed, multiplier, spread, .. } = self.policy;
        if !enabled {
            return None;
        }
        let jitter = 1.0 + spread * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
        let backoff = scaled(self.interval, jitter, max);
        self.interval = scaled(self.interval, multiplier, max);
        let wait = told.map_or(backoff, |told| backoff.max(told.min(MAX_RETRY_AFTER)));
        match max_elapsed {
            Some(limit) if elapsed.saturating_add(wait) > limit => None,
            _ => Some(wait),
        }
    }
}

/// `interval` times `factor`, at most `max`, whatever the factor.
fn scaled(interval: Duration, factor: f64, max: Duration) -> Duration {
    Duration::try_from_secs_f64(interval.as_secs_f64() * factor).map_or(max, |scaled| scaled.min(max))
}

/// A number from 0 to 1 from the operating system.
pub(crate) fn chance() -> f64 {
    // Without randomness the middle is as good as any: all that is lost is the spread.
    #[allow(clippy::cast_precision_loss, reason = "a jitter needs no 64 bits of precision")]
    getrandom::u64().map_or(0.5, |random| random as f64 / u64::MAX as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> Retry {
        Retry {
            enabled: true,
            initial_interval: 5 * SECOND,
            max_interval: 30 * SECOND,
            max_elapsed_time: Some(300 * SECOND),
            multiplier: 2.0,
            randomization_factor: 0.5,
        }
    }

    fn waits(settings: &Retry) -> Waits {
        RetryPolicy::new(settings).unwrap().waits()
    }

    #[test]
    fn waits_grow_by_the_multiplier_up_to_the_longest_interval() {
        let mut waits = waits(&settings());
        let seconds: Vec<_> = (0..5).map(|_| waits.next(Duration::ZERO, None, 0.5).unwrap().as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 30, 30]);
    }

    #[test]
    fn chance_spreads_a_wait_around_its_interval() {
        let wait = |chance| waits(&settings()).next(Duration::ZERO, None, chance).unwrap();
        assert_eq!(wait(0.0), 5 * SECOND / 2);
        assert_eq!(wait(0.5), 5 * SECOND);
        assert_eq!(wait(1.0), 15 * SECOND / 2);
    }

    #[test]
    fn a_server_can_make_a_wait_longer_but_not_shorter() {
        let wait = |told| waits(&settings()).next(Duration::ZERO, Some(told), 0.5).unwrap();
        assert_eq!(wait(SECOND), 5 * SECOND);
        assert_eq!(wait(42 * SECOND), 42 * SECOND);
    }

    #[test]
    fn a_server_cannot_make_a_wait_endless() {
        let for_ever = Retry { max_elapsed_time: None, ..settings() };
        let wait = waits(&for_ever).next(Duration::ZERO, Some(Duration::MAX), 0.5);
        assert_eq!(wait, Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn gives_up_when_the_next_attempt_would_come_too_late() {
        assert!(waits(&settings()).next(295 * SECOND, None, 0.5).is_some());
        assert!(waits(&settings()).next(296 * SECOND, None, 0.5).is_none());
        let for_ever = Retry { max_elapsed_time: None, ..settings() };
        assert!(waits(&for_ever).next(Duration::MAX, None, 0.5).is_some());
    }

    #[test]
    fn never_retries_when_switched_off() {
        assert_eq!(waits(&Retry { enabled: false, ..settings() }).next(Duration::ZERO, None, 0.5), None);
    }

    #[test]
    fn settings_that_describe_no_back_off_are_refused() {
        for (settings, problem) in [
            (Retry { initial_interval: Duration::ZERO, ..settings() }, InvalidRetry::NoInterval),
            (Retry { max_interval: SECOND, ..settings() }, InvalidRetry::MaxBelowInitial),
            (Retry { multiplier: 0.9, ..settings() }, InvalidRetry::Multiplier),
            (Retry { multiplier: f64::NAN, ..settings() }, InvalidRetry::Multiplier),
            (Retry { multiplier: f64::INFINITY, ..settings() }, InvalidRetry::Multiplier),
            (Retry { randomization_factor: 1.1, ..settings() }, InvalidRetry::Spread),
            (Retry { randomization_factor: -0.1, ..settings() }, InvalidRetry::Spread),
            (Retry { randomization_factor: f64::NAN, ..settings() }, InvalidRetry::Spread),
        ] {
            assert_eq!(RetryPolicy::new(&settings), Err(problem));
        }
    }

    #[test]
    fn chance_is_from_0_to_1() {
        for _ in 0..1000 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }

    proptest! {
        #[test]
        fn no_settings_server_or_chance_break_the_bounds(
            initial in 1_u64..=u64::MAX,
            longer in 0_u64..=u64::MAX,
            max_elapsed in proptest::option::of(0_u64..=u64::MAX),
            multiplier in 1.0_f64..=f64::MAX,
            spread in 0.0_f64..=1.0,
            attempts in proptest::collection::vec((any::<u64>(), proptest::option::of(any::<u64>()), any::<f64>()), 1..20),
        ) {
            let settings = Retry {
                enabled: true,
                initial_interval: Duration::from_nanos(initial),
                max_interval: Duration::from_nanos(initial).saturating_add(Duration::from_nanos(longer)),
                max_elapsed_time: max_elapsed.map(Duration::from_nanos),
                multiplier,
                randomization_factor: spread,
            };
            let mut waits = RetryPolicy::new(&settings).unwrap().waits();
            for (elapsed, told, chance) in attempts {
                let elapsed = Duration::from_nanos(elapsed);
                let told = told.map(Duration::from_secs);
                if let Some(wait) = waits.next(elapsed, told, chance) {
                    prop_assert!(wait <= settings.max_interval.max(MAX_RETRY_AFTER));
                    prop_assert!(told.is_some() || wait <= settings.max_interval);
                    prop_assert!(told.is_none_or(|told| wait >= told.min(MAX_RETRY_AFTER)));
                    prop_assert!(settings.max_elapsed_time.is_none_or(|limit| elapsed + wait <= limit));
                }
            }
        }

        #[test]
        fn waits_without_jitter_never_shrink(multiplier in 1.0_f64..10.0, spread in 0.0_f64..=1.0) {
            let settings = Retry { multiplier, randomization_factor: spread, max_elapsed_time: None, ..settings() };
            let mut waits = waits(&settings);
            let all: Vec<_> = (0..20).map(|_| waits.next(Duration::ZERO, None, 0.5).unwrap()).collect();
            prop_assert!(all.is_sorted());
        }
    }
}
