//! An exporter's life: configured, checked, running, drained.
//!
//! [`Exporter::new`] checks everything that can be checked without a network, so `kiln validate` can do so too.
//! [`Exporter::start`] gives it a queue and workers. [`ExporterHandle::drain`] ends it by a deadline and says what is lost.

use std::sync::Arc;

use kiln_config::{ComponentId, ExporterKind};
use kiln_otlp::Batch;
use kiln_telemetry::{ComponentKind, Health, Metrics};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::debug::Printer;
use crate::otlp_http::{InvalidOtlpHttp, OtlpHttp};
use crate::queue::SYNC_INTERVAL;
use crate::queue::{DiskQueue, MemoryQueue, NotTaken, Queue, Staged, Storage, StorageError, Unit};
use crate::report::{Items, Report};
use crate::retry::{InvalidRetry, RetryPolicy};
use crate::target::Target;
use crate::worker::{Deadline, Shop, stopping};

/// The debug exporter prints in the order batches come, so it has one worker; a few may wait for a slow terminal.
const DEBUG_QUEUE: usize = 16;

/// A checked exporter that is not running yet.
#[derive(Debug)]
pub struct Exporter {
    id: String,
    target: Target,
    retry: RetryPolicy,
    queue_size: usize,
    storage: Option<kiln_config::Storage>,
    workers: usize,
}

