//! What an exporter's queue on disk holds and what became of what it held.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::declare::{Declarations, Labelled};

#[derive(Debug)]
pub(super) struct Families {
    bytes: Labelled<Gauge, 1>,
    capacity: Labelled<Gauge, 1>,
    set_aside: Labelled<Gauge, 1>,
    recovered: Labelled<Counter, 1>,
    damaged: Labelled<Counter, 1>,
    discarded: Labelled<Counter, 1>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            bytes: declare.gauge("kiln_exporter_queue_bytes", "What the queue takes on disk", ["exporter"]),
            capacity: declare.gauge(
                "kiln_exporter_queue_capacity_bytes",
                "What the queue may take on disk before it is full",
                ["exporter"],
            ),
            set_aside: declare.gauge(
                "kiln_exporter_queue_damaged_files",
                "Damaged files of the queue that were set aside and are there still",
                ["exporter"],
            ),
            recovered: declare.counter(
                "kiln_exporter_queue_recovered_batches_total",
                "Batches that were on disk when Kiln started",
                ["exporter"],
            ),
            damaged: declare.counter(
                "kiln_exporter_queue_damaged_batches_total",
                "Batches that could not be read from disk; they are lost",
                ["exporter"],
            ),
            discarded: declare.counter(
                "kiln_exporter_queue_discarded_batches_total",
                "Batches of collections that were not complete and are collected again",
                ["exporter"],
            ),
        }
    }

    pub(super) fn handles(&self, id: &str) -> StorageMetrics {
        StorageMetrics {
            bytes: self.bytes.with([id]),
            capacity: self.capacity.with([id]),
            set_aside: self.set_aside.with([id]),
            recovered: self.recovered.with([id]),
            damaged: self.damaged.with([id]),
            discarded: self.discarded.with([id]),
        }
    }
}

/// The metrics of one exporter's queue on disk.
#[derive(Clone, Debug)]
pub struct StorageMetrics {
    bytes: Gauge,
    capacity: Gauge,
    set_aside: Gauge,
    recovered: Counter,
    damaged: Counter,
    discarded: Counter,
}

impl StorageMetrics {
    /// The queue takes `bytes` of at most `capacity`, and there are so many damaged files.
    pub fn takes(&self, bytes: u64, capacity: u64, damaged_files: usize) {
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.capacity.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        self.set_aside.set(i64::try_from(damaged_files).unwrap_or(i64::MAX));
    }

    /// So many batches were there at the start.
    pub fn recovered(&self, batches: u64) {
        self.recovered.inc_by(batches);
    }

    /// So many batches could not be read.
    pub fn damaged(&self, batches: u64) {
        self.damaged.inc_by(batches);
    }

    /// So many batches were of collections that were not complete.
    pub fn discarded(&self, batches: u64) {
        self.discarded.inc_by(batches);
    }
}
