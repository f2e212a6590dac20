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

impl Queue {
    /// The batch that has waited longest, once there is one; `None` when the queue is closed and empty.
    pub(crate) async fn pop(&self) -> Option<Job> {
        match self {
            Self::Memory(queue) => queue.pop().await.map(|batch| Job { batch, receipt: Receipt::None }),
            Self::Disk(queue) => queue.pop().await,
        }
    }

    /// A batch has arrived, or is given up.
    pub(crate) async fn done(&self, receipt: Receipt) {
        if let (Self::Disk(queue), Receipt::Stored(id)) = (self, receipt) {
            queue.done(id).await;
        }
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
