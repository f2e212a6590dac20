//! Batches that wait in memory: bounded, first in first out, and patient with nobody but its producers.
//!
//! A full queue makes producers wait; that is the back-pressure that makes pull receivers collect later rather than lose
//! data. What it holds is counted in batches, items or bytes; a batch that is larger than the whole queue takes all of it,
//! and gets in when it is empty. Two semaphores do the counting, one for what is free and one for batches, so neither side
//! polls. After [`MemoryQueue::close`] nothing gets in any more, and what is in still comes out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_config::Sizer;
use kiln_otlp::Batch;
use kiln_telemetry::metrics::ExporterMetrics;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::Instant;

use super::{Closed, Popped, batch_permit};

#[derive(Debug)]
pub(crate) struct MemoryQueue {
    state: Mutex<State>,
    /// A permit per free unit of the size.
    places: Semaphore,
    /// A permit per waiting batch, and one more that is handed on once the queue is closed.
    batches: Semaphore,
    /// At least one.
    capacity: u32,
    sizer: Sizer,
    metrics: ExporterMetrics,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the places it takes.
    waiting: VecDeque<(Batch, u32)>,
    /// Places that are taken.
    taken: u32,
    closed: bool,
}

impl MemoryQueue {
    /// A queue for at least one batch.
    pub(crate) fn new(capacity: usize, sizer: Sizer, metrics: ExporterMetrics) -> Self {
        let capacity = places(capacity);
        metrics.queue(0, in_usize(capacity));
        Self {
            state: Mutex::default(),
            places: Semaphore::new(in_usize(capacity)),
            batches: Semaphore::new(0),
            capacity,
            sizer,
            metrics,
        }
    }

    /// Adds a batch once there is a place for it; `waits` is told if there is none yet. Producers get places in the order they
    /// asked.
    pub(crate) async fn push(&self, batch: Batch, waits: &(dyn Fn() + Sync)) -> Result<(), Closed> {
        let size = places(match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => batch.items,
            Sizer::Bytes => batch.payload.len(),
        });
        let size = size.min(self.capacity);
        let place = match self.places.try_acquire_many(size) {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(Closed),
            Err(TryAcquireError::NoPermits) => {
                waits();
                self.places.acquire_many(size).await.map_err(|_| Closed)?
            }
        };
        let mut state = self.state();
        // Closing between the two steps above leaves a place but nobody to empty it.
        if state.closed {
            return Err(Closed);
        }
        place.forget();
        state.waiting.push_back((batch, size));
        state.taken += size;
        self.metrics.queue(in_usize(state.taken), in_usize(self.capacity));
        drop(state);
        self.batches.add_permits(1);
        Ok(())
    }

    /// The batch that has waited longest, once there is one, or until it is that time. Cancelling the wait leaves it there.
    pub(crate) async fn pop(&self, until: Option<Instant>) -> Popped<Batch> {
        // Never closed: the end is a batch that is not there.
        let Some(permit) = batch_permit(&self.batches, until).await else { return Popped::Late };
        permit.forget();
        let mut state = self.state();
        let Some((batch, size)) = state.waiting.pop_front() else {
            self.batches.add_permits(1);
            return Popped::Closed;
        };
        state.taken -= size;
        self.metrics.queue(in_usize(state.taken), in_usize(self.capacity));
        drop(state);
        self.places.add_permits(in_usize(size));
        Popped::Next(batch)
    }

    /// Lets nothing in any more; producers that wait are turned away.
    pub(crate) fn close(&self) {
        let was_closed = std::mem::replace(&mut self.state().closed, true);
        self.places.close();
        if !was_closed {
            self.batches.add_permits(1);
        }
    }

    /// Whether the next producer would have to wait, however little it brings.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    // A poisoned lock guards single calls on a deque, which leave it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A size as places of a semaphore, which counts them in 32 bits; more than 4 GiB in one queue are as good as 4 GiB.
fn places(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX).clamp(1, u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX))
}

