//! What went into a processor, what came out, and how long it took.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::declare::{Declarations, Labelled, count, fast_durations};

#[derive(Debug)]
pub(super) struct Families {
    incoming: Labelled<Counter, 1>,
    outgoing: Labelled<Counter, 1>,
    duration: Labelled<Histogram, 1>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            incoming: declare.counter(
                "otelcol_processor_incoming_items_total",
                "Data points, spans and log records given to the processor",
                ["processor"],
            ),
            outgoing: declare.counter(
                "otelcol_processor_outgoing_items_total",
                "Data points, spans and log records the processor passed on",
                ["processor"],
            ),
            duration: declare.histogram(
                "otelcol_processor_internal_duration_seconds",
                "How long a batch spent in the processor: view, call and edits",
                ["processor"],
                fast_durations,
            ),
        }
    }

    pub(super) fn handles(&self, id: &str) -> ProcessorMetrics {
        ProcessorMetrics {
            incoming: self.incoming.with([id]),
            outgoing: self.outgoing.with([id]),
            duration: self.duration.with([id]),
        }
    }
}

/// One processor's metrics.
#[derive(Clone, Debug)]
pub struct ProcessorMetrics {
    incoming: Counter,
    outgoing: Counter,
    duration: Histogram,
}

impl ProcessorMetrics {
    /// A batch of `incoming` items left the processor as `outgoing` items.
    pub fn processed(&self, incoming: usize, outgoing: usize, took: Duration) {
        self.incoming.inc_by(count(incoming));
        self.outgoing.inc_by(count(outgoing));
        self.duration.observe(took.as_secs_f64());
    }
}
