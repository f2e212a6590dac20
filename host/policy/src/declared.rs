//! The telemetry a plugin says it emits. The host refuses what is not declared, so this list is a fact, not a promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All declarations of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// Attributes of the resource, by key.
    pub resource_attributes: BTreeMap<String, AttributeDeclaration>,
    /// Attributes of the resource whose keys are only known once the source has been read.
    pub undeclared_resource_attributes: Vec<Undeclared>,
    /// Attributes of points, spans and log records, by key.
    pub attributes: BTreeMap<String, AttributeDeclaration>,
    /// Metrics, by name.
    pub metrics: BTreeMap<String, MetricDeclaration>,
    /// Metrics whose names are only known once the source has been read.
    pub undeclared_metrics: Vec<Undeclared>,
    /// Spans, by what they stand for.
    pub spans: BTreeMap<String, EventDeclaration>,
    /// Log records, by event name.
    pub logs: BTreeMap<String, EventDeclaration>,
}

impl Declared {
    /// Whether a metric of this name may be emitted.
    #[must_use]
    pub fn allows_metric(&self, name: &str) -> bool {
        self.metrics.contains_key(name)
            || self.undeclared_metrics.iter().any(|undeclared| name.starts_with(&undeclared.prefix))
    }

    /// Whether a resource may have an attribute with this key.
    #[must_use]
    pub fn allows_resource_attribute(&self, key: &str) -> bool {
        self.resource_attributes.contains_key(key)
            || self.undeclared_resource_attributes.iter().any(|undeclared| key.starts_with(&undeclared.prefix))
    }
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeDeclaration {
    /// The type of the value.
    #[serde(rename = "type", default)]
    pub kind: AttributeType,
    /// What it means.
    pub description: String,
    /// Left out when there is nothing to say.
    #[serde(default)]
    pub optional: bool,
}

/// Types an attribute can be declared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum AttributeType {
    #[default]
    String,
    Int,
    Double,
    Boolean,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricDeclaration {
    /// Gauge, sum or histogram.
    pub kind: MetricKind,
    /// Whether the values are whole numbers. Histograms are always `double`.
    #[serde(rename = "type", default)]
    pub number: NumberType,
    /// Whether the sum never falls. Sums only.
    #[serde(default)]
    pub monotonic: bool,
    /// UCUM.
    pub unit: String,
    /// What it means.
    pub description: String,
    /// Keys of the attributes its points carry.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Upper bounds of the buckets. Histograms only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<f64>,
    /// Where the numbers are read, as an endpoint of what is observed: `GET /metrics/executors/prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Since which version of what is observed it exists, when the plugin also reads versions that lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What has to be switched on for it to be emitted, there or in the plugin's configuration. None: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<String>,
}

/// Kinds of metrics a manifest can declare. Sums and histograms are cumulative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum MetricKind {
    Gauge,
    Sum,
    Histogram,
}

/// Types of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum NumberType {
    #[default]
    Int,
    Double,
}

/// Metrics or attributes that are passed on under the names the source gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undeclared {
    /// What every name starts with; empty if they may be called anything.
    pub prefix: String,
    /// Where the names come from.
    pub description: String,
}

/// A kind of span or log record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventDeclaration {
    /// What it means.
    pub description: String,
    /// Keys of the attributes it carries.
    #[serde(default)]
    pub attributes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(prefix: &str) -> Declared {
        let undeclared = vec![Undeclared { prefix: prefix.to_owned(), description: "the source's own".to_owned() }];
        Declared {
            undeclared_resource_attributes: undeclared.clone(),
            undeclared_metrics: undeclared,
            ..Declared::default()
        }
    }

    #[test]
    fn what_is_not_declared_is_passed_on_under_its_prefix_only() {
        let declared = passed_on("k8s.");
        assert!(declared.allows_metric("k8s.pods") && declared.allows_resource_attribute("k8s.pod"));
        assert!(!declared.allows_metric("pods") && !declared.allows_resource_attribute("pod"));
    }

    #[test]
    fn an_empty_prefix_covers_everything_and_none_covers_nothing() {
        let declared = passed_on("");
        assert!(declared.allows_metric("pods") && declared.allows_resource_attribute("pod"));
        let declared = Declared::default();
        assert!(!declared.allows_metric("pods") && !declared.allows_resource_attribute("pod"));
    }
}
