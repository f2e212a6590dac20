//! Makes time pass for plugins while one computes. When none does, its thread sleeps: a host that waits for the next
//! collection should cost nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Builder, Thread};
use std::time::Duration;

/// How often a running plugin lets others run and has its CPU time counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The thread that ticks. It ends with the last handle.
pub(crate) struct Epoch {
    state: Arc<State>,
    thread: Thread,
}

/// What the thread and those who compute tell each other. All of it is sequentially consistent: either the thread sees
/// that somebody computes before it sleeps, or they see that it sleeps and wake it.
#[derive(Default)]
struct State {
    computing: AtomicUsize,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
}

impl Epoch {
    /// Calls `tick` whenever it is time.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(crate) fn start(tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let shared = state.clone();
        let thread = Builder::new().name("epoch".to_owned()).spawn(move || {
            while shared.wait() {
                tick();
            }
        })?;
        Ok(Self { state, thread: thread.thread().clone() })
    }

    /// Lets time pass for plugins whenever `work` is polled, which is when it computes.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _computing = self.begin();
            work.as_mut().poll(context)
        })
        .await
    }

    fn begin(&self) -> Computing<'_> {
        self.state.computing.fetch_add(1, Ordering::SeqCst);
        if self.state.is_asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Computing(&self.state)
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl State {
    /// Until the next tick, which is a while off if nobody computes. Says whether there is one.
    ///
    /// One who has computed since the last tick gets one, even if they are done by then: a plugin that waits again and
    /// again, each time after less than a tick, is held to its budget too.
    fn wait(&self) -> bool {
        if self.computing.load(Ordering::SeqCst) == 0 {
            self.is_asleep.store(true, Ordering::SeqCst);
            if self.computing.load(Ordering::SeqCst) > 0 {
                // They began in between, and did not see that this thread sleeps.
                self.is_asleep.store(false, Ordering::SeqCst);
            }
            // Parking may end for no reason, or for one that has gone by.
            while self.is_asleep.load(Ordering::SeqCst) && !self.is_over.load(Ordering::SeqCst) {
                thread::park();
            }
        }
        if self.is_over.load(Ordering::SeqCst) {
            return false;
        }
        thread::sleep(TICK);
        true
    }
}

/// Somebody computes, until it is dropped.
struct Computing<'a>(&'a State);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.computing.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Ticking {
        epoch: Epoch,
        ticks: Arc<AtomicUsize>,
    }

    impl Ticking {
        fn start() -> Self {
            let ticks = Arc::new(AtomicUsize::new(0));
            let counted = ticks.clone();
            let epoch = Epoch::start(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            });
            Self { epoch: epoch.unwrap(), ticks }
        }

        fn ticks(&self) -> usize {
            self.ticks.load(Ordering::SeqCst)
        }

        fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
            while !is_so(self) {
                thread::yield_now();
            }
        }

        fn is_asleep(&self) -> bool {
            self.epoch.state.is_asleep.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn nothing_ticks_while_nobody_computes() {
        let ticking = Ticking::start();
        ticking.wait_until(Ticking::is_asleep);
        assert_eq!(ticking.ticks(), 0);
    }

    #[test]
    fn one_who_was_quick_meets_a_tick_all_the_same() {
        let ticking = Ticking::start();
        ticking.wait_until(Ticking::is_asleep);
        for turn in 1..=3 {
            drop(ticking.epoch.begin());
            ticking.wait_until(|ticking| ticking.ticks() == turn && ticking.is_asleep());
        }
        assert_eq!(ticking.ticks(), 3);
    }

    #[test]
    fn it_ticks_for_as_long_as_one_computes() {
        let ticking = Ticking::start();
        let first = ticking.epoch.begin();
        let second = ticking.epoch.begin();
        drop(first);
        ticking.wait_until(|ticking| ticking.ticks() >= 5);
        drop(second);
        ticking.wait_until(Ticking::is_asleep);
    }

    #[tokio::test]
    async fn waiting_is_not_computing() {
        let ticking = Ticking::start();
        let (send, receive) = tokio::sync::oneshot::channel();
        let during = ticking.epoch.during(receive);
        let meanwhile = async {
            ticking.wait_until(Ticking::is_asleep);
            send.send("answer").unwrap();
        };
        let (answer, ()) = tokio::join!(during, meanwhile);
        assert_eq!(answer.unwrap(), "answer");
    }

    #[test]
    fn the_thread_ends_with_the_last_handle() {
        let Ticking { epoch, ticks } = Ticking::start();
        drop(epoch);
        while Arc::strong_count(&ticks) > 1 {
            thread::yield_now();
        }
    }
}
