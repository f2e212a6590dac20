//! Batches of one signal joined to a request, as `sending_queue.batch` asks for.
//!
//! What the queue gives is gathered by signal until it is large enough or has waited long enough. A batch that is gathered is
//! as much in the queue as it was: it is settled, every one by itself, when the request it became part of is. One worker
//! gathers at a time, so that what arrives together leaves together.

use std::collections::VecDeque;
use std::time::Duration;

use kiln_config::{Batching, Sizer};
use kiln_otlp::{Batch, Signal};
use tokio::time::Instant;

use crate::payload::MAX_REQUEST;
use crate::queue::{Job, Receipt};

/// What becomes one request, or several if it is too large for one.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) signal: Signal,
    /// At least one, all of the signal.
    pub(crate) jobs: Vec<Job>,
}

impl Parcel {
    pub(crate) fn of(job: Job) -> Self {
        Self { signal: job.batch.signal, jobs: vec![job] }
    }

    /// All of it as one batch, and what is to be settled once that has arrived: each with its items.
    pub(crate) fn open(self) -> (Batch, Vec<(Receipt, usize)>) {
        let receipts = self.jobs.iter().map(|job| (job.receipt, job.batch.items)).collect();
        let batches: Vec<_> = self.jobs.into_iter().map(|job| job.batch).collect();
        let empty = || Batch { signal: self.signal, payload: bytes::Bytes::new(), items: 0 };
        (Batch::concat(self.signal, &batches).unwrap_or_else(empty), receipts)
    }
}

/// What is gathered and not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Of each signal at most one, and none empty.
    open: Vec<Open>,
    /// What could become no larger.
    full: VecDeque<Parcel>,
}

#[derive(Debug)]
struct Open {
    parcel: Parcel,
    since: Instant,
    /// In the unit that is configured.
    size: usize,
    bytes: usize,
}

impl Gathering {
    /// Takes a batch in.
    pub(crate) fn add(&mut self, job: Job, batching: &Batching, now: Instant) {
        let (signal, bytes) = (job.batch.signal, job.batch.payload.len());
        let size = match batching.sizer {
            Sizer::Bytes => bytes,
            Sizer::Items | Sizer::Requests => job.batch.items,
        };
        let too_large = |open: &Open| {
            let joined = open.size.saturating_add(size);
            batching.max_size.is_some_and(|max| joined > max) || open.bytes.saturating_add(bytes) > MAX_REQUEST
        };
        let found = self.open.iter().position(|open| open.parcel.signal == signal);
        match found.and_then(|at| self.open.get_mut(at)) {
            Some(open) if !too_large(open) => {
                open.parcel.jobs.push(job);
                open.size = open.size.saturating_add(size);
                open.bytes = open.bytes.saturating_add(bytes);
            }
            Some(open) => {
                let next = Open { parcel: Parcel::of(job), since: now, size, bytes };
                self.full.push_back(std::mem::replace(open, next).parcel);
            }
            None => self.open.push(Open { parcel: Parcel::of(job), since: now, size, bytes }),
        }
    }

    /// What is to be sent now.
    pub(crate) fn due(&mut self, batching: &Batching, now: Instant) -> Option<Parcel> {
        if let Some(full) = self.full.pop_front() {
            return Some(full);
        }
        let is_due = |open: &Open| {
            open.size >= batching.min_size || now.saturating_duration_since(open.since) >= batching.flush_timeout
        };
        let at = self.open.iter().position(is_due)?;
        Some(self.open.swap_remove(at).parcel)
    }

    /// When something will be, should nothing more come.
    pub(crate) fn next_due(&self, flush_timeout: Duration) -> Option<Instant> {
        self.open.iter().map(|open| open.since + flush_timeout).min()
    }

    /// Anything there is, however small.
    pub(crate) fn any(&mut self) -> Option<Parcel> {
        self.full.pop_front().or_else(|| self.open.pop().map(|open| open.parcel))
    }
}

/// A batch in as many as it takes for none to be larger than asked for, as far as its items can be parted.
pub(crate) fn cut(batch: Batch, batching: &Batching) -> Vec<Batch> {
    match (batching.max_size, batching.sizer) {
        (None, _) => vec![batch],
        (Some(max), Sizer::Items | Sizer::Requests) => batch.parts(max),
        (Some(max), Sizer::Bytes) => {
            let (mut parts, mut rest) = (Vec::new(), vec![batch]);
            while let Some(batch) = rest.pop() {
                let halves = if batch.payload.len() > max { batch.halves() } else { None };
                match halves {
                    Some((first, second)) => rest.extend([second, first]),
                    None => parts.push(batch),
                }
            }
            parts
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
