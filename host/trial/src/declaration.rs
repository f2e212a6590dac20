//! What a plugin emits held against what its manifest says of it, further than the host does: kinds, units and attributes as
//! well as names.
//!
//! The host refuses a metric of another name. The rest is a promise to whoever reads the manifest, and breaking it breaks
//! what they have built on it.

use std::collections::BTreeSet;

use kiln_otlp::{Batch, Signal};
use kiln_policy::{Declared, MetricKind};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// Sentences about what a batch has that the manifest does not say, each once.
#[must_use]
pub fn undeclared(declared: &Declared, batch: &Batch) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    let payload = batch.payload.clone();
    match batch.signal {
        Signal::Metrics => {
            for of_resource in ExportMetricsServiceRequest::decode(payload).unwrap_or_default().resource_metrics {
                resource(declared, of_resource.resource.as_ref(), &mut wrong);
                for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                    self::metric(declared, metric, &mut wrong);
                }
            }
        }
        Signal::Traces => {
            for of_resource in ExportTraceServiceRequest::decode(payload).unwrap_or_default().resource_spans {
                resource(declared, of_resource.resource.as_ref(), &mut wrong);
                for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                    keys(declared, "a span", &span.attributes, &mut wrong);
                }
            }
        }
        Signal::Logs => {
            for of_resource in ExportLogsServiceRequest::decode(payload).unwrap_or_default().resource_logs {
                resource(declared, of_resource.resource.as_ref(), &mut wrong);
                for record in of_resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                    keys(declared, "a log record", &record.attributes, &mut wrong);
                }
            }
        }
    }
    wrong
}

fn resource(declared: &Declared, resource: Option<&Resource>, wrong: &mut BTreeSet<String>) {
    for KeyValue { key, .. } in resource.iter().flat_map(|resource| &resource.attributes) {
        if !declared.allows_resource_attribute(key) {
            wrong.insert(format!(
                "a resource has the attribute `{key}`, which is not in `telemetry.resource_attributes`"
            ));
        }
    }
}

/// Attributes of spans and records are declared for all of them together.
fn keys(declared: &Declared, what: &str, attributes: &[KeyValue], wrong: &mut BTreeSet<String>) {
    for KeyValue { key, .. } in attributes {
        if !declared.attributes.contains_key(key) {
            wrong.insert(format!("{what} has the attribute `{key}`, which is not in `telemetry.attributes`"));
        }
    }
}

fn metric(declared: &Declared, metric: &Metric, wrong: &mut BTreeSet<String>) {
    let Metric { name, unit, data, .. } = metric;
    let Some(said) = declared.metrics.get(name) else { return };
    let (kind, monotonic) = match data {
        Some(Data::Gauge(_)) => (Some(MetricKind::Gauge), false),
        Some(Data::Sum(sum)) => (Some(MetricKind::Sum), sum.is_monotonic),
        Some(Data::Histogram(_) | Data::ExponentialHistogram(_)) => (Some(MetricKind::Histogram), false),
        Some(Data::Summary(_)) | None => (None, false),
    };
    if kind.is_some_and(|kind| kind != said.kind) {
        wrong.insert(format!("`{name}` is declared as another kind of metric than is emitted"));
    } else if said.kind == MetricKind::Sum && monotonic != said.monotonic {
        wrong.insert(format!("`{name}` is declared with monotonic = {} and emitted with {monotonic}", said.monotonic));
    }
    if *unit != said.unit {
        wrong.insert(format!("`{name}` is declared with the unit `{}` and emitted with `{unit}`", said.unit));
    }
    for KeyValue { key, .. } in points(metric).into_iter().flatten() {
        if !said.attributes.contains(key) {
            wrong.insert(format!("a point of `{name}` has the attribute `{key}`, which is not in its `attributes`"));
        }
    }
}

fn points(metric: &Metric) -> Vec<&[KeyValue]> {
    match &metric.data {
        Some(Data::Gauge(it)) => it.data_points.iter().map(|it| &*it.attributes).collect(),
        Some(Data::Sum(it)) => it.data_points.iter().map(|it| &*it.attributes).collect(),
        Some(Data::Histogram(it)) => it.data_points.iter().map(|it| &*it.attributes).collect(),
        Some(Data::ExponentialHistogram(it)) => it.data_points.iter().map(|it| &*it.attributes).collect(),
        Some(Data::Summary(it)) => it.data_points.iter().map(|it| &*it.attributes).collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_otlp::from_json;
    use kiln_policy::Manifest;

    use super::*;

    const MANIFEST: &str = r#"
        name = "p"
        version = "1.0.0"
        kind = "receiver"
        description = "x"
        license = "MIT"
        wit = "0.1"
        [telemetry.attributes]
        a = { description = "x" }
        b = { description = "x" }
        [telemetry.resource_attributes]
        host = { description = "x" }
        [telemetry.metrics.g]
        kind = "gauge"
        unit = "s"
        description = "x"
        attributes = ["a"]
        [telemetry.metrics.s]
        kind = "sum"
        monotonic = true
        unit = "1"
        description = "x"
    "#;

    fn wrong(metric: &str, key: &str) -> Vec<String> {
        let declared = Manifest::parse(MANIFEST).unwrap().telemetry;
        let text = format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"{key}"}}]}},"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#
        );
        undeclared(&declared, &from_json(&text).unwrap()).into_iter().collect()
    }

    #[test]
    fn what_is_emitted_has_to_be_what_is_declared() {
        let good = r#"{"name":"g","unit":"s","gauge":{"dataPoints":[{"attributes":[{"key":"a"}]}]}}"#;
        assert_eq!(wrong(good, "host"), Vec::<String>::new());
        for (metric, key, expected) in [
            (good, "pod", "a resource has the attribute `pod`"),
            (
                r#"{"name":"g","unit":"s","gauge":{"dataPoints":[{"attributes":[{"key":"b"}]}]}}"#,
                "host",
                "a point of `g` has",
            ),
            (
                r#"{"name":"g","unit":"ms","gauge":{"dataPoints":[{}]}}"#,
                "host",
                "with the unit `s` and emitted with `ms`",
            ),
            (r#"{"name":"g","unit":"s","sum":{"dataPoints":[{}]}}"#, "host", "`g` is declared as another kind"),
            (r#"{"name":"s","unit":"1","sum":{"dataPoints":[{}]}}"#, "host", "monotonic = true and emitted with false"),
        ] {
            let wrong = wrong(metric, key);
            assert!(wrong.len() == 1 && wrong.iter().all(|it| it.contains(expected)), "{metric}: {wrong:?}");
        }
    }
}
