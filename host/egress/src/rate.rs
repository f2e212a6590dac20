//! How fast one instance may ask one origin.
//!
//! A token bucket that holds a second's worth: short bursts pass at once, and over time no more than so many a second.
//! Everything that goes to the origin counts: repetitions and what follows a redirect too.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) struct RateLimit {
    /// From one request to the next.
    apart: Duration,
    /// When the bucket would be full again; `None` before the first request.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { apart: Duration::from_secs(1) / per_second.get(), full_at: Mutex::new(None) }
    }

    /// Takes a place in line and returns how long to wait for it; or, if that is more than `longest`, takes none.
    pub(crate) fn wait(&self, now: Instant, longest: Duration) -> Result<Duration, Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = full_at.map_or(now, |full_at| full_at.max(now)) + self.apart;
        let wait = after.saturating_duration_since(now).saturating_sub(Duration::from_secs(1));
        if wait > longest {
            return Err(wait);
        }
        *full_at = Some(after);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ten_a_second() -> RateLimit {
        RateLimit::new(NonZeroU32::MIN.saturating_add(9))
    }

    #[test]
    fn a_seconds_worth_passes_at_once_and_then_one_at_a_time() {
        let (rate, now) = (ten_a_second(), Instant::now());
        let waits: Vec<_> = (0..13).filter_map(|_| rate.wait(now, MINUTE).ok()).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
        // What has waited long enough does not wait again.
        assert_eq!(rate.wait(now + Duration::from_millis(400), MINUTE), Ok(Duration::ZERO));
        assert_eq!(rate.wait(now + MINUTE, MINUTE), Ok(Duration::ZERO));
    }

    #[test]
    fn whoever_would_wait_too_long_takes_no_place() {
        let (rate, now) = (ten_a_second(), Instant::now());
        (0..10).for_each(|_| assert_eq!(rate.wait(now, MINUTE), Ok(Duration::ZERO)));
        let longest = Duration::from_millis(50);
        assert_eq!(rate.wait(now, longest), Err(Duration::from_millis(100)));
        assert_eq!(rate.wait(now, longest), Err(Duration::from_millis(100)));
        assert_eq!(rate.wait(now, MINUTE), Ok(Duration::from_millis(100)));
    }
}