fn in_usize(places: u32) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kiln_otlp::Signal;
    use kiln_telemetry::Metrics;
    use kiln_telemetry::metrics::Format;
    use tokio::task::yield_now;

    use super::*;

    fn batch(number: usize) -> Batch {
        Batch { signal: Signal::Metrics, payload: Bytes::from(number.to_string()), items: number }
    }

    fn queue(capacity: usize) -> Arc<MemoryQueue> {
        Arc::new(MemoryQueue::new(capacity, Sizer::Requests, Metrics::new("").exporter("e")))
    }

    async fn next(queue: &MemoryQueue) -> Option<Batch> {
        match queue.pop(None).await {
            Popped::Next(batch) => Some(batch),
            Popped::Closed => None,
            Popped::Late => panic!("nobody was in a hurry"),
        }
    }

    /// Scenario: a consumer that waits for a while only, of a queue that is empty, that has a batch, that is closed.
    /// Guarantees: it gets what is there however late it is, and is told that time is up and when it is the end.
    #[tokio::test(start_paused = true)]
    async fn a_consumer_may_wait_for_a_while_only() {
        let queue = queue(1);
        let soon = || Some(Instant::now() + std::time::Duration::from_secs(1));
        assert!(matches!(queue.pop(soon()).await, Popped::Late));
        queue.push(batch(1), &|| {}).await.unwrap();
        assert!(matches!(queue.pop(Some(Instant::now())).await, Popped::Next(it) if it == batch(1)));
        queue.close();
        assert!(matches!(queue.pop(soon()).await, Popped::Closed));
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_producer_wait_until_a_batch_leaves() {
        let queue = queue(2);
        queue.push(batch(1), &|| {}).await.unwrap();
        assert!(!queue.is_full());
        queue.push(batch(2), &|| {}).await.unwrap();
        assert!(queue.is_full());
        let third = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(3), &|| {}).await }
        });
        yield_now().await;
        assert!(!third.is_finished());
        assert_eq!(next(&queue).await, Some(batch(1)));
        third.await.unwrap().unwrap();
        assert_eq!(next(&queue).await, Some(batch(2)));
        assert_eq!(next(&queue).await, Some(batch(3)));
    }

    #[tokio::test]
    async fn a_closed_queue_turns_producers_away_and_still_hands_out_what_it_holds() {
        let queue = queue(1);
        queue.push(batch(1), &|| {}).await.unwrap();
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(2), &|| {}).await }
        });
        yield_now().await;
        queue.close();
        queue.close();
        assert_eq!(waiting.await.unwrap(), Err(Closed));
        assert_eq!(queue.push(batch(3), &|| {}).await, Err(Closed));
        assert_eq!(next(&queue).await, Some(batch(1)));
        assert_eq!(next(&queue).await, None);
    }

    #[tokio::test]
    async fn closing_wakes_every_consumer() {
        let queue = queue(1);
        let consumers: Vec<_> = (0..5)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { next(&queue).await })
            })
            .collect();
        yield_now().await;
        queue.close();
        for consumer in consumers {
            assert_eq!(consumer.await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_producer_that_gives_up_takes_nothing_with_it() {
        let queue = queue(1);
        queue.push(batch(1), &|| {}).await.unwrap();
        let impatient = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(2), &|| {}).await }
        });
        yield_now().await;
        impatient.abort();
        assert!(impatient.await.unwrap_err().is_cancelled());
        assert_eq!(next(&queue).await, Some(batch(1)));
        queue.push(batch(3), &|| {}).await.unwrap();
        assert_eq!(next(&queue).await, Some(batch(3)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_producers_and_consumers_lose_and_repeat_nothing() {
        const PRODUCERS: usize = 8;
        const EACH: usize = 200;
        let queue = queue(3);
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    while let Some(batch) = next(&queue).await {
                        seen.push(batch.items);
                        yield_now().await;
                    }
                    seen
                })
            })
            .collect();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    for number in 0..EACH {
                        queue.push(batch(producer * EACH + number), &|| {}).await.unwrap();
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
        queue.close();
        let mut seen = Vec::new();
        for consumer in consumers {
            seen.extend(consumer.await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..PRODUCERS * EACH).collect::<Vec<_>>());
    }

    /// Scenario: queues for ten items and for ten bytes; batches of six, of four, and of one hundred.
    /// Guarantees: what fits gets in, the rest waits in order, and what is larger than the queue passes when it is empty.
    #[tokio::test]
    async fn items_and_bytes_are_counted_and_what_is_too_large_passes_alone() {
        let batch = |size: usize| Batch { signal: Signal::Metrics, payload: vec![0; size].into(), items: size };
        for sizer in [Sizer::Items, Sizer::Bytes] {
            let metrics = Metrics::new("");
            let queue = Arc::new(MemoryQueue::new(10, sizer, metrics.exporter("e")));
            queue.push(batch(6), &|| {}).await.unwrap();
            queue.push(batch(4), &|| {}).await.unwrap();
            assert!(queue.is_full());
            let text = metrics.expose(Format::OpenMetrics);
            assert!(text.contains("\notelcol_exporter_queue_size{exporter=\"e\"} 10\n"));
            let pushing = |size| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.push(batch(size), &|| {}).await })
            };
            let (large, small) = (pushing(100), pushing(1));
            yield_now().await;
            assert_eq!(next(&queue).await, Some(batch(6)));
            yield_now().await;
            assert!(!large.is_finished() && !small.is_finished());
            assert_eq!(next(&queue).await, Some(batch(4)));
            large.await.unwrap().unwrap();
            assert!(queue.is_full() && !small.is_finished());
            assert_eq!(next(&queue).await, Some(batch(100)));
            small.await.unwrap().unwrap();
            assert_eq!(next(&queue).await, Some(batch(1)));
            assert!(!queue.is_full());
        }
    }

    #[tokio::test]
    async fn metrics_say_how_full_it_is() {
        let metrics = Metrics::new("");
        let queue = MemoryQueue::new(7, Sizer::Requests, metrics.exporter("e"));
        queue.push(batch(1), &|| {}).await.unwrap();
        queue.push(batch(2), &|| {}).await.unwrap();
        next(&queue).await.unwrap();
        let text = metrics.expose(Format::OpenMetrics);
        assert!(text.contains("\notelcol_exporter_queue_size{exporter=\"e\"} 1\n"));
        assert!(text.contains("\notelcol_exporter_queue_capacity{exporter=\"e\"} 7\n"));
    }
}
