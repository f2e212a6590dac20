//! Where an exporter's outcomes go: every one is counted, every kind is logged, none floods the log.
//!
//! A backend that is down fails every attempt of every batch. The metrics count each; the log says it when it starts,
//! every half minute while it lasts (with how often it happened), and when it is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kiln_otlp::{PerSignal, Signal};
use kiln_queue::Recovery;
use kiln_telemetry::metrics::{DropReason, ExporterMetrics, InFlight, RequestOutcome};
use kiln_telemetry::{Component, Status};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::answer::harmless;
use crate::attempt::{Failure, Outcome};
use crate::prometheus::Lost;
use crate::queue::NotTaken;

/// How often the same kind of trouble is worth a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// Items per signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// Data points.
    pub metrics: u64,
    /// Spans.
    pub traces: u64,
    /// Log records.
    pub logs: u64,
}

impl Items {
    /// Of all signals together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.metrics.saturating_add(self.traces).saturating_add(self.logs)
    }
}

/// What kind of thing a log line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Retry,
    Note,
    Drop(DropReason),
    Split,
    Refused,
    Recovery,
    Full,
    Unwritable,
    Unreadable,
    Unacknowledged,
}

/// One exporter's bookkeeping.
#[derive(Debug)]
pub(crate) struct Report {
    id: String,
    metrics: ExporterMetrics,
    health: Component,
    log: Mutex<Log>,
    undelivered: PerSignal<AtomicU64>,
}

#[derive(Debug, Default)]
struct Log {
    /// Since the last delivery something has failed.
    in_trouble: bool,
    said: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    topic: Topic,
    at: Instant,
    /// Times it happened since without being said.
    kept_back: u64,
}

impl Report {
    pub(crate) fn new(id: String, metrics: ExporterMetrics, health: Component) -> Self {
        health.set(Status::Ok);
        Self { id, metrics, health, log: Mutex::default(), undelivered: PerSignal::default() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        self.metrics.in_flight()
    }

    /// A request of so many items and bytes is to be sent, however often that takes.
    pub(crate) fn leaves(&self, items: usize, bytes: usize) {
        self.metrics.leaves(items, bytes);
    }

    /// An attempt was answered, or not.
    pub(crate) fn requested(&self, outcome: &Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Delivered { .. } | Outcome::Taken { .. } => RequestOutcome::Ok,
            Outcome::Retry { .. } => RequestOutcome::Retryable,
            Outcome::Failed(_) => RequestOutcome::Permanent,
        };
        self.metrics.requested(outcome, took);
    }

    /// A batch was taken, except for `rejected` of its items.
    pub(crate) fn delivered(&self, signal: Signal, items: usize, rejected: usize, note: Option<&str>) {
        self.metrics.sent(signal, items.saturating_sub(rejected));
        if rejected > 0 {
            self.metrics.failed(signal, DropReason::PartiallyRejected, rejected);
            if let Some(kept_back) = self.may_say(Topic::Drop(DropReason::PartiallyRejected)) {
                warn!(exporter = self.id, %signal, rejected, items, cause = note.unwrap_or_default(), kept_back,
                    "the backend took a batch except for some items, which are lost");
            }
        } else if let Some(note) = note
            && let Some(kept_back) = self.may_say(Topic::Note)
        {
            warn!(exporter = self.id, %signal, note, kept_back, "the backend took a batch with a warning");
        }
        self.recovered();
    }

    /// A batch was taken by an exporter that keeps it itself, except for what is lost.
    pub(crate) fn taken(&self, signal: Signal, items: usize, lost: &[Lost]) {
        let count = lost.iter().fold(0_usize, |sum, lost| sum.saturating_add(lost.items));
        self.metrics.sent(signal, items.saturating_sub(count));
        for Lost { reason, items, cause } in lost {
            self.metrics.failed(signal, *reason, *items);
            if let Some(kept_back) = self.may_say(Topic::Drop(*reason)) {
                let cause = harmless(cause, &[]);
                warn!(exporter = self.id, %signal, items, reason = reason.name(), cause, kept_back,
                    "some of a batch cannot be shown and is lost");
            }
        }
        self.recovered();
    }

