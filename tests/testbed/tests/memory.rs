//! Memory that is short, in the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use kiln_testbed::sink::{Fault, Sink, Telemetry};
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

/// The steady plugin ten times a second under a limit, and where Kiln tells how it is.
fn configure(sink: &Sink, memory_limit: &str) -> (TempDir, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::copy(Path::new(&plugins).join("steady.wasm"), folder.path().join("plugins/steady.wasm")).unwrap();
    let config = format!(
        "receivers:\n  steady: {{ collection_interval: 100ms, initial_delay: 0s }}\nexporters:\n  otlp_http:\n    endpoint: \
         \"{}\"\n    sending_queue: {{ queue_size: 100000, num_consumers: 1 }}\n    retry_on_failure: {{ initial_interval: 20ms, \
         max_interval: 50ms }}\nservice:\n  memory_limit: {memory_limit}\n  telemetry: {{ endpoint: {address} }}\n  \
         pipelines:\n    metrics: {{ receivers: [steady], exporters: [otlp_http] }}\n",
        sink.url()
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    (folder, address)
}

fn metrics(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: kiln\r\nconnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// The value of a series on the page, 0 if it is not there.
fn sample(address: SocketAddr, series: &str) -> f64 {
    let page = metrics(address).unwrap_or_default();
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or(0.0)
}

fn numbers(telemetry: &Telemetry) -> Vec<f64> {
    telemetry.points_of("kiln.steady").map(|point| point.number().unwrap()).collect()
}

/// Scenario: a queue with room for all there is, and a backend that takes nothing until memory is full; then it does.
/// Guarantees: the receiver waits, which is counted and told; nothing beyond the limit is held, and nothing is lost: every
/// number arrives, in order.
#[test]
fn a_receiver_waits_when_memory_is_full_and_loses_nothing() {
    let sink = Sink::start().unwrap();
    sink.faults().at("/", Fault::status(503));
    let (folder, address) = configure(&sink, "{ batches: 64KiB }");
    let mut kiln = Kiln::start(folder.path());
    kiln.wait_until(|| sample(address, "kiln_memory_limit_hits_total{limit=\"batches\"}") >= 1.0);
    assert!(sample(address, "kiln_memory_batches_bytes") > 0.0);
    assert!(sample(address, "kiln_memory_batches_bytes") <= 65_536.0);
    let held_up = "kiln_collection_held_up_total{receiver=\"steady\",reason=\"memory_batches\"}";
    assert!(sample(address, held_up) >= 1.0);
    sink.faults().clear();
    let arrived = sink.wait_for(PATIENCE, |telemetry| numbers(telemetry).len() >= 30);
    kiln.stop();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let numbers = numbers(&arrived.unwrap_or_else(|_| panic!("{log}")));
    assert!(numbers.iter().zip(1..).all(|(number, expected)| *number == f64::from(expected)), "{numbers:?}");
    assert_eq!(log.matches("memory is short, collects when there is room again").count(), 1, "{log}");
}

/// Scenario: the process takes more than it may from the start on; beside it one that may take what there is.
/// Guarantees: nothing is collected, which is counted and told; it stops at once when it is told to. The other collects.
#[test]
fn a_process_that_takes_too_much_collects_nothing_and_can_be_stopped() {
    let (sink, other) = (Sink::start().unwrap(), Sink::start().unwrap());
    let (folder, address) = configure(&sink, "{ process: 1MiB }");
    let (allowed, _) = configure(&other, "{ process: 100% }");
    let mut kiln = Kiln::start(folder.path());
    let mut beside = Kiln::start(allowed.path());
    assert!(other.wait_for(PATIENCE, |telemetry| numbers(telemetry).len() >= 10).is_ok());
    beside.stop();
    kiln.wait_until(|| sample(address, "kiln_memory_limit_hits_total{limit=\"process\"}") >= 1.0);
    assert!(sample(address, "kiln_memory_process_bytes") > sample(address, "kiln_memory_process_limit_bytes"));
    let began = Instant::now();
    kiln.stop();
    assert!(began.elapsed().as_secs() < 5);
    assert!(sink.telemetry().requests.is_empty());
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log.matches("memory is short, collects when there is room again").count(), 1, "{log}");
}
