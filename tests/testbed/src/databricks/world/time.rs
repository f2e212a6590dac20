//! Time in the simulated workspace: milliseconds since 1970, as the API counts it, and the clock that tells it.
//!
//! Invariant: time never runs backwards on its own; only the owner of a frozen clock decides how it moves.

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The system's time.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(millis(since))
    }

    /// This much later; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// A duration as the API writes it: whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Serde for durations written as whole milliseconds.
pub(crate) mod as_millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(super::millis(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// What time it is in a world.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Moves with the system's monotonic clock from a starting point.
    Running {
        /// The world's time when the clock was started.
        started_at: UnixMillis,
        /// The same moment on the monotonic clock.
        since: Instant,
    },
    /// Stands still until it is advanced.
    Frozen(UnixMillis),
}

impl Clock {
    /// A clock that shows the system's time.
    #[must_use]
    pub fn wall() -> Self {
        Self::Running { started_at: UnixMillis::now(), since: Instant::now() }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        match self {
            Self::Running { started_at, since } => started_at.plus(since.elapsed()),
            Self::Frozen(now) => *now,
        }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        match self {
            Self::Running { started_at: at, .. } | Self::Frozen(at) => *at = at.plus(by),
        }
    }
}
