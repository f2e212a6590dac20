//! Exporters: where batches leave the process.
//!
//! Each exporter has a bounded queue that makes producers wait when it is full, a few workers, and one set of retry
//! rules. The promise it keeps: a batch that [`ExporterHandle::enqueue`] took is either delivered or counted as lost with
//! a reason, and at shutdown that is settled by the deadline. With a queue on disk there is a third way to end, to wait
//! there for the next start; and what [`ExporterHandle::stage`] took counts as taken once it is released.
//!
//! `answer` says what a backend's reply means, `retry` how long to wait, `worker` puts the two together, `report` counts
//! and logs what comes of it.

mod answer;
mod attempt;
mod client;
mod debug;
mod exporter;
mod file;
mod gather;
mod otlp_grpc;
mod otlp_http;
mod payload;
mod printable;
mod prometheus;
mod queue;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod replaced;
mod report;
mod retry;
mod route;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod scripted;
mod target;
mod worker;

pub use exporter::{DrainReport, Exporter, ExporterHandle, InvalidExporter, NotListening};
pub use queue::{Closed, NotTaken, Staged, Storage, StorageError, Unit};
pub use report::Items;
