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
use crate::queue::{Closed, Queue};
use crate::report::{Items, Report};
use crate::retry::{InvalidRetry, RetryPolicy};
use crate::target::Target;
use crate::worker::Shop;

/// The debug exporter prints in the order batches come, so it has one worker; a few may wait for a slow terminal.
const DEBUG_QUEUE: usize = 16;

/// A checked exporter that is not running yet.
#[derive(Debug)]
pub struct Exporter {
    id: String,
    target: Target,
    retry: RetryPolicy,
    queue_size: usize,
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
                workers: settings.queue.num_consumers,
            },
            ExporterKind::Debug(settings) => Self {
                id,
                target: Target::Debug(Printer::to_stdout(settings.verbosity)),
                retry: RetryPolicy::NEVER,
                queue_size: DEBUG_QUEUE,
                workers: 1,
            },
        })
    }

    /// Starts the workers, on the runtime that is current.
    ///
    /// What is in the queue when the last handle is dropped is lost uncounted; call [`ExporterHandle::drain`] first.
    #[must_use]
    pub fn start(self, metrics: &Metrics, health: &Health) -> ExporterHandle {
        let component = health.component(ComponentKind::Exporter, &self.id);
        let metrics = metrics.exporter(&self.id);
        let shop = Arc::new(Shop {
            queue: Queue::new(self.queue_size, metrics.clone()),
            target: self.target,
            retry: self.retry,
            report: Report::new(self.id, metrics, component),
        });
        let (stop, stopping) = watch::channel(None);
        let mut workers = JoinSet::new();
        for _ in 0..self.workers.max(1) {
            let (shop, stopping) = (Arc::clone(&shop), stopping.clone());
            workers.spawn(async move { shop.work(stopping).await });
        }
        ExporterHandle { shop, stop: Arc::new(stop), workers: Arc::new(Mutex::new(workers)) }
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
    /// Hands over a batch, waiting while the queue is full. A batch without items is nothing to send and is dropped.
    ///
    /// Cancelling the wait leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When the exporter is stopping. The batch was not taken: whoever has it must not count it as delivered.
    pub async fn enqueue(&self, batch: Batch) -> Result<(), Closed> {
        let (signal, items) = (batch.signal, batch.items);
        if items == 0 {
            return Ok(());
        }
        let pushed = self.shop.queue.push(batch).await;
        if pushed.is_err() {
            self.shop.report.refused(signal, items);
        }
        pushed
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
    /// the backend may have taken it. Returns at the deadline or before; again at once when called again.
    pub async fn drain(&self, deadline: Instant) -> DrainReport {
        // Before the queue is closed, so that no worker takes up a batch without knowing of the deadline.
        self.stop.send_replace(Some(deadline));
        self.shop.queue.close();
        let mut workers = self.workers.lock().await;
        if workers.is_empty() {
            return DrainReport { undelivered: self.shop.report.undelivered() };
        }
        while workers.join_next().await.is_some() {}
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
        Exporter { id: "e".to_owned(), target: Target::Scripted(target), retry, queue_size: 100, workers }
            .start(metrics, health)
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
            workers: 1,
        }
        .start(&Metrics::new(""), &Health::default());
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
        assert_eq!(exporter.enqueue(batch(4)).await, Err(Closed));
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
