//! What the receiver promises about model serving endpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alone;

use core::time::Duration;

use alone::{configure, errors, host, next, only};
use kiln_plugin::testing::{Reply, TestHost};
use serde_json::{Value, json};

const PATH: &str = "/api/2.0/serving-endpoints";
const COUNT: &str = "databricks.serving_endpoints.count";
const REQUESTS: &str = "databricks.serving_endpoint.request_count";

fn endpoints(host: &TestHost, names: &[String]) {
    let list: Vec<Value> = names.iter().map(|name| json!({ "name": name, "state": { "ready": "READY" } })).collect();
    host.on_get(PATH, Reply::json(&json!({ "endpoints": list })));
}

fn one_endpoint(host: &TestHost, page: Reply) {
    endpoints(host, &["churn".to_owned()]);
    host.on_get(&format!("{PATH}/churn/metrics"), page);
}

fn with_metrics() -> Value {
    only("serving", json!({ "endpoint_metrics": true }))
}

#[test]
fn endpoints_are_counted_by_readiness_and_each_tells_its_own() {
    let host = host();
    let list = json!({ "endpoints": [
        { "name": "a", "state": { "ready": "READY" } }, { "name": "b", "state": { "ready": "NOT_READY" } },
        { "name": "c" }, { "name": "a", "state": { "ready": "NOT_READY" } }, null,
    ] });
    host.on_get(PATH, Reply::json(&list));
    let collected = next(&host, &mut configure(&host, only("serving", json!({}))));
    let count = |state| collected.metrics.value(COUNT, &[("ready_state", state)]);
    assert_eq!((count("READY"), count("NOT_READY")), (1.0, 2.0));
    let ready = |name| {
        let attributes = [("databricks.serving_endpoint.name", name)];
        collected.metrics.value("databricks.serving_endpoint.ready", &attributes)
    };
    assert_eq!(["a", "b", "c"].map(ready), [1.0, 0.0, 0.0]);
    assert_eq!(errors(&collected, "serving"), 1.0);
    assert_eq!(host.take_requests(), [format!("GET {PATH}")]);
}

#[test]
fn a_workspace_without_endpoints_has_none_ready_and_none_not() {
    let host = host();
    host.on_get(PATH, Reply::json(&json!({})));
    let collected = next(&host, &mut configure(&host, with_metrics()));
    assert_eq!(collected.metrics.points(COUNT).iter().map(|point| point.value).collect::<Vec<_>>(), [0.0, 0.0]);
}

#[test]
fn metrics_of_an_endpoint_pass_under_their_own_names_and_with_their_labels() {
    let host = host();
    let page = "# TYPE request_count counter\nrequest_count{entity=\"m \\\"1\\\"\"} 7\n# TYPE cpu gauge\ncpu 0.5\n\
# TYPE latency histogram\nlatency_bucket{le=\"1\"} 3\nlatency_bucket{le=\"+Inf\"} 4\nlatency_sum 2.5\nlatency_count 4\n\
# TYPE size summary\nsize{quantile=\"0.5\"} 3\nsize_sum 9\nsize_count 2\nplain 3\nready 1\nnonsense\n";
    one_endpoint(&host, Reply::text(page));
    let collected = next(&host, &mut configure(&host, with_metrics()));
    let labels = [("databricks.serving_endpoint.name", "churn"), ("entity", "m \"1\"")];
    let point = collected.metrics.point(REQUESTS, &labels);
    assert_eq!((point.value, point.start), (7.0, host.now()));
    let value = |name: &str| collected.metrics.value(&format!("databricks.serving_endpoint.{name}"), &[]);
    let names = ["cpu", "latency_sum", "latency_count", "size_sum", "size_count", "plain", "ready"];
    assert_eq!(names.map(value), [0.5, 2.5, 4.0, 9.0, 2.0, 3.0, 1.0]);
    for name in ["databricks.serving_endpoint.latency_bucket", "databricks.serving_endpoint.size"] {
        assert_eq!(collected.metrics.points(name), []);
    }
    assert_eq!(errors(&collected, "serving"), 1.0);
}

#[test]
fn metrics_of_endpoints_are_read_by_option_only() {
    let host = host();
    one_endpoint(&host, Reply::text("a 1"));
    let collected = next(&host, &mut configure(&host, only("serving", json!({}))));
    assert_eq!(host.take_requests().len(), 1);
    assert_eq!(collected.metrics.points("databricks.serving_endpoint.a"), []);
}

