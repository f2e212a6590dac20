//! What a plugin's author sees of the host.
//!
//! Receivers and processors meet two types, because a processor has nothing to emit: the contract gives it no such
//! import, and a component that has it all the same does not load.

use crate::http::Http;
use crate::imports::{Backend, Imports};
use crate::prelude::*;
use crate::state::State;
use crate::telemetry::{Attribute, EmitError, ResourceLogs, ResourceMetrics, ResourceSpans, borrowed};
use crate::time::UnixNanos;

pub use crate::bindings::log::Level;

/// The host, to a receiver.
pub struct Host(Backend);

impl Host {
    pub(crate) const fn new(backend: Backend) -> Self {
        Self(backend)
    }

    /// Hands metrics to the host: one or more of what the manifest's `Metrics` builder makes.
    ///
    /// # Errors
    /// They break a rule of the data model or the manifest, or a limit.
    pub fn emit_metrics(&self, batch: impl IntoIterator<Item: Into<ResourceMetrics>>) -> Result<(), EmitError> {
        let batch: Vec<ResourceMetrics> = batch.into_iter().map(Into::into).collect();
        self.0.emit_metrics(&batch)
    }

    /// Hands metrics to the host that borrow what they are made of: for receivers of many thousand points, whose texts are
    /// somewhere already.
    ///
    /// # Errors
    /// They break a rule of the data model or the manifest, or a limit.
    pub fn emit_borrowed_metrics(&self, batch: &[borrowed::ResourceMetrics<'_>]) -> Result<(), EmitError> {
        self.0.emit_borrowed_metrics(batch)
    }

    /// Hands spans to the host.
    ///
    /// # Errors
    /// They break a rule of the data model or the manifest, or a limit.
    pub fn emit_spans(&self, batch: &[ResourceSpans]) -> Result<(), EmitError> {
        self.0.emit_spans(batch)
    }

    /// Hands log records to the host.
    ///
    /// # Errors
    /// They break a rule of the data model or the manifest, or a limit.
    pub fn emit_logs(&self, batch: &[ResourceLogs]) -> Result<(), EmitError> {
        self.0.emit_logs(batch)
    }

    /// HTTP to the granted origins.
    #[must_use]
    pub const fn http(&self) -> Http<'_> {
        Http(&self.0)
    }

    /// What the instance remembers. Needs `[requests.state]` in the manifest.
    #[must_use]
    pub const fn state(&self) -> State<'_> {
        State(&self.0)
    }

    /// The granted environment variables. Needs `[[requests.env]]` in the manifest.
    #[cfg(feature = "env")]
    #[must_use]
    pub const fn env(&self) -> crate::env::Env<'_> {
        crate::env::Env(&self.0)
    }

    /// Files of the granted directories. Needs `[[requests.files]]` in the manifest.
    #[cfg(feature = "files")]
    #[must_use]
    pub const fn files(&self) -> crate::files::Files<'_> {
        crate::files::Files(&self.0)
    }

    /// Writes to the operator's log.
    pub fn log(&self, level: Level, message: &str, attributes: &[Attribute]) {
        self.0.log(level, message, attributes);
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        UnixNanos::from_nanos(self.0.now())
    }

    /// Nanoseconds since an arbitrary point, for measuring how long something takes.
    #[must_use]
    pub fn monotonic(&self) -> u64 {
        self.0.monotonic()
    }
}

/// The host, to a processor.
pub struct ProcessorHost(Host);

impl ProcessorHost {
    pub(crate) const fn new(backend: Backend) -> Self {
        Self(Host::new(backend))
    }

    /// HTTP to the granted origins.
    #[must_use]
    pub const fn http(&self) -> Http<'_> {
        self.0.http()
    }

    /// What the instance remembers. Needs `[requests.state]` in the manifest.
    #[must_use]
    pub const fn state(&self) -> State<'_> {
        self.0.state()
    }

    /// The granted environment variables. Needs `[[requests.env]]` in the manifest.
    #[cfg(feature = "env")]
    #[must_use]
    pub const fn env(&self) -> crate::env::Env<'_> {
        self.0.env()
    }

    /// Files of the granted directories. Needs `[[requests.files]]` in the manifest.
    #[cfg(feature = "files")]
    #[must_use]
    pub const fn files(&self) -> crate::files::Files<'_> {
        self.0.files()
    }

    /// Writes to the operator's log.
    pub fn log(&self, level: Level, message: &str, attributes: &[Attribute]) {
        self.0.log(level, message, attributes);
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        self.0.now()
    }

    /// Nanoseconds since an arbitrary point, for measuring how long something takes.
    #[must_use]
    pub fn monotonic(&self) -> u64 {
        self.0.monotonic()
    }
}
