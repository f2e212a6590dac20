//! What a processor is.
//!
//! It never holds a batch. The host shows it a [`View`], as deep as `level` in its manifest says and with the attributes
//! `reads` names, and it answers with [`Edit`]s: of attributes that `writes` names, and of the kinds that `edits` lists.
//! What it looks at makes the edits, so that none can name what is not there:
//!
//! ```
//! use kiln_plugin::processor::{Edit, GaugeAggregation, MetricKind, View};
//!
//! fn fewer(view: &View) -> Vec<Edit> {
//!     let mut edits = Vec::new();
//!     for metric in view.each_metric() {
//!         match metric.name() {
//!             "process.runtime.debug" => edits.push(metric.drop()),
//!             _ if metric.kind() == MetricKind::Summary => {}
//!             _ => edits.push(metric.aggregate(["thread.id"], GaugeAggregation::Max)),
//!         }
//!     }
//!     for point in view.each_point() {
//!         if point.text("http.route").is_some_and(|route| route.starts_with("/internal/")) {
//!             edits.push(point.set("http.route", "/internal"));
//!         }
//!     }
//!     edits
//! }
//! ```
//!
//! A batch with more than 8,192 points, or metrics, is shown in several views, one call of [`Processor::process`] after
//! the other. All their edits are applied together at the end, or none. `docs/plugin-contract.md` has the rules.

mod edits;
mod look;

use serde::de::DeserializeOwned;

pub use crate::bindings::processing::{
    Aggregate, Edit, GaugeAggregation, MetricKind, MetricView, PointAttribute, PointView, ProcessError,
    RemoveAttribute, RenameMetric, ResourceView, SetAttribute, Signal, View,
};
use crate::host::ProcessorHost;
use crate::prelude::*;
use crate::receiver::ConfigError;
pub use look::{ShownMetric, ShownPoint, ShownResource};

/// Changes telemetry on its way to the exporters.
pub trait Processor: Sized {
    /// The configuration, as the manifest's schema describes it: defaults are filled in and secrets left out.
    type Config: DeserializeOwned;

    /// Makes an instance.
    ///
    /// # Errors
    /// The configuration satisfies the schema and still makes no sense; says which field.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Reads what it needs before the first batch, such as a granted file. The host calls it as a part of configuring: if
    /// it fails, the instance does not run, and a reload that brings it is refused.
    ///
    /// # Errors
    /// What it needs is not there or makes no sense; says which field of the configuration names it.
    fn start(&mut self, host: &mut ProcessorHost) -> Result<(), ConfigError> {
        let _ = host;
        Ok(())
    }

    /// Looks at a batch, or a part of a large one, and says what to change. What no edit names stays as it is.
    ///
    /// # Errors
    /// The batch cannot be processed.
    fn process(&mut self, host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError>;
}
