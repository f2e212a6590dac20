//! The one door: a collection begins when there is room for what it may bring.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kiln_config::{MemoryLimit, Share};
use kiln_telemetry::metrics::{MemoryBound, MemoryMetrics};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::account::{Account, Held};
use crate::guard::Guard;
use crate::system::System;

/// How often the process is looked at while somebody waits for it to shrink.
const LOOK: Duration = Duration::from_millis(500);
/// When nothing is held that could be let go, waiting makes the process no smaller: then one collection begins after so long,
/// by itself.
const ALONE: Duration = Duration::from_secs(30);

/// What batches in memory may take, and the process as a whole. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    account: Arc<Account>,
    batches: u64,
    /// What the process may take, and where it says what it takes; `None` where the system does not say.
    process: Option<(u64, Taken)>,
    guard: Mutex<Guard>,
    /// Whoever waits gets room in the order they asked.
    turn: tokio::sync::Mutex<()>,
    /// What the first of those who wait is waiting for.
    short_of: watch::Sender<Option<MemoryBound>>,
    metrics: MemoryMetrics,
}

/// How it is found out what is taken.
#[derive(Clone, Debug)]
enum Taken {
    /// A share of what there is: by whoever shares that.
    OfAll(System),
    /// So many bytes: by this process.
    ByProcess(System),
    #[cfg(test)]
    Told(Arc<std::sync::atomic::AtomicU64>),
}

/// Room for what a collection may bring, until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Reservation(#[allow(dead_code, reason = "its end is what it says")] Held);

impl Memory {
    /// Memory under the limits configured, on this machine.
    #[must_use]
    pub fn new(limit: &MemoryLimit, metrics: MemoryMetrics) -> Self {
        let system = System::look(Path::new("/"));
        let available = system.available();
        let bytes = |share: Share| match share {
            Share::Bytes(bytes) => Some(bytes),
            Share::Percent(percent) => available.map(|available| available / 100 * u64::from(percent)),
        };
        let batches = match limit.batches {
            Some(share) => bytes(share),
            None => bytes(MemoryLimit::BATCHES_AT_MOST).map(|bytes| bytes.min(MemoryLimit::BATCHES)),
        };
        let process = bytes(limit.process).map(|bytes| match limit.process {
            Share::Bytes(_) => (bytes, Taken::ByProcess(system)),
            Share::Percent(_) => (bytes, Taken::OfAll(system)),
        });
        Self::with(batches.unwrap_or(MemoryLimit::BATCHES), process, metrics)
    }

    fn with(batches: u64, process: Option<(u64, Taken)>, metrics: MemoryMetrics) -> Self {
        metrics.bound(MemoryBound::Batches, batches);
        if let Some((limit, _)) = &process {
            metrics.bound(MemoryBound::Process, *limit);
        }
        Self(Arc::new(Shared {
            account: Account::new(metrics.clone()),
            batches,
            process,
            guard: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            short_of: watch::Sender::new(None),
            metrics,
        }))
    }

    /// Bytes that batches may take.
    #[must_use]
    pub fn batches_limit(&self) -> u64 {
        self.0.batches
    }

    /// Bytes the process may take, where the system says what it takes.
    #[must_use]
    pub fn process_limit(&self) -> Option<u64> {
        self.0.process.as_ref().map(|(limit, _)| *limit)
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.account.held()
    }

    /// Waits until so many bytes more may be collected; `waits` is told once what for, if it has to wait.
    ///
    /// More than there may ever be passes alone, when nothing is held. Cancelling the wait leaves nothing behind.
    pub async fn room(&self, bytes: u64, waits: impl FnOnce(MemoryBound)) -> Reservation {
        let shared = &*self.0;
        let mut waits = Some(waits);
        let began = Instant::now();
        let mut tell = |bound| {
            if let Some(waits) = waits.take() {
                shared.metrics.hit(bound);
                waits(bound);
            }
        };
        let turn = shared.turn.lock();
        tokio::pin!(turn);
        let mut short_of = shared.short_of.subscribe();
        // Whoever is only behind somebody else who gets in does not wait.
        let _turn = tokio::select! {
            biased;
            turn = &mut turn => turn,
            bound = shortage(&mut short_of) => {
                tell(bound);
                turn.await
            }
        };
        let first = First(&shared.short_of);
        loop {
            if !shared.process_lets_in(began) {
                tell(MemoryBound::Process);
                first.is_short_of(MemoryBound::Process);
                // Nothing says when a process shrinks.
                let _ = timeout(LOOK, shared.account.room.notified()).await;
                continue;
            }
            match shared.account.try_hold(bytes, shared.batches) {
                Some(held) => return Reservation(held),
                None => {
                    tell(MemoryBound::Batches);
                    first.is_short_of(MemoryBound::Batches);
                    shared.account.room.notified().await;
                }
            }
        }
    }

    /// Counts bytes that are on their way, until the last handle to them is gone.
    #[must_use]
    pub fn count(&self, bytes: Bytes) -> Bytes {
        self.0.account.count(bytes)
    }

    /// Counts so many bytes until what it returns is dropped.
    #[must_use]
    pub fn hold(&self, bytes: usize) -> Held {
        self.0.account.hold(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

impl Default for Memory {
    /// As much as there is, for tests and tools: counted, and nobody waits.
    fn default() -> Self {
        Self::with(u64::MAX, None, kiln_telemetry::Metrics::new("").memory())
    }
}

impl Shared {
    fn process_lets_in(&self, waits_since: Instant) -> bool {
        let Some((limit, taken)) = &self.process else { return true };
        // What cannot be read does not guard; it could be read when Kiln started.
        let Some(taken) = taken.bytes() else { return true };
        self.metrics.process(taken);
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.lets_in(taken, *limit) || (self.account.held() == 0 && waits_since.elapsed() >= ALONE)
    }
}

/// The first of those who wait, until it gets in or gives up.
struct First<'a>(&'a watch::Sender<Option<MemoryBound>>);

impl First<'_> {
    fn is_short_of(&self, bound: MemoryBound) {
        self.0.send_if_modified(|short_of| short_of.replace(bound) != Some(bound));
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|short_of| short_of.take().is_some());
    }
}

/// Waits until the first has to wait.
async fn shortage(short_of: &mut watch::Receiver<Option<MemoryBound>>) -> MemoryBound {
    loop {
        if let Some(bound) = *short_of.borrow_and_update() {
            return bound;
        }
        if short_of.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Taken {
    fn bytes(&self) -> Option<u64> {
        match self {
            Self::OfAll(system) => system.taken(),
            Self::ByProcess(system) => system.process(),
            #[cfg(test)]
            Self::Told(bytes) => Some(bytes.load(std::sync::atomic::Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
