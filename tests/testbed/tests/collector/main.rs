//! A real OpenTelemetry Collector takes what Kiln sends, and takes it for what it is.
//!
//! The Collector is strict where our sink is not: it decodes every field of every message, by code that is not ours, and
//! refuses what is malformed. What it then writes to its files is compared with what a sink was sent beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod collector;
mod messages;
#[path = "../process/mod.rs"]
mod process;

use std::collections::BTreeMap;
use std::time::Instant;

use kiln_testbed::pages::{Page, Target};
use kiln_testbed::sink::Sink;
use tempfile::TempDir;

use crate::collector::Collector;
use crate::messages::{Messages, from_sink};
use crate::process::{Kiln, PATIENCE};

/// Numbers at the edges of what there is, which the plugin `everything` has not.
const EDGES: &str = r#"# TYPE edge gauge
edge{of="nan"} NaN
edge{of="infinity"} +Inf
edge{of="minus infinity"} -Inf
edge{of="minus zero"} -0
edge{of="largest"} 1.7976931348623157e308
edge{of="smallest"} 5e-324
edge{of="beyond 2^53"} 9007199254740993
edge{of="",text="ü\n\"\\"} 1
# TYPE edge_seconds histogram
edge_seconds_bucket{le="0.1"} 1
edge_seconds_bucket{le="+Inf"} 9007199254740992
edge_seconds_sum 1e300
edge_seconds_count 9007199254740992
# TYPE edge_quantiles summary
edge_quantiles{quantile="0.5"} NaN
edge_quantiles_sum 0
edge_quantiles_count 0
"#;

/// Metrics of both receivers, spans and log records of one.
const REQUESTS: usize = 4;

fn target() -> Target {
    let page = Page { content_type: "text/plain; version=0.0.4".to_owned(), body: EDGES.to_owned() };
    Target::start(BTreeMap::from([("/metrics".to_owned(), page)])).unwrap()
}

/// One collection of each receiver, to the sink and to the exporter under test.
fn configure(exporter: &str, settings: &str, target: &Target, sink: &Sink) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for (variable, plugin) in [("KILN_TEST_PLUGINS", "everything.wasm"), ("KILN_PLUGINS", "prometheus.wasm")] {
        let from = std::env::var(variable).unwrap_or_else(|_| panic!("{variable}: run `scripts/test cases`"));
        std::fs::copy(std::path::Path::new(&from).join(plugin), plugins.join(plugin)).unwrap();
    }
    let config = format!(
        r#"
receivers:
  everything: {{ collection_interval: 1h, initial_delay: 0s }}
  prometheus:
    collection_interval: 1h
    initial_delay: 0s
    grants: {{ http: [ {{ origin: "http://{target}", addresses: [loopback] }} ] }}
    scrape_configs: [ {{ job_name: edges, static_configs: [ {{ targets: [ "{target}" ] }} ] }} ]
exporters:
  {exporter}/tested: {settings}
  otlp_http/compared: {{ endpoint: "{sink}" }}
service:
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [everything, prometheus], exporters: [{exporter}/tested, otlp_http/compared] }}
    traces: {{ receivers: [everything], exporters: [{exporter}/tested, otlp_http/compared] }}
    logs: {{ receivers: [everything], exporters: [{exporter}/tested, otlp_http/compared] }}
"#,
        target = target.address(),
        sink = sink.url(),
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

/// Sends by one exporter, and compares.
fn assert_taken(exporter: &str, settings: impl Fn(&Collector) -> String) {
    let (collector, sink, target) = (Collector::start(), Sink::start().unwrap(), target());
    let settings = settings(&collector);
    let folder = configure(exporter, &settings, &target, &sink);
    let mut kiln = Kiln::start(folder.path());
    let sent = sink.wait_for(PATIENCE, |telemetry| telemetry.requests.len() >= REQUESTS);
    let deadline = Instant::now() + PATIENCE;
    let whole = |taken: &[Messages; 2]| taken.iter().all(|messages| messages.len() >= REQUESTS);
    let taken = loop {
        let taken = collector.taken();
        if whole(&taken) || Instant::now() > deadline {
            break taken;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    };
    kiln.stop();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let sent = sent.unwrap_or_else(|error| panic!("{settings}: {error}\n{log}"));
    assert!(whole(&taken), "{settings}: the Collector has not taken everything\n{log}\n{}", collector.log());
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR "), "{settings}\n{log}");
    let sent = from_sink(&sent.requests);
    for (taken, form) in taken.iter().zip(["JSON", "protobuf"]) {
        let same = *taken == sent;
        assert!(same, "{settings}: as {form} the Collector has\n{}\nwhat was sent is\n{}", taken.shown(), sent.shown());
    }
}

/// Scenario: metrics of every kind with exemplars, metadata, flags and values at the edges, spans with events and links, and log
/// records go to a Collector by OTLP over HTTP, in both encodings and with every compression.
/// Guarantees: it takes all of it, and what it writes down is what was sent, field for field.
#[test]
fn what_goes_over_http_is_what_a_collector_has() {
    for encoding in ["proto", "json"] {
        for compression in ["none", "gzip", "zstd"] {
            assert_taken("otlp_http", |collector| {
                format!(
                    "{{ endpoint: \"http://{}\", encoding: {encoding}, compression: {compression} }}",
                    collector.http
                )
            });
        }
    }
}

/// Scenario: the same by OTLP over gRPC.
/// Guarantees: the same.
#[test]
fn what_goes_over_grpc_is_what_a_collector_has() {
    for compression in ["none", "gzip", "zstd"] {
        assert_taken("otlp", |collector| {
            format!("{{ endpoint: \"{}\", tls: {{ insecure: true }}, compression: {compression} }}", collector.grpc)
        });
    }
}
