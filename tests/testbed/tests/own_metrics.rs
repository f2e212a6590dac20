//! What Kiln counts of its own work, in the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use kiln_testbed::sink::Sink;

use crate::process::Kiln;

/// The value of a series on the page, if it is there.
fn sample(address: SocketAddr, series: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: kiln\r\nconnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Scenario: a receiver whose collections fail when they have emitted a lot, one that emits points and is in a pipeline for logs
/// only, and one with which nothing is wrong.
/// Guarantees: what was emitted and discarded is counted, and so is what went nowhere, each with its reason and none as accepted;
/// of the third, all that was read was accepted.
#[test]
fn what_is_discarded_and_what_goes_nowhere_is_counted() {
    let sink = Sink::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    for plugin in ["misbehaving.wasm", "steady.wasm"] {
        std::fs::copy(Path::new(&plugins).join(plugin), folder.path().join("plugins").join(plugin)).unwrap();
    }
    let config = format!(
        r#"
receivers:
  misbehaving: {{ mode: huge_output, endpoint: "https://granted.example", collection_interval: 100ms, initial_delay: 0s }}
  steady/astray: {{ collection_interval: 100ms, initial_delay: 0s }}
  steady/well: {{ collection_interval: 100ms, initial_delay: 0s }}
exporters:
  otlp_http: {{ endpoint: "{}" }}
service:
  telemetry: {{ endpoint: {address} }}
  pipelines:
    metrics: {{ receivers: [misbehaving, steady/well], exporters: [otlp_http] }}
    logs: {{ receivers: [steady/astray], exporters: [otlp_http] }}
"#,
        sink.url()
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    let mut kiln = Kiln::start(folder.path());
    for series in [
        "otelcol_receiver_failed_metric_points_total{receiver=\"misbehaving\"}",
        "otelcol_receiver_requests_total{receiver=\"misbehaving\",outcome=\"failure\"}",
        "otelcol_scraper_errored_metric_points_total{receiver=\"misbehaving\"}",
        "kiln_collection_dropped_items_total{receiver=\"steady/astray\",signal=\"metrics\",reason=\"no_pipeline\"}",
        "otelcol_scraper_scraped_metric_points_total{receiver=\"steady/astray\"}",
        "otelcol_receiver_requests_total{receiver=\"steady/well\",outcome=\"success\"}",
        "otelcol_scraper_scraped_metric_points_total{receiver=\"steady/well\"}",
        "otelcol_receiver_accepted_metric_points_total{receiver=\"steady/well\"}",
        "otelcol_exporter_sent_metric_points_total{exporter=\"otlp_http\"}",
        "otelcol_exporter_queue_batch_send_size_count{exporter=\"otlp_http\"}",
        "otelcol_exporter_queue_batch_send_size_bytes_sum{exporter=\"otlp_http\"}",
    ] {
        kiln.wait_until(|| sample(address, series).is_some_and(|value| value >= 1.0));
    }
    for series in [
        "otelcol_receiver_accepted_metric_points_total{receiver=\"misbehaving\"}",
        "otelcol_receiver_accepted_metric_points_total{receiver=\"steady/astray\"}",
        "otelcol_receiver_refused_metric_points_total{receiver=\"steady/well\"}",
        "otelcol_receiver_failed_spans_total{receiver=\"misbehaving\"}",
        "kiln_collection_dropped_items_total{receiver=\"steady/well\",signal=\"metrics\",reason=\"no_pipeline\"}",
    ] {
        assert_eq!(sample(address, series), Some(0.0), "{series}");
    }
    kiln.stop();
}
