//! One request at a time, from the queue to its end: delivered, or given up for a reason that is counted.
//!
//! Every batch a worker takes, or every piece of one that is too large to be sent whole, ends in exactly one call to
//! [`Report::delivered`] or [`Report::dropped`], unless it is on disk and stays there. Once the exporter
//! is stopping nothing here outlasts the deadline: not an attempt, not a wait. When the exporter's settings change, an attempt
//! that is under way is finished, and whatever has not arrived by then goes the new way, with all its patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kiln_config::Batching;
use kiln_memory::Memory;
use kiln_otlp::{Batch, IN_PLACE, Signal};
use kiln_telemetry::metrics::DropReason;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::attempt::{Failure, Outcome, Request};
use crate::gather::{Gathering, Parcel, cut};
use crate::queue::{Popped, Queue, Receipt};
use crate::report::Report;
use crate::retry::{RetryPolicy, chance};
use crate::target::Target;

/// When everything must have ended; `None` while the exporter runs.
pub(crate) type Deadline = watch::Receiver<Option<Instant>>;

/// What the workers of one exporter share.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) queue: Queue,
    /// What has left the queue to be joined; whoever gathers has it locked.
    pub(crate) gathering: tokio::sync::Mutex<Gathering>,
    pub(crate) report: Arc<Report>,
    /// Where copies are counted. Nothing waits for it here: only what leaves makes room.
    pub(crate) memory: Memory,
    /// Where batches go now.
    pub(crate) outlet: watch::Sender<Arc<Outlet>>,
    /// Workers there are.
    pub(crate) workers: AtomicUsize,
}

/// Where batches go, and how.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) target: Target,
    pub(crate) retry: RetryPolicy,
    /// Workers there should be.
    pub(crate) workers: usize,
    /// How batches are joined, if they are.
    pub(crate) batching: Option<Batching>,
}

/// The outlet as a worker sees it.
type Way = watch::Receiver<Arc<Outlet>>;

impl Shop {
    /// Delivers until the queue is closed and empty, or there are workers enough without this one.
    pub(crate) async fn work(&self, mut stop: Deadline) {
        let mut way = self.outlet.subscribe();
        while !self.is_one_too_many(&way)
            && let Some(parcel) = self.next(&way).await
        {
            let signal = parcel.signal;
            let (batch, receipts) = self.joined(parcel);
            if let Err((failure, items)) = self.deliver_all(batch, &mut way, &mut stop).await {
                let mut lost = 0_usize;
                for (receipt, items) in &receipts {
                    if !self.queue.keeps(*receipt).await {
                        lost = lost.saturating_add(*items);
                    }
                }
                if lost > 0 {
                    self.report.dropped(signal, lost.min(items), &failure);
                }
                if receipts.iter().any(|(receipt, _)| matches!(receipt, Receipt::Stored(_))) {
                    // What else waits is kept as well, and no more likely to get through.
                    return;
                }
            }
            self.queue.done(receipts.into_iter().map(|(receipt, _)| receipt)).await;
        }
    }

    /// What is to be sent next, once there is something; `None` when there will be nothing.
    async fn next(&self, way: &Way) -> Option<Parcel> {
        loop {
            if way.borrow().batching.is_none() {
                // What was gathered before it was told not to.
                let rest = self.gathering.try_lock().ok().and_then(|mut gathering| gathering.any());
                if let Some(parcel) = rest {
                    return Some(parcel);
                }
                return match self.queue.pop(None).await {
                    Popped::Next(job) => Some(Parcel::of(job)),
                    Popped::Closed | Popped::Late => None,
                };
            }
            let mut gathering = self.gathering.lock().await;
            // It may have changed meanwhile, and does so again.
            loop {
                let batching = way.borrow().batching;
                let Some(batching) = batching else { break };
                if let Some(parcel) = gathering.due(&batching, Instant::now()) {
                    return Some(parcel);
                }
                match self.queue.pop(gathering.next_due(batching.flush_timeout)).await {
                    Popped::Next(job) => gathering.add(job, &batching, Instant::now()),
                    Popped::Late => {}
                    Popped::Closed => return gathering.any(),
                }
            }
        }
    }

    /// A parcel as one batch. That of a single batch is that batch, and not counted twice.
    fn joined(&self, parcel: Parcel) -> (Batch, Vec<(Receipt, usize)>) {
        let is_single = parcel.jobs.len() == 1;
        let (batch, receipts) = parcel.open();
        (if is_single { batch } else { self.counted(batch) }, receipts)
    }

    /// Delivers a batch, in pieces where it is too large, down to a single item. Drops the pieces that cannot be delivered,
    /// and nothing else.
    ///
    /// # Errors
    /// The exporter has to stop; with how many items are left.
    async fn deliver_all(&self, batch: Batch, way: &mut Way, stop: &mut Deadline) -> Result<(), (Failure, usize)> {
        let mut pieces = self.cut(batch, way).await;
        pieces.reverse();
        while let Some(piece) = pieces.pop() {
            let Err(failure) = self.deliver(piece.clone(), way, stop).await else { continue };
            match failure.reason {
                DropReason::Shutdown => {
                    let left = pieces.iter().fold(piece.items, |sum, piece| sum.saturating_add(piece.items));
                    return Err((failure, left));
                }
                DropReason::TooLarge => match piece.halves() {
                    Some((first, second)) => {
                        self.report.split(piece.signal, piece.items, &failure);
                        pieces.extend([self.counted(second), self.counted(first)]);
                    }
                    None => self.report.dropped(piece.signal, piece.items, &failure),
                },
                _ => self.report.dropped(piece.signal, piece.items, &failure),
            }
        }
        Ok(())
    }

