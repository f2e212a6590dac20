//! Whether telemetry is what the manifest says and what the data model allows.
//!
//! Stricter than the host where a host must be lenient: units, kinds and attributes of declared metrics have to be
//! exactly those declared, and no two points of a metric may be the same series.

use std::collections::BTreeSet;

use kiln_policy::{AttributeDeclaration, AttributeType, Declared, MetricDeclaration, MetricKind, NumberType};

use super::points;
use crate::telemetry::{
    Attribute, AttributeValue, Metric, MetricData, Number, Resource, ResourceLogs, ResourceMetrics, ResourceSpans,
};

pub(super) struct Declarations(Declared);

impl Declarations {
    pub(super) const fn new(declared: Declared) -> Self {
        Self(declared)
    }

    pub(super) fn check_metrics(&self, batch: &[ResourceMetrics]) -> Result<(), String> {
        for resource in batch {
            self.check_resource(&resource.resource)?;
            let mut names = BTreeSet::new();
            for metric in &resource.metrics {
                self.check_metric(metric).map_err(|problem| format!("metric `{}`: {problem}", metric.name))?;
                if !names.insert(&metric.name) {
                    return Err(format!("metric `{}` occurs twice in one resource", metric.name));
                }
            }
        }
        Ok(())
    }

    /// Spans are named by what they are about, so the manifest cannot name them; their attributes it can.
    pub(super) fn check_spans(&self, batch: &[ResourceSpans]) -> Result<(), String> {
        for resource in batch {
            self.check_resource(&resource.resource)?;
            let keys: BTreeSet<&String> = self.0.spans.values().flat_map(|span| &span.attributes).collect();
            for span in &resource.spans {
                check_keys(&span.attributes, |key| keys.contains(key))
                    .map_err(|problem| format!("span `{}`: {problem}", span.name))?;
                if span.end_time < span.start_time || span.trace_id.len() != 16 || span.span_id.len() != 8 {
                    return Err(format!("span `{}` ends before it starts, or has ids of a wrong length", span.name));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_logs(&self, batch: &[ResourceLogs]) -> Result<(), String> {
        for resource in batch {
            self.check_resource(&resource.resource)?;
            for record in &resource.records {
                let declared = self.0.logs.get(&record.event_name);
                let declared = declared.ok_or_else(|| format!("event `{}` is not declared", record.event_name))?;
                check_keys(&record.attributes, |key| declared.attributes.contains(key))
                    .map_err(|problem| format!("event `{}`: {problem}", record.event_name))?;
            }
        }
        Ok(())
    }

    fn check_resource(&self, resource: &Resource) -> Result<(), String> {
        let declared = self.0.resource_attributes.iter().map(|(key, value)| (key.as_str(), value));
        let (known, others): (Vec<_>, Vec<_>) = resource
            .attributes
            .iter()
            .cloned()
            .partition(|attribute| self.0.resource_attributes.contains_key(&attribute.key));
        check_keys(&others, |key| self.0.allows_resource_attribute(key))
            .map_err(|problem| format!("resource: {problem}"))?;
        check_attributes(&known, declared).map_err(|problem| format!("resource: {problem}"))
    }

    fn check_metric(&self, metric: &Metric) -> Result<(), String> {
        if !self.0.allows_metric(&metric.name) {
            return Err("the manifest does not declare it".to_owned());
        }
        points::check(&metric.data, self.0.metrics.contains_key(&metric.name))?;
        match self.0.metrics.get(&metric.name) {
            Some(declared) => self.check_declared(metric, declared),
            None => Ok(()),
        }
    }

    fn check_declared(&self, metric: &Metric, declared: &MetricDeclaration) -> Result<(), String> {
        if metric.unit != declared.unit || metric.description != declared.description {
            return Err("unit and description must be those of the manifest".to_owned());
        }
        let as_declared = match (&metric.data, declared.kind) {
            (MetricData::Gauge(_), MetricKind::Gauge) => true,
            (MetricData::Sum(sum), MetricKind::Sum) => sum.monotonic == declared.monotonic,
            (MetricData::Histogram(histogram), MetricKind::Histogram) => {
                histogram.points.iter().all(|point| point.bounds == declared.bounds)
            }
            _ => false,
        };
        if !as_declared {
            return Err("kind, monotonicity and bounds must be those of the manifest".to_owned());
        }
        let attributes = |keys: &[Attribute]| {
            let declared =
                declared.attributes.iter().filter_map(|key| Some((key.as_str(), self.0.attributes.get(key)?)));
            check_attributes(keys, declared)
        };
        for point in points::numbers(&metric.data) {
            let declared_type = match (&point.value, declared.number) {
                (Some(Number::Integer(_)), NumberType::Int) | (Some(Number::Float(_)), NumberType::Double) => true,
                (Some(_), _) => false,
                (None, _) => true,
            };
            if !declared_type {
                return Err("the type of the number must be that of the manifest".to_owned());
            }
        }
        points::attributes(&metric.data).into_iter().try_for_each(attributes)
    }
}

fn check_keys(attributes: &[Attribute], is_declared: impl Fn(&String) -> bool) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for Attribute { key, .. } in attributes {
        if !is_declared(key) {
            return Err(format!("attribute `{key}` is not declared"));
        }
        if !seen.insert(key) {
            return Err(format!("attribute `{key}` occurs twice"));
        }
    }
    Ok(())
}

fn check_attributes<'a>(
    attributes: &[Attribute],
    declared: impl Iterator<Item = (&'a str, &'a AttributeDeclaration)> + Clone,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for Attribute { key, value } in attributes {
        let Some((_, declaration)) = declared.clone().find(|(name, _)| name == key) else {
            return Err(format!("attribute `{key}` is not declared"));
        };
        let as_declared = matches!(
            (value, declaration.kind),
            (AttributeValue::Text(_), AttributeType::String)
                | (AttributeValue::Integer(_), AttributeType::Int)
                | (AttributeValue::Float(_), AttributeType::Double)
                | (AttributeValue::Boolean(_), AttributeType::Boolean)
        );
        if !as_declared {
            return Err(format!("attribute `{key}` has another type than declared"));
        }
        if !seen.insert(key.as_str()) {
            return Err(format!("attribute `{key}` occurs twice"));
        }
    }
    match declared.clone().find(|(name, declaration)| !declaration.optional && !seen.contains(name)) {
        Some((name, _)) => Err(format!("attribute `{name}` is missing")),
        None => Ok(()),
    }
}
