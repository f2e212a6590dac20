//! Looking at a view by what is in it rather than by indexes.

use super::{Edit, GaugeAggregation, MetricKind, MetricView, PointView, Signal, View};
use crate::prelude::*;
use crate::telemetry::{Attribute, AttributeValue};

/// A resource of a view.
#[derive(Clone, Copy, Debug)]
pub struct ShownResource<'v> {
    index: u32,
    attributes: &'v [Attribute],
}

/// A metric of a view.
#[derive(Clone, Copy, Debug)]
pub struct ShownMetric<'v> {
    view: &'v View,
    index: u32,
    metric: &'v MetricView,
}

/// A data point, span or log record of a view.
#[derive(Clone, Copy, Debug)]
pub struct ShownPoint<'v> {
    view: &'v View,
    index: u32,
    point: &'v PointView,
}

impl View {
    /// The resources, in order.
    pub fn each_resource(&self) -> impl Iterator<Item = ShownResource<'_>> {
        (0..).zip(&self.resources).map(|(index, shown)| ShownResource { index, attributes: &shown.attributes })
    }

    /// The metrics, in order; none at resource level, nor of spans and log records.
    pub fn each_metric(&self) -> impl Iterator<Item = ShownMetric<'_>> {
        (0..).zip(&self.metrics).map(|(index, metric)| ShownMetric { view: self, index, metric })
    }

    /// The data points, spans or log records, in order; none above point level.
    pub fn each_point(&self) -> impl Iterator<Item = ShownPoint<'_>> {
        (0..).zip(&self.points).map(|(index, point)| ShownPoint { view: self, index, point })
    }

    fn string(&self, index: u32) -> &str {
        at(&self.strings, index).map_or("", String::as_str)
    }

    fn resource(&self, index: u32) -> ShownResource<'_> {
        ShownResource { index, attributes: at(&self.resources, index).map_or(&[], |shown| &shown.attributes) }
    }
}

fn at<T>(list: &[T], index: u32) -> Option<&T> {
    list.get(usize::try_from(index).ok()?)
}

impl<'v> ShownResource<'v> {
    /// Its index in the view.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Those of its attributes that are read.
    #[must_use]
    pub const fn attributes(self) -> &'v [Attribute] {
        self.attributes
    }

    /// The attribute with this key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'v AttributeValue> {
        self.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// Adds an attribute or replaces its value.
    #[must_use]
    pub fn set(self, key: impl Into<String>, value: impl Into<AttributeValue>) -> Edit {
        Edit::set_resource_attribute(self.index, key, value)
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(self, key: impl Into<String>) -> Edit {
        Edit::remove_resource_attribute(self.index, key)
    }
}

impl<'v> ShownMetric<'v> {
    /// Its index in the view.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'v str {
        self.view.string(self.metric.name)
    }

    /// UCUM.
    #[must_use]
    pub fn unit(self) -> &'v str {
        self.view.string(self.metric.unit)
    }

    /// What it is made of.
    #[must_use]
    pub const fn kind(self) -> MetricKind {
        self.metric.kind
    }

    /// The resource it is about.
    #[must_use]
    pub fn resource(self) -> ShownResource<'v> {
        self.view.resource(self.metric.resource)
    }

    /// Drops it with all of its points, also those that other views show.
    #[must_use]
    pub const fn drop(self) -> Edit {
        Edit::DropMetric(self.index)
    }

    /// Calls it something else.
    #[must_use]
    pub fn rename(self, name: impl Into<String>) -> Edit {
        Edit::rename_metric(self.index, name)
    }

    /// As [`Edit::aggregate`].
    #[must_use]
    pub fn aggregate<K: Into<String>>(self, without: impl IntoIterator<Item = K>, gauges: GaugeAggregation) -> Edit {
        Edit::aggregate(self.index, without, gauges)
    }
}

impl<'v> ShownPoint<'v> {
    /// Its index in the view.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The metric it belongs to; `None` of a span or log record.
    #[must_use]
    pub fn metric(self) -> Option<ShownMetric<'v>> {
        if self.view.signal != Signal::Metrics {
            return None;
        }
        let index = self.point.metric;
        at(&self.view.metrics, index).map(|metric| ShownMetric { view: self.view, index, metric })
    }

    /// The resource it is about.
    #[must_use]
    pub fn resource(self) -> ShownResource<'v> {
        match self.metric() {
            Some(metric) => metric.resource(),
            None => self.view.resource(self.point.metric),
        }
    }

    /// Those of its attributes that are read.
    pub fn attributes(self) -> impl Iterator<Item = (&'v str, &'v AttributeValue)> {
        self.point.attributes.iter().map(move |attribute| (self.view.string(attribute.key), &attribute.value))
    }

    /// The attribute with this key.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'v AttributeValue> {
        self.attributes().find(|(candidate, _)| *candidate == key).map(|(_, value)| value)
    }

    /// The attribute with this key, if it is a text.
    #[must_use]
    pub fn text(self, key: &str) -> Option<&'v str> {
        match self.get(key) {
            Some(AttributeValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Drops it.
    #[must_use]
    pub const fn drop(self) -> Edit {
        Edit::DropPoint(self.index)
    }

    /// Adds an attribute or replaces its value.
    #[must_use]
    pub fn set(self, key: impl Into<String>, value: impl Into<AttributeValue>) -> Edit {
        Edit::set_point_attribute(self.index, key, value)
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(self, key: impl Into<String>) -> Edit {
        Edit::remove_point_attribute(self.index, key)
    }
}
