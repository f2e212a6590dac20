use kiln_config::Retry;
use kiln_telemetry::metrics::DropReason;
use kiln_telemetry::{Health, Metrics};
use proptest::prelude::*;

use super::*;
use crate::attempt::Outcome;
use crate::exporter::tests::{sample, scripted, stored_batching};
use crate::exporter::{Exporter, ExporterHandle};
use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

fn batching(min_size: usize, max_size: Option<usize>) -> Batching {
    Batching { flush_timeout: SECOND, min_size, max_size, sizer: Sizer::Items }
}

/// A batch of so many log records, each of which is the number given.
fn logs(number: u64, items: usize) -> Batch {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message as _;
    let log_records = vec![LogRecord { time_unix_nano: number, ..LogRecord::default() }; items];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    Batch { signal: Signal::Logs, payload: ExportLogsServiceRequest { resource_logs }.encode_to_vec().into(), items }
}

/// The numbers of the records in a request.
fn numbers(payload: &[u8]) -> Vec<u64> {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use prost::Message as _;
    let request = ExportLogsServiceRequest::decode(payload).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|record| record.time_unix_nano).collect()
}

fn requests(target: &Scripted) -> Vec<Vec<u64>> {
    target.attempts().iter().map(|(request, _)| numbers(&request.body)).collect()
}

fn exporter(target: Scripted, batching: Batching, workers: usize) -> Exporter {
    let retry = Retry { max_elapsed_time: None, ..Retry::default() };
    let mut exporter = scripted(target, &retry, workers);
    exporter.set_batching(Some(batching));
    exporter
}

fn running(target: Scripted, batching: Batching, workers: usize, metrics: &Metrics) -> ExporterHandle {
    exporter(target, batching, workers).start(None, &kiln_memory::Memory::default(), metrics, &Health::default())
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Scenario: batches come that are small, and then one that makes the request large enough.
/// Guarantees: they leave as one request, in order, as soon as it is; what is sent is counted by request and by item.
#[tokio::test(start_paused = true)]
async fn what_is_small_is_joined_until_it_is_large_enough() {
    let (target, metrics) = (Scripted::default(), Metrics::new(""));
    let exporter = running(target.clone(), batching(10, None), 4, &metrics);
    for (number, items) in [(1, 3), (2, 3), (3, 3)] {
        exporter.enqueue(logs(number, items)).await.unwrap();
    }
    settle().await;
    assert!(target.attempts().is_empty());
    exporter.enqueue(logs(4, 1)).await.unwrap();
    settle().await;
    assert_eq!(requests(&target), [[1, 1, 1, 2, 2, 2, 3, 3, 3, 4]]);
    assert_eq!(sample(&metrics, "otelcol_exporter_sent_log_records_total{exporter=\"e\"}"), 10);
    assert_eq!(sample(&metrics, "otelcol_exporter_queue_batch_send_size_count{exporter=\"e\"}"), 1);
    let text = metrics.expose(kiln_telemetry::metrics::Format::OpenMetrics);
    assert!(text.contains("\notelcol_exporter_queue_batch_send_size_sum{exporter=\"e\"} 10.0\n"));
}

/// Scenario: batches of two signals come and then nothing.
/// Guarantees: each leaves when its first has waited for `flush_timeout`, and signals are not mixed.
#[tokio::test(start_paused = true)]
async fn what_stays_small_leaves_when_it_has_waited() {
    let target = Scripted::default();
    let exporter = running(target.clone(), batching(100, None), 2, &Metrics::new(""));
    let began = Instant::now();
    exporter.enqueue(logs(1, 1)).await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    exporter.enqueue(Batch { signal: Signal::Traces, payload: "x".into(), items: 7 }).await.unwrap();
    exporter.enqueue(logs(2, 1)).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    let attempts = target.attempts();
    let seen: Vec<_> = attempts.iter().map(|(it, at)| (it.signal, it.items, (*at - began).as_millis())).collect();
    assert_eq!(seen, [(Signal::Logs, 2, 1000), (Signal::Traces, 7, 1500)]);
}

/// Scenario: a batch that is larger than a request may be, by items and by bytes, behind a small one.
/// Guarantees: it is sent in several, none too large, each item once and in order; the small one is not made too large by it.
#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_sent_in_several() {
    let item = logs(9, 1).payload.len();
    for (limit, sizer) in [(4, Sizer::Items), (logs(9, 4).payload.len(), Sizer::Bytes)] {
        let target = Scripted::default();
        let limits = Batching { min_size: limit, max_size: Some(limit), sizer, flush_timeout: SECOND };
        let exporter = running(target.clone(), limits, 1, &Metrics::new(""));
        exporter.enqueue(logs(8, 1)).await.unwrap();
        exporter.enqueue(logs(9, 10)).await.unwrap();
        exporter.drain(Instant::now() + SECOND).await;
        let requests = requests(&target);
        assert_eq!(requests[0], [8], "{item}");
        assert!(requests.iter().all(|request| request.len() <= 4), "{requests:?}");
        assert_eq!(requests.concat(), [[8].as_slice(), &[9; 10]].concat());
    }
}

/// Scenario: an exporter that gathers is drained, with time and without.
/// Guarantees: what is gathered is sent at once; without time it is counted as lost, every item of it.
#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_more() {
    for (time, sent, lost) in [(SECOND, 5, 0), (Duration::ZERO, 0, 5)] {
        let (target, metrics) = (Scripted::default(), Metrics::new(""));
        let limits = Batching { flush_timeout: 600 * SECOND, ..batching(100, None) };
        let exporter = running(target.clone(), limits, 3, &metrics);
        exporter.enqueue(logs(1, 2)).await.unwrap();
        exporter.enqueue(logs(2, 3)).await.unwrap();
        settle().await;
        let began = Instant::now();
        let report = exporter.drain(began + time).await;
        assert_eq!((began.elapsed(), report.undelivered.logs), (Duration::ZERO, lost));
        assert_eq!(sample(&metrics, "otelcol_exporter_sent_log_records_total{exporter=\"e\"}"), sent);
    }
}

