//! How long a plugin has computed in the current call, and the host on its behalf. Time in which it waited does not
//! count.
//!
//! The engine interrupts a running plugin at every tick, and once more when it comes back from a host call that took
//! longer than one. So ticks cannot simply be counted: what counts is the time since the plugin last began to run, and
//! never more than a tick of it, because time may have passed while others ran.
//!
//! Work of the host is measured by the thread's own clock, which stands while others run, and counts in full.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::epoch::TICK;

/// Adds up slices of computing time against a budget.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    budget: Duration,
    used: Duration,
    running_since: Instant,
}

/// Work of the host that has begun, on this thread.
#[must_use]
pub(crate) struct HostWork(Duration);

impl CpuMeter {
    pub(crate) fn new(budget: Duration) -> Self {
        Self { budget, used: Duration::ZERO, running_since: Instant::now() }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self) {
        self.used = Duration::ZERO;
        self.running_since = Instant::now();
    }

    /// The plugin ran until now: it is about to wait, was interrupted, or has returned.
    pub(crate) fn pause(&mut self) {
        self.pause_at(Instant::now());
    }

    fn pause_at(&mut self, now: Instant) {
        self.used += now.saturating_duration_since(self.running_since).min(TICK);
        self.running_since = now;
    }

    /// The plugin runs again after it has waited.
    pub(crate) fn resume(&mut self) {
        self.running_since = Instant::now();
    }

    /// The plugin stands still while the host works for it, without waiting for anything.
    pub(crate) fn begin_host_work(&mut self) -> HostWork {
        self.pause();
        HostWork(thread_time())
    }

    /// The work is done, on the thread that began it; the plugin runs again.
    pub(crate) fn end_host_work(&mut self, HostWork(began): HostWork) {
        self.used += thread_time().saturating_sub(began);
        self.resume();
    }

    pub(crate) const fn used(&self) -> Duration {
        self.used
    }

    pub(crate) const fn budget(&self) -> Duration {
        self.budget
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.used >= self.budget
    }
}

/// What this thread has computed since it began.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_counts_and_waiting_does_not() {
        let mut meter = CpuMeter::new(TICK * 3);
        let start = meter.running_since;
        meter.pause_at(start + TICK / 2);
        // A long wait in the host, after which the plugin runs for half a tick.
        meter.running_since = start + TICK * 100;
        meter.pause_at(start + TICK * 100 + TICK / 2);
        assert_eq!(meter.used(), TICK);
        assert!(!meter.is_exhausted());
    }

    #[test]
    fn a_slice_is_never_more_than_a_tick() {
        let mut meter = CpuMeter::new(TICK * 3);
        let start = meter.running_since;
        for slice in 1..=3 {
            assert!(!meter.is_exhausted());
            meter.pause_at(start + TICK * 50 * slice);
        }
        assert!(meter.is_exhausted());
    }

    #[test]
    fn work_of_the_host_counts_in_full() {
        let mut meter = CpuMeter::new(TICK * 3);
        let work = meter.begin_host_work();
        let began = thread_time();
        while thread_time() < began + TICK * 5 {
            std::hint::spin_loop();
        }
        meter.end_host_work(work);
        assert!(meter.used() >= TICK * 5 && meter.is_exhausted());
    }
}
