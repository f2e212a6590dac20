//! State that a test can wait on.
//!
//! Tests of Kiln never sleep: they wait until something is true. Every server keeps what it knows in an
//! [`Observed`], so that waiting is woken by the change itself, from a blocking thread or from async code.
//!
//! Invariant: a condition is evaluated under the lock against a consistent state, once before waiting and
//! once after every change; a condition that panics does not break the server.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A condition did not become true in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// How long the wait was.
    pub waited: Duration,
    /// What was there when the wait ended, for the failure message of a test.
    pub seen: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the condition was still false after {:?}; seen so far: {}", self.waited, self.seen)
    }
}

impl std::error::Error for TimedOut {}

pub(crate) struct Observed<T> {
    state: Mutex<T>,
    changed: Condvar,
    // A second signal beside the condition variable, because async waiters must not block their runtime.
    version: watch::Sender<u64>,
}

impl<T> Observed<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new(), version: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // A test's condition may panic under the lock; the state itself is never left half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.lock())
    }

    pub(crate) fn update<R>(&self, update: impl FnOnce(&mut T) -> R) -> R {
        let result = update(&mut self.lock());
        self.changed.notify_all();
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Blocks the calling thread until `condition` gives a value.
    pub(crate) fn wait<R>(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&T) -> Option<R>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<R, TimedOut> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(result) = condition(&state) {
                return Ok(result);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TimedOut { waited: timeout, seen: describe(&state) });
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`Observed::wait`], for callers on an async runtime.
    pub(crate) async fn wait_async<R>(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&T) -> Option<R>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<R, TimedOut> {
        // Subscribed before the first look, so that no change falls between looking and waiting.
        let mut version = self.version.subscribe();
        let found = tokio::time::timeout(timeout, async {
            loop {
                version.mark_unchanged();
                if let Some(result) = self.read(&mut condition) {
                    return result;
                }
                if version.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .await;
        found.map_err(|_| TimedOut { waited: timeout, seen: self.read(describe) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_blocking_wait_is_woken_by_the_change_it_waits_for() {
        let observed = Arc::new(Observed::new(0));
        let writer = observed.clone();
        let thread = std::thread::spawn(move || {
            for _ in 0..3 {
                writer.update(|n| *n += 1);
            }
        });
        let seen = observed.wait(Duration::from_secs(10), |n| (*n == 3).then_some(*n), i32::to_string);
        thread.join().unwrap();
        assert_eq!(seen, Ok(3));
    }

    #[tokio::test]
    async fn an_async_wait_does_not_block_the_runtime_it_is_on() {
        let observed = Arc::new(Observed::new(0));
        let writer = observed.clone();
        // On this single-threaded runtime the writer can only run while the waiter has yielded.
        tokio::spawn(async move { writer.update(|n| *n = 7) });
        let seen = observed.wait_async(Duration::from_secs(10), |n| (*n == 7).then_some(()), i32::to_string).await;
        assert_eq!(seen, Ok(()));
    }

    #[test]
    fn a_wait_that_ends_says_what_was_there() {
        let observed = Observed::new(5);
        let error = observed.wait(Duration::ZERO, |_| None::<()>, |n| format!("only {n}")).unwrap_err();
        assert!(error.to_string().ends_with("seen so far: only 5"));
    }

    #[test]
    fn a_condition_that_panics_does_not_break_later_updates() {
        let observed = Arc::new(Observed::new(1));
        let waiter = observed.clone();
        let outcome = std::thread::spawn(move || {
            let _ = waiter.wait(
                Duration::from_secs(1),
                |_| -> Option<()> { panic!("assertion inside a condition") },
                i32::to_string,
            );
        })
        .join();
        assert!(outcome.is_err());
        observed.update(|n| *n = 2);
        assert_eq!(observed.read(|n| *n), 2);
    }
}
