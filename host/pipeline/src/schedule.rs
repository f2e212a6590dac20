//! When a receiver collects.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The largest part of an interval by which instances are spread, so that a hundred of them do not start at once.
const SPREAD: f64 = 0.1;

/// Fixed intervals that never overlap: a collection that takes longer than one skips those it missed.
#[derive(Debug)]
pub struct Schedule {
    last: Option<Instant>,
    next: Instant,
    interval: Duration,
}

impl Schedule {
    /// Starts after `initial_delay` and a random part of the interval, then repeats every `interval`.
    #[must_use]
    pub fn new(interval: Duration, initial_delay: Duration) -> Self {
        Self::with_spread(interval, initial_delay, fraction())
    }

    fn with_spread(interval: Duration, initial_delay: Duration, fraction: f64) -> Self {
        // A first collection must not wait much longer than somebody watching was told, and one that is to be at once is.
        let spread = interval.mul_f64(SPREAD * fraction).min(initial_delay);
        Self { last: None, next: Instant::now() + initial_delay + spread, interval }
    }

    /// Has another interval from now on. If it is another, the next collection is that long after the last one, or now if
    /// that has passed.
    pub fn set_interval(&mut self, interval: Duration) {
        if interval == self.interval {
            return;
        }
        self.interval = interval;
        // Before the first collection there is none to count from.
        if let Some(last) = self.last {
            self.next = (last + interval).max(Instant::now());
        }
    }

    /// Says that there is a collection now, for another reason than that one is due: the next is an interval later.
    pub fn begin_anew(&mut self) {
        let now = Instant::now();
        self.last = Some(now);
        self.next = now + self.interval;
    }

    /// Waits for the next collection to be due.
    pub async fn due(&mut self) {
        let now = Instant::now();
        // The first one is due however late it is asked for.
        while self.last.is_some() && self.next < now {
            self.next += self.interval;
        }
        sleep_until(self.next).await;
        self.last = Some(self.next);
        self.next += self.interval;
    }
}

/// A random number from 0 to 1; 0 where the system has no randomness, which only makes instances start together.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a schedule of 60 s with an initial delay of 1 s, and a collection that takes 150 s.
    /// Guarantees: the phase is kept and the two intervals that passed meanwhile are skipped.
    #[tokio::test(start_paused = true)]
    async fn missed_intervals_are_skipped() {
        let start = Instant::now();
        let mut schedule = Schedule::with_spread(Duration::from_secs(60), Duration::from_secs(1), 0.0);
        schedule.due().await;
        assert_eq!(start.elapsed().as_secs(), 1);
        tokio::time::advance(Duration::from_secs(150)).await;
        schedule.due().await;
        assert_eq!(start.elapsed().as_secs(), 181);
        schedule.due().await;
        assert_eq!(start.elapsed().as_secs(), 241);
    }

    /// Scenario: the interval becomes shorter, longer, and shorter than what has passed since the last collection.
    /// Guarantees: the next collection is one new interval after the last one, or now; the first is when it was to be.
    #[tokio::test(start_paused = true)]
    async fn another_interval_counts_from_the_last_collection() {
        let start = Instant::now();
        let at = || start.elapsed().as_secs();
        let mut schedule = Schedule::with_spread(Duration::from_secs(60), Duration::from_secs(5), 0.0);
        schedule.set_interval(Duration::from_secs(30));
        schedule.due().await;
        assert_eq!(at(), 5);
        schedule.set_interval(Duration::from_secs(10));
        schedule.due().await;
        assert_eq!(at(), 15);
        schedule.set_interval(Duration::from_secs(60));
        schedule.due().await;
        assert_eq!(at(), 75);
        tokio::time::advance(Duration::from_secs(40)).await;
        schedule.set_interval(Duration::from_secs(20));
        schedule.due().await;
        assert_eq!(at(), 115);
        schedule.due().await;
        assert_eq!(at(), 135);
    }

    /// Scenario: a collection is to be at once, and a moment passes before anybody waits for it.
    /// Guarantees: it is not taken for one that was missed.
    #[tokio::test(start_paused = true)]
    async fn the_first_collection_is_not_missed() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(60), Duration::ZERO);
        tokio::time::advance(Duration::from_millis(5)).await;
        schedule.due().await;
        assert_eq!(start.elapsed(), Duration::from_millis(5));
        schedule.due().await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }

    /// Scenario: the random part is as large as it can be.
    /// Guarantees: the first collection is at most a tenth of the interval, or the initial delay again, late; without a delay
    /// it is at once.
    #[tokio::test(start_paused = true)]
    async fn the_spread_is_bounded() {
        for (interval, delay, latest) in [(60, 1, 2), (60, 0, 0), (600, 30, 60)] {
            let start = Instant::now();
            Schedule::with_spread(Duration::from_secs(interval), Duration::from_secs(delay), 1.0).due().await;
            assert!(start.elapsed() <= Duration::from_secs(latest), "{interval} {delay}");
        }
    }
}
