//! Queues on disk, with an exporter around them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_config::{Fsync, OnFull, Retry};
use kiln_otlp::{Batch, Signal};
use kiln_queue::{Disk, Options, Verdict};
use kiln_telemetry::{Health, Metrics};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::envelope::{Envelope, Unit};
use crate::exporter::tests::{failed_items, health, sample, stored};
use crate::exporter::{DrainReport, ExporterHandle};
use crate::scripted::Scripted;

fn settings(folder: &TempDir) -> kiln_config::Storage {
    let directory = folder.path().join("queue");
    kiln_config::Storage { directory, max_bytes: 1 << 30, on_full: OnFull::Block, fsync: Fsync::Always }
}

fn batch(items: usize) -> Batch {
    Batch { signal: Signal::Metrics, payload: Bytes::from(items.to_string()), items }
}

fn unit(instance: &str, sequence: u64) -> Unit {
    Unit { instance: instance.to_owned(), sequence }
}

fn patient() -> Retry {
    Retry { max_elapsed_time: None, ..Retry::default() }
}

/// Starts an exporter that knows of no instance.
fn start(target: &Scripted, settings: kiln_config::Storage, metrics: &Metrics) -> ExporterHandle {
    stored(target.clone(), &patient(), settings, metrics, &Health::default(), &|_| None).unwrap()
}

async fn drain(exporter: ExporterHandle, seconds: u64) -> DrainReport {
    exporter.drain(Instant::now() + Duration::from_secs(seconds)).await
}

/// What arrived, by its number of items.
fn arrived(target: &Scripted) -> Vec<usize> {
    target.attempts().iter().map(|(request, _)| request.items).collect()
}

fn count(metrics: &Metrics, name: &str) -> u64 {
    sample(metrics, &format!("{name}{{exporter=\"e\"}}"))
}

/// Leaves batches behind as a process would that was killed.
fn leave(directory: &Path, batches: &[(Unit, usize)]) {
    std::fs::create_dir_all(directory).unwrap();
    let disk = Disk::new(Dir::open_ambient_dir(directory, ambient_authority()).unwrap());
    let (mut log, _) = kiln_queue::Queue::open(disk, Options::default(), |_, _| Verdict::Keep).unwrap();
    for (unit, items) in batches {
        log.append(&[&Envelope::wrap(unit, &batch(*items))]).unwrap();
    }
}

