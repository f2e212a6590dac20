use bytes::Bytes;
use kiln_config::{
    Batching, Compression, Debug, Destination, Encoding, OtlpHttp, Queue, Retry, Secret, Tls, Verbosity,
};
use kiln_otlp::{PerSignal, Signal};
use kiln_telemetry::metrics::Format;
use std::time::Duration;

use super::*;
use crate::queue::Closed;
use crate::scripted::Scripted;

/// An exporter called `e` with a scripted backend and room for 100 batches.
pub(crate) fn scripted(target: Scripted, retry: &Retry, workers: usize) -> Exporter {
    let (target, retry) = (Target::Scripted(target), RetryPolicy::new(retry).unwrap());
    Exporter {
        id: "e".to_owned(),
        outlet: Outlet { target, retry, workers, batching: None },
        queue_size: 100,
        sizer: Sizer::Requests,
        storage: None,
        endpoint: None,
        listening: None,
    }
}

/// A running exporter called `e` with a scripted backend and room for 100 batches.
pub(crate) fn running(
    target: Scripted,
    retry: &Retry,
    workers: usize,
    metrics: &Metrics,
    health: &Health,
) -> ExporterHandle {
    scripted(target, retry, workers).start(None, &Memory::default(), metrics, health)
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
    let exporter = Exporter { storage: Some(storage), ..scripted(target, retry, 1) };
    let storage = exporter.open_storage(committed)?;
    Ok(exporter.start(storage, &Memory::default(), metrics, health))
}

/// The same, joining what waits in a queue on disk in a folder.
pub(crate) fn stored_batching(target: Scripted, folder: &std::path::Path, batching: Batching) -> ExporterHandle {
    let storage = kiln_config::Storage {
        directory: folder.join("queue"),
        max_bytes: 1 << 20,
        on_full: kiln_config::OnFull::Block,
        fsync: kiln_config::Fsync::Never,
    };
    let mut exporter = Exporter { storage: Some(storage), ..scripted(target, &Retry::default(), 2) };
    exporter.set_batching(Some(batching));
    let storage = exporter.open_storage(&|_| None).unwrap();
    exporter.start(storage, &Memory::default(), &Metrics::new(""), &Health::default())
}

impl Exporter {
    pub(crate) fn set_batching(&mut self, batching: Option<Batching>) {
        self.outlet.batching = batching;
    }
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
        encoding: Encoding::Protobuf,
        compression: Compression::Gzip,
        timeout: Duration::from_secs(1),
        tls: Tls::default(),
    };
    ExporterKind::OtlpHttp(Box::new(OtlpHttp {
        destinations: PerSignal::new(|_| destination.clone()),
        retry,
        queue: Queue::default(),
        proxy: None,
    }))
}

#[tokio::test(start_paused = true)]
async fn enqueue_waits_while_the_queue_is_full() {
    let target = Scripted::silent();
    let mut exporter = scripted(target.clone(), &Retry::default(), 1);
    exporter.queue_size = 1;
    let exporter = exporter.start(None, &Memory::default(), &Metrics::new(""), &Health::default());
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
    let series = "otelcol_exporter_enqueue_failed_log_records_total{exporter=\"e\",reason=\"stopping\"}";
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
