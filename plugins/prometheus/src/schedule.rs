//! When a job is due. The host decides when collections happen; a job may skip some of them.

use core::time::Duration;

/// How much earlier than its interval says a job may be scraped: collections are not on time to the millisecond.
const MAX_SLACK: Duration = Duration::from_secs(1);

/// When a job was scraped and is to be again. Times are those of the monotonic clock, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    last: Option<u64>,
    next: u64,
    has_complained: bool,
}

/// What a collection is to a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    No,
    Yes,
    /// Collections come less often than the job wants; this much lies between them. Said once.
    Late(Duration),
}

impl Schedule {
    pub(crate) fn is_due(&mut self, now: u64, interval: Option<Duration>) -> Due {
        let Some(interval) = interval else { return Due::Yes };
        let slack = nanos(MAX_SLACK.min(interval / 10));
        let Some(last) = self.last else {
            self.last = Some(now);
            self.next = now.saturating_add(nanos(interval));
            return Due::Yes;
        };
        if now.saturating_add(slack) < self.next {
            return Due::No;
        }
        let passed = Duration::from_nanos(now.saturating_sub(last));
        self.last = Some(now);
        // On a grid, lest slack add up; a new one after a pause, lest scrapes be made up for.
        self.next = self.next.saturating_add(nanos(interval));
        if self.next <= now.saturating_add(slack) {
            self.next = now.saturating_add(nanos(interval));
        }
        if passed > interval + interval / 2 && !self.has_complained {
            self.has_complained = true;
            return Due::Late(passed);
        }
        Due::Yes
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn due(interval: u64, collections: &[u64]) -> Vec<bool> {
        let mut schedule = Schedule::default();
        let interval = Some(Duration::from_secs(interval));
        collections.iter().map(|at| schedule.is_due(*at, interval) != Due::No).collect()
    }

    #[test]
    fn a_job_without_an_interval_is_always_due() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.is_due(0, None), Due::Yes);
        assert_eq!(schedule.is_due(1, None), Due::Yes);
    }

    #[test]
    fn a_longer_interval_skips_collections_and_bears_jitter() {
        let collections = [0, 15, 30, 45, 60].map(|at| at * SECOND + if at % 30 == 0 { 0 } else { SECOND / 2 });
        assert_eq!(due(30, &collections), [true, false, true, false, true]);
        assert_eq!(due(30, &[SECOND, 30 * SECOND + SECOND / 2, 60 * SECOND + SECOND / 2]), [true, true, true]);
    }

    #[test]
    fn a_shorter_interval_is_complained_about_once() {
        let mut schedule = Schedule::default();
        let interval = Some(Duration::from_secs(15));
        assert_eq!(schedule.is_due(0, interval), Due::Yes);
        assert_eq!(schedule.is_due(60 * SECOND, interval), Due::Late(Duration::from_secs(60)));
        assert_eq!(schedule.is_due(120 * SECOND, interval), Due::Yes);
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let collections = [0, 300, 315, 330].map(|at| at * SECOND);
        assert_eq!(due(30, &collections), [true, true, false, true]);
    }
}
