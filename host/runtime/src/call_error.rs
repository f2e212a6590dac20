//! How a call into a plugin fails, and what each way means for the plugin and for whoever reads the log.

use std::time::Duration;

use kiln_telemetry::metrics::CallOutcome;

use crate::breach::Breach;

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin refuses its configuration.
    #[error("refuses its configuration{}: {message}", at(field))]
    Config {
        /// JSON Pointer to the field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The source refuses the credentials.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The source cannot be reached or is not ready.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The source makes no sense.
    #[error("invalid data: {0}")]
    InvalidData(String),
    /// The plugin gives up for another reason.
    #[error("failed: {0}")]
    Failed(String),
    /// The plugin crashed, or handed over what is no value of the contract.
    #[error("trapped: {0}; this is a fault in the plugin")]
    Trap(String),
    /// The plugin broke a limit.
    #[error(transparent)]
    Limit(#[from] Breach),
    /// A processor returned an edit that is not its to make.
    #[error("{0}; this is a fault in the plugin")]
    Edit(String),
    /// The plugin failed a moment ago and is not started again yet.
    #[error("is stopped after a failure and starts again in {0:.1?}")]
    Pausing(Duration),
    /// The plugin failed too often in a row and is left alone.
    #[error(
        "is quarantined after {failures} failures in a row and has one more try in {}; reload the configuration to try \
         sooner; the last failure: {last}",
        minutes(left)
    )]
    Quarantined {
        /// How many.
        failures: u32,
        /// Time until the next try.
        left: Duration,
        /// How the plugin failed last.
        last: Box<CallError>,
    },
    /// The host is stopping.
    #[error("is stopped")]
    Stopped,
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(" at {field}") }
}

/// Whole minutes, so that the same state is the same sentence for a while.
fn minutes(left: &Duration) -> String {
    match left.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

impl CallError {
    /// The class of the error: one of a few words, which the log calls `error.type` and the metric
    /// `kiln_instance_errors_total` its label `error_type`.
    #[must_use]
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Unauthorized(_) => "unauthorized",
            Self::Unavailable(_) => "unavailable",
            Self::InvalidData(_) => "invalid_data",
            Self::Failed(_) => "failed",
            Self::Trap(_) => "trap",
            Self::Limit(breach) => breach.error_type(),
            Self::Edit(_) => "edit",
            Self::Pausing(_) => "pausing",
            Self::Quarantined { .. } => "quarantined",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the plugin has to start afresh.
    #[must_use]
    pub const fn is_fatal_to_the_store(&self) -> bool {
        match self {
            Self::Config { .. } | Self::Trap(_) | Self::Limit(_) => true,
            Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_)
            | Self::Quarantined { .. }
            | Self::Stopped => false,
        }
    }

    /// Whether somebody has to do something before the plugin works again, as far as anyone can tell.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Config { .. } | Self::Quarantined { .. })
    }

    /// Whether the plugin was called at all.
    pub(crate) const fn was_called(&self) -> bool {
        !matches!(self, Self::Pausing(_) | Self::Quarantined { .. } | Self::Stopped)
    }

    pub(crate) const fn outcome(&self) -> CallOutcome {
        match self {
            Self::Trap(_) => CallOutcome::Trap,
            Self::Limit(_) => CallOutcome::Limit,
            Self::Stopped => CallOutcome::Cancelled,
            Self::Config { .. }
            | Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_)
            | Self::Quarantined { .. } => CallOutcome::Error,
        }
    }
}