    /// A batch in the pieces it is to be sent in.
    async fn cut(&self, batch: Batch, way: &Way) -> Vec<Batch> {
        let Some(batching) = way.borrow().batching.filter(|batching| batching.max_size.is_some()) else {
            return vec![batch];
        };
        let whole = batch.clone();
        // Looking through a large one takes longer than an async task may hold its thread.
        let pieces = match batch.payload.len() <= IN_PLACE {
            true => cut(batch, &batching),
            false => spawn_blocking(move || cut(batch, &batching)).await.unwrap_or_default(),
        };
        match pieces.len() {
            0 | 1 => vec![whole],
            _ => pieces.into_iter().map(|piece| self.counted(piece)).collect(),
        }
    }

    fn counted(&self, batch: Batch) -> Batch {
        Batch { payload: self.memory.count(batch.payload), ..batch }
    }

    /// Whether a worker should go; then it is counted no more.
    fn is_one_too_many(&self, way: &Way) -> bool {
        let wanted = way.borrow().workers.max(1);
        let go = |workers: usize| workers.checked_sub(1).filter(|left| *left >= wanted);
        self.workers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, go).is_ok()
    }

    async fn deliver(&self, batch: Batch, way: &mut Way, stop: &mut Deadline) -> Result<(), Failure> {
        self.report.leaves(batch.items, batch.payload.len());
        loop {
            let outlet = Arc::clone(&way.borrow_and_update());
            let ended = self.deliver_to(&outlet, batch.clone(), way, stop).await;
            match ended {
                // Whatever was wrong with the old way says nothing about the new one.
                Ok(End::OtherWay) => {}
                Err(failure) if failure.reason != DropReason::Shutdown && is_another(way) => {}
                Ok(End::Delivered) => return Ok(()),
                Err(failure) => return Err(failure),
            }
            self.report.retried();
        }
    }

    async fn deliver_to(
        &self,
        outlet: &Outlet,
        batch: Batch,
        way: &mut Way,
        stop: &mut Deadline,
    ) -> Result<End, Failure> {
        let original = batch.payload.as_ptr().addr();
        let mut request = within(stop, outlet.target.prepare(batch)).await??;
        if request.body.as_ptr().addr() != original {
            request.body = self.memory.count(request.body);
        }
        let began = Instant::now();
        let mut waits = outlet.retry.waits();
        loop {
            match within(stop, self.attempt(outlet, &request)).await? {
                Outcome::Delivered { rejected, note } => {
                    self.report.delivered(request.signal, request.items, rejected, note.as_deref());
                    return Ok(End::Delivered);
                }
                Outcome::Taken { lost } => {
                    self.report.taken(request.signal, request.items, &lost);
                    return Ok(End::Delivered);
                }
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Retry { cause, told } => match waits.next(began.elapsed(), told, chance()) {
                    None => return Err(Failure { reason: DropReason::RetriesExhausted, cause }),
                    Some(wait) => {
                        let pause = self.pause(request.signal, wait, told.is_some(), cause, stop);
                        tokio::select! {
                            biased;
                            () = another(way) => return Ok(End::OtherWay),
                            paused = pause => paused?,
                        }
                        self.report.retried();
                    }
                },
            }
        }
    }

    async fn attempt(&self, outlet: &Outlet, request: &Request) -> Outcome {
        let _in_flight = self.report.in_flight();
        let began = Instant::now();
        let outcome = outlet.target.send(request).await;
        self.report.requested(&outcome, began.elapsed());
        outcome
    }

    /// Waits before the next attempt; an error when there will be none because the exporter has to stop first.
    async fn pause(
        &self,
        signal: Signal,
        wait: Duration,
        is_told: bool,
        cause: String,
        stop: &mut Deadline,
    ) -> Result<(), Failure> {
        let Some(next) = Instant::now().checked_add(wait) else {
            return Err(Failure { reason: DropReason::RetriesExhausted, cause });
        };
        let too_late = |deadline| deadline < next;
        let deadline = *stop.borrow_and_update();
        if deadline.is_some_and(too_late) {
            return Err(Failure { reason: DropReason::Shutdown, cause });
        }
        self.report.retrying(signal, &cause, wait);
        let deadline = tokio::select! {
            () = sleep_until(next) => return Ok(()),
            deadline = stopping(stop), if deadline.is_none() => deadline,
        };
        if !too_late(deadline) {
            sleep_until(next).await;
            Ok(())
        } else if is_told {
            Err(Failure { reason: DropReason::Shutdown, cause })
        } else {
            // The wait was our own idea, and one attempt now is the last chance this batch has.
            Ok(())
        }
    }
}

/// How the work on a batch ended that is not lost.
enum End {
    Delivered,
    /// There is another way now, which is to be tried.
    OtherWay,
}

fn is_another(way: &Way) -> bool {
    way.has_changed().unwrap_or(false)
}

/// Once there is another way.
async fn another(way: &mut Way) {
    if way.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends the work at the deadline.
async fn within<T>(stop: &mut Deadline, work: impl Future<Output = T>) -> Result<T, Failure> {
    let past = async {
        let deadline = stopping(stop).await;
        sleep_until(deadline).await;
    };
    tokio::select! {
        biased;
        () = past => Err(Failure {
            reason: DropReason::Shutdown,
            cause: "not delivered before Kiln had to stop".to_owned(),
        }),
        done = work => Ok(done),
    }
}

/// Once the exporter is stopping: the deadline.
pub(crate) async fn stopping(stop: &mut Deadline) -> Instant {
    loop {
        if let Some(deadline) = *stop.borrow_and_update() {
            return deadline;
        }
        if stop.changed().await.is_err() {
            // Nobody is left who could stop the exporter.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