    /// A batch is on its way once more.
    pub(crate) fn retried(&self) {
        self.metrics.retried();
    }

    /// A batch will be sent again after `wait`.
    pub(crate) fn retrying(&self, signal: Signal, cause: &str, wait: Duration) {
        self.in_trouble(cause);
        if let Some(kept_back) = self.may_say(Topic::Retry) {
            let wait = humantime::format_duration(Duration::from_millis(saturated(wait.as_millis())));
            warn!(exporter = self.id, %signal, cause, wait = %wait, kept_back, "cannot deliver, will try again");
        }
    }

    /// A batch is too large and goes on in two halves.
    pub(crate) fn split(&self, signal: Signal, items: usize, failure: &Failure) {
        self.metrics.split();
        if let Some(kept_back) = self.may_say(Topic::Split) {
            info!(exporter = self.id, %signal, items, cause = failure.cause, kept_back,
                "a batch is too large and is sent in halves");
        }
    }

    /// A batch is given up.
    pub(crate) fn dropped(&self, signal: Signal, items: usize, failure: &Failure) {
        self.metrics.failed(signal, failure.reason, items);
        self.in_trouble(&failure.cause);
        if failure.reason == DropReason::Shutdown {
            self.undelivered.of(signal).fetch_add(saturated(items as u128), Ordering::Relaxed);
        }
        if let Some(kept_back) = self.may_say(Topic::Drop(failure.reason)) {
            warn!(exporter = self.id, %signal, items, reason = failure.reason.name(), cause = failure.cause, kept_back,
                "a batch is lost");
        }
    }

    /// The queue turned a batch away; its owner still has it.
    pub(crate) fn refused(&self, signal: Signal, items: usize, error: &NotTaken) {
        let is_stopping = matches!(error, NotTaken::Closed(_));
        self.metrics.enqueue_failed(signal, is_stopping, items);
        // That a queue cannot be written is an error of its own.
        if is_stopping && let Some(kept_back) = self.may_say(Topic::Refused) {
            info!(exporter = self.id, %signal, items, kept_back, "the exporter is stopping and takes no more batches");
        }
    }

    /// The queue on disk is open; says what was in it.
    pub(crate) fn opened(&self, recovery: &Recovery) {
        let Recovery { recovered, discarded, damaged, truncated_bytes, unsaved } = recovery;
        if *recovered > 0 || *discarded > 0 || *truncated_bytes > 0 {
            info!(
                exporter = self.id,
                recovered, discarded, truncated_bytes, "batches are left from before: those recovered will be sent"
            );
        }
        if *damaged > 0 {
            warn!(exporter = self.id, damaged, "batches in the queue are damaged and lost; their files are set aside");
        }
        if let Some(error) = unsaved {
            warn!(exporter = self.id, %error, "cannot note what was found in the queue; it will be found again");
        }
    }

    /// A batch does not fit into the queue on disk.
    pub(crate) fn full(&self, max_bytes: u64) {
        self.in_trouble("its queue is full, and receivers wait");
        if let Some(kept_back) = self.may_say(Topic::Full) {
            warn!(exporter = self.id, max_bytes, kept_back, "the queue is full, receivers wait until there is room");
        }
    }

    /// The queue on disk does not take what it should.
    pub(crate) fn unwritable(&self, cause: &str) {
        self.in_trouble(&format!("its queue cannot be written: {cause}"));
        if let Some(kept_back) = self.may_say(Topic::Unwritable) {
            error!(exporter = self.id, cause, kept_back, "the queue cannot be written");
        }
    }

    /// A batch cannot be had from the queue on disk, though it is there.
    pub(crate) fn unreadable(&self, error: &std::io::Error) {
        self.in_trouble(&format!("its queue cannot be read: {error}"));
        if let Some(kept_back) = self.may_say(Topic::Unreadable) {
            error!(exporter = self.id, %error, kept_back, "a batch in the queue cannot be read and is left to the next start");
        }
    }

    /// A batch is done with and may be there again at the next start.
    pub(crate) fn unacknowledged(&self, error: &std::io::Error) {
        if let Some(kept_back) = self.may_say(Topic::Unacknowledged) {
            warn!(exporter = self.id, %error, kept_back, "cannot note what was delivered; it may be sent again after a restart");
        }
    }

