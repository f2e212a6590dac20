//! Batches that wait in memory: bounded, first in first out, and patient with nobody but its producers.
//!
//! A full queue makes producers wait; that is the back-pressure that makes pull receivers collect later rather than lose
//! data. Two semaphores do the counting, one for free places and one for batches, so neither side polls. After
//! [`MemoryQueue::close`] nothing gets in any more, and what is in still comes out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_otlp::Batch;
use kiln_telemetry::metrics::ExporterMetrics;
use tokio::sync::Semaphore;

use super::Closed;

#[derive(Debug)]
pub(crate) struct MemoryQueue {
    state: Mutex<State>,
    /// A permit per free place.
    places: Semaphore,
    /// A permit per waiting batch, and one more that is handed on once the queue is closed.
    batches: Semaphore,
    capacity: usize,
    metrics: ExporterMetrics,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Batch>,
    closed: bool,
}

impl MemoryQueue {
    /// A queue for at least one batch.
    pub(crate) fn new(capacity: usize, metrics: ExporterMetrics) -> Self {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        metrics.queue(0, capacity);
        Self {
            state: Mutex::default(),
            places: Semaphore::new(capacity),
            batches: Semaphore::new(0),
            capacity,
            metrics,
        }
    }

    /// Adds a batch once there is a place for it. Producers get places in the order they asked.
    pub(crate) async fn push(&self, batch: Batch) -> Result<(), Closed> {
        let place = self.places.acquire().await.map_err(|_| Closed)?;
        let mut state = self.state();
        // Closing between the two steps above leaves a place but nobody to empty it.
        if state.closed {
            return Err(Closed);
        }
        place.forget();
        state.waiting.push_back(batch);
        self.metrics.queue(state.waiting.len(), self.capacity);
        drop(state);
        self.batches.add_permits(1);
        Ok(())
    }

    /// The batch that has waited longest, once there is one; `None` when the queue is closed and empty.
    pub(crate) async fn pop(&self) -> Option<Batch> {
        // Never closed: the end is a batch that is not there.
        self.batches.acquire().await.ok()?.forget();
        let mut state = self.state();
        let batch = state.waiting.pop_front();
        self.metrics.queue(state.waiting.len(), self.capacity);
        drop(state);
        match batch {
            Some(_) => self.places.add_permits(1),
            None => self.batches.add_permits(1),
        }
        batch
    }

    /// Lets nothing in any more; producers that wait are turned away.
    pub(crate) fn close(&self) {
        let was_closed = std::mem::replace(&mut self.state().closed, true);
        self.places.close();
        if !was_closed {
            self.batches.add_permits(1);
        }
    }

    /// Whether the next producer would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.state().waiting.len() >= self.capacity
    }

    // A poisoned lock guards single calls on a deque, which leave it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        Arc::new(MemoryQueue::new(capacity, Metrics::new("").exporter("e")))
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_producer_wait_until_a_batch_leaves() {
        let queue = queue(2);
        queue.push(batch(1)).await.unwrap();
        assert!(!queue.is_full());
        queue.push(batch(2)).await.unwrap();
        assert!(queue.is_full());
        let third = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(3)).await }
        });
        yield_now().await;
        assert!(!third.is_finished());
        assert_eq!(queue.pop().await, Some(batch(1)));
        third.await.unwrap().unwrap();
        assert_eq!(queue.pop().await, Some(batch(2)));
        assert_eq!(queue.pop().await, Some(batch(3)));
    }

    #[tokio::test]
    async fn a_closed_queue_turns_producers_away_and_still_hands_out_what_it_holds() {
        let queue = queue(1);
        queue.push(batch(1)).await.unwrap();
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(2)).await }
        });
        yield_now().await;
        queue.close();
        queue.close();
        assert_eq!(waiting.await.unwrap(), Err(Closed));
        assert_eq!(queue.push(batch(3)).await, Err(Closed));
        assert_eq!(queue.pop().await, Some(batch(1)));
        assert_eq!(queue.pop().await, None);
    }

    #[tokio::test]
    async fn closing_wakes_every_consumer() {
        let queue = queue(1);
        let consumers: Vec<_> = (0..5)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.pop().await })
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
        queue.push(batch(1)).await.unwrap();
        let impatient = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(batch(2)).await }
        });
        yield_now().await;
        impatient.abort();
        assert!(impatient.await.unwrap_err().is_cancelled());
        assert_eq!(queue.pop().await, Some(batch(1)));
        queue.push(batch(3)).await.unwrap();
        assert_eq!(queue.pop().await, Some(batch(3)));
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
                    while let Some(batch) = queue.pop().await {
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
                        queue.push(batch(producer * EACH + number)).await.unwrap();
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

    #[tokio::test]
    async fn metrics_say_how_full_it_is() {
        let metrics = Metrics::new("");
        let queue = MemoryQueue::new(7, metrics.exporter("e"));
        queue.push(batch(1)).await.unwrap();
        queue.push(batch(2)).await.unwrap();
        queue.pop().await.unwrap();
        let text = metrics.expose(Format::OpenMetrics);
        assert!(text.contains("\notelcol_exporter_queue_size{exporter=\"e\"} 1\n"));
        assert!(text.contains("\notelcol_exporter_queue_capacity{exporter=\"e\"} 7\n"));
    }
}
