//! What a receiver is.

use serde::de::DeserializeOwned;

pub use crate::bindings::collection::{CollectError, Outcome, PartialFailure};
pub use crate::bindings::configuration::ConfigError;
use crate::host::Host;
use crate::json;
use crate::prelude::*;
use crate::telemetry::EmitError;

/// Reads a source on a schedule.
pub trait Receiver: Sized {
    /// The configuration, as the manifest's schema describes it: defaults are filled in and secrets left out.
    type Config: DeserializeOwned;

    /// Makes an instance. Nothing is read yet.
    ///
    /// # Errors
    /// The configuration satisfies the schema and still makes no sense; says which field.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Reads the source once and emits what it says.
    ///
    /// # Errors
    /// Nothing could be read. What was emitted is discarded and state stays as it was.
    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError>;
}

impl ConfigError {
    /// Something is wrong with the field at this JSON Pointer, for example `/endpoint`.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Outcome {
    /// Everything there was to read has been read.
    #[must_use]
    pub const fn complete() -> Self {
        Self { failures: Vec::new(), more: false }
    }

    /// Everything but these.
    #[must_use]
    pub const fn with_failures(failures: Vec<PartialFailure>) -> Self {
        Self { failures, more: false }
    }
}

impl PartialFailure {
    /// What could not be read, for example the path of an endpoint, and why.
    #[must_use]
    pub fn new(source: impl Into<String>, message: impl Into<String>) -> Self {
        Self { source: source.into(), message: message.into() }
    }
}

impl From<EmitError> for CollectError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Invalid(reason) => Self::Failed(format!("the host refuses the telemetry: {reason}")),
            EmitError::Limit(reason) => Self::Failed(reason),
        }
    }
}

/// Reads what the host passes to `configure`.
pub(crate) fn parse_config<T: DeserializeOwned>(config: &str) -> Result<T, ConfigError> {
    json::from_slice(config.as_bytes()).map_err(|error| ConfigError::new("", error.to_string()))
}
