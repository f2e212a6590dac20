//! What is in memory for delivery, what the process takes, and which of the two keeps collections waiting.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::declare::{Declarations, Labelled};

/// A bound on memory that keeps collections waiting; keys of `service.memory_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryBound {
    /// What batches take.
    Batches,
    /// What the process takes.
    Process,
}

impl MemoryBound {
    /// Its name in labels and in logs, which is its key.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Process => "process",
        }
    }
}

#[derive(Debug)]
pub(super) struct Families {
    batches: Gauge,
    batches_limit: Gauge,
    process: Gauge,
    process_limit: Gauge,
    hits: Labelled<Counter, 1>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            batches: declare.single_gauge(
                "kiln_memory_batches_bytes",
                "Telemetry in memory: room for collections under way, batches that are processed, wait or are sent, and \
                 their compressed copies",
            ),
            batches_limit: declare.single_gauge(
                "kiln_memory_batches_limit_bytes",
                "Telemetry there may be in memory before collections wait: `service.memory_limit.batches`",
            ),
            process: declare.single_gauge(
                "kiln_memory_process_bytes",
                "What counts against `service.memory_limit.process`, when a collection last wanted to begin; 0 where the \
                 system does not say",
            ),
            process_limit: declare.single_gauge(
                "kiln_memory_process_limit_bytes",
                "What the process may take before collections wait: `service.memory_limit.process`; 0 where the system \
                 does not say what it takes",
            ),
            hits: declare.counter(
                "kiln_memory_limit_hits_total",
                "Collections that had to wait for memory, by key of `service.memory_limit`: batches or process",
                ["limit"],
            ),
        }
    }

    pub(super) fn handles(&self) -> MemoryMetrics {
        MemoryMetrics {
            batches: self.batches.clone(),
            batches_limit: self.batches_limit.clone(),
            process: self.process.clone(),
            process_limit: self.process_limit.clone(),
            batches_hits: self.hits.with([MemoryBound::Batches.name()]),
            process_hits: self.hits.with([MemoryBound::Process.name()]),
        }
    }
}

/// The metrics of memory.
#[derive(Clone, Debug)]
pub struct MemoryMetrics {
    batches: Gauge,
    batches_limit: Gauge,
    process: Gauge,
    process_limit: Gauge,
    batches_hits: Counter,
    process_hits: Counter,
}

impl MemoryMetrics {
    /// So many bytes of telemetry more.
    pub fn held(&self, bytes: u64) {
        self.batches.inc_by(gauge(bytes));
    }

    /// So many bytes of telemetry less.
    pub fn let_go(&self, bytes: u64) {
        self.batches.dec_by(gauge(bytes));
    }

    /// What counts against the bound on the process.
    pub fn process(&self, bytes: u64) {
        self.process.set(gauge(bytes));
    }

    /// A bound is so many bytes.
    pub fn bound(&self, bound: MemoryBound, bytes: u64) {
        match bound {
            MemoryBound::Batches => self.batches_limit.set(gauge(bytes)),
            MemoryBound::Process => self.process_limit.set(gauge(bytes)),
        };
    }

    /// A collection has to wait.
    pub fn hit(&self, bound: MemoryBound) {
        match bound {
            MemoryBound::Batches => self.batches_hits.inc(),
            MemoryBound::Process => self.process_hits.inc(),
        };
    }
}

fn gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
