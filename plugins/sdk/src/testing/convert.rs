//! Between the host's types of views and edits and the contract's, as the host's bindings do it.

use crate::processor::{
    Edit, GaugeAggregation, MetricKind, MetricView, PointAttribute, PointView, ResourceView, Signal, View,
};
use crate::telemetry::{Attribute, AttributeValue};

pub(super) fn view(view: kiln_otlp::View) -> View {
    let resource = |attributes: Vec<kiln_otlp::Attribute>| ResourceView {
        attributes: attributes.into_iter().map(|pair| Attribute { key: pair.key, value: value(pair.value) }).collect(),
    };
    let metric = |metric: kiln_otlp::MetricView| MetricView {
        resource: metric.resource,
        name: metric.name,
        unit: metric.unit,
        kind: match metric.kind {
            kiln_otlp::MetricKind::Gauge => MetricKind::Gauge,
            kiln_otlp::MetricKind::Sum => MetricKind::Sum,
            kiln_otlp::MetricKind::Histogram => MetricKind::Histogram,
            kiln_otlp::MetricKind::ExponentialHistogram => MetricKind::ExponentialHistogram,
            kiln_otlp::MetricKind::Summary => MetricKind::Summary,
        },
    };
    let point = |point: kiln_otlp::PointView| PointView {
        metric: point.parent,
        attributes: point.attributes.into_iter().map(|(key, of)| PointAttribute { key, value: value(of) }).collect(),
    };
    View {
        signal: match view.signal {
            kiln_otlp::Signal::Metrics => Signal::Metrics,
            kiln_otlp::Signal::Traces => Signal::Spans,
            kiln_otlp::Signal::Logs => Signal::Logs,
        },
        resources: view.resources.into_iter().map(resource).collect(),
        metrics: view.metrics.into_iter().map(metric).collect(),
        points: view.points.into_iter().map(point).collect(),
        strings: view.strings,
    }
}

pub(super) fn edit(edit: Edit) -> kiln_otlp::Edit {
    let index = |index: u32| usize::try_from(index).expect("32 bits");
    match edit {
        Edit::SetResourceAttribute(set) => kiln_otlp::Edit::SetResourceAttribute {
            resource: index(set.target),
            key: set.key,
            value: host_value(set.value),
        },
        Edit::RemoveResourceAttribute(remove) => {
            kiln_otlp::Edit::RemoveResourceAttribute { resource: index(remove.target), key: remove.key }
        }
        Edit::DropMetric(metric) => kiln_otlp::Edit::DropMetric(index(metric)),
        Edit::RenameMetric(rename) => kiln_otlp::Edit::RenameMetric { metric: index(rename.metric), name: rename.name },
        Edit::DropPoint(point) => kiln_otlp::Edit::DropPoint(index(point)),
        Edit::SetPointAttribute(set) => {
            kiln_otlp::Edit::SetPointAttribute { point: index(set.target), key: set.key, value: host_value(set.value) }
        }
        Edit::RemovePointAttribute(remove) => {
            kiln_otlp::Edit::RemovePointAttribute { point: index(remove.target), key: remove.key }
        }
        Edit::Aggregate(aggregate) => kiln_otlp::Edit::Aggregate {
            metric: index(aggregate.metric),
            without: aggregate.without,
            gauges: match aggregate.gauges {
                GaugeAggregation::Last => kiln_otlp::GaugeAggregation::Last,
                GaugeAggregation::Min => kiln_otlp::GaugeAggregation::Min,
                GaugeAggregation::Max => kiln_otlp::GaugeAggregation::Max,
                GaugeAggregation::Mean => kiln_otlp::GaugeAggregation::Mean,
                GaugeAggregation::Sum => kiln_otlp::GaugeAggregation::Sum,
            },
        },
    }
}

fn value(value: kiln_otlp::AttributeValue) -> AttributeValue {
    match value {
        kiln_otlp::AttributeValue::Text(value) => AttributeValue::Text(value),
        kiln_otlp::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
        kiln_otlp::AttributeValue::Integer(value) => AttributeValue::Integer(value),
        kiln_otlp::AttributeValue::Float(value) => AttributeValue::Float(value),
        kiln_otlp::AttributeValue::Bytes(value) => AttributeValue::Bytes(value),
        kiln_otlp::AttributeValue::TextList(value) => AttributeValue::TextList(value),
        kiln_otlp::AttributeValue::BooleanList(value) => AttributeValue::BooleanList(value),
        kiln_otlp::AttributeValue::IntegerList(value) => AttributeValue::IntegerList(value),
        kiln_otlp::AttributeValue::FloatList(value) => AttributeValue::FloatList(value),
    }
}

fn host_value(value: AttributeValue) -> kiln_otlp::AttributeValue {
    match value {
        AttributeValue::Text(value) => kiln_otlp::AttributeValue::Text(value),
        AttributeValue::Boolean(value) => kiln_otlp::AttributeValue::Boolean(value),
        AttributeValue::Integer(value) => kiln_otlp::AttributeValue::Integer(value),
        AttributeValue::Float(value) => kiln_otlp::AttributeValue::Float(value),
        AttributeValue::Bytes(value) => kiln_otlp::AttributeValue::Bytes(value),
        AttributeValue::TextList(value) => kiln_otlp::AttributeValue::TextList(value),
        AttributeValue::BooleanList(value) => kiln_otlp::AttributeValue::BooleanList(value),
        AttributeValue::IntegerList(value) => kiln_otlp::AttributeValue::IntegerList(value),
        AttributeValue::FloatList(value) => kiln_otlp::AttributeValue::FloatList(value),
    }
}
