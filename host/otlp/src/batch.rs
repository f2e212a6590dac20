//! What moves through a pipeline.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

/// Bytes of a payload that an async task may work on. More takes longer than it may hold its thread.
pub const IN_PLACE: usize = 32 * 1024;

/// The three kinds of telemetry OTLP carries; a pipeline has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportMetricsServiceRequest`, counted in data points.
    Metrics,
    /// `ExportTraceServiceRequest`, counted in spans.
    Traces,
    /// `ExportLogsServiceRequest`, counted in log records.
    Logs,
}

impl Signal {
    /// All signals, in the order the specification lists them.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// The name used in configuration: `metrics`, `traces` or `logs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// What its items are called in the Collector's metrics.
    #[must_use]
    pub const fn items(self) -> &'static str {
        match self {
            Self::Metrics => "metric_points",
            Self::Traces => "spans",
            Self::Logs => "log_records",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|signal| signal.name() == text).ok_or(UnknownSignal)
    }
}

/// Not the name of a signal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal, use metrics, traces or logs")]
pub struct UnknownSignal;

/// An OTLP export request, encoded, and how many items it holds.
///
/// Cloning shares the payload, so several exporters can hold the same batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which request type `payload` is.
    pub signal: Signal,
    /// The protobuf encoding of the request.
    pub payload: Bytes,
    /// Data points, spans or log records in the payload.
    pub items: usize,
}

impl Batch {
    /// All batches of one signal as one; `None` if there are none.
    ///
    /// Requests only hold repeated groups, so joining their encodings joins the requests.
    #[must_use]
    pub fn concat(signal: Signal, batches: &[Self]) -> Option<Self> {
        let mut of_signal = batches.iter().filter(|batch| batch.signal == signal);
        let first = of_signal.next()?;
        let mut joined = first.clone();
        let rest: Vec<_> = of_signal.collect();
        if !rest.is_empty() {
            let mut payload = first.payload.to_vec();
            for batch in rest {
                payload.extend_from_slice(&batch.payload);
                joined.items += batch.items;
            }
            joined.payload = Bytes::from(payload);
        }
        Some(joined)
    }
}
