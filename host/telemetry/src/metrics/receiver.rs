//! What a receiver brought in, and how its collections went.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_otlp::{PerSignal, Signal};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::declare::{Declarations, Labelled, SecondsCounter, SecondsGauge, count, slow_durations};
use super::memory::MemoryBound;

/// How one collection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionOutcome {
    /// Everything was read.
    Ok,
    /// Something was delivered, something else could not be read.
    Partial,
    /// Nothing was delivered.
    Error,
}

/// What a receiver waits for although it is due, or has something to hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldUpBy {
    /// Memory, before it collects.
    Memory(MemoryBound),
    /// Room in the queue of an exporter, with what it has collected.
    Queue,
}

#[derive(Debug)]
pub(super) struct Families {
    accepted: PerSignal<Labelled<Counter, 1>>,
    refused: PerSignal<Labelled<Counter, 1>>,
    failed: PerSignal<Labelled<Counter, 1>>,
    scraped: PerSignal<Labelled<Counter, 1>>,
    errored: Labelled<Counter, 1>,
    requests: Labelled<Counter, 2>,
    dropped: Labelled<Counter, 3>,
    duration: Labelled<Histogram, 2>,
    partial_failures: Labelled<Counter, 1>,
    last_success: Labelled<SecondsGauge, 1>,
    held_up: Labelled<Counter, 2>,
    held_up_for: Labelled<SecondsCounter, 2>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        let accepted = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => ("otelcol_receiver_accepted_metric_points_total", "Data points put into a pipeline"),
                Signal::Traces => ("otelcol_receiver_accepted_spans_total", "Spans put into a pipeline"),
                Signal::Logs => ("otelcol_receiver_accepted_log_records_total", "Log records put into a pipeline"),
            };
            declare.counter(name, help, ["receiver"])
        });
        let refused = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => {
                    ("otelcol_receiver_refused_metric_points_total", "Data points that no pipeline would take")
                }
                Signal::Traces => ("otelcol_receiver_refused_spans_total", "Spans that no pipeline would take"),
                Signal::Logs => {
                    ("otelcol_receiver_refused_log_records_total", "Log records that no pipeline would take")
                }
            };
            declare.counter(name, help, ["receiver"])
        });
        let failed = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => (
                    "otelcol_receiver_failed_metric_points_total",
                    "Data points that a collection had emitted when it failed; it is repeated",
                ),
                Signal::Traces => (
                    "otelcol_receiver_failed_spans_total",
                    "Spans that a collection had emitted when it failed; it is repeated",
                ),
                Signal::Logs => (
                    "otelcol_receiver_failed_log_records_total",
                    "Log records that a collection had emitted when it failed; it is repeated",
                ),
            };
            declare.counter(name, help, ["receiver"])
        });
        let scraped = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => {
                    ("otelcol_scraper_scraped_metric_points_total", "Data points that were read from the source")
                }
                Signal::Traces => ("otelcol_scraper_scraped_spans_total", "Spans that were read from the source"),
                Signal::Logs => {
                    ("otelcol_scraper_scraped_log_records_total", "Log records that were read from the source")
                }
            };
            declare.counter(name, help, ["receiver"])
        });
        Self {
            accepted,
            refused,
            failed,
            scraped,
            errored: declare.counter(
                "otelcol_scraper_errored_metric_points_total",
                "Parts of the source that could not be read, and collections that read nothing; each counts as one, for how \
                 many points it would have had is not known",
                ["receiver"],
            ),
            requests: declare.counter(
                "otelcol_receiver_requests_total",
                "Collections, by outcome: success, refused if what they brought was not taken, failure if they brought \
                 nothing",
                ["receiver", "outcome"],
            ),
            dropped: declare.counter(
                "kiln_collection_dropped_items_total",
                "Data points, spans and log records that went nowhere, by signal and reason: no_pipeline if the receiver is \
                 in none for the signal",
                ["receiver", "signal", "reason"],
            ),
            duration: declare.histogram(
                "kiln_collection_duration_seconds",
                "How long collections took, by outcome: ok, partial or error",
                ["receiver", "outcome"],
                slow_durations,
            ),
            partial_failures: declare.counter(
                "kiln_collection_partial_failures_total",
                "Parts of a source that could not be read while the rest was delivered",
                ["receiver"],
            ),
            last_success: declare.seconds_gauge(
                "kiln_collection_last_success_timestamp_seconds",
                "Unix time of the last collection that delivered something; 0 before the first",
                ["receiver"],
            ),
            held_up: declare.counter(
                "kiln_collection_held_up_total",
                "Times a collection had to wait, by reason: memory_batches or memory_process before it began, queue with \
                 what it had brought",
                ["receiver", "reason"],
            ),
            held_up_for: declare.seconds_counter(
                "kiln_collection_held_up_seconds_total",
                "How long collections had to wait, by reason; a wait counts when it is over",
                ["receiver", "reason"],
            ),
        }
    }

    /// What collections had emitted when they failed, by receiver.
    pub(super) fn failed(&self) -> PerSignal<Labelled<Counter, 1>> {
        self.failed.clone()
    }

    pub(super) fn handles(&self, id: &str) -> ReceiverMetrics {
        // Counted by the instance, and there from the start all the same.
        let _failed = PerSignal::new(|signal| self.failed.of(signal).with([id]));
        ReceiverMetrics {
            accepted: PerSignal::new(|signal| self.accepted.of(signal).with([id])),
            refused: PerSignal::new(|signal| self.refused.of(signal).with([id])),
            scraped: PerSignal::new(|signal| self.scraped.of(signal).with([id])),
            errored: self.errored.with([id]),
            succeeded: self.requests.with([id, "success"]),
            request_refused: self.requests.with([id, "refused"]),
            request_failed: self.requests.with([id, "failure"]),
            unrouted: PerSignal::new(|signal| self.dropped.with([id, signal.name(), "no_pipeline"])),
            ok: self.duration.with([id, "ok"]),
            partial: self.duration.with([id, "partial"]),
            error: self.duration.with([id, "error"]),
            partial_failures: self.partial_failures.with([id]),
            last_success: self.last_success.with([id]),
            by_batches: self.wait(id, "memory_batches"),
            by_process: self.wait(id, "memory_process"),
            by_queue: self.wait(id, "queue"),
        }
    }

    fn wait(&self, id: &str, reason: &str) -> Wait {
        Wait { times: self.held_up.with([id, reason]), seconds: self.held_up_for.with([id, reason]) }
    }
}

