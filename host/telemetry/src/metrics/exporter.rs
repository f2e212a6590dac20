//! What an exporter delivered, what it lost and why, and how full its queue is.

use std::time::Duration;

use kiln_otlp::{PerSignal, Signal};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::declare::{Declarations, Labelled, batch_bytes, batch_items, count, slow_durations};

/// Why items were given up for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The backend refused the request and asking again would not help.
    Rejected,
    /// The backend took the request except for these items.
    PartiallyRejected,
    /// A single item is larger than OTLP lets a client send, or than the backend takes.
    TooLarge,
    /// The backend's answer is larger than OTLP lets a client read, so what became of the items is unknown.
    AnswerTooLarge,
    /// The backend stayed unavailable for longer than the retry settings allow.
    RetriesExhausted,
    /// Kiln had to stop before they could be delivered.
    Shutdown,
    /// They could not be written where the exporter writes.
    Unwritable,
    /// The queue on disk was full, and they were the oldest in it.
    QueueFull,
    /// They could not be read from the queue on disk.
    Damaged,
    /// The exporter's format has no form for them.
    Unsupported,
    /// What they would be called is something else already.
    Conflict,
    /// The exporter shows as many series as it may.
    SeriesLimit,
}

impl DropReason {
    /// Every reason, in the order the documentation lists them.
    pub const ALL: [Self; 12] = [
        Self::Rejected,
        Self::PartiallyRejected,
        Self::TooLarge,
        Self::AnswerTooLarge,
        Self::RetriesExhausted,
        Self::Shutdown,
        Self::Unwritable,
        Self::QueueFull,
        Self::Damaged,
        Self::Unsupported,
        Self::Conflict,
        Self::SeriesLimit,
    ];

    /// The word in the `reason` label and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::PartiallyRejected => "partially_rejected",
            Self::TooLarge => "too_large",
            Self::AnswerTooLarge => "answer_too_large",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Shutdown => "shutdown",
            Self::Unwritable => "unwritable",
            Self::QueueFull => "queue_full",
            Self::Damaged => "damaged",
            Self::Unsupported => "unsupported",
            Self::Conflict => "conflict",
            Self::SeriesLimit => "series_limit",
        }
    }
}

/// How one request to a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The backend took it, perhaps without some items.
    Ok,
    /// It failed in a way that is worth another try.
    Retryable,
    /// It failed for good.
    Permanent,
}

