use kiln_config::Retry;
use kiln_telemetry::{Health, Metrics};
use proptest::prelude::*;
use tokio::time::timeout;

use super::*;
use crate::exporter::tests::{failed_items, health, running, sample};
use crate::report::Items;
use crate::scripted::Scripted;

const SECOND: Duration = Duration::from_secs(1);

/// 5 s, 10 s, 20 s, 30 s, 30 s, … for ever.
fn patient() -> Retry {
    Retry { multiplier: 2.0, randomization_factor: 0.0, max_elapsed_time: None, ..Retry::default() }
}

fn batch(items: usize) -> Batch {
    Batch { signal: Signal::Metrics, payload: items.to_string().into(), items }
}

fn unavailable() -> Outcome {
    Outcome::Retry { cause: "unavailable".to_owned(), told: None }
}

fn told(seconds: u64) -> Outcome {
    Outcome::Retry { cause: "slow down".to_owned(), told: Some(Duration::from_secs(seconds)) }
}

fn lost(items: u64) -> Items {
    Items { metrics: items, ..Items::default() }
}

/// Lets everything happen that happens without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Seconds after the first attempt at which each attempt was made.
fn times(target: &Scripted) -> Vec<u64> {
    let attempts = target.attempts();
    attempts.iter().map(|(_, at)| at.duration_since(attempts[0].1).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn must_back_off_exponentially() {
    let target = Scripted::new([unavailable(), unavailable(), unavailable(), unavailable(), unavailable()]);
    let metrics = Metrics::new("");
    let exporter = running(target.clone(), &patient(), 1, &metrics, &Health::default());
    exporter.enqueue(batch(3)).await.unwrap();
    assert_eq!(exporter.drain(Instant::now() + 1000 * SECOND).await.undelivered, lost(0));
    assert_eq!(times(&target), [0, 5, 15, 35, 65, 95]);
    assert_eq!(sample(&metrics, "otelcol_exporter_sent_metric_points_total{exporter=\"e\"}"), 3);
    assert_eq!(sample(&metrics, "kiln_exporter_retries_total{exporter=\"e\"}"), 5);
    assert_eq!(failed_items(&metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn should_wait_as_long_as_the_server_asks_when_that_is_longer() {
    let target = Scripted::new([told(42), told(1)]);
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(3)).await.unwrap();
    exporter.drain(Instant::now() + 1000 * SECOND).await;
    assert_eq!(times(&target), [0, 42, 52]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_longest_time_and_counts_what_is_lost() {
    let target = Scripted::new(std::iter::repeat_with(unavailable).take(100));
    let metrics = Metrics::new("");
    let retry = Retry { max_elapsed_time: Some(40 * SECOND), ..patient() };
    let exporter = running(target.clone(), &retry, 1, &metrics, &Health::default());
    exporter.enqueue(batch(3)).await.unwrap();
    assert_eq!(exporter.drain(Instant::now() + 1000 * SECOND).await.undelivered, lost(0));
    assert_eq!(times(&target), [0, 5, 15, 35]);
    let name = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\",reason=\"retries_exhausted\"}";
    assert_eq!(sample(&metrics, name), 3);
    assert_eq!(failed_items(&metrics), 3);
}

#[tokio::test(start_paused = true)]
async fn must_not_send_a_refused_batch_again_and_carries_on_with_the_next() {
    let target = Scripted::new([Outcome::failed(DropReason::Rejected, "no")]);
    let metrics = Metrics::new("");
    let exporter = running(target.clone(), &patient(), 1, &metrics, &Health::default());
    exporter.enqueue(batch(3)).await.unwrap();
    exporter.enqueue(batch(4)).await.unwrap();
    exporter.drain(Instant::now() + 1000 * SECOND).await;
    assert_eq!(times(&target), [0, 0]);
    assert_eq!(failed_items(&metrics), 3);
    assert_eq!(sample(&metrics, "otelcol_exporter_sent_metric_points_total{exporter=\"e\"}"), 4);
}

#[tokio::test(start_paused = true)]
async fn must_not_send_rejected_items_again_but_counts_them() {
    let target = Scripted::new([Outcome::Delivered { rejected: 2, note: Some("too old".to_owned()) }]);
    let metrics = Metrics::new("");
    let exporter = running(target.clone(), &patient(), 1, &metrics, &Health::default());
    exporter.enqueue(batch(5)).await.unwrap();
    exporter.drain(Instant::now() + SECOND).await;
    assert_eq!(target.attempts().len(), 1);
    assert_eq!(sample(&metrics, "otelcol_exporter_sent_metric_points_total{exporter=\"e\"}"), 3);
    let name = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\",reason=\"partially_rejected\"}";
    assert_eq!(sample(&metrics, name), 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_what_is_queued() {
    let target = Scripted::silent();
    let exporter = running(target.clone(), &patient(), 2, &Metrics::new(""), &Health::default());
    for items in 1..=5 {
        exporter.enqueue(batch(items)).await.unwrap();
    }
    let drain = tokio::spawn({
        let exporter = exporter.clone();
        async move { exporter.drain(Instant::now() + SECOND).await }
    });
    settle().await;
    assert!(!drain.is_finished());
    target.answer(5);
    assert_eq!(drain.await.unwrap().undelivered, lost(0));
    assert_eq!(target.attempts().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline_and_counts_what_is_left() {
    let target = Scripted::silent();
    let metrics = Metrics::new("");
    let exporter = running(target.clone(), &patient(), 2, &metrics, &Health::default());
    for items in 1..=5 {
        exporter.enqueue(batch(items)).await.unwrap();
    }
    let deadline = Instant::now() + 7 * SECOND;
    assert_eq!(exporter.drain(deadline).await.undelivered, lost(15));
    assert_eq!(Instant::now(), deadline);
    assert_eq!(target.attempts().len(), 2);
    let name = "otelcol_exporter_send_failed_metric_points_total{exporter=\"e\",reason=\"shutdown\"}";
    assert_eq!(sample(&metrics, name), 15);
    assert_eq!(sample(&metrics, "otelcol_exporter_in_flight_requests{exporter=\"e\"}"), 0);
    assert_eq!(sample(&metrics, "otelcol_exporter_queue_size{exporter=\"e\"}"), 0);
    assert_eq!(exporter.drain(deadline).await.undelivered, lost(15));
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_deadline_has_passed_sends_nothing_more() {
    let target = Scripted::silent();
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    let began = Instant::now();
    assert_eq!(exporter.drain(began).await.undelivered, lost(1));
    assert_eq!(Instant::now(), began);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_outlast_the_deadline_is_cut_short_for_one_last_attempt() {
    let target = Scripted::new([unavailable()]);
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    assert_eq!(exporter.drain(Instant::now() + 2 * SECOND).await.undelivered, lost(0));
    assert_eq!(times(&target), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_is_the_last() {
    let target = Scripted::new(std::iter::repeat_with(unavailable).take(100));
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    let began = Instant::now();
    assert_eq!(exporter.drain(began + 2 * SECOND).await.undelivered, lost(1));
    assert_eq!(times(&target), [0, 0]);
    assert_eq!(Instant::now(), began);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asked_to_be_left_alone_is_left_alone_to_the_end() {
    let target = Scripted::new([told(60)]);
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    assert_eq!(exporter.drain(Instant::now() + 2 * SECOND).await.undelivered, lost(1));
    assert_eq!(times(&target), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_before_the_deadline_is_waited_for() {
    let target = Scripted::new([unavailable()]);
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    assert_eq!(exporter.drain(Instant::now() + 20 * SECOND).await.undelivered, lost(0));
    assert_eq!(times(&target), [0, 5]);
}

#[tokio::test(start_paused = true)]
async fn trouble_shows_in_the_health_and_passes() {
    let target = Scripted::new([unavailable()]);
    let state = Health::default();
    let exporter = running(target.clone(), &patient(), 1, &Metrics::new(""), &state);
    assert_eq!(health(&state), "ok");
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    assert_eq!(health(&state), "in trouble: unavailable");
    timeout(100 * SECOND, async {
        while health(&state) != "ok" {
            tokio::time::advance(SECOND).await;
        }
    })
    .await
    .unwrap();
    exporter.drain(Instant::now()).await;
    assert_eq!(health(&state), "stopped");
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Delivered { rejected: 0, note: None }),
        Just(Outcome::Delivered { rejected: 1, note: None }),
        Just(unavailable()),
        (0_u64..100).prop_map(told),
        Just(Outcome::failed(DropReason::Rejected, "no")),
    ]
}

proptest! {
    #[test]
    fn every_item_that_was_taken_is_delivered_or_counted_as_lost_by_the_deadline(
        script in proptest::collection::vec(any_outcome(), 0..40),
        batches in proptest::collection::vec(1_usize..5, 0..20),
        workers in 1_usize..4,
        max_elapsed in proptest::option::of(0_u64..60),
        seconds in 0_u64..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let metrics = Metrics::new("");
            let retry = Retry { max_elapsed_time: max_elapsed.map(Duration::from_secs), ..patient() };
            let exporter = running(Scripted::new(script), &retry, workers, &metrics, &Health::default());
            for items in &batches {
                exporter.enqueue(batch(*items)).await.unwrap();
            }
            let deadline = Instant::now() + Duration::from_secs(seconds);
            let report = exporter.drain(deadline).await;
            prop_assert!(Instant::now() <= deadline);
            let sent = sample(&metrics, "otelcol_exporter_sent_metric_points_total{exporter=\"e\"}");
            let failed = failed_items(&metrics);
            prop_assert_eq!(sent + failed, batches.iter().sum::<usize>() as u64);
            prop_assert!(report.undelivered.total() <= failed);
            Ok(())
        })?;
    }
}
