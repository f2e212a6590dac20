//! As much of OTLP's messages as the points need, by the numbers of `opentelemetry/proto/metrics/v1`.

use kiln_plugin::telemetry::{self, AttributeValue, MetricData, Number};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(message, optional, tag = "5")]
    gauge: Option<Gauge>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct NumberDataPoint {
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(double, optional, tag = "4")]
    value: Option<f64>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

impl From<telemetry::ResourceMetrics> for Request {
    fn from(batch: telemetry::ResourceMetrics) -> Self {
        let resource = Some(Resource { attributes: attributes(batch.resource.attributes) });
        let scope_metrics = vec![ScopeMetrics { metrics: batch.metrics.into_iter().map(Metric::from).collect() }];
        Self { resource_metrics: vec![ResourceMetrics { resource, scope_metrics }] }
    }
}

impl From<telemetry::Metric> for Metric {
    fn from(metric: telemetry::Metric) -> Self {
        let gauge = match metric.data {
            MetricData::Gauge(points) => {
                Some(Gauge { data_points: points.into_iter().map(NumberDataPoint::from).collect() })
            }
            _ => None,
        };
        Self { name: metric.name, unit: metric.unit, gauge }
    }
}

impl From<telemetry::NumberPoint> for NumberDataPoint {
    fn from(point: telemetry::NumberPoint) -> Self {
        let value = match point.value {
            Some(Number::Float(value)) => Some(value),
            _ => None,
        };
        Self { time: point.time, value, attributes: attributes(point.attributes) }
    }
}

fn attributes(attributes: Vec<telemetry::Attribute>) -> Vec<KeyValue> {
    let value = |value| match value {
        AttributeValue::Text(text) => Some(AnyValue { text: Some(text) }),
        _ => None,
    };
    attributes.into_iter().map(|attribute| KeyValue { key: attribute.key, value: value(attribute.value) }).collect()
}
