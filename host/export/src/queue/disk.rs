//! Batches that wait on disk, and outlive the process.
//!
//! In memory there are their ids; a batch is read when its turn has come. Everything that touches the disk runs on a thread
//! that may block, under one lock. Batches become visible to workers with [`DiskQueue::release`], not before. A batch stays
//! on disk until [`DiskQueue::done`], whatever becomes of the process.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kiln_memory::Memory;
use kiln_otlp::Batch;
use kiln_queue::{AppendError, Options, ReadError};
use kiln_telemetry::metrics::{DropReason, ExporterMetrics, StorageMetrics};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::envelope::{Envelope, Unit};
use super::staged::{Staged, Waiting};
use super::storage::Storage;
use super::{Closed, Job, NotTaken, Popped, Receipt, batch_permit};
use crate::attempt::Failure;
use crate::report::Report;

/// How long what was written may wait to be synced, unless a collection needs it sooner.
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct DiskQueue {
    /// Only for threads that may block.
    log: Mutex<kiln_queue::Queue>,
    options: Options,
    state: Mutex<State>,
    /// A permit per batch that may be sent, now and then one too many, and one more that is handed on once it is closed.
    ready: Semaphore,
    /// Something has left.
    room: Notify,
    /// Producers get room in the order they asked.
    turn: tokio::sync::Mutex<()>,
    is_full: AtomicBool,
    /// Where what is written and what is read is counted; nothing waits for it here.
    memory: Memory,
    metrics: ExporterMetrics,
    storage_metrics: StorageMetrics,
    report: Arc<Report>,
}

#[derive(Debug)]
struct State {
    ready: VecDeque<Waiting>,
    closed: bool,
}

impl DiskQueue {
    pub(crate) fn new(
        storage: Storage,
        memory: Memory,
        metrics: ExporterMetrics,
        storage_metrics: StorageMetrics,
        report: Arc<Report>,
    ) -> Arc<Self> {
        let Storage { log, waiting, options, recovery, .. } = storage;
        storage_metrics.recovered(recovery.recovered);
        storage_metrics.damaged(recovery.damaged);
        storage_metrics.discarded(recovery.discarded);
        report.opened(&recovery);
        let queue = Self {
            log: Mutex::new(log),
            options,
            ready: Semaphore::new(waiting.len().min(Semaphore::MAX_PERMITS)),
            state: Mutex::new(State { ready: waiting, closed: false }),
            room: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            is_full: AtomicBool::new(false),
            memory,
            metrics,
            storage_metrics,
            report,
        };
        queue.measure(&queue.log());
        Arc::new(queue)
    }

    /// Writes the batches of a collection, once there is room for them. They are not sent before they are released.
    ///
    /// Cancelling the wait leaves nothing behind.
    pub(crate) async fn stage(
        self: &Arc<Self>,
        unit: &Unit,
        batches: &[Batch],
        waits: &(dyn Fn() + Sync),
    ) -> Result<Staged, NotTaken> {
        let _turn = self.turn.lock().await;
        let _copies = self.memory.hold(batches.iter().map(|batch| batch.payload.len()).sum());
        let records: Arc<[(Vec<u8>, Batch)]> =
            batches.iter().map(|batch| (Envelope::wrap(unit, batch), batch.clone())).collect();
        loop {
            if self.state().closed {
                return Err(Closed.into());
            }
            let (queue, records) = (Arc::clone(self), Arc::clone(&records));
            // What it returns, were nobody there to take it, is taken back.
            let appended = spawn_blocking(move || queue.append(&records)).await;
            match appended.unwrap_or_else(|error| Err(std::io::Error::other(error).into())) {
                Ok(staged) => return Ok(staged),
                Err(AppendError::Full) => {
                    self.report.full(self.options.max_bytes);
                    waits();
                    self.room.notified().await;
                }
                Err(error @ AppendError::TooLarge { .. }) => {
                    let cause = format!("{error}; raise its `max_bytes`");
                    for batch in batches {
                        let failure = Failure { reason: DropReason::TooLarge, cause: cause.clone() };
                        self.report.dropped(batch.signal, batch.items, &failure);
                    }
                    return Ok(Staged::default());
                }
                Err(AppendError::Io(error)) => {
                    let cause = error.to_string();
                    self.report.unwritable(&cause);
                    return Err(NotTaken::Unwritable { exporter: self.report.id().to_owned(), cause });
                }
            }
        }
    }

    fn append(self: &Arc<Self>, records: &[(Vec<u8>, Batch)]) -> Result<Staged, AppendError> {
        let mut log = self.log();
        let payloads: Vec<_> = records.iter().map(|(record, _)| record.as_slice()).collect();
        let appended = log.append(&payloads);
        self.is_full.store(matches!(appended, Err(AppendError::Full)), Ordering::Relaxed);
        let dropped = log.take_dropped();
        self.measure(&log);
        drop(log);
        self.count_dropped(dropped.into_iter().collect());
        let waiting = |(id, (_, batch)): (u64, &(Vec<u8>, Batch))| Waiting {
            id,
            items: u32::try_from(batch.items).unwrap_or(u32::MAX),
            signal: batch.signal,
        };
        Ok(Staged::new(Arc::clone(self), appended?.into_iter().zip(records).map(waiting).collect()))
    }

