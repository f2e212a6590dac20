//! What is sent, and what one attempt to send it came to.

use std::time::Duration;

use bytes::Bytes;
use kiln_config::Compression;
use kiln_otlp::{Batch, Signal};
use kiln_telemetry::metrics::DropReason;

use crate::prometheus::Lost;

/// A batch in the form it leaves in: made once, sent as often as it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) signal: Signal,
    pub(crate) items: usize,
    pub(crate) body: Bytes,
    /// How `body` is compressed.
    pub(crate) compression: Compression,
}

impl Request {
    /// The batch as it is.
    pub(crate) fn plain(batch: Batch) -> Self {
        Self { signal: batch.signal, items: batch.items, body: batch.payload, compression: Compression::None }
    }
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken, except for `rejected` items; `note` is what the backend had to say.
    Delivered {
        /// Items the backend took the batch without.
        rejected: usize,
        /// Why, or a warning.
        note: Option<String>,
    },
    /// It was taken by an exporter that keeps it itself, except for what is lost.
    Taken {
        /// What could not be taken, each reason once.
        lost: Vec<Lost>,
    },
    /// Another attempt may work, not before `told` if the server said so.
    Retry {
        /// What went wrong, a sentence.
        cause: String,
        /// How long the server wants to be left alone.
        told: Option<Duration>,
    },
    /// No attempt will work.
    Failed(Failure),
}

/// Why a batch is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its place in the metrics.
    pub(crate) reason: DropReason,
    /// What happened, a sentence.
    pub(crate) cause: String,
}

impl Outcome {
    pub(crate) fn failed(reason: DropReason, cause: impl Into<String>) -> Self {
        Self::Failed(Failure { reason, cause: cause.into() })
    }
}
