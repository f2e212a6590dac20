//! Exporters that come, go and get another backend, and what becomes of what waits for them.

use kiln_testbed::sink::{Fault, Sink, Telemetry};

use crate::stage::{Configuration, PATIENCE, Stage, assert_steady, exporter, starts, until};

/// Scenario: a backend fails until the queue, in memory or on disk, is full and the receiver waits; then the endpoint is
/// changed to one that works.
/// Guarantees: everything that waited arrives there, once and in order, and the receiver goes on.
#[test]
fn another_endpoint_gets_what_waited_for_the_old_one() {
    for storage in ["", ", storage: queue"] {
        let mut stage = Stage::new();
        let other = Sink::start().unwrap();
        let queue = format!(", sending_queue: {{ queue_size: 5, num_consumers: 1{storage} }}");
        let configuration =
            Configuration { exporter: exporter(&stage.sink, &queue), ..Configuration::steady(&stage.sink) };
        stage.start(&configuration);
        stage.sink.faults().at("/", Fault::status(503));
        until("the queue is full", || stage.metric("otelcol_exporter_queue_size{exporter=\"otlp_http\"}") >= 5.0);
        stage.configure(&Configuration { exporter: exporter(&other, &queue), ..configuration });
        assert!(stage.reload().starts_with("reloaded: exporters.otlp_http changed"));
        let enough = |telemetry: &Telemetry| telemetry.points_of("kiln.steady").count() >= 20;
        other.wait_for(PATIENCE, enough).unwrap();
        let before = stage.stop();
        let mut numbers: Vec<_> = before.points_of("kiln.steady").map(|point| point.number().unwrap()).collect();
        numbers.extend(other.telemetry().points_of("kiln.steady").map(|point| point.number().unwrap()));
        let expected: Vec<_> = (1..=numbers.len()).map(|number| number as f64).collect();
        assert_eq!(numbers, expected, "{storage}");
    }
}

/// Scenario: an exporter is added while another works, and removed while its backend is down.
/// Guarantees: both get what is collected; the removal neither waits for the backend nor keeps the receiver from collecting.
#[test]
fn an_exporter_comes_and_goes() {
    let mut stage = Stage::new();
    let other = Sink::start().unwrap();
    let alone = Configuration::steady(&stage.sink);
    let both = Configuration {
        exporters: format!("  otlp_http/other: {}\n", exporter(&other, ", sending_queue: { storage: other }")),
        exported: "[otlp_http, otlp_http/other]".to_owned(),
        service: "  shutdown_timeout: 2s\n".to_owned(),
        ..alone.clone()
    };
    stage.start(&alone);
    stage.configure(&both);
    assert!(stage.reload().starts_with("reloaded: exporters.otlp_http/other added, service.pipelines changed"));
    let arrived = |telemetry: &Telemetry| telemetry.points_of("kiln.steady").count() >= 3;
    other.wait_for(PATIENCE, arrived).unwrap();
    other.faults().at("/", Fault::status(503));
    stage.collects("kiln.steady", 5);
    stage.configure(&alone);
    assert!(stage.reload().contains("exporters.otlp_http/other removed"));
    stage.collects("kiln.steady", 5);
    stage.says("removed exporter=\"otlp_http/other\"");
    // It can come back as soon as it is gone, and what had to stay on disk is sent.
    other.faults().clear();
    stage.configure(&both);
    assert!(stage.reload().starts_with("reloaded: exporters.otlp_http/other added"));
    stage.collects("kiln.steady", 5);
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
    let telemetry = other.telemetry();
    let numbers: Vec<_> = telemetry.points_of("kiln.steady").map(|point| point.number().unwrap()).collect();
    let mut unique = numbers.clone();
    unique.sort_by(f64::total_cmp);
    unique.dedup();
    assert_eq!(numbers.len(), unique.len(), "{numbers:?}");
}
