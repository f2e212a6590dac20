//! What is asked of targets, what counts as an answer, and what is said of a scrape.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use kiln_plugin::http::{HttpError, Request};
use serde_json::json;

use super::*;

/// What the target was asked.
fn asked(keys: Value) -> Request {
    let host = TestHost::new(telemetry::MANIFEST);
    let seen = Rc::new(RefCell::new(None));
    let witness = Rc::clone(&seen);
    host.on_any(move |request| {
        *witness.borrow_mut() = Some(request.clone());
        text("a 1\n")
    });
    configured(&host, keys).collect().unwrap();
    seen.take().unwrap()
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    &request.headers.iter().find(|header| header.name == name).unwrap().value
}

#[test]
fn openmetrics_is_preferred_then_text_then_anything() {
    let request = asked(json!({}));
    assert_eq!(
        header(&request, "accept"),
        "application/openmetrics-text;version=1.0.0;q=0.9,application/openmetrics-text;version=0.0.1;q=0.8,\
         text/plain;version=1.0.0;q=0.7,text/plain;version=0.0.4;q=0.6,*/*;q=0.1"
    );
    let request = asked(json!({ "scrape_protocols": ["PrometheusText0.0.4"] }));
    assert_eq!(header(&request, "accept"), "text/plain;version=0.0.4;q=0.9,*/*;q=0.1");
}

#[test]
fn the_target_is_told_how_long_it_has() {
    let timeout = |keys| header(&asked(keys), "x-prometheus-scrape-timeout-seconds").to_owned();
    assert_eq!(timeout(json!({})), "10");
    assert_eq!(timeout(json!({ "scrape_interval": "5s" })), "5");
    assert_eq!(timeout(json!({ "scrape_timeout": "1500ms" })), "1.500");
}

#[test]
fn scheme_path_and_parameters_make_the_url() {
    let keys = json!({ "scheme": "https", "metrics_path": "/m/x", "params": { "match[]": ["up", "{a=\"b\"}"] } });
    assert_eq!(asked(keys).url, "https://target:9100/m/x?match%5B%5D=up&match%5B%5D=%7Ba%3D%22b%22%7D");
}

#[test]
fn a_web_page_is_no_page_of_metrics() {
    for reply in
        [Reply::new("text/html;charset=utf-8", "<html>"), text("\n<!DOCTYPE html>"), Reply::new("text/plain", "<h1>")]
    {
        let collected = scrape(reply);
        assert!(failure(&collected).contains("and not metrics; check `metrics_path`"), "{}", failure(&collected));
    }
}

#[test]
fn other_types_are_refused_and_no_type_is_text() {
    assert!(failure(&scrape(Reply::json(&json!({})))).contains("`application/json`"));
    assert_eq!(scrape(Reply::status(200, "a 1\n")).metrics.value("a", &[]), 1.0);
}

#[test]
fn what_is_no_answer_says_why() {
    for (reply, expected) in [
        (Reply::status(404, "no"), "status 404"),
        (Reply::status(302, ""), "write the final path as `metrics_path`"),
        (Reply::status(503, "later"), "status 503: later"),
        (Reply::error(HttpError::Timeout), "no answer in time"),
        (Reply::error(HttpError::TooLarge(5)), "larger than 5 bytes"),
        (Reply::new("text/plain", vec![0xff, 0xfe]), "UTF-8"),
        (text("not a page"), "line 1"),
    ] {
        let collected = scrape(reply);
        assert!(failure(&collected).contains(expected), "{}", failure(&collected));
    }
}

#[test]
fn the_failure_names_job_and_url() {
    assert_eq!(scrape(Reply::status(404, "")).failed_sources(), ["spark http://target:9100/metrics"]);
}

#[test]
fn openmetrics_that_breaks_a_rule_fails_as_a_whole() {
    let collected = scrape(openmetrics("# TYPE a gauge\na 1\n"));
    assert!(failure(&collected).starts_with("line "), "{}", failure(&collected));
    assert!(collected.metrics.metric("a").is_none());
}

#[test]
fn a_damaged_line_of_text_costs_itself_and_is_said_once() {
    let host = host(text("a 1\nb one\nc 3\n"));
    let mut instance = configured(&host, json!({}));
    let collected = instance.collect().unwrap();
    assert_eq!((up(&collected), collected.metrics.value("c", &[])), (1.0, 3.0));
    let log = host.take_log();
    assert_eq!(log.len(), 1);
    assert!(format!("{:?}", log[0].attributes).contains("line 2"), "{log:?}");
    instance.collect().unwrap();
    assert_eq!(host.take_log(), []);
}

