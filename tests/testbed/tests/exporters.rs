//! Several exporters behind one receiver, in the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use kiln_testbed::sink::{Fault, Sink, Telemetry};
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

/// The steady plugin ten times a second, to these exporters.
fn configure(exporters: &str, used: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::copy(Path::new(&plugins).join("steady.wasm"), folder.path().join("plugins/steady.wasm")).unwrap();
    let config = format!(
        "receivers:\n  steady: {{ collection_interval: 100ms, initial_delay: 0s }}\nexporters:\n{exporters}\nservice:\n  \
         shutdown_timeout: 2s\n  telemetry: {{ endpoint: 127.0.0.1:0 }}\n  pipelines:\n    metrics: {{ receivers: [steady], \
         exporters: {used} }}\n"
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

fn numbers(telemetry: &Telemetry) -> Vec<f64> {
    telemetry.points_of("kiln.steady").map(|point| point.number().unwrap()).collect()
}

fn counted(numbers: &[f64]) -> bool {
    numbers.iter().zip(1..).all(|(number, expected)| *number == f64::from(expected))
}

/// Scenario: three backends; one answers 503 for ever, one takes a minute for each answer, one is well.
/// Guarantees: the one that is well gets every collection, in order, while nothing is delivered to the other two.
#[test]
fn one_slow_backend_does_not_slow_another() {
    let (well, down, slow) = (Sink::start().unwrap(), Sink::start().unwrap(), Sink::start().unwrap());
    down.faults().at("/", Fault::status(503));
    slow.faults().at("/", Fault::Slow { ms: 60_000 });
    let exporters = format!(
        "  otlp_http/well: {{ endpoint: \"{}\", sending_queue: {{ num_consumers: 1 }} }}\n  otlp_http/down: {{ endpoint: \
         \"{}\", sending_queue: {{ queue_size: 10000 }} }}\n  otlp_http/slow: {{ endpoint: \"{}\", sending_queue: {{ \
         queue_size: 10000 }} }}",
        well.url(),
        down.url(),
        slow.url()
    );
    let folder = configure(&exporters, "[otlp_http/well, otlp_http/down, otlp_http/slow]");
    let mut kiln = Kiln::start(folder.path());
    let arrived = well.wait_for(PATIENCE, |telemetry| numbers(telemetry).len() >= 50);
    kiln.stop();
    let arrived = arrived.unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap()));
    assert!(counted(&numbers(&arrived)), "{:?}", numbers(&arrived));
    assert!(down.telemetry().points.is_empty() && slow.telemetry().points.is_empty());
    assert!(!down.telemetry().requests.is_empty());
}

fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: kiln\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// Scenario: the same receiver feeds a file, a page for Prometheus and a backend.
/// Guarantees: all three have what was collected: the file every collection, a line each, the page the latest.
#[test]
fn a_file_and_a_page_have_what_a_backend_gets() {
    let sink = Sink::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("otlp.json");
    let exporters = format!(
        "  otlp_http: {{ endpoint: \"{}\" }}\n  file: {{ path: \"{}\" }}\n  prometheus: {{ endpoint: \"{address}\" }}",
        sink.url(),
        path.display()
    );
    let folder = configure(&exporters, "[otlp_http, file, prometheus]");
    let mut kiln = Kiln::start(folder.path());
    assert!(sink.wait_for(PATIENCE, |telemetry| numbers(telemetry).len() >= 5).is_ok());
    kiln.wait_until(|| scrape(address).is_some_and(|page| page.contains("\nkiln_steady")));
    let page = scrape(address).unwrap();
    kiln.stop();
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("content-type: text/plain; version=0.0.4"),
        "{page}"
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 5);
    for line in &lines {
        assert_eq!(line["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["name"], "kiln.steady", "{line}");
    }
    assert!(TcpStream::connect(address).is_err(), "the page is gone with Kiln");
}

/// Scenario: collections of one point each, the Collector's `batch` processor as it is pasted, and a backend beside it that is
/// fed by a pipeline without one.
/// Guarantees: the one gets requests of as many points as it says, the other one for each collection; both get every point, in
/// order.
#[test]
fn a_batch_processor_joins_collections_to_requests() {
    let (joined, single) = (Sink::start().unwrap(), Sink::start().unwrap());
    let exporters = format!(
        "  otlp_http/joined: {{ endpoint: \"{}\", sending_queue: {{ num_consumers: 1 }} }}\n  otlp_http/single: {{ endpoint: \
         \"{}\", sending_queue: {{ num_consumers: 1 }} }}",
        joined.url(),
        single.url()
    );
    let folder = configure(&exporters, "[otlp_http/joined], processors: [batch]");
    let path = folder.path().join("kiln.yaml");
    let config = std::fs::read_to_string(&path).unwrap().replace(
        "service:\n",
        "processors: { batch: { timeout: 60s, send_batch_size: 5, send_batch_max_size: 5 } }\nservice:\n",
    ) + "    metrics/single: { receivers: [steady], exporters: [otlp_http/single] }\n";
    std::fs::write(&path, config).unwrap();
    let mut kiln = Kiln::start(folder.path());
    let arrived = joined.wait_for(PATIENCE, |telemetry| telemetry.requests.len() >= 4);
    assert!(single.wait_for(PATIENCE, |telemetry| numbers(telemetry).len() >= 20).is_ok());
    kiln.stop();
    let arrived = arrived.unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(folder.path().join("log")).unwrap()));
    assert!(arrived.requests.iter().take(4).all(|request| request.items == 5), "{:?}", numbers(&arrived));
    assert!(single.telemetry().requests.iter().all(|request| request.items == 1));
    // What was gathered at the end was sent although it was too little.
    let (joined, single) = (numbers(&joined.telemetry()), numbers(&single.telemetry()));
    assert!(counted(&joined) && counted(&single) && joined.len() == single.len(), "{joined:?} {single:?}");
}