#[derive(Debug)]
pub(super) struct Families {
    sent: PerSignal<Labelled<Counter, 1>>,
    failed: PerSignal<Labelled<Counter, 2>>,
    enqueue_failed: PerSignal<Labelled<Counter, 2>>,
    queue_size: Labelled<Gauge, 1>,
    queue_capacity: Labelled<Gauge, 1>,
    in_flight: Labelled<Gauge, 1>,
    batch_size: Labelled<Histogram, 1>,
    batch_bytes: Labelled<Histogram, 1>,
    request_duration: Labelled<Histogram, 2>,
    retries: Labelled<Counter, 1>,
    splits: Labelled<Counter, 1>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        let sent = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => ("otelcol_exporter_sent_metric_points_total", "Data points the backend took"),
                Signal::Traces => ("otelcol_exporter_sent_spans_total", "Spans the backend took"),
                Signal::Logs => ("otelcol_exporter_sent_log_records_total", "Log records the backend took"),
            };
            declare.counter(name, help, ["exporter"])
        });
        let failed = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => (
                    "otelcol_exporter_send_failed_metric_points_total",
                    "Data points given up for good, by reason; they are lost",
                ),
                Signal::Traces => {
                    ("otelcol_exporter_send_failed_spans_total", "Spans given up for good, by reason; they are lost")
                }
                Signal::Logs => (
                    "otelcol_exporter_send_failed_log_records_total",
                    "Log records given up for good, by reason; they are lost",
                ),
            };
            declare.counter(name, help, ["exporter", "reason"])
        });
        let enqueue_failed = PerSignal::new(|signal| {
            let (name, help) = match signal {
                Signal::Metrics => (
                    "otelcol_exporter_enqueue_failed_metric_points_total",
                    "Data points the queue would not take, by reason: stopping or unwritable; whoever collected them has them still",
                ),
                Signal::Traces => (
                    "otelcol_exporter_enqueue_failed_spans_total",
                    "Spans the queue would not take, by reason: stopping or unwritable; whoever collected them has them still",
                ),
                Signal::Logs => (
                    "otelcol_exporter_enqueue_failed_log_records_total",
                    "Log records the queue would not take, by reason: stopping or unwritable; whoever collected them has them still",
                ),
            };
            declare.counter(name, help, ["exporter", "reason"])
        });
        Self {
            sent,
            failed,
            enqueue_failed,
            queue_size: declare.gauge(
                "otelcol_exporter_queue_size",
                "What waits in the queue, in the unit of `sending_queue.sizer`: batches if not said otherwise",
                ["exporter"],
            ),
            queue_capacity: declare.gauge(
                "otelcol_exporter_queue_capacity",
                "What the queue holds before it makes collections wait, in the unit of `sending_queue.sizer`",
                ["exporter"],
            ),
            in_flight: declare.gauge(
                "otelcol_exporter_in_flight_requests",
                "Requests sent to the backend and not yet answered",
                ["exporter"],
            ),
            batch_size: declare.histogram(
                "otelcol_exporter_queue_batch_send_size",
                "Data points, spans or log records in a request",
                ["exporter"],
                batch_items,
            ),
            batch_bytes: declare.histogram(
                "otelcol_exporter_queue_batch_send_size_bytes",
                "Bytes of OTLP in a request, uncompressed",
                ["exporter"],
                batch_bytes,
            ),
            request_duration: declare.histogram(
                "kiln_exporter_request_duration_seconds",
                "How long requests to the backend took, by outcome: ok, retryable or permanent",
                ["exporter", "outcome"],
                slow_durations,
            ),
            retries: declare.counter(
                "kiln_exporter_retries_total",
                "Requests sent again after a retryable failure",
                ["exporter"],
            ),
            splits: declare.counter(
                "kiln_exporter_splits_total",
                "Batches that were too large for a request and were sent in halves",
                ["exporter"],
            ),
        }
    }

    pub(super) fn handles(&self, id: &str) -> ExporterMetrics {
        ExporterMetrics {
            sent: PerSignal::new(|signal| self.sent.of(signal).with([id])),
            failed: PerSignal::new(|signal| PerReason::new(id, self.failed.of(signal))),
            stopping: PerSignal::new(|signal| self.enqueue_failed.of(signal).with([id, "stopping"])),
            unwritable: PerSignal::new(|signal| self.enqueue_failed.of(signal).with([id, "unwritable"])),
            queue_size: self.queue_size.with([id]),
            queue_capacity: self.queue_capacity.with([id]),
            in_flight: self.in_flight.with([id]),
            batch_size: self.batch_size.with([id]),
            batch_bytes: self.batch_bytes.with([id]),
            ok: self.request_duration.with([id, "ok"]),
            retryable: self.request_duration.with([id, "retryable"]),
            permanent: self.request_duration.with([id, "permanent"]),
            retries: self.retries.with([id]),
            splits: self.splits.with([id]),
        }
    }
}

#[derive(Clone, Debug)]
struct PerReason {
    rejected: Counter,
    partially_rejected: Counter,
    too_large: Counter,
    answer_too_large: Counter,
    retries_exhausted: Counter,
    shutdown: Counter,
    unwritable: Counter,
    queue_full: Counter,
    damaged: Counter,
    unsupported: Counter,
    conflict: Counter,
    series_limit: Counter,
}

impl PerReason {
    fn new(id: &str, family: &Labelled<Counter, 2>) -> Self {
        let series = |reason: DropReason| family.with([id, reason.name()]);
        Self {
            rejected: series(DropReason::Rejected),
            partially_rejected: series(DropReason::PartiallyRejected),
            too_large: series(DropReason::TooLarge),
            answer_too_large: series(DropReason::AnswerTooLarge),
            retries_exhausted: series(DropReason::RetriesExhausted),
            shutdown: series(DropReason::Shutdown),
            unwritable: series(DropReason::Unwritable),
            queue_full: series(DropReason::QueueFull),
            damaged: series(DropReason::Damaged),
            unsupported: series(DropReason::Unsupported),
            conflict: series(DropReason::Conflict),
            series_limit: series(DropReason::SeriesLimit),
        }
    }