#[test]
fn an_application_whose_name_is_not_escaped_is_read() {
    let page = "metrics_executor_rddBlocks{application_id=\"app-1\", application_name=\"ETL \"daily\"\", executor_id=\"0\"} 3\n";
    let collected = scrape(text(page));
    assert_eq!(collected.metrics.value("metrics_executor_rddBlocks", &[("application_name", "ETL \"daily\"")]), 3.0);
}

/// Scenario: a page with more lines than are read, beside one with just as many.
/// Guarantees: it fails as a whole, since what is below the limit would seem to have vanished.
#[test]
fn a_page_of_too_many_lines_fails_as_a_whole() {
    let page = |lines: usize| text(&("a 1\n".to_owned() + &"\n".repeat(lines - 1)));
    assert_eq!(up(&scrape(page(1_000_000))), 1.0);
    let collected = scrape(page(1_000_001));
    assert!(failure(&collected).contains("beyond the number of lines"), "{}", failure(&collected));
}

#[test]
fn an_empty_page_is_a_page() {
    let collected = scrape(text(""));
    assert_eq!((up(&collected), collected.metrics.value("scrape_samples_scraped", &[])), (1.0, 0.0));
}

/// Each limit with a page just within it and one just beyond.
#[test]
fn beyond_a_limit_the_whole_scrape_fails() {
    for (limit, within, beyond, says) in [
        (json!({ "sample_limit": 2 }), "a 1\nb 1\n", "a 1\nb 1\nc 1\n", "`sample_limit`"),
        // Name, job and instance are labels too.
        (json!({ "label_limit": 4 }), "a{x=\"1\"} 1\n", "a{x=\"1\",y=\"1\"} 1\n", "`label_limit`"),
        (
            json!({ "label_name_length_limit": 8 }),
            "a{x2345678=\"1\"} 1\n",
            "a{x23456789=\"1\"} 1\n",
            "`label_name_length_limit`",
        ),
        (
            json!({ "label_value_length_limit": 11 }),
            "a{x=\"12345678901\"} 1\n",
            "a{x=\"123456789012\"} 1\n",
            "`label_value_length_limit`",
        ),
        (json!({ "body_size_limit": "4B" }), "a 1\n", "a 10\n", "`body_size_limit`"),
    ] {
        assert_eq!(up(&scrape_with(text(within), limit.clone())), 1.0, "{says}");
        let collected = scrape_with(text(beyond), limit);
        assert!(failure(&collected).contains(says), "{}", failure(&collected));
        assert!(collected.metrics.metric("a").is_none());
    }
}

#[test]
fn samples_that_are_dropped_do_not_count_against_the_limit() {
    let keys = json!({
        "sample_limit": 1,
        "metric_relabel_configs": [{ "source_labels": ["__name__"], "regex": "b|c", "action": "drop" }],
    });
    let collected = scrape_with(text("a 1\nb 1\nc 1\n"), keys);
    let value = |name| collected.metrics.value(name, &[]);
    assert_eq!(
        (value("up"), value("scrape_samples_scraped"), value("scrape_samples_post_metric_relabeling")),
        (1.0, 3.0, 1.0)
    );
}

#[test]
fn what_is_said_of_a_scrape_is_said_of_every_target() {
    let host = host(text("a 1\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n"));
    let mut instance = configured(&host, json!({}));
    let first = instance.collect().unwrap();
    assert_eq!(first.metrics.value("scrape_series_added", &[]), 3.0);
    assert_eq!(first.metrics.value("scrape_duration_seconds", &[]), 0.0);
    assert_eq!(instance.collect().unwrap().metrics.value("scrape_series_added", &[]), 0.0);
    assert!(first.metrics.metric("scrape_sample_limit").is_none());
}

#[test]
fn more_is_said_on_demand() {
    let keys = json!({ "extra_scrape_metrics": true, "sample_limit": 5, "body_size_limit": "4B" });
    let collected = scrape_with(text("a 1\n"), keys.clone());
    let value = |name| collected.metrics.value(name, &[]);
    assert_eq!(
        (value("scrape_timeout_seconds"), value("scrape_sample_limit"), value("scrape_body_size_bytes")),
        (10.0, 5.0, 4.0)
    );
    assert_eq!(scrape_with(text("a 10\n"), keys).metrics.value("scrape_body_size_bytes", &[]), -1.0);
}

