//! The telemetry records of the contract, and the conversions that make them pleasant to write.

pub use crate::bindings::emit::EmitError;
pub use crate::bindings::telemetry::*;
use crate::prelude::*;

/// The records of metrics, made of references instead of texts and lists of their own. A receiver that reads a page of
/// fifty thousand series would spend most of its time copying names otherwise.
pub mod borrowed {
    pub use crate::bindings::borrowed::telemetry::{
        AttributeParam as Attribute, AttributeValueParam as AttributeValue, Exemplar, ExponentialBuckets,
        ExponentialHistogram, ExponentialHistogramPoint, Histogram, HistogramPoint, Metric, MetricData, Number,
        NumberPoint, Quantile, Resource, ResourceMetrics, Scope, Sum, SummaryPoint, Temporality,
    };
}

impl Attribute {
    /// A key and its value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// A value as it is written in a configuration: a text, a number or a boolean. The error is what is wrong with it.
impl TryFrom<&serde_json::Value> for AttributeValue {
    type Error = &'static str;

    fn try_from(value: &serde_json::Value) -> Result<Self, Self::Error> {
        match value {
            serde_json::Value::String(text) => Ok(Self::from(text.as_str())),
            serde_json::Value::Bool(value) => Ok(Self::from(*value)),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Ok(Self::from(integer)),
                (None, Some(float)) if number.is_f64() => Ok(Self::from(float)),
                (None, _) => Err("is too large for an attribute: 64 bits, signed"),
            },
            _ => Err("must be a string, a number or a boolean"),
        }
    }
}

impl NumberPoint {
    /// A point without a start time, of the time the host gives it.
    #[must_use]
    pub const fn new(attributes: Vec<Attribute>, value: Number) -> Self {
        Self { attributes, start_time: 0, time: 0, value: Some(value), exemplars: Vec::new() }
    }
}

impl ExponentialBuckets {
    /// No bucket has a value.
    #[must_use]
    pub const fn empty() -> Self {
        Self { offset: 0, counts: Vec::new() }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}
