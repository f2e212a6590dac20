//! How a call into a plugin fails, and what each way means for the plugin and for whoever reads the log.

use std::time::Duration;

use kiln_telemetry::metrics::CallOutcome;

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
    /// The plugin crashed.
    #[error("trapped: {0}; this is a fault in the plugin")]
    Trap(String),
    /// The plugin computed for too long.
    #[error("used more than {0:?} of CPU in one call and was stopped; if that is reasonable, raise `limits.cpu`")]
    Cpu(Duration),
    /// The plugin, and what it waited for, took too long.
    #[error("took more than {0:?} and was stopped; if that is reasonable, raise `timeout`")]
    Timeout(Duration),
    /// The plugin wanted more memory.
    #[error("needs more than {0} bytes of memory and was stopped; if that is reasonable, raise `limits.memory`")]
    Memory(usize),
    /// A processor returned an edit that is not its to make.
    #[error("{0}; this is a fault in the plugin")]
    Edit(String),
    /// The plugin failed a moment ago and is not started again yet.
    #[error("is stopped after a failure and starts again in {0:.1?}")]
    Pausing(Duration),
    /// The host is stopping.
    #[error("is stopped")]
    Stopped,
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(" at {field}") }
}

impl CallError {
    /// Whether the plugin has to start afresh.
    #[must_use]
    pub const fn is_fatal_to_the_store(&self) -> bool {
        match self {
            Self::Config { .. } | Self::Trap(_) | Self::Cpu(_) | Self::Timeout(_) | Self::Memory(_) => true,
            Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_)
            | Self::Stopped => false,
        }
    }

    pub(crate) const fn outcome(&self) -> CallOutcome {
        match self {
            Self::Trap(_) => CallOutcome::Trap,
            Self::Cpu(_) | Self::Timeout(_) | Self::Memory(_) => CallOutcome::Limit,
            Self::Stopped => CallOutcome::Cancelled,
            Self::Config { .. }
            | Self::Unauthorized(_)
            | Self::Unavailable(_)
            | Self::InvalidData(_)
            | Self::Failed(_)
            | Self::Edit(_)
            | Self::Pausing(_) => CallOutcome::Error,
        }
    }
}
