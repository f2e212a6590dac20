//! Points in time, so that milliseconds from an API are never taken for the nanoseconds telemetry is made of.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch, the unit of every time in the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNanos(u64);

impl UnixNanos {
    /// A count of nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A count of milliseconds, the unit of most REST APIs. What does not fit (after the year 2554) is the last time
    /// that does.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time `duration` earlier, not before the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// The time `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_are_clamped() {
        assert_eq!(UnixNanos::from_millis(u64::MAX), UnixNanos::from_nanos(u64::MAX));
        assert_eq!(UnixNanos::from_millis(5).before(Duration::from_secs(1)), UnixNanos::from_nanos(0));
        assert_eq!(UnixNanos::from_nanos(u64::MAX).after(Duration::MAX), UnixNanos::from_nanos(u64::MAX));
        assert_eq!(UnixNanos::from_millis(1_500).after(Duration::from_millis(1)).as_millis(), 1_501);
    }
}
