//! What can be configured, and what is refused by name.

use kiln_plugin::ConfigError;
use serde_json::json;

use super::*;

fn refused(config: Value) -> ConfigError {
    match TestHost::new(telemetry::MANIFEST).configure::<Prometheus>(config) {
        Err(error) => error,
        Ok(_) => panic!("accepted"),
    }
}

fn accepted(config: Value) {
    TestHost::new(telemetry::MANIFEST).configure::<Prometheus>(config).unwrap_or_else(|error| panic!("{error:?}"));
}

/// The receiver's part of a configuration of the OpenTelemetry Collector for Spark, as it is published.
#[test]
fn a_configuration_of_the_collector_pastes_in() {
    let config = json!({ "config": { "scrape_configs": [
        { "job_name": "spark-driver", "scrape_interval": "15s", "metrics_path": "/metrics/prometheus",
          "static_configs": [{ "targets": ["localhost:4040"] }] },
        { "job_name": "spark-executors", "scrape_interval": "15s", "metrics_path": "/metrics/executors/prometheus",
          "static_configs": [{ "targets": ["localhost:4040"] }] },
    ] } });
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/metrics/prometheus", text("a 1\n"));
    host.on_get("/metrics/executors/prometheus", text("b 1\n"));
    let collected = host.configure::<Prometheus>(config).unwrap().collect().unwrap();
    assert_eq!(collected.metrics.value("a", &[("service.name", "spark-driver")]), 1.0);
    assert_eq!(collected.metrics.value("b", &[("service.name", "spark-executors")]), 1.0);
    assert_eq!(collected.failed_sources(), [""; 0]);
}

#[test]
fn every_supported_key_is_accepted() {
    accepted(json!({
        "global": { "scrape_interval": "1m", "scrape_timeout": "10s" },
        "start_time": "true_reset",
        "scrape_configs": [{
            "job_name": "all", "metrics_path": "/m", "scheme": "https", "params": { "a": ["b"] },
            "static_configs": [{ "targets": ["h:1", "h"], "labels": { "env": "prod" } }],
            "honor_labels": true, "honor_timestamps": true, "track_timestamps_staleness": true,
            "sample_limit": 1, "label_limit": 1, "label_name_length_limit": 1, "label_value_length_limit": 1,
            "body_size_limit": "10MB", "scrape_interval": "30s", "scrape_timeout": "5s", "extra_scrape_metrics": true,
            "scrape_protocols": ["OpenMetricsText1.0.0", "PrometheusText0.0.4"],
            "enable_compression": true, "follow_redirects": false, "target_limit": 0,
            "relabel_configs": [
                { "source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host", "replacement": "$1" },
            ],
            "metric_relabel_configs": [
                { "action": "keep", "source_labels": ["__name__"], "regex": "a.*" },
                { "action": "drop", "source_labels": ["__name__"], "regex": "b", "separator": "," },
                { "action": "hashmod", "source_labels": ["x"], "target_label": "shard", "modulus": 4 },
                { "action": "labelmap", "regex": "x_(.*)" },
                { "action": "labeldrop", "regex": "y" },
                { "action": "labelkeep", "regex": ".*" },
                { "action": "keepequal", "source_labels": ["x"], "target_label": "y" },
                { "action": "dropequal", "source_labels": ["x"], "target_label": "z" },
                { "action": "lowercase", "source_labels": ["x"], "target_label": "x" },
                { "action": "uppercase", "source_labels": ["x"], "target_label": "x" },
            ],
        }],
    }));
}

#[test]
fn what_would_have_no_effect_is_refused_with_its_remedy() {
    for (key, value, remedy) in [
        ("kubernetes_sd_configs", json!([{ "role": "pod" }]), "list the targets under `static_configs`"),
        ("file_sd_configs", json!([]), "list the targets under `static_configs`"),
        ("basic_auth", json!({ "username": "u" }), "without credentials"),
        ("authorization", json!({}), "without credentials"),
        ("tls_config", json!({ "insecure_skip_verify": true }), "host's roots"),
        ("proxy_url", json!("http://p"), "without a proxy"),
        ("follow_redirects", json!(true), "set it to false"),
        ("enable_compression", json!(false), "gzip"),
        ("target_limit", json!(3), "not supported"),
        ("no_such_key", json!(1), "not supported"),
    ] {
        let error = refused(job(json!({ key: value })));
        assert_eq!(error.field, format!("/scrape_configs/0/{key}"));
        assert!(error.message.contains(key) && error.message.contains(remedy), "{}", error.message);
    }
    let error = refused(json!({ "global": { "external_labels": { "a": "b" } }, "scrape_configs": [] }));
    assert_eq!(error.field, "/global/external_labels");
    let error = refused(json!({ "config": { "rule_files": [], "scrape_configs": [] } }));
    assert_eq!(error.field, "/config/rule_files");
}