    /// Batches that had to make room. Those that are being sent may yet arrive, and those that are not released are
    /// missed when their turn comes.
    fn count_dropped(&self, dropped: BTreeSet<u64>) {
        if dropped.is_empty() {
            return;
        }
        let is_dropped = |waiting: &Waiting| dropped.contains(&waiting.id);
        let mut state = self.state();
        let lost: Vec<_> = state.ready.iter().copied().filter(is_dropped).collect();
        state.ready.retain(|waiting| !is_dropped(waiting));
        drop(state);
        lost.into_iter().for_each(|waiting| self.lost(waiting, DropReason::QueueFull));
    }

    fn lost(&self, waiting: Waiting, reason: DropReason) {
        let cause = match reason {
            DropReason::QueueFull => "the queue is full and this was the oldest in it",
            _ => "it could not be read back from the queue",
        };
        let items = usize::try_from(waiting.items).unwrap_or(usize::MAX);
        self.report.dropped(waiting.signal, items, &Failure { reason, cause: cause.to_owned() });
    }

    /// Lets workers have them.
    pub(crate) fn release(&self, batches: Vec<Waiting>) {
        let added = batches.len();
        self.state().ready.extend(batches);
        self.ready.add_permits(added);
    }

    /// Takes back what was not released. Until that is on disk a crash would do the same: the collection is not complete.
    pub(crate) fn take_back(self: &Arc<Self>, batches: Vec<Waiting>) {
        let queue = Arc::clone(self);
        let take_back = move || {
            let ids: Vec<_> = batches.into_iter().map(|waiting| waiting.id).collect();
            let mut log = queue.log();
            // The next collection has the same number, so this must hold before that is complete.
            let taken = log.acknowledge(&ids).and_then(|()| log.sync());
            queue.measure(&log);
            drop(log);
            queue.acknowledged(taken);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(take_back)),
            Err(_) => take_back(),
        }
    }

    /// The batch that has waited longest, once there is one, or until it is that time.
    pub(crate) async fn pop(self: &Arc<Self>, until: Option<Instant>) -> Popped<Job> {
        loop {
            // Never closed: the end is a batch that is not there.
            let Some(permit) = batch_permit(&self.ready, until).await else { return Popped::Late };
            permit.forget();
            let (waiting, closed) = {
                let mut state = self.state();
                (state.ready.pop_front(), state.closed)
            };
            let Some(waiting) = waiting else {
                if closed {
                    self.ready.add_permits(1);
                    return Popped::Closed;
                }
                continue;
            };
            let queue = Arc::clone(self);
            let read = spawn_blocking(move || queue.log().read(waiting.id)).await;
            let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error).into()));
            match read.map(Envelope::unwrap) {
                Ok(Some(batch)) => {
                    let batch = Batch { payload: self.memory.count(batch.payload), ..batch };
                    return Popped::Next(Job { batch, receipt: Receipt::Stored(waiting.id) });
                }
                Ok(None) | Err(ReadError::Damaged) => {
                    self.storage_metrics.damaged(1);
                    self.lost(waiting, DropReason::Damaged);
                    self.done(vec![waiting.id]).await;
                }
                Err(ReadError::Gone) => self.lost(waiting, DropReason::QueueFull),
                // Perhaps the next process has better luck.
                Err(ReadError::Io(error)) => self.report.unreadable(&error),
            }
        }
    }

    /// Batches have arrived, or are given up.
    pub(crate) async fn done(self: &Arc<Self>, ids: Vec<u64>) {
        let queue = Arc::clone(self);
        let done = spawn_blocking(move || {
            let mut log = queue.log();
            let done = log.acknowledge(&ids);
            queue.measure(&log);
            done
        });
        self.acknowledged(done.await.unwrap_or_else(|error| Err(std::io::Error::other(error))));
    }

    fn acknowledged(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.report.unacknowledged(&error);
        }
        self.is_full.store(false, Ordering::Relaxed);
        self.room.notify_one();
    }

    /// Whether a batch is still on disk.
    pub(crate) async fn keeps(self: &Arc<Self>, id: u64) -> bool {
        let queue = Arc::clone(self);
        spawn_blocking(move || queue.log().contains(id)).await.unwrap_or(false)
    }

    /// Makes what was written and acknowledged survive a power cut.
    pub(crate) async fn sync(self: &Arc<Self>) {
        let queue = Arc::clone(self);
        let synced = spawn_blocking(move || queue.log().sync()).await;
        if let Err(error) = synced.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            self.report.unwritable(&error.to_string());
        }
    }

    /// How many batches are on disk.
    pub(crate) async fn len(self: &Arc<Self>) -> usize {
        let queue = Arc::clone(self);
        spawn_blocking(move || queue.log().len()).await.unwrap_or(0)
    }

    /// Lets nothing in any more; producers that wait are turned away.
    pub(crate) fn close(&self) {
        let was_closed = std::mem::replace(&mut self.state().closed, true);
        if !was_closed {
            self.ready.add_permits(1);
            self.room.notify_one();
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    fn measure(&self, log: &kiln_queue::Queue) {
        self.metrics.queue(log.len(), self.options.max_records);
        self.storage_metrics.takes(log.bytes(), self.options.max_bytes, log.set_aside());
    }

    // Poisoned locks guard a log whose every step may fail half-way, and a list whose single steps leave it whole.
    fn log(&self) -> MutexGuard<'_, kiln_queue::Queue> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