    fn of(&self, reason: DropReason) -> &Counter {
        match reason {
            DropReason::Rejected => &self.rejected,
            DropReason::PartiallyRejected => &self.partially_rejected,
            DropReason::TooLarge => &self.too_large,
            DropReason::AnswerTooLarge => &self.answer_too_large,
            DropReason::RetriesExhausted => &self.retries_exhausted,
            DropReason::Shutdown => &self.shutdown,
            DropReason::Unwritable => &self.unwritable,
            DropReason::QueueFull => &self.queue_full,
            DropReason::Damaged => &self.damaged,
            DropReason::Unsupported => &self.unsupported,
            DropReason::Conflict => &self.conflict,
            DropReason::SeriesLimit => &self.series_limit,
        }
    }
}

/// One exporter's metrics.
#[derive(Clone, Debug)]
pub struct ExporterMetrics {
    sent: PerSignal<Counter>,
    failed: PerSignal<PerReason>,
    stopping: PerSignal<Counter>,
    unwritable: PerSignal<Counter>,
    queue_size: Gauge,
    queue_capacity: Gauge,
    in_flight: Gauge,
    batch_size: Histogram,
    batch_bytes: Histogram,
    ok: Histogram,
    retryable: Histogram,
    permanent: Histogram,
    retries: Counter,
    splits: Counter,
}

impl ExporterMetrics {
    /// The backend took `items`.
    pub fn sent(&self, signal: Signal, items: usize) {
        self.sent.of(signal).inc_by(count(items));
    }

    /// `items` were given up for good.
    pub fn failed(&self, signal: Signal, reason: DropReason, items: usize) {
        self.failed.of(signal).of(reason).inc_by(count(items));
    }

    /// `items` were turned away from the queue, because the exporter is stopping or else because the disk refuses; they stay
    /// with whoever offered them.
    pub fn enqueue_failed(&self, signal: Signal, is_stopping: bool, items: usize) {
        let refused = if is_stopping { &self.stopping } else { &self.unwritable };
        refused.of(signal).inc_by(count(items));
    }

    /// The queue holds `size` of at most `capacity`, in its unit.
    pub fn queue(&self, size: usize, capacity: usize) {
        self.queue_size.set(gauge(size));
        self.queue_capacity.set(gauge(capacity));
    }

    /// A request is on its way until the returned guard is dropped.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request of so many items and bytes is to be sent.
    pub fn leaves(&self, items: usize, bytes: usize) {
        #[allow(clippy::cast_precision_loss, reason = "a bucket needs no 53 bits")]
        let observe = |histogram: &Histogram, value: usize| histogram.observe(value as f64);
        observe(&self.batch_size, items);
        observe(&self.batch_bytes, bytes);
    }

    /// A request ended.
    pub fn requested(&self, outcome: RequestOutcome, took: Duration) {
        let durations = match outcome {
            RequestOutcome::Ok => &self.ok,
            RequestOutcome::Retryable => &self.retryable,
            RequestOutcome::Permanent => &self.permanent,
        };
        durations.observe(took.as_secs_f64());
    }

    /// A batch is sent in halves.
    pub fn split(&self) {
        self.splits.inc();
    }

    /// A request is sent again.
    pub fn retried(&self) {
        self.retries.inc();
    }
}

/// Counts one request as in flight for as long as it lives, so that a cancelled request is not counted for ever.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drop_reason_has_a_series_of_its_own() {
        let metrics = crate::Metrics::new("");
        let exporter = metrics.exporter("e");
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            exporter.failed(Signal::Traces, reason, at + 1);
        }
        let text = metrics.expose(crate::metrics::Format::OpenMetrics);
        for (at, reason) in DropReason::ALL.into_iter().enumerate() {
            let reason = reason.name();
            let line = format!(
                "\notelcol_exporter_send_failed_spans_total{{exporter=\"e\",reason=\"{reason}\"}} {}\n",
                at + 1
            );
            assert!(text.contains(&line), "{line}");
        }
    }
}
