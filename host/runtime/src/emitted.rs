//! What one collection has emitted so far.

use std::sync::Arc;

use kiln_otlp::{Amount, Batch, Signal};
use kiln_policy::Declared;

/// Buffers batches until the collection succeeds, under one budget for all of them.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) declared: Arc<Declared>,
    limit: Amount,
    batches: Vec<Batch>,
}

impl Emitted {
    pub(crate) const fn new(declared: Arc<Declared>, limit: Amount) -> Self {
        Self { declared, limit, batches: Vec::new() }
    }

    /// What all calls of a collection together may emit.
    pub(crate) const fn limit(&self) -> Amount {
        self.limit
    }

    /// What the calls so far have emitted.
    pub(crate) fn spent(&self) -> Amount {
        Amount {
            bytes: self.batches.iter().map(|batch| batch.payload.len()).sum(),
            items: self.batches.iter().map(|batch| batch.items).sum(),
        }
    }

    pub(crate) fn push(&mut self, batch: Option<Batch>) {
        self.batches.extend(batch);
    }

    /// One batch per signal; what is left is empty.
    pub(crate) fn take(&mut self) -> Vec<Batch> {
        let batches = std::mem::take(&mut self.batches);
        Signal::ALL.into_iter().filter_map(|signal| Batch::concat(signal, &batches)).collect()
    }
}