fn segment(directory: &Path) -> PathBuf {
    directory.join("00000000000000000000.segment")
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_sent_before_the_deadline_is_sent_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (target, metrics) = (Scripted::silent(), Metrics::new(""));
    let exporter = start(&target, settings(&folder), &metrics);
    for items in 1..=3 {
        exporter.enqueue(batch(items)).await.unwrap();
    }
    assert_eq!(drain(exporter, 1).await, DrainReport::default());
    assert_eq!(failed_items(&metrics), 0);
    assert_eq!(count(&metrics, "otelcol_exporter_queue_size"), 3);

    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    drain(start(&target, settings(&folder), &metrics), 60).await;
    assert_eq!(arrived(&target), [1, 2, 3]);
    assert_eq!(target.attempts()[2].0.body, "3");
    assert_eq!(count(&metrics, "kiln_exporter_queue_recovered_batches_total"), 3);
    assert_eq!(count(&metrics, "otelcol_exporter_queue_size"), 0);

    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    drain(start(&target, settings(&folder), &metrics), 60).await;
    assert!(arrived(&target).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_not_sent_before_it_is_complete_and_never_if_it_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    let exporter = start(&target, settings(&folder), &metrics);
    let complete = exporter.stage(&unit("r", 1), vec![batch(1), batch(2)], &|| {}).await.unwrap();
    let failed = exporter.stage(&unit("r", 2), vec![batch(3)], &|| {}).await.unwrap();
    exporter.enqueue(batch(4)).await.unwrap();
    drop(failed);
    while arrived(&target).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(arrived(&target), [4]);
    complete.release();
    drain(exporter, 60).await;
    assert_eq!(arrived(&target), [4, 1, 2]);

    let target = Scripted::default();
    drain(start(&target, settings(&folder), &Metrics::new("")), 60).await;
    assert!(arrived(&target).is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_complete_collections_are_sent_and_incomplete_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let directory = settings(&folder).directory;
    let left = [
        (unit("r", 7), 1),
        (unit("removed", 3), 2),
        (unit("r", 8), 4),
        (unit("damaged", 9), 8),
        (Unit::none(), 16),
        (unit("removed", 4), 32),
    ];
    leave(&directory, &left);
    let committed = |instance: &str| match instance {
        "r" => Some(7),
        "removed" => Some(3),
        _ => None,
    };
    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    let exporter =
        stored(target.clone(), &patient(), settings(&folder), &metrics, &Health::default(), &committed).unwrap();
    drain(exporter, 60).await;
    assert_eq!(arrived(&target), [1, 2, 8, 16]);
    assert_eq!(count(&metrics, "kiln_exporter_queue_discarded_batches_total"), 2);
    assert_eq!(count(&metrics, "kiln_exporter_queue_recovered_batches_total"), 4);
    assert_eq!(failed_items(&metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_up_producers_until_something_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (target, metrics, state) = (Scripted::silent(), Metrics::new(""), Health::default());
    let small = kiln_config::Storage { max_bytes: 400, ..settings(&folder) };
    let exporter = stored(target.clone(), &patient(), small, &metrics, &state, &|_| None).unwrap();
    let large = |items| Batch { payload: Bytes::from(vec![b'x'; 100]), ..batch(items) };
    exporter.enqueue(large(1)).await.unwrap();
    let waits = async { while exporter.enqueue(large(2)).await.is_ok() {} };
    assert!(timeout(Duration::from_secs(3600), waits).await.is_err());
    assert!(exporter.is_full());
    assert_eq!(health(&state), "in trouble: its queue is full, and receivers wait");
    target.answer(100);
    exporter.enqueue(large(3)).await.unwrap();
    drain(exporter, 60).await;
    assert_eq!(arrived(&target).last(), Some(&3));
    assert_eq!(failed_items(&metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_that_drops_the_oldest_counts_what_it_drops() {
    let folder = tempfile::tempdir().unwrap();
    let (target, metrics) = (Scripted::silent(), Metrics::new(""));
    let small = kiln_config::Storage { max_bytes: 200 << 10, on_full: OnFull::DropOldest, ..settings(&folder) };
    let exporter = start(&target, small, &metrics);
    for _ in 0..20 {
        let payload = Bytes::from(vec![b'x'; 30 << 10]);
        exporter.enqueue(Batch { payload, ..batch(1) }).await.unwrap();
    }
    let name = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\",reason=\"queue_full\"}";
    assert!(sample(&metrics, name) >= 10);
    target.answer(100);
    drain(exporter, 60).await;
    let sent = count(&metrics, "otelcol_exporter_sent_metric_points_total");
    assert_eq!(sent + sample(&metrics, name), 20);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_counted_as_lost_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    let exporter = start(&target, kiln_config::Storage { max_bytes: 1000, ..settings(&folder) }, &metrics);
    exporter.enqueue(Batch { payload: Bytes::from(vec![b'x'; 2000]), ..batch(5) }).await.unwrap();
    exporter.enqueue(batch(1)).await.unwrap();
    drain(exporter, 60).await;
    assert_eq!(arrived(&target), [1]);
    let name = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\",reason=\"too_large\"}";
    assert_eq!(sample(&metrics, name), 5);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_batch_is_counted_and_the_others_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let directory = settings(&folder).directory;
    leave(&directory, &[(Unit::none(), 1), (Unit::none(), 2), (Unit::none(), 3)]);
    let mut bytes = std::fs::read(segment(&directory)).unwrap();
    bytes[64 + 37 + 30] ^= 1;
    std::fs::write(segment(&directory), bytes).unwrap();
    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    drain(start(&target, settings(&folder), &metrics), 60).await;
    assert_eq!(arrived(&target), [1, 3]);
    assert_eq!(count(&metrics, "kiln_exporter_queue_damaged_batches_total"), 1);
    assert_eq!(count(&metrics, "kiln_exporter_queue_damaged_files"), 1);
    assert!(directory.join("00000000000000000000.segment.damaged").exists());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_backend_refuses_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = crate::attempt::Outcome::failed(kiln_telemetry::metrics::DropReason::Rejected, "no");
    let (target, metrics) = (Scripted::new([refusal]), Metrics::new(""));
    let exporter = start(&target, settings(&folder), &metrics);
    exporter.enqueue(batch(1)).await.unwrap();
    drain(exporter, 60).await;
    assert_eq!(failed_items(&metrics), 1);
    let target = Scripted::default();
    drain(start(&target, settings(&folder), &Metrics::new("")), 60).await;
    assert!(arrived(&target).is_empty());
}

#[tokio::test]
async fn two_exporters_cannot_use_one_directory_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = start(&Scripted::default(), settings(&folder), &Metrics::new(""));
    let (metrics, state) = (Metrics::new(""), Health::default());
    let error = stored(Scripted::default(), &patient(), settings(&folder), &metrics, &state, &|_| None).unwrap_err();
    let directory = settings(&folder).directory;
    let expected = format!("the queue in {} cannot be used: another process is using it", directory.display());
    assert_eq!(error.to_string(), expected);
    drain(exporter, 1).await;
}
