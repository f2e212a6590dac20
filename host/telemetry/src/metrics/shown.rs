//! Gauges of which two have the same name for a while: what runs and what is about to take its place both have a say, and
//! one of them is heard.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

/// Whether what is set shows, shared by all gauges of one instance.
#[derive(Clone, Debug)]
pub(super) struct Shown(Arc<Mutex<bool>>);

/// A gauge with a value of its own, which is that of the series as long as it shows.
#[derive(Clone, Debug)]
pub(super) struct OwnGauge {
    own: Gauge,
    series: Gauge,
}

impl Shown {
    pub(super) fn new(shown: bool) -> Self {
        Self(Arc::new(Mutex::new(shown)))
    }

    pub(super) fn set(&self, gauge: &OwnGauge, value: i64) {
        let shown = self.lock();
        gauge.own.set(value);
        if *shown {
            gauge.series.set(value);
        }
    }

    /// From now on these are what is seen.
    pub(super) fn show<'g>(&self, gauges: impl IntoIterator<Item = &'g OwnGauge>) {
        let mut shown = self.lock();
        *shown = true;
        for gauge in gauges {
            gauge.series.set(gauge.own.get());
        }
    }

    /// What is seen is left as it is, to whoever comes next.
    pub(super) fn hide(&self) {
        *self.lock() = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnGauge {
    pub(super) fn of(series: Gauge) -> Self {
        Self { own: Gauge::default(), series }
    }

    /// The same series with a value of its own again.
    pub(super) fn another(&self) -> Self {
        Self::of(self.series.clone())
    }
}
