//! Batches on disk that are not to be sent before their collection is complete.

use std::sync::Arc;

use kiln_otlp::Signal;

use super::disk::DiskQueue;

/// A batch on disk, as far as it is known without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    pub(crate) items: u32,
    pub(crate) signal: Signal,
}

/// What one collection has in the queues of exporters. Dropping it takes it back; [`Self::release`] lets it go.
#[must_use]
#[derive(Debug, Default)]
pub struct Staged(Vec<Part>);

#[derive(Debug)]
struct Part {
    queue: Arc<DiskQueue>,
    batches: Vec<Waiting>,
}

impl Staged {
    pub(crate) fn new(queue: Arc<DiskQueue>, batches: Vec<Waiting>) -> Self {
        if batches.is_empty() { Self::default() } else { Self(vec![Part { queue, batches }]) }
    }

    /// Takes what is staged elsewhere in.
    pub fn join(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether anything waits for the collection to be complete.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The collection is complete: all of it may be sent.
    pub fn release(mut self) {
        for Part { queue, batches } in self.0.drain(..) {
            queue.release(batches);
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for Part { queue, batches } in self.0.drain(..) {
            queue.take_back(batches);
        }
    }
}
