//! One of something for each signal.

use crate::batch::Signal;

/// One of something for each signal, so that choosing between them is a `match` and not a look-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerSignal<T> {
    /// That of metrics.
    pub metrics: T,
    /// That of traces.
    pub traces: T,
    /// That of logs.
    pub logs: T,
}

impl<T> PerSignal<T> {
    /// Makes one for each signal.
    pub fn new(mut make: impl FnMut(Signal) -> T) -> Self {
        Self { metrics: make(Signal::Metrics), traces: make(Signal::Traces), logs: make(Signal::Logs) }
    }

    /// Makes one for each signal, unless one of them cannot be made.
    ///
    /// # Errors
    /// The first.
    pub fn try_new<E>(mut make: impl FnMut(Signal) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { metrics: make(Signal::Metrics)?, traces: make(Signal::Traces)?, logs: make(Signal::Logs)? })
    }

    /// That of a signal.
    pub const fn of(&self, signal: Signal) -> &T {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    /// That of a signal, to change.
    pub const fn of_mut(&mut self, signal: Signal) -> &mut T {
        match signal {
            Signal::Metrics => &mut self.metrics,
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
        }
    }

    /// All three.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.metrics, &self.traces, &self.logs].into_iter()
    }
}

impl<T> PerSignal<Option<T>> {
    /// All three, if there are three.
    #[must_use]
    pub fn transpose(self) -> Option<PerSignal<T>> {
        Some(PerSignal { metrics: self.metrics?, traces: self.traces?, logs: self.logs? })
    }
}
