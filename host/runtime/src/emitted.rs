//! What one collection has emitted so far.

use std::sync::Arc;

use kiln_otlp::{Amount, Batch, PerSignal, Signal};
use kiln_policy::Declared;

/// Joins batches until the collection succeeds, under one budget for all of them.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) declared: Arc<Declared>,
    limit: Amount,
    joined: PerSignal<Joined>,
}

/// Requests only hold repeated groups, so joining their encodings joins the requests. Joined as they come, a large
/// collection is in memory once.
#[derive(Debug, Default)]
struct Joined {
    payload: Vec<u8>,
    items: usize,
}

impl Emitted {
    pub(crate) fn new(declared: Arc<Declared>, limit: Amount) -> Self {
        Self { declared, limit, joined: PerSignal::default() }
    }

    /// What all calls of a collection together may emit.
    pub(crate) const fn limit(&self) -> Amount {
        self.limit
    }

    /// What the calls so far have emitted.
    pub(crate) fn spent(&self) -> Amount {
        Amount {
            bytes: self.joined.iter().map(|joined| joined.payload.len()).sum(),
            items: self.joined.iter().map(|joined| joined.items).sum(),
        }
    }

    pub(crate) fn push(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch else { return };
        let joined = self.joined.of_mut(batch.signal);
        joined.items += batch.items;
        if joined.payload.is_empty() {
            joined.payload = batch.payload.into();
        } else {
            joined.payload.extend_from_slice(&batch.payload);
        }
    }

    /// One batch per signal; what is left is empty.
    pub(crate) fn take(&mut self) -> Vec<Batch> {
        let mut joined = std::mem::take(&mut self.joined);
        let batch = |signal| {
            let Joined { payload, items } = std::mem::take(joined.of_mut(signal));
            (items > 0).then(|| Batch { signal, payload: payload.into(), items })
        };
        Signal::ALL.into_iter().filter_map(batch).collect()
    }
}
