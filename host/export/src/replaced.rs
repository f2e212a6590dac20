//! What becomes of batches when an exporter's settings change while it runs.

use std::time::Duration;

use kiln_config::Retry;
use kiln_otlp::{Batch, Signal};
use kiln_telemetry::metrics::DropReason;
use kiln_telemetry::{Health, Metrics};
use tokio::time::Instant;

use crate::attempt::Outcome;
use crate::exporter::tests::{failed_items, running, sample, scripted};
use crate::scripted::Scripted;

const SENT: &str = "otelcol_exporter_sent_metric_points_total{exporter=\"e\"}";

fn batch(items: usize) -> Batch {
    Batch { signal: Signal::Metrics, payload: items.to_string().into(), items }
}

fn unavailable() -> Outcome {
    Outcome::Retry { cause: "unavailable".to_owned(), told: Some(Duration::from_secs(3000)) }
}

fn retry() -> Retry {
    Retry { max_elapsed_time: None, ..Retry::default() }
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn items(target: &Scripted) -> Vec<usize> {
    target.attempts().iter().map(|(request, _)| request.items).collect()
}

/// Scenario: a backend has asked to be left alone for an hour; three batches wait, one of them for that hour to pass.
/// Guarantees: with another backend all three are sent at once, in order.
#[tokio::test(start_paused = true)]
async fn what_waits_goes_the_new_way_at_once() {
    let (old, new) = (Scripted::new([unavailable()]), Scripted::default());
    let metrics = Metrics::new("");
    let exporter = running(old.clone(), &retry(), 1, &metrics, &Health::default());
    for number in 1..=3 {
        exporter.enqueue(batch(number)).await.unwrap();
    }
    settle().await;
    let before = Instant::now();
    exporter.replace(scripted(new.clone(), &retry(), 1));
    settle().await;
    assert_eq!((items(&old), items(&new)), (vec![1], vec![1, 2, 3]));
    assert_eq!(Instant::now(), before);
    assert_eq!((sample(&metrics, SENT), failed_items(&metrics)), (6, 0));
}

/// Scenario: an attempt is under way when the backend changes; it is answered with success, with refusal.
/// Guarantees: it is not cut off; what arrived is not sent again, and what was refused is, the new way.
#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_is_finished_and_only_what_failed_is_sent_again() {
    for (answer, again) in [
        (Outcome::Delivered { rejected: 0, note: None }, vec![]),
        (Outcome::failed(DropReason::Rejected, "the old token is not good"), vec![1]),
    ] {
        let (old, new) = (Scripted::silent_with(answer), Scripted::default());
        let metrics = Metrics::new("");
        let exporter = running(old.clone(), &retry(), 1, &metrics, &Health::default());
        exporter.enqueue(batch(1)).await.unwrap();
        settle().await;
        exporter.replace(scripted(new.clone(), &retry(), 1));
        settle().await;
        assert_eq!((items(&old), items(&new)), (vec![1], vec![]));
        old.answer(1);
        settle().await;
        assert_eq!((items(&old), items(&new)), (vec![1], again));
        assert_eq!((sample(&metrics, SENT), failed_items(&metrics)), (1, 0));
    }
}

/// Scenario: one worker becomes three, then one again, then three.
/// Guarantees: so many requests are under way at once, and never more.
#[tokio::test(start_paused = true)]
async fn there_are_as_many_workers_as_there_should_be() {
    let target = Scripted::silent();
    let exporter = running(target.clone(), &retry(), 1, &Metrics::new(""), &Health::default());
    for _ in 0..20 {
        exporter.enqueue(batch(1)).await.unwrap();
    }
    let mut answered = 0;
    for (workers, under_way) in [(1, 1), (3, 3), (1, 1), (3, 3), (3, 3)] {
        exporter.replace(scripted(target.clone(), &retry(), workers));
        // Those that are too many end what they are at.
        let busy = target.attempts().len() - answered;
        target.answer(busy);
        answered += busy;
        settle().await;
        assert_eq!(target.attempts().len() - answered, under_way, "{workers}");
    }
}

/// Scenario: the backend changes while the exporter drains, and after.
/// Guarantees: what is left goes the new way within the deadline; afterwards nothing happens.
#[tokio::test(start_paused = true)]
async fn a_drain_goes_the_new_way() {
    let (old, new) = (Scripted::new([unavailable()]), Scripted::default());
    let exporter = running(old.clone(), &retry(), 1, &Metrics::new(""), &Health::default());
    exporter.enqueue(batch(1)).await.unwrap();
    settle().await;
    let drain = tokio::spawn({
        let exporter = exporter.clone();
        async move { exporter.drain(Instant::now() + Duration::from_secs(4000)).await }
    });
    settle().await;
    exporter.replace(scripted(new.clone(), &retry(), 1));
    assert_eq!(drain.await.unwrap().undelivered.total(), 0);
    assert_eq!(items(&new), [1]);
    exporter.replace(scripted(old, &retry(), 3));
}
