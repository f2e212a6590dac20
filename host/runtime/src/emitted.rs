//! What one collection has emitted so far.

use std::sync::Arc;

use kiln_otlp::{Batch, Limits, Signal};
use kiln_policy::Declared;

/// Buffers batches until the collection succeeds, under one budget for all of them.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) declared: Arc<Declared>,
    limits: Limits,
    batches: Vec<Batch>,
}

impl Emitted {
    pub(crate) const fn new(declared: Arc<Declared>, limits: Limits) -> Self {
        Self { declared, limits, batches: Vec::new() }
    }

    /// What the next call may still add.
    pub(crate) fn remaining(&self) -> Limits {
        let bytes: usize = self.batches.iter().map(|batch| batch.payload.len()).sum();
        let items: usize = self.batches.iter().map(|batch| batch.items).sum();
        Limits { bytes: self.limits.bytes.saturating_sub(bytes), items: self.limits.items.saturating_sub(items) }
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
