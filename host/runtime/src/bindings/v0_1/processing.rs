//! What passes between the host and a processor: views go in, edits come out.

use kiln_otlp::{Attribute, AttributeValue, Edit, GaugeAggregation, MetricKind, Signal, View};
use kiln_policy::{EditKind, Level, NotDeclared, ProcessorDeclaration};

use super::guest_memory::MAX_KEY_BYTES;
use super::processor::kiln::plugin::processing;
use super::receiver::kiln::plugin::telemetry;
use crate::printable::printable;

/// Why what a processor returned is not taken.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The limit that was broken, if it was one.
    pub(crate) limit: Option<&'static str>,
    pub(crate) text: String,
}

impl From<NotDeclared> for Refused {
    fn from(not_declared: NotDeclared) -> Self {
        Self { limit: None, text: printable(&not_declared.to_string()) }
    }
}

/// Understands edits, which must keep to what the manifest declares. No key or name may be longer than keys are
/// allowed to be, and no text or bytes longer than `string_bytes`.
pub(crate) fn lift_edits(
    edits: Vec<processing::Edit>,
    declared: &ProcessorDeclaration,
    string_bytes: usize,
) -> Result<Vec<Edit>, Refused> {
    edits.into_iter().map(|edit| lift_edit(edit, declared, string_bytes)).collect()
}

fn lift_edit(edit: processing::Edit, declared: &ProcessorDeclaration, string_bytes: usize) -> Result<Edit, Refused> {
    Ok(match edit {
        processing::Edit::SetResourceAttribute(set) => {
            check_key(&set.key)?;
            declared.check_attribute(Level::Resource, &set.key)?;
            let value = lift_value(set.value, string_bytes)?;
            Edit::SetResourceAttribute { resource: index(set.target), key: set.key, value }
        }
        processing::Edit::RemoveResourceAttribute(remove) => {
            check_key(&remove.key)?;
            declared.check_attribute(Level::Resource, &remove.key)?;
            Edit::RemoveResourceAttribute { resource: index(remove.target), key: remove.key }
        }
        processing::Edit::DropMetric(metric) => {
            declared.check_kind(EditKind::DropMetric)?;
            Edit::DropMetric(index(metric))
        }
        processing::Edit::RenameMetric(rename) => {
            check_key(&rename.name)?;
            declared.check_kind(EditKind::RenameMetric)?;
            Edit::RenameMetric { metric: index(rename.metric), name: rename.name }
        }
        processing::Edit::DropPoint(point) => {
            declared.check_kind(EditKind::DropPoint)?;
            Edit::DropPoint(index(point))
        }
        processing::Edit::SetPointAttribute(set) => {
            check_key(&set.key)?;
            declared.check_attribute(Level::Point, &set.key)?;
            let value = lift_value(set.value, string_bytes)?;
            Edit::SetPointAttribute { point: index(set.target), key: set.key, value }
        }
        processing::Edit::RemovePointAttribute(remove) => {
            check_key(&remove.key)?;
            declared.check_attribute(Level::Point, &remove.key)?;
            Edit::RemovePointAttribute { point: index(remove.target), key: remove.key }
        }
        processing::Edit::Aggregate(aggregate) => {
            aggregate.without.iter().try_for_each(|key| check_key(key))?;
            declared.check_aggregate(&aggregate.without)?;
            Edit::Aggregate {
                metric: index(aggregate.metric),
                without: aggregate.without,
                gauges: match aggregate.gauges {
                    processing::GaugeAggregation::Last => GaugeAggregation::Last,
                    processing::GaugeAggregation::Min => GaugeAggregation::Min,
                    processing::GaugeAggregation::Max => GaugeAggregation::Max,
                    processing::GaugeAggregation::Mean => GaugeAggregation::Mean,
                    processing::GaugeAggregation::Sum => GaugeAggregation::Sum,
                },
            }
        }
    })
}

fn check_key(key: &str) -> Result<(), Refused> {
    if key.len() <= MAX_KEY_BYTES {
        return Ok(());
    }
    let text = format!("returned an edit whose key or name has {} bytes, more than {MAX_KEY_BYTES}", key.len());
    Err(Refused { limit: Some("key_bytes"), text })
}

fn index(target: u32) -> usize {
    usize::try_from(target).unwrap_or(usize::MAX)
}

