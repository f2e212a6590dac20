//! Edits by the index of what they change, for those who have one.

use super::{Aggregate, Edit, GaugeAggregation, RemoveAttribute, RenameMetric, SetAttribute};
use crate::prelude::*;
use crate::telemetry::AttributeValue;

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

    /// Sets an attribute of the point, span or log record with this index in the view.
    #[must_use]
    pub fn set_point_attribute(point: u32, key: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        Self::SetPointAttribute(SetAttribute { target: point, key: key.into(), value: value.into() })
    }

    /// Removes an attribute of the point, span or log record with this index in the view.
    #[must_use]
    pub fn remove_point_attribute(point: u32, key: impl Into<String>) -> Self {
        Self::RemovePointAttribute(RemoveAttribute { target: point, key: key.into() })
    }

    /// Renames the metric with this index in the view.
    #[must_use]
    pub fn rename_metric(metric: u32, name: impl Into<String>) -> Self {
        Self::RenameMetric(RenameMetric { metric, name: name.into() })
    }

    /// Takes attributes away from all points of the metric with this index in the view, and joins those that are alike
    /// then: sums add, histograms merge, gauges do as `gauges` says. Not of a summary, which nobody can join.
    #[must_use]
    pub fn aggregate<K: Into<String>>(
        metric: u32,
        without: impl IntoIterator<Item = K>,
        gauges: GaugeAggregation,
    ) -> Self {
        Self::Aggregate(Aggregate { metric, without: without.into_iter().map(Into::into).collect(), gauges })
    }
}
