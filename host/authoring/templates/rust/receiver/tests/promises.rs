//! What the receiver promises.

use {{ident}}::{Queues, telemetry};
use kiln_plugin::CollectError;
use kiln_plugin::testing::{Reply, TestHost};
use serde_json::json;

fn host() -> TestHost {
    TestHost::new(telemetry::MANIFEST)
}

fn config() -> serde_json::Value {
    json!({ "host": "https://queues.example" })
}

#[test]
fn every_queue_is_a_point() {
    let host = host();
    host.on_get("/api/queues", Reply::json(&json!({ "queues": [{ "name": "mail", "length": 3 }, { "name": "jobs", "length": 0 }] })));
    let collected = host.configure::<Queues>(config()).unwrap().collect().unwrap();
    assert_eq!(collected.metrics.value("{{ident}}.queue.length", &[("queue", "mail")]), 3.0);
    assert_eq!(collected.metrics.value("{{ident}}.queue.length", &[("queue", "jobs")]), 0.0);
}

#[test]
fn a_server_that_is_down_is_unavailable() {
    let host = host();
    host.on_get("/api/queues", Reply::status(503, "later"));
    let error = host.configure::<Queues>(config()).unwrap().collect().unwrap_err();
    assert!(matches!(error, CollectError::Unavailable(_)), "{error:?}");
}
