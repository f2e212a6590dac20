//! How long a source keeps quiet after what did not help.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A server may ask for more than [`LONGEST`]; beyond this it is taken for a mistake.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// After so long without another failure, the next one counts as the first.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A pause that doubles from one failure to the next, from a second to a minute.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    /// How much of it is left, if any.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Begins after a failure, not shorter than the server `asked` for. `chance` is a random number from 0 to 1.
    pub(super) fn begin(&mut self, now: Instant, asked: Option<Duration>, chance: f64) {
        if self.until.is_some_and(|until| now.saturating_duration_since(until) > FORGOTTEN) {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        // Instances that failed together must not come back together.
        let pause = pause + pause.mul_f64(chance.clamp(0.0, 1.0) / 4.0);
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(pause.max(asked.unwrap_or_default().min(LONGEST_ASKED)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute_and_is_forgotten_after_a_quiet_while() {
        let mut pause = Pause::default();
        let mut now = Instant::now();
        assert_eq!(pause.left(now), None);
        let mut seconds = Vec::new();
        for _ in 0..8 {
            pause.begin(now, None, 0.0);
            let left = pause.left(now).unwrap();
            seconds.push(left.as_secs());
            now += left;
            assert_eq!(pause.left(now), None);
        }
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        now += FORGOTTEN + FIRST;
        pause.begin(now, None, 0.0);
        assert_eq!(pause.left(now), Some(FIRST));
    }

    #[test]
    fn chance_only_lengthens_it_and_a_server_may_ask_for_more_but_not_for_ever() {
        let now = Instant::now();
        let left = |asked, chance| {
            let mut pause = Pause::default();
            pause.begin(now, asked, chance);
            pause.left(now).unwrap()
        };
        assert_eq!(left(None, 1.0), Duration::from_millis(1250));
        assert_eq!(left(Some(Duration::ZERO), 0.0), FIRST);
        assert_eq!(left(Some(Duration::from_secs(90)), 0.0), Duration::from_secs(90));
        assert_eq!(left(Some(Duration::MAX), 0.0), LONGEST_ASKED);
    }
}
