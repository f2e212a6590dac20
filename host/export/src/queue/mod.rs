//! What waits to be sent, in memory or on disk: the same to producers and to workers.

mod disk;
mod envelope;
mod memory;
mod staged;
mod storage;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;

use std::sync::Arc;

use kiln_otlp::Batch;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::disk::{DiskQueue, SYNC_INTERVAL};
pub use self::envelope::Unit;
pub(crate) use self::memory::MemoryQueue;
pub use self::staged::Staged;
pub use self::storage::{Storage, StorageError};

/// The exporter is stopping and takes no more batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exporter is stopping and takes no more batches")]
pub struct Closed;

/// Why a batch was not taken. Whoever has it must not count it as delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The exporter is stopping.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The disk refuses.
    #[error("the queue of exporter `{exporter}` cannot be written: {cause}; check the disk under its `storage`")]
    Unwritable {
        /// Its id.
        exporter: String,
        /// What the system says.
        cause: String,
    },
}

#[derive(Debug)]
pub(crate) enum Queue {
    Memory(Box<MemoryQueue>),
    Disk(Arc<DiskQueue>),
}

/// A batch on its way, and what is to be done with it in the queue once it has arrived.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) receipt: Receipt,
}

/// Where a batch that is on its way is kept meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receipt {
    /// Nowhere.
    None,
    /// On disk, under this id.
    Stored(u64),
}

/// What came of waiting for a batch.
#[derive(Debug)]
pub(crate) enum Popped<T> {
    /// The one that has waited longest.
    Next(T),
    /// None within the time.
    Late,
    /// There will be none: the queue is closed and empty.
    Closed,
}

impl Queue {
    /// The batch that has waited longest, once there is one, or until it is that time.
    pub(crate) async fn pop(&self, until: Option<Instant>) -> Popped<Job> {
        match self {
            Self::Memory(queue) => match queue.pop(until).await {
                Popped::Next(batch) => Popped::Next(Job { batch, receipt: Receipt::None }),
                Popped::Late => Popped::Late,
                Popped::Closed => Popped::Closed,
            },
            Self::Disk(queue) => queue.pop(until).await,
        }
    }

    /// Batches have arrived, or are given up.
    pub(crate) async fn done(&self, receipts: impl IntoIterator<Item = Receipt>) {
        let Self::Disk(queue) = self else { return };
        let stored = receipts.into_iter().filter_map(|receipt| match receipt {
            Receipt::Stored(id) => Some(id),
            Receipt::None => None,
        });
        queue.done(stored.collect()).await;
    }

    /// Whether a batch that is not sent now is still there at the next start.
    pub(crate) async fn keeps(&self, receipt: Receipt) -> bool {
        match (self, receipt) {
            (Self::Disk(queue), Receipt::Stored(id)) => queue.keeps(id).await,
            _ => false,
        }
    }

    /// Lets nothing in any more; producers that wait are turned away.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(queue) => queue.close(),
            Self::Disk(queue) => queue.close(),
        }
    }

    /// Whether the next producer would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Memory(queue) => queue.is_full(),
            Self::Disk(queue) => queue.is_full(),
        }
    }
}

/// A permit for a batch, once there is one; `None` if there is none until then. Of semaphores that are never closed.
async fn batch_permit(batches: &Semaphore, until: Option<Instant>) -> Option<SemaphorePermit<'_>> {
    match until {
        None => batches.acquire().await.ok(),
        Some(until) => timeout_at(until, batches.acquire()).await.ok()?.ok(),
    }
}