/// An exporter that cannot be run with its settings.
#[derive(Debug, thiserror::Error)]
#[error("exporter `{id}` cannot be used: {problem}; it is configured at `exporters.{id}`")]
pub struct InvalidExporter {
    id: String,
    #[source]
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("`retry_on_failure`: {0}")]
    Retry(#[from] InvalidRetry),
    #[error(transparent)]
    OtlpHttp(#[from] InvalidOtlpHttp),
}

impl Exporter {
    /// Checks the settings of an exporter.
    ///
    /// # Errors
    ///
    /// When a header cannot be sent, or the retry settings describe no back-off.
    pub fn new(id: &ComponentId, kind: &ExporterKind) -> Result<Self, InvalidExporter> {
        let id = id.to_string();
        Self::build(&id, kind).map_err(|problem| InvalidExporter { id, problem })
    }

    fn build(id: &str, kind: &ExporterKind) -> Result<Self, Problem> {
        let id = id.to_owned();
        Ok(match kind {
            ExporterKind::OtlpHttp(settings) => Self {
                id,
                target: Target::OtlpHttp(Box::new(OtlpHttp::new(settings)?)),
                retry: RetryPolicy::new(&settings.retry)?,
                queue_size: settings.queue.queue_size,
                storage: settings.queue.storage.clone(),
                workers: settings.queue.num_consumers,
            },
            ExporterKind::Debug(settings) => Self {
                id,
                target: Target::Debug(Printer::to_stdout(settings.verbosity)),
                retry: RetryPolicy::NEVER,
                queue_size: DEBUG_QUEUE,
                storage: None,
                workers: 1,
            },
        })
    }

    /// Opens the exporter's queue if that is on disk. Blocks while what is there is read.
    ///
    /// `committed` is the last complete collection of an instance, `None` if that is not known.
    ///
    /// # Errors
    /// Another process uses it, or the system refuses.
    pub fn open_storage(&self, committed: &dyn Fn(&str) -> Option<u64>) -> Result<Option<Storage>, StorageError> {
        let open = |settings| Storage::open(&self.id, settings, self.queue_size, committed);
        self.storage.as_ref().map(open).transpose()
    }

    /// Starts the workers, on the runtime that is current, with the queue on disk or else one in memory.
    ///
    /// What is in a queue in memory when the last handle is dropped is lost uncounted; call [`ExporterHandle::drain`]
    /// first.
    #[must_use]
    pub fn start(self, storage: Option<Storage>, metrics: &Metrics, health: &Health) -> ExporterHandle {
        let component = health.component(ComponentKind::Exporter, &self.id);
        let exporter_metrics = metrics.exporter(&self.id);
        let storage_metrics = || metrics.storage(&self.id);
        let report = Arc::new(Report::new(self.id.clone(), exporter_metrics.clone(), component));
        let queue = match storage {
            None => Queue::Memory(Box::new(MemoryQueue::new(self.queue_size, exporter_metrics))),
            Some(storage) => {
                Queue::Disk(DiskQueue::new(storage, exporter_metrics, storage_metrics(), Arc::clone(&report)))
            }
        };
        let shop = Arc::new(Shop { queue, target: self.target, retry: self.retry, report });
        let (stop, stop_seen) = watch::channel(None);
        let mut workers = JoinSet::new();
        for _ in 0..self.workers.max(1) {
            let (shop, stop) = (Arc::clone(&shop), stop_seen.clone());
            workers.spawn(async move { shop.work(stop).await });
        }
        if let Queue::Disk(queue) = &shop.queue {
            workers.spawn(sync_now_and_then(Arc::clone(queue), stop_seen));
        }
        ExporterHandle { shop, stop: Arc::new(stop), workers: Arc::new(Mutex::new(workers)) }
    }
}

async fn sync_now_and_then(queue: Arc<DiskQueue>, mut stop: Deadline) {
    while tokio::time::timeout(SYNC_INTERVAL, stopping(&mut stop)).await.is_err() {
        queue.sync().await;
    }
}

/// A running exporter. Clones share it.
#[derive(Clone, Debug)]
pub struct ExporterHandle {
    shop: Arc<Shop>,
    stop: Arc<watch::Sender<Option<Instant>>>,
    workers: Arc<Mutex<JoinSet<()>>>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Items that were in the exporter and did not reach the backend in time. They are counted as `shutdown` too.
    pub undelivered: Items,
}

impl ExporterHandle {
    /// The exporter's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.shop.report.id()
    }

    /// Whether what it has taken outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self.shop.queue, Queue::Disk(_))
    }

    /// Hands over a batch that is complete in itself, waiting while the queue is full. A batch without items is nothing to
    /// send and is dropped.
    ///
    /// Cancelling the wait leaves nothing behind.
    ///
    /// # Errors
    /// The batch was not taken: whoever has it must not count it as delivered.
    pub async fn enqueue(&self, batch: Batch) -> Result<(), NotTaken> {
        self.stage(&Unit::none(), vec![batch]).await.map(Staged::release)
    }

    /// Hands over the batches of a collection, waiting while the queue is full. A queue on disk keeps them to itself until
    /// they are released; one in memory cannot and has them sent at once.
    ///
    /// # Errors
    /// The exporter is stopping, or its queue cannot be written. A queue in memory may have taken some of the batches.
    pub async fn stage(&self, unit: &Unit, batches: Vec<Batch>) -> Result<Staged, NotTaken> {
        let mut batches = batches;
        batches.retain(|batch| batch.items > 0);
        if batches.is_empty() {
            return Ok(Staged::default());
        }
        let offered: Vec<_> = batches.iter().map(|batch| (batch.signal, batch.items)).collect();
        let mut taken = 0;
        let result = match &self.shop.queue {
            Queue::Disk(queue) => queue.stage(unit, &batches).await,
            Queue::Memory(queue) => {
                let mut result = Ok(Staged::default());
                for batch in batches {
                    if let Err(closed) = queue.push(batch).await {
                        result = Err(closed.into());
                        break;
                    }
                    taken += 1;
                }
                result
            }
        };
        if result.is_err() {
            offered.into_iter().skip(taken).for_each(|(signal, items)| self.shop.report.refused(signal, items));
        }
        result
    }

    /// Whether [`Self::enqueue`] would wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shop.queue.is_full()
    }

    /// Takes no more batches, sends the rest until the deadline, then gives up.
    ///
    /// Retries go on, but a wait that would end after the deadline is cut short for one last attempt, unless the backend
    /// has asked to be left alone. A request under way at the deadline is cancelled and counts as undelivered, although
    /// the backend may have taken it. What a queue on disk holds at the deadline stays there and is not lost. Returns at the deadline or before; again at once when called again.
    pub async fn drain(&self, deadline: Instant) -> DrainReport {
        // Before the queue is closed, so that no worker takes up a batch without knowing of the deadline.
        self.stop.send_replace(Some(deadline));
        self.shop.queue.close();
        let mut workers = self.workers.lock().await;
        if workers.is_empty() {
            return DrainReport { undelivered: self.shop.report.undelivered() };
        }
        while workers.join_next().await.is_some() {}
        if let Queue::Disk(queue) = &self.shop.queue {
            queue.sync().await;
            self.shop.report.kept(queue.len().await);
        }
        DrainReport { undelivered: self.shop.report.stopped() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
pub(crate) mod tests {
    use bytes::Bytes;
    use kiln_config::{Compression, Debug, Destination, OtlpHttp, Queue, Retry, Secret, Verbosity};
    use kiln_otlp::Signal;
    use kiln_telemetry::metrics::Format;
    use std::time::Duration;

    use super::*;
    use crate::queue::Closed;
    use crate::scripted::Scripted;

    /// A running exporter called `e` with a scripted backend and room for 100 batches.
    pub(crate) fn running(
        target: Scripted,
        retry: &Retry,
        workers: usize,
        metrics: &Metrics,
        health: &Health,
    ) -> ExporterHandle {
        let retry = RetryPolicy::new(retry).unwrap();
        let (id, target) = ("e".to_owned(), Target::Scripted(target));
        Exporter { id, target, retry, queue_size: 100, storage: None, workers }.start(None, metrics, health)
    }

    /// The same with one worker and a queue on disk.
    pub(crate) fn stored(
        target: Scripted,
        retry: &Retry,
        storage: kiln_config::Storage,
        metrics: &Metrics,
        health: &Health,
        committed: &dyn Fn(&str) -> Option<u64>,
    ) -> Result<ExporterHandle, StorageError> {
        let retry = RetryPolicy::new(retry).unwrap();
        let (id, target) = ("e".to_owned(), Target::Scripted(target));
        let exporter = Exporter { id, target, retry, queue_size: 100, storage: Some(storage), workers: 1 };
        let storage = exporter.open_storage(committed)?;
        Ok(exporter.start(storage, metrics, health))
    }

    /// The value of one series, which must exist.
    pub(crate) fn sample(metrics: &Metrics, series: &str) -> u64 {
        let text = metrics.expose(Format::OpenMetrics);
        let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}"));
        line.trim().parse().unwrap()
    }

    /// Data points lost by exporter `e` for whatever reason.
    pub(crate) fn failed_items(metrics: &Metrics) -> u64 {
        let text = metrics.expose(Format::OpenMetrics);
        let series = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\"";
        text.lines()
            .filter(|line| line.starts_with(series))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum()
    }

    /// How the only component is.
    pub(crate) fn health(health: &Health) -> String {
        let components = health.components();
        assert_eq!(components.len(), 1);
        components[0].2.to_string()
    }

    fn batch(items: usize) -> Batch {
        Batch { signal: Signal::Logs, payload: Bytes::from_static(b"x"), items }
    }

    fn otlp_http(retry: Retry, headers: Vec<(String, Secret)>) -> ExporterKind {
        let destination = Destination {
            url: "http://localhost:4318/v1/metrics".parse().unwrap(),
            headers,
            compression: Compression::Gzip,
            timeout: Duration::from_secs(1),
        };
        ExporterKind::OtlpHttp(Box::new(OtlpHttp {
            metrics: destination.clone(),
            traces: destination.clone(),
            logs: destination,
            retry,
            queue: Queue::default(),
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn enqueue_waits_while_the_queue_is_full() {
        let target = Scripted::silent();
        let exporter = Exporter {
            id: "e".to_owned(),
            target: Target::Scripted(target.clone()),
            retry: RetryPolicy::NEVER,
            queue_size: 1,
            storage: None,
            workers: 1,
        }
        .start(None, &Metrics::new(""), &Health::default());
        exporter.enqueue(batch(1)).await.unwrap();
        // The worker holds the first and the queue the second; there is no place for a third.
        exporter.enqueue(batch(2)).await.unwrap();
        assert!(exporter.is_full());
        let third = exporter.enqueue(batch(3));
        assert!(tokio::time::timeout(Duration::from_secs(3600), third).await.is_err());
        target.answer(1);
        exporter.enqueue(batch(3)).await.unwrap();
        target.answer(2);
        let report = exporter.drain(Instant::now() + Duration::from_secs(1)).await;
        assert_eq!(report, DrainReport::default());
    }

    #[tokio::test]
    async fn should_not_send_an_empty_batch() {
        let target = Scripted::default();
        let metrics = Metrics::new("");
        let exporter = running(target.clone(), &Retry::default(), 1, &metrics, &Health::default());
        exporter.enqueue(batch(0)).await.unwrap();
        exporter.enqueue(batch(1)).await.unwrap();
        exporter.drain(Instant::now() + Duration::from_secs(60)).await;
        assert_eq!(target.attempts().len(), 1);
    }

    #[tokio::test]
    async fn a_stopping_exporter_turns_batches_away_and_says_so() {
        let metrics = Metrics::new("");
        let exporter = running(Scripted::default(), &Retry::default(), 1, &metrics, &Health::default());
        exporter.drain(Instant::now()).await;
        assert_eq!(exporter.enqueue(batch(4)).await, Err(NotTaken::Closed(Closed)));
        let series = "otelcol_exporter_enqueue_failed_log_records_total{exporter=\"e\"}";
        assert_eq!(sample(&metrics, series), 4);
    }

    #[test]
    fn settings_that_cannot_work_are_an_error_that_says_where_they_are() {
        let id: ComponentId = "otlp_http/backend".parse().unwrap();
        let retry = Retry { multiplier: 0.5, ..Retry::default() };
        let error = Exporter::new(&id, &otlp_http(retry, Vec::new())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exporter `otlp_http/backend` cannot be used: `retry_on_failure`: multiplier must be a number of at least 1; \
             it is configured at `exporters.otlp_http/backend`"
        );
        let headers = vec![("Content-Length".to_owned(), Secret::new("0"))];
        let error = Exporter::new(&id, &otlp_http(Retry::default(), headers)).unwrap_err();
        assert!(error.to_string().contains("`Content-Length` is set by the exporter itself"), "{error}");
        assert!(Exporter::new(&id, &otlp_http(Retry::default(), Vec::new())).is_ok());
        let debug = ExporterKind::Debug(Debug { verbosity: Verbosity::Basic });
        assert!(Exporter::new(&"debug".parse().unwrap(), &debug).is_ok());
    }
}
