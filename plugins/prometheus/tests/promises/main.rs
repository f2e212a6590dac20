//! What the Prometheus receiver promises, on pages of its own and on hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod configuration;
mod properties;
mod scraping;
mod staleness;
mod start_times;
mod translation;

use kiln_plugin::telemetry::{Metric, MetricData, NumberPoint};
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin_prometheus::{Prometheus, telemetry};
use serde_json::{Value, json};

const TARGET: &str = "target:9100";

/// A host on which the target answers `/metrics` so.
fn host(reply: Reply) -> TestHost {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/metrics", reply);
    host
}

fn text(page: &str) -> Reply {
    Reply::new("text/plain; version=0.0.4; charset=utf-8", page)
}

fn openmetrics(page: &str) -> Reply {
    Reply::new("application/openmetrics-text; version=1.0.0; charset=utf-8", page)
}

/// A job with the usual target and these keys.
fn job(keys: Value) -> Value {
    let mut job = json!({ "job_name": "spark", "static_configs": [{ "targets": [TARGET] }] });
    let fields = job.as_object_mut().unwrap();
    keys.as_object().unwrap().iter().for_each(|(key, value)| drop(fields.insert(key.clone(), value.clone())));
    json!({ "scrape_configs": [job] })
}

fn configured(host: &TestHost, keys: Value) -> Instance<Prometheus> {
    host.configure(job(keys)).unwrap_or_else(|error| panic!("{error:?}"))
}

fn scrape(reply: Reply) -> Collected {
    scrape_with(reply, json!({}))
}

fn scrape_with(reply: Reply, keys: Value) -> Collected {
    configured(&host(reply), keys).collect().unwrap()
}

/// The points of a gauge or a sum.
fn numbers(metric: &Metric) -> &[NumberPoint] {
    match &metric.data {
        MetricData::Gauge(points) => points,
        MetricData::Sum(sum) => &sum.points,
        other => panic!("{other:?}"),
    }
}

fn up(collected: &Collected) -> f64 {
    collected.metrics.value("up", &[])
}

/// What went wrong with the one target.
fn failure(collected: &Collected) -> &str {
    assert_eq!(up(collected), 0.0);
    match collected.outcome.failures.as_slice() {
        [failure] => &failure.message,
        failures => panic!("{failures:?}"),
    }
}