/// One receiver's metrics.
#[derive(Clone, Debug)]
pub struct ReceiverMetrics {
    accepted: PerSignal<Counter>,
    refused: PerSignal<Counter>,
    scraped: PerSignal<Counter>,
    errored: Counter,
    succeeded: Counter,
    request_refused: Counter,
    request_failed: Counter,
    unrouted: PerSignal<Counter>,
    ok: Histogram,
    partial: Histogram,
    error: Histogram,
    partial_failures: Counter,
    last_success: SecondsGauge,
    by_batches: Wait,
    by_process: Wait,
    by_queue: Wait,
}

#[derive(Clone, Debug)]
struct Wait {
    times: Counter,
    seconds: SecondsCounter,
}

/// Counts how long a receiver waits, until this is dropped.
#[derive(Debug)]
pub struct HeldUp {
    since: Instant,
    seconds: SecondsCounter,
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.seconds.inc_by(self.since.elapsed().as_secs_f64());
    }
}

impl ReceiverMetrics {
    /// It waits from now on, until what this returns is dropped.
    #[must_use]
    pub fn held_up(&self, by: HeldUpBy) -> HeldUp {
        let wait = match by {
            HeldUpBy::Memory(MemoryBound::Batches) => &self.by_batches,
            HeldUpBy::Memory(MemoryBound::Process) => &self.by_process,
            HeldUpBy::Queue => &self.by_queue,
        };
        wait.times.inc();
        HeldUp { since: Instant::now(), seconds: wait.seconds.clone() }
    }

    /// `items` data points, spans or log records went into a pipeline.
    pub fn accepted(&self, signal: Signal, items: usize) {
        self.accepted.of(signal).inc_by(count(items));
    }

    /// `items` data points, spans or log records were collected but no pipeline took them.
    pub fn refused(&self, signal: Signal, items: usize) {
        self.refused.of(signal).inc_by(count(items));
    }

    /// `items` data points, spans or log records were read from the source.
    pub fn scraped(&self, signal: Signal, items: usize) {
        self.scraped.of(signal).inc_by(count(items));
    }

    /// `items` data points, spans or log records are lost, because no pipeline of the receiver is for such.
    pub fn unrouted(&self, signal: Signal, items: usize) {
        self.unrouted.of(signal).inc_by(count(items));
    }

    /// A collection read nothing.
    pub fn failed(&self) {
        self.errored.inc();
        self.request_failed.inc();
    }

    /// What a collection read was not taken.
    pub fn not_taken(&self) {
        self.request_refused.inc();
    }

    /// A collection ended; one that delivered something also moves the time of the last success.
    pub fn collected(&self, outcome: CollectionOutcome, took: Duration) {
        let durations = match outcome {
            CollectionOutcome::Ok => &self.ok,
            CollectionOutcome::Partial => &self.partial,
            CollectionOutcome::Error => return self.error.observe(took.as_secs_f64()),
        };
        self.succeeded.inc();
        durations.observe(took.as_secs_f64());
        // A clock before 1970 has no time worth reporting.
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.last_success.set(now.as_secs_f64());
        }
    }

    /// `failures` parts of the source could not be read this time.
    pub fn partial_failures(&self, failures: usize) {
        self.partial_failures.inc_by(count(failures));
        self.errored.inc_by(count(failures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_collection_that_delivered_moves_the_last_success() {
        let metrics = crate::Metrics::new("").receiver("r");
        metrics.collected(CollectionOutcome::Error, Duration::from_secs(1));
        assert!(metrics.last_success.get() == 0.0);
        metrics.collected(CollectionOutcome::Partial, Duration::from_secs(1));
        assert!(metrics.last_success.get() > 1_700_000_000.0);
    }
}