#[test]
fn labels_of_the_target_are_on_every_series() {
    let keys = json!({ "static_configs": [{ "targets": [TARGET], "labels": { "env": "prod" } }] });
    let collected = scrape_with(text("a{env=\"liar\"} 1\n"), keys);
    assert_eq!(collected.metrics.value("a", &[("env", "prod"), ("exported_env", "liar")]), 1.0);
    assert_eq!(collected.metrics.value("up", &[("env", "prod")]), 1.0);
}

#[test]
fn with_honor_labels_the_page_wins() {
    let keys =
        json!({ "honor_labels": true, "static_configs": [{ "targets": [TARGET], "labels": { "env": "prod" } }] });
    let collected = scrape_with(text("a{env=\"dev\",job=\"other\",instance=\"far:1\"} 1\n"), keys);
    let point = collected.metrics.point("a", &[("env", "dev")]);
    assert_eq!(
        (point.resource["service.name"].as_str(), point.resource["service.instance.id"].as_str()),
        ("other", "far:1")
    );
    assert!(!point.attributes.contains_key("job") && !point.resource.contains_key("server.address"));
}

#[test]
fn a_family_that_is_renamed_keeps_its_type() {
    let keys = json!({ "metric_relabel_configs": [
        { "source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1" },
    ] });
    let page = "# TYPE old_a_total counter\nold_a_total 1\n# TYPE old_h histogram\nold_h_bucket{le=\"+Inf\"} 1\nold_h_count 1\nold_h_sum 1\n";
    let collected = scrape_with(text(page), keys);
    assert!(matches!(&collected.metrics.metric("new_a_total").unwrap().data, MetricData::Sum(sum) if sum.monotonic));
    assert_eq!(collected.metrics.histogram("new_h", &[]).count, 1);
}

#[test]
fn one_target_that_is_down_does_not_cost_the_others() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_any(|request| if request.url.contains("good") { text("a 1\n") } else { Reply::error(HttpError::Timeout) });
    let targets: Vec<String> =
        (0..6).map(|index| format!("{}{index}:1", if index == 4 { "bad" } else { "good" })).collect();
    let collected = configured(&host, json!({ "static_configs": [{ "targets": targets }] })).collect().unwrap();
    assert_eq!(collected.metrics.points("a").len(), 5);
    assert_eq!(collected.metrics.points("up").iter().map(|point| point.value).sum::<f64>(), 5.0);
    assert_eq!(collected.failed_sources(), ["spark http://bad4:1/metrics"]);
}

#[test]
fn a_job_with_a_longer_interval_skips_collections() {
    let host = host(text("a 1\n"));
    let mut instance = configured(&host, json!({ "scrape_interval": "30s" }));
    let mut scraped = Vec::new();
    for _ in 0..4 {
        scraped.push(!instance.collect().unwrap().metrics.records().is_empty());
        host.advance(Duration::from_secs(15));
    }
    assert_eq!(scraped, [true, false, true, false]);
    assert_eq!(host.take_log(), []);
}

#[test]
fn a_job_that_wants_more_than_it_gets_says_so_once() {
    let host = host(text("a 1\n"));
    let mut instance = configured(&host, json!({ "scrape_interval": "15s" }));
    for _ in 0..3 {
        instance.collect().unwrap();
        host.advance(Duration::from_secs(60));
    }
    let log = host.take_log();
    assert_eq!(log.len(), 1);
    assert!(log[0].message.contains("`collection_interval`"));
}

#[test]
fn a_large_page_is_handed_over_in_parts_and_nothing_is_lost() {
    let page: String = (0..12_000).map(|index| format!("a{{x=\"{index}\"}} {index}\n")).collect();
    let collected = scrape(text(&page));
    assert_eq!(collected.metrics.points("a").len(), 12_000);
    assert!(collected.metrics.records().len() > 2);
}

/// The pages of a real Spark 4.1.4, whose origin is told in the README of the plugin for Spark.
#[test]
fn spark_s_own_pages_are_scraped_as_they_are() {
    for page in [
        include_str!("../../../spark/tests/pages/driver-4.1.4.prom"),
        include_str!("../../../spark/tests/pages/executors-4.1.4.prom"),
    ] {
        let host = host(text(page));
        let collected = configured(&host, json!({})).collect().unwrap();
        assert_eq!(up(&collected), 1.0);
        let samples = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(collected.metrics.value("scrape_samples_scraped", &[]), samples as f64);
    }
}