#[test]
fn openmetrics_is_read_and_a_page_in_html_is_not() {
    for (content_type, expected) in [("application/openmetrics-text; version=1.0.0", 1), ("text/html", 0)] {
        let host = host();
        one_endpoint(&host, Reply::new(content_type, "# TYPE a counter\na_total 1\n# EOF"));
        let collected = next(&host, &mut configure(&host, with_metrics()));
        assert_eq!(collected.metrics.points("databricks.serving_endpoint.a_total").len(), expected);
        assert_eq!(errors(&collected, "serving"), if expected == 1 { 0.0 } else { 1.0 });
    }
}

#[test]
fn counters_start_when_first_seen_also_after_a_restart_and_again_when_they_fall() {
    let host = host();
    let page = |count: u32| Reply::text(&format!("# TYPE request_count counter\nrequest_count {count}\n"));
    one_endpoint(&host, page(5).then(page(6)).then(page(2)));
    let mut instance = configure(&host, with_metrics());
    let first = next(&host, &mut instance).metrics.point(REQUESTS, &[]);
    assert_eq!((first.value, first.start), (5.0, host.now()));
    let mut instance = configure(&host, with_metrics());
    let second = next(&host, &mut instance).metrics.point(REQUESTS, &[]);
    assert_eq!((second.value, second.start), (6.0, first.start));
    host.advance(Duration::from_secs(300));
    let third = next(&host, &mut instance).metrics.point(REQUESTS, &[]);
    assert_eq!((third.value, third.start), (2.0, host.now()));
}

#[test]
fn many_endpoints_are_read_in_turn_within_the_budget_and_repeated_in_between() {
    let host = host();
    let names: Vec<String> = (0..50).map(|n| format!("model-{n}")).collect();
    endpoints(&host, &names);
    for name in &names {
        host.on_get(&format!("{PATH}/{name}/metrics"), Reply::text("a 1"));
    }
    let mut config = with_metrics();
    config["requests_per_cycle"] = json!(10);
    config["collectors"]["serving"]["interval"] = json!("1h");
    let mut instance = configure(&host, config);
    let mut asked = Vec::new();
    for _ in 0..8 {
        let collected = next(&host, &mut instance);
        let requests = host.take_requests();
        assert!(requests.len() <= 10);
        asked.extend(requests.into_iter().filter(|request| request.ends_with("/metrics")));
        assert_eq!(collected.metrics.points("databricks.serving_endpoint.a").len(), asked.len());
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 50);
    let _ = next(&host, &mut instance);
    assert_eq!(host.take_requests(), Vec::<String>::new());
}

#[test]
fn an_endpoint_whose_metrics_cannot_be_read_costs_only_its_own() {
    for (status, failures) in [(403, 1), (404, 0), (500, 1)] {
        let host = host();
        endpoints(&host, &["good".to_owned(), "bad".to_owned()]);
        host.on_get(&format!("{PATH}/good/metrics"), Reply::text("a 1"));
        host.on_get(&format!("{PATH}/bad/metrics"), Reply::status(status, "no"));
        let mut instance = configure(&host, with_metrics());
        let collected = next(&host, &mut instance);
        let points = collected.metrics.points("databricks.serving_endpoint.a");
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].attributes["databricks.serving_endpoint.name"], "good");
        assert_eq!((collected.outcome.failures.len(), collected.metrics.points(COUNT).len()), (failures, 2));
        // And it is not asked in vain with every collection.
        let _ = host.take_requests();
        let _ = next(&host, &mut instance);
        assert_eq!(host.take_requests(), Vec::<String>::new());
    }
}

#[test]
fn an_endpoint_that_is_gone_is_reported_no_more() {
    let host = host();
    one_endpoint(&host, Reply::text("a 1"));
    let mut instance = configure(&host, with_metrics());
    assert_eq!(next(&host, &mut instance).metrics.points("databricks.serving_endpoint.a").len(), 1);
    endpoints(&host, &[]);
    host.advance(Duration::from_secs(300));
    assert_eq!(next(&host, &mut instance).metrics.points("databricks.serving_endpoint.a"), []);
}