    /// The last worker has gone, and so many batches stay on disk.
    pub(crate) fn kept(&self, batches: usize) {
        if batches > 0 {
            info!(exporter = self.id, batches, "stopped; what is not delivered waits on disk for the next start");
        }
    }

    /// The last worker has gone; says what was left.
    pub(crate) fn stopped(&self) -> Items {
        self.health.set(Status::Stopped);
        let undelivered = self.undelivered();
        if undelivered.total() > 0 {
            let Items { metrics, traces, logs } = undelivered;
            warn!(
                exporter = self.id,
                metrics, traces, logs, "stopped before everything was delivered; the rest is lost"
            );
        }
        undelivered
    }

    /// Items that were given up because the exporter had to stop.
    pub(crate) fn undelivered(&self) -> Items {
        Items {
            metrics: self.undelivered.metrics.load(Ordering::Relaxed),
            traces: self.undelivered.traces.load(Ordering::Relaxed),
            logs: self.undelivered.logs.load(Ordering::Relaxed),
        }
    }

    fn in_trouble(&self, cause: &str) {
        self.log().in_trouble = true;
        self.health.set(Status::RecoverableError(cause.to_owned()));
    }

    fn recovered(&self) {
        let was_in_trouble = std::mem::take(&mut self.log().in_trouble);
        if was_in_trouble {
            self.health.set(Status::Ok);
            // One signal can fail while another gets through, so this too has its turn only now and then.
            if let Some(kept_back) = self.may_say(Topic::Recovery) {
                info!(exporter = self.id, kept_back, "delivering again");
            }
        }
    }

    /// Whether a line about this is due, and if so how many were kept back since the last one, if any.
    fn may_say(&self, topic: Topic) -> Option<Option<u64>> {
        let now = Instant::now();
        let mut log = self.log();
        match log.said.iter_mut().find(|said| said.topic == topic) {
            None => {
                log.said.push(Said { topic, at: now, kept_back: 0 });
                Some(None)
            }
            Some(said) if now.duration_since(said.at) >= PATIENCE => {
                said.at = now;
                Some(Some(std::mem::take(&mut said.kept_back)).filter(|kept_back| *kept_back > 0))
            }
            Some(said) => {
                said.kept_back += 1;
                None
            }
        }
    }

    // A poisoned lock guards log throttling only; whatever it holds will do.
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn saturated(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_telemetry::{ComponentKind, Health, Metrics};
    use tokio::time::advance;

    use super::*;

    fn report() -> Report {
        let component = Health::default().component(ComponentKind::Exporter, "e");
        Report::new("e".to_owned(), Metrics::new("").exporter("e"), component)
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_trouble_is_said_at_once_and_then_now_and_then_with_how_often() {
        let report = report();
        assert_eq!(report.may_say(Topic::Retry), Some(None));
        assert_eq!(report.may_say(Topic::Retry), None);
        assert_eq!(report.may_say(Topic::Drop(DropReason::Rejected)), Some(None));
        assert_eq!(report.may_say(Topic::Drop(DropReason::TooLarge)), Some(None));
        advance(PATIENCE - Duration::from_millis(1)).await;
        assert_eq!(report.may_say(Topic::Retry), None);
        advance(Duration::from_millis(1)).await;
        assert_eq!(report.may_say(Topic::Retry), Some(Some(2)));
        assert_eq!(report.may_say(Topic::Retry), None);
    }

    #[tokio::test]
    async fn only_what_the_shutdown_cost_counts_as_undelivered() {
        let report = report();
        let failure = |reason| Failure { reason, cause: "x".to_owned() };
        report.dropped(Signal::Metrics, 1, &failure(DropReason::Shutdown));
        report.dropped(Signal::Metrics, 2, &failure(DropReason::Shutdown));
        report.dropped(Signal::Traces, 4, &failure(DropReason::Shutdown));
        report.dropped(Signal::Logs, 8, &failure(DropReason::Rejected));
        let items = report.stopped();
        assert_eq!(items, Items { metrics: 3, traces: 4, logs: 0 });
        assert_eq!(items.total(), 7);
    }
}
