//! The time a plugin is told.
//!
//! It is the system's. Whoever tries a plugin can move it, to see what the plugin makes of a clock that jumps; what the host
//! stamps telemetry with, and its own time-outs, do not move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use wasmtime_wasi::HostWallClock;

use crate::store_data::unix_nanos;

/// A clock, and how far it is from the system's. Clones share that.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// From now on it shows so many seconds more, or fewer, than the system's.
    pub fn set_ahead(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    /// Nanoseconds since the Unix epoch.
    pub(crate) fn unix_nanos(&self) -> u64 {
        let ahead = self.0.load(Ordering::Relaxed);
        let nanos = ahead.unsigned_abs().saturating_mul(1_000_000_000);
        if ahead < 0 { unix_nanos().saturating_sub(nanos) } else { unix_nanos().saturating_add(nanos) }
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.unix_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_moved_both_ways_and_back() {
        let clock = Clock::default();
        let hour = 3_600_000_000_000;
        let before = unix_nanos();
        for (seconds, least) in [(3600, before + hour), (-3600, before - hour), (0, before)] {
            clock.clone().set_ahead(seconds);
            let shown = clock.unix_nanos();
            assert!(shown >= least && shown - least < hour / 2, "{seconds}");
        }
        clock.set_ahead(i64::MIN);
        assert_eq!(clock.unix_nanos(), 0);
    }
}