/// Shows a view to a processor.
pub(crate) fn lower_view(view: View) -> processing::View {
    let attribute = |Attribute { key, value }| telemetry::Attribute { key, value: lower_value(value) };
    let point_attribute = |(key, value)| processing::PointAttribute { key, value: lower_value(value) };
    let resources = view.resources.into_iter();
    let points = view.points.into_iter();
    processing::View {
        signal: match view.signal {
            Signal::Metrics => processing::Signal::Metrics,
            Signal::Traces => processing::Signal::Spans,
            Signal::Logs => processing::Signal::Logs,
        },
        resources: resources
            .map(|attributes| processing::ResourceView { attributes: attributes.into_iter().map(attribute).collect() })
            .collect(),
        metrics: view.metrics.iter().map(lower_metric).collect(),
        points: points
            .map(|point| processing::PointView {
                metric: point.parent,
                attributes: point.attributes.into_iter().map(point_attribute).collect(),
            })
            .collect(),
        strings: view.strings,
    }
}

const fn lower_metric(metric: &kiln_otlp::MetricView) -> processing::MetricView {
    processing::MetricView {
        resource: metric.resource,
        name: metric.name,
        unit: metric.unit,
        kind: match metric.kind {
            MetricKind::Gauge => processing::MetricKind::Gauge,
            MetricKind::Sum => processing::MetricKind::Sum,
            MetricKind::Histogram => processing::MetricKind::Histogram,
            MetricKind::ExponentialHistogram => processing::MetricKind::ExponentialHistogram,
            MetricKind::Summary => processing::MetricKind::Summary,
        },
    }
}

fn lower_value(value: AttributeValue) -> telemetry::AttributeValue {
    match value {
        AttributeValue::Text(value) => telemetry::AttributeValue::Text(value),
        AttributeValue::Boolean(value) => telemetry::AttributeValue::Boolean(value),
        AttributeValue::Integer(value) => telemetry::AttributeValue::Integer(value),
        AttributeValue::Float(value) => telemetry::AttributeValue::Float(value),
        AttributeValue::Bytes(value) => telemetry::AttributeValue::Bytes(value),
        AttributeValue::TextList(value) => telemetry::AttributeValue::TextList(value),
        AttributeValue::BooleanList(value) => telemetry::AttributeValue::BooleanList(value),
        AttributeValue::IntegerList(value) => telemetry::AttributeValue::IntegerList(value),
        AttributeValue::FloatList(value) => telemetry::AttributeValue::FloatList(value),
    }
}

fn lift_value(value: telemetry::AttributeValue, string_bytes: usize) -> Result<AttributeValue, Refused> {
    let longest = match &value {
        telemetry::AttributeValue::Text(text) => text.len(),
        telemetry::AttributeValue::Bytes(bytes) => bytes.len(),
        telemetry::AttributeValue::TextList(texts) => texts.iter().map(String::len).max().unwrap_or_default(),
        telemetry::AttributeValue::Boolean(_)
        | telemetry::AttributeValue::Integer(_)
        | telemetry::AttributeValue::Float(_)
        | telemetry::AttributeValue::BooleanList(_)
        | telemetry::AttributeValue::IntegerList(_)
        | telemetry::AttributeValue::FloatList(_) => 0,
    };
    if longest > string_bytes {
        let text = format!(
            "returned an edit with a text of {longest} bytes, more than `limits.string_bytes` allows ({string_bytes})"
        );
        return Err(Refused { limit: Some("string_bytes"), text });
    }
    Ok(match value {
        telemetry::AttributeValue::Text(value) => AttributeValue::Text(value),
        telemetry::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
        telemetry::AttributeValue::Integer(value) => AttributeValue::Integer(value),
        telemetry::AttributeValue::Float(value) => AttributeValue::Float(value),
        telemetry::AttributeValue::Bytes(value) => AttributeValue::Bytes(value),
        telemetry::AttributeValue::TextList(value) => AttributeValue::TextList(value),
        telemetry::AttributeValue::BooleanList(value) => AttributeValue::BooleanList(value),
        telemetry::AttributeValue::IntegerList(value) => AttributeValue::IntegerList(value),
        telemetry::AttributeValue::FloatList(value) => AttributeValue::FloatList(value),
    })
}
