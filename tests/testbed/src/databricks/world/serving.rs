//! Model serving endpoints and the metrics they export.
//!
//! Sources: `databricks/sdk/service/serving.py` (`ServingEndpoint`, `ServingEndpointsAPI.export_metrics`) of
//! databricks-sdk 0.156.0; the names of the metrics are those that Datadog's integration reads from there
//! (`databricks.model_serving.*` in its `metadata.csv`).
//!
//! Invariant: counters only grow.

use super::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// A serving endpoint now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServingEndpoint {
    /// Unique in the workspace.
    pub name: String,
    /// `state.ready` is `READY`.
    #[serde(default = "yes")]
    pub ready: bool,
    /// `state.config_update`: `NOT_UPDATING`, `IN_PROGRESS`, `UPDATE_FAILED`, ...
    #[serde(default = "not_updating")]
    pub config_update: String,
    /// `config.served_entities[0].entity_name`.
    #[serde(default = "model")]
    pub entity: String,
    /// When it was created; its counters grow from then on.
    #[serde(default)]
    pub created: UnixMillis,
    /// What `/metrics` answers word for word; absent: metrics that grow with the time.
    #[serde(default)]
    pub metrics: Option<String>,
}

fn yes() -> bool {
    true
}

fn not_updating() -> String {
    "NOT_UPDATING".to_owned()
}

fn model() -> String {
    "main.models.churn".to_owned()
}

impl ServingEndpoint {
    /// An endpoint that is ready.
    #[must_use]
    pub fn new(name: &str, created: UnixMillis) -> Self {
        let (name, config_update, entity) = (name.to_owned(), not_updating(), model());
        Self { name, ready: true, config_update, entity, created, metrics: None }
    }

    /// Its metrics in the Prometheus text format.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a percentage does not need more")]
    pub fn metrics_at(&self, now: UnixMillis) -> String {
        if let Some(text) = &self.metrics {
            return text.clone();
        }
        let seconds = now.0.saturating_sub(self.created.0).max(0) / 1000;
        // A wave of ten minutes.
        let wave = (seconds % 600 - 300).abs() as f64 / 300.0;
        let requests = seconds * 3;
        let labels = format!("endpoint_name=\"{}\",served_entity_name=\"{}-1\"", self.name, self.entity);
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, &str, f64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, more, value) in samples {
                let _ = writeln!(text, "{name}{suffix}{{{labels}{more}}} {value}");
            }
        };
        let cpu = (20.0 + 60.0 * wave).round();
        family("cpu_usage_percentage", "gauge", "Average CPU used by all replicas", &[("", "", cpu)]);
        family("mem_usage_percentage", "gauge", "Average memory used by all replicas", &[("", "", 42.0)]);
        family("provisioned_concurrent_requests_total", "gauge", "Provisioned concurrency", &[("", "", 4.0)]);
        family("request_count_total", "counter", "Requests", &[("", "", requests as f64)]);
        family("request_4xx_count_total", "counter", "Requests answered 4xx", &[("", "", (requests / 100) as f64)]);
        family("request_5xx_count_total", "counter", "Requests answered 5xx", &[("", "", (requests / 1000) as f64)]);
        let below = |percent: i64| (requests * percent / 100) as f64;
        family(
            "request_latency_ms",
            "histogram",
            "Latency of requests",
            &[
                ("_bucket", ",le=\"10\"", below(40)),
                ("_bucket", ",le=\"100\"", below(95)),
                ("_bucket", ",le=\"+Inf\"", below(100)),
                ("_sum", "", (requests * 27) as f64),
                ("_count", "", below(100)),
            ],
        );
        text
    }
}