#[test]
fn a_job_that_makes_no_sense_is_refused_with_its_place() {
    for (keys, field) in [
        (json!({ "job_name": "" }), "/scrape_configs/0/job_name"),
        (json!({ "metrics_path": "metrics" }), "/scrape_configs/0/metrics_path"),
        (json!({ "scrape_interval": "5s", "scrape_timeout": "6s" }), "/scrape_configs/0/scrape_timeout"),
        (json!({ "scrape_interval": "5" }), "/scrape_configs/0"),
        (json!({ "body_size_limit": "ten" }), "/scrape_configs/0"),
        (
            json!({ "static_configs": [{ "targets": ["h:1", "http://h:1"] }] }),
            "/scrape_configs/0/static_configs/0/targets/1",
        ),
        (
            json!({ "metric_relabel_configs": [{ "regex": "(", "target_label": "x" }] }),
            "/scrape_configs/0/metric_relabel_configs/0/regex",
        ),
        (json!({ "relabel_configs": [{ "action": "replace" }] }), "/scrape_configs/0/relabel_configs/0/target_label"),
        (
            json!({ "relabel_configs": [{ "action": "hashmod", "target_label": "x" }] }),
            "/scrape_configs/0/relabel_configs/0/modulus",
        ),
        (
            json!({ "relabel_configs": [{ "action": "labeldrop", "source_labels": ["x"] }] }),
            "/scrape_configs/0/relabel_configs/0",
        ),
        (
            json!({ "relabel_configs": [{ "action": "keepequal", "target_label": "x", "regex": "x" }] }),
            "/scrape_configs/0/relabel_configs/0",
        ),
    ] {
        let error = refused(job(keys.clone()));
        assert_eq!(error.field, field, "{keys}: {}", error.message);
    }
}

#[test]
fn jobs_have_names_of_their_own_and_one_place() {
    let one = json!({ "job_name": "a" });
    assert!(refused(json!({ "scrape_configs": [one, one] })).message.contains("two jobs called `a`"));
    assert_eq!(refused(json!({ "scrape_configs": [one], "config": { "scrape_configs": [one] } })).field, "/config");
    assert_eq!(refused(json!({})).field, "/scrape_configs");
}

#[test]
fn there_are_not_more_targets_than_one_instance_can_bear() {
    let targets: Vec<_> = (1..=100).map(|port| format!("h:{port}")).collect();
    let job = |index| json!({ "job_name": format!("job-{index}"), "static_configs": [{ "targets": targets }] });
    let config = |jobs| json!({ "scrape_configs": (0..jobs).map(job).collect::<Vec<_>>() });
    accepted(config(10));
    assert!(refused(config(11)).message.contains("1100 targets"));
}

#[test]
fn targets_are_relabelled_dropped_and_scraped_once() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_any(|request| text(&format!("a{{seen=\"{}\"}} 1\n", request.url)));
    let keys = json!({
        "static_configs": [{ "targets": ["keep:1", "keep:1", "drop:1"] }],
        "relabel_configs": [
            { "source_labels": ["__address__"], "regex": "drop.*", "action": "drop" },
            { "source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host" },
            { "target_label": "__metrics_path__", "replacement": "/other" },
            { "target_label": "__tmp", "replacement": "gone" },
        ],
    });
    let collected = configured(&host, keys).collect().unwrap();
    let point = collected.metrics.point("a", &[("host", "keep")]);
    assert_eq!(point.attributes["seen"], "http://keep:1/other");
    assert_eq!(point.attributes.len(), 2);
}