/// Scenario: a request of three batches is given up in one of its halves; then settings change so that nothing is joined.
/// Guarantees: only the half is lost; what was gathered meanwhile is sent at once, by itself.
#[tokio::test(start_paused = true)]
async fn a_joined_request_is_split_and_given_up_like_any_other() {
    let too_large = Outcome::failed(DropReason::TooLarge, "too large");
    let target = Scripted::new([too_large, Outcome::failed(DropReason::Rejected, "no")]);
    let metrics = Metrics::new("");
    let exporter = running(target.clone(), batching(6, None), 1, &metrics);
    for number in 1..=3 {
        exporter.enqueue(logs(number, 2)).await.unwrap();
    }
    settle().await;
    assert_eq!(requests(&target)[1..], [[1, 1, 2], [2, 3, 3]]);
    let lost = "otelcol_exporter_send_failed_log_records_total{exporter=\"e\",reason=\"rejected\"}";
    assert_eq!(sample(&metrics, lost), 3);
    exporter.enqueue(logs(4, 1)).await.unwrap();
    settle().await;
    exporter.replace(scripted(target.clone(), &Retry::default(), 1));
    exporter.enqueue(logs(5, 1)).await.unwrap();
    settle().await;
    assert_eq!(requests(&target)[3..].concat(), [4, 5]);
}

/// Scenario: batches on disk are joined; the process ends before the request is answered, and after.
/// Guarantees: each batch is there again, or none, according to whether the request was; their collections are told apart.
#[tokio::test]
async fn on_disk_every_batch_is_settled_with_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let open = |target: Scripted| {
        stored_batching(target, folder.path(), Batching { flush_timeout: SECOND, ..batching(6, None) })
    };
    let silent = Scripted::silent();
    let exporter = open(silent.clone());
    for number in 1..=3 {
        exporter.enqueue(logs(number, 2)).await.unwrap();
    }
    wait_until(|| silent.attempts().len() == 1).await;
    assert_eq!(requests(&silent), [[1, 1, 2, 2, 3, 3]]);
    exporter.drain(Instant::now()).await;
    drop(exporter);
    let target = Scripted::default();
    let exporter = open(target.clone());
    wait_until(|| target.attempts().len() == 1).await;
    assert_eq!(requests(&target), [[1, 1, 2, 2, 3, 3]]);
    exporter.drain(Instant::now() + 10 * SECOND).await;
    drop(exporter);
    let target = Scripted::default();
    let exporter = open(target.clone());
    exporter.enqueue(logs(7, 6)).await.unwrap();
    wait_until(|| target.attempts().len() == 1).await;
    exporter.drain(Instant::now() + 10 * SECOND).await;
    assert_eq!(requests(&target), [[7; 6]]);
}

async fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + 60 * SECOND;
    while !condition() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes when: nothing is lost or doubled, every signal keeps its order, and no request is larger than it may be
    /// but for a batch that is by itself.
    #[test]
    fn gathering_neither_loses_nor_reorders(
        batches in prop::collection::vec((0_usize..3, 1_usize..20, 0_u64..1500), 0..40),
        min in 0_usize..30,
        room in prop::option::of(0_usize..30),
    ) {
        let batching = Batching { max_size: room.map(|room| min.max(1) + room), ..batching(min, None) };
        let (mut gathering, mut now) = (Gathering::default(), Instant::now());
        let mut parcels = Vec::new();
        for (number, (signal, items, wait)) in batches.iter().enumerate() {
            let batch = Batch { signal: Signal::ALL[*signal], payload: number.to_string().into(), items: *items };
            gathering.add(Job { batch, receipt: Receipt::Stored(number as u64) }, &batching, now);
            now += Duration::from_millis(*wait);
            while let Some(parcel) = gathering.due(&batching, now) {
                parcels.push(parcel);
            }
            prop_assert!(gathering.next_due(batching.flush_timeout).is_none_or(|due| due > now));
        }
        parcels.extend(std::iter::from_fn(|| gathering.any()));
        let mut seen = [const { Vec::new() }; 3];
        for parcel in parcels {
            let items: usize = parcel.jobs.iter().map(|job| job.batch.items).sum();
            prop_assert!(parcel.jobs.len() == 1 || batching.max_size.is_none_or(|max| items <= max));
            let signal = Signal::ALL.iter().position(|signal| *signal == parcel.signal).unwrap();
            let (batch, receipts) = parcel.open();
            prop_assert_eq!(batch.items, items);
            for (receipt, _) in receipts {
                let Receipt::Stored(id) = receipt else { panic!() };
                seen[signal].push(usize::try_from(id).unwrap());
            }
        }
        for (signal, seen) in seen.into_iter().enumerate() {
            let expected: Vec<_> = (0..batches.len()).filter(|number| batches[*number].0 == signal).collect();
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_batch_is_cut_to_what_is_asked_for(items in 0_usize..200, max in 1_usize..50) {
        let parts = cut(logs(3, items), &batching(1, Some(max)));
        prop_assert!(parts.iter().all(|part| part.items <= max && numbers(&part.payload).len() == part.items));
        prop_assert_eq!(parts.iter().map(|part| part.items).sum::<usize>(), items);
        prop_assert_eq!(parts.len(), items.div_ceil(max).max(1));
    }
}
