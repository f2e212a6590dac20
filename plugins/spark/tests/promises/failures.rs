//! Pages that are missing, not ready, or not what they should be.

use super::*;

#[test]
fn without_a_driver_page_the_executors_are_delivered_and_the_remedy_is_said() {
    for missing in [Reply::status(404, "<html>"), redirect(), html("<html>jobs"), Reply::status(301, "")] {
        let host = host(missing, Reply::text(EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4));
        let collected = collect(&host);
        assert_eq!(collected.failed_sources(), [DRIVER]);
        let message = &collected.outcome.failures[0].message;
        assert!(message.contains("http://localhost:4040/metrics/prometheus/"), "{message}");
        assert!(message.contains("sink.prometheusServlet.class="), "{message}");
        assert!(
            collected
                .metrics
                .names()
                .iter()
                .all(|name| { name.starts_with("spark.executor.") || *name == "spark.receiver.state" })
        );
        assert!(collected.metrics.metric("spark.executor.cores").is_some());
        assert_eq!(host.take_requests().len(), 3, "a redirect is not followed");
    }
}

#[test]
fn without_an_executors_page_the_driver_is_delivered_and_the_remedy_is_said() {
    for missing in [Reply::status(404, "<html>"), redirect(), html("<html>jobs")] {
        let host = host(Reply::text(DRIVER_4), missing, Reply::new("application/json", APPLICATIONS_4));
        let collected = collect(&host);
        assert_eq!(collected.failed_sources(), [EXECUTORS]);
        assert!(collected.outcome.failures[0].message.contains("spark.ui.prometheus.enabled=true"));
        assert_eq!(collected.metrics.resource()["spark.application.id"], "app-20261122131319-0000");
        assert_eq!(
            collected.metrics.value("spark.streaming.input_rate", &[("spark.streaming.query", "orders_per_window_v1")]),
            20.0
        );
    }
}

#[test]
fn a_status_of_200_is_not_success() {
    let off = host(html("<!DOCTYPE html><html>jobs"), html("<!DOCTYPE html><html>jobs"), Reply::json(&json!([])));
    let (state, message) = without_application(&off);
    assert_eq!(state, "starting");
    for part in [
        "http://localhost:4040/metrics/prometheus/: the answer is a web page and not metrics",
        "http://localhost:4040/metrics/executors/prometheus: the answer is a web page and not metrics",
        "spark.ui.prometheus.enabled=true",
        "spark.metrics.conf.driver.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let starting = host(html(STARTING_UP), html(STARTING_UP), Reply::json(&json!([])));
    let (state, message) = without_application(&starting);
    assert_eq!(state, "starting");
    assert!(message.contains("still starting up") && !message.contains("prometheus.enabled"), "{message}");
    let without_type = Reply::status(200, "<html>").with_header("server", "x");
    without_application(&host(without_type.clone(), without_type, Reply::json(&json!([]))));
}

#[test]
fn what_is_missing_altogether_is_told_apart_by_its_cause() {
    let both = |reply: Reply| refused(&host(reply.clone(), reply, Reply::json(&json!([]))));
    let neither = |reply: Reply| without_application(&host(reply.clone(), reply, Reply::json(&json!([]))));
    let (state, message) = neither(Reply::error(HttpError::Connect("connection refused".to_owned())));
    assert!(message.contains("connection refused") && message.contains("endpoint"), "{message}");
    assert_eq!(state, "waiting");
    assert_eq!(neither(Reply::status(503, "")).0, "starting");
    assert!(matches!(both(Reply::status(403, "")), CollectError::Unauthorized(_)));
    assert!(matches!(both(Reply::error(HttpError::Denied("no grant".to_owned()))), CollectError::Failed(_)));
    assert!(matches!(both(Reply::text("")), CollectError::InvalidData(_)));
    assert!(matches!(both(Reply::text("nothing here is a metric\n")), CollectError::InvalidData(_)));
}

#[test]
fn a_page_without_a_metric_is_a_partial_failure() {
    for empty in ["", "up 1\n", "metrics_master_aliveWorkers_Value 1\n"] {
        let host = host(Reply::text(empty), Reply::text(EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4));
        assert_eq!(collect(&host).failed_sources(), [DRIVER], "{empty}");
    }
}

#[test]
fn bad_lines_cost_nothing_but_themselves_and_one_warning() {
    let bad =
        format!("{EXECUTORS_4}what is this\nmetrics_executor_x{{executor_id=\"1\"}} abc\n{}", "x\n".repeat(1_000));
    let host = host(Reply::text(DRIVER_4), Reply::text(&bad), Reply::new("application/json", APPLICATIONS_4));
    let mut spark = configured(&host);
    let collected = spark.collect().unwrap();
    assert_eq!(collected.metrics.names(), collect(&spark_4()).metrics.names());
    let log = host.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(format!("{:?}", log[0].attributes).contains("1002"), "{log:?}");
    assert!(format!("{:?}", log[0].attributes).contains("line 55"), "{log:?}");
    spark.collect().unwrap();
    assert_eq!(host.take_log(), [], "what stays bad is not said again");
}

#[test]
fn a_page_that_is_not_utf_8_is_read_as_far_as_it_goes() {
    let mut page = EXECUTORS_4.replace("ground truth-app", "gr#und").into_bytes();
    page.iter_mut().filter(|byte| **byte == b'#').for_each(|byte| *byte = 0xFF);
    let host = host(Reply::text(DRIVER_4), Reply::new("text/plain", page), Reply::status(404, ""));
    assert_eq!(collect(&host).metrics.resource()["spark.application.name"], "gr\u{FFFD}und");
}
