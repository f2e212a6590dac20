//! What a processor is.

use serde::de::DeserializeOwned;

pub use crate::bindings::processing::{
    Aggregate, Edit, GaugeAggregation, MetricKind, MetricView, PointAttribute, PointView, ProcessError,
    RemoveAttribute, RenameMetric, ResourceView, SetAttribute, Signal, View,
};
use crate::host::ProcessorHost;
use crate::receiver::ConfigError;
use crate::telemetry::AttributeValue;

/// Changes telemetry on its way to the exporters.
pub trait Processor: Sized {
    /// The configuration, as the manifest's schema describes it: defaults are filled in and secrets left out.
    type Config: DeserializeOwned;

    /// Makes an instance.
    ///
    /// # Errors
    /// The configuration satisfies the schema and still makes no sense; says which field.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Looks at a batch, or a part of a large one, and says what to change. What no edit names stays as it is.
    ///
    /// # Errors
    /// The batch cannot be processed.
    fn process(&mut self, host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError>;
}

impl Edit {
    /// Sets an attribute of the resource with this index in the view.
    #[must_use]
    pub fn set_resource_attribute(resource: u32, key: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        Self::SetResourceAttribute(SetAttribute { target: resource, key: key.into(), value: value.into() })
    }

    /// Removes an attribute of the resource with this index in the view.
    #[must_use]
    pub fn remove_resource_attribute(resource: u32, key: impl Into<String>) -> Self {
        Self::RemoveResourceAttribute(RemoveAttribute { target: resource, key: key.into() })
    }
}
