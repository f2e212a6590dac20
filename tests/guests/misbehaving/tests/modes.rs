//! The modes that can be watched without a host that survives them.
#![allow(clippy::unwrap_used, missing_docs)]

use kiln_guest_misbehaving::{Misbehaving, telemetry};
use kiln_plugin::http::HttpError;
use kiln_plugin::testing::{Reply, TestHost};
use serde_json::json;

fn collect(host: &TestHost, mode: &str) -> Result<kiln_plugin::testing::Collected, String> {
    let mut instance = host
        .configure::<Misbehaving>(json!({ "mode": mode }))
        .map_err(|error| format!("{}: {}", error.field, error.message))?;
    instance.collect().map_err(|error| format!("{error:?}"))
}

#[test]
fn ok_emits_one_gauge() {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut instance = host.configure::<Misbehaving>(json!({ "mode": "ok" })).unwrap();
    assert_eq!(instance.collect().unwrap().metrics.value("kiln.test.value", &[]), 1.0);
    assert_eq!(instance.collect().unwrap().metrics.value("kiln.test.value", &[]), 2.0);
}

#[test]
fn what_is_refused_is_reported() {
    let host = TestHost::new(telemetry::MANIFEST);
    assert!(collect(&host, "undeclared_metric").unwrap_err().contains("kiln.test.undeclared"));
    assert!(collect(&host, "bad_config").unwrap_err().starts_with("/mode: "));
    let collected = collect(&host, "forbidden_origin").unwrap();
    assert_eq!(collected.failed_sources(), ["https://forbidden.example/"]);
    assert!(collected.outcome.failures.iter().all(|failure| failure.message.contains("is not granted")));
}

#[test]
fn the_second_life_of_trap_once_is_without_traps() {
    let host = TestHost::new(telemetry::MANIFEST);
    assert!(collect(&host, "trap_once_then_ok").is_ok());
    let mut after_the_trap = host.configure::<Misbehaving>(json!({ "mode": "trap_once_then_ok" })).unwrap();
    assert!(after_the_trap.collect().is_ok() && after_the_trap.collect().is_ok());
}

#[test]
fn a_page_is_read_in_pieces_as_far_as_it_comes() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/metrics/prometheus/", Reply::text(&"x".repeat(100_000)).in_pieces(7_000));
    let read = collect(&host, "read_in_pieces").unwrap();
    assert_eq!((read.metrics.value("kiln.test.value", &[]), read.failed_sources().len()), (100_000.0, 0));
    let broken = Reply::text(&"x".repeat(100_000)).breaking_after(70_000, HttpError::Timeout);
    host.on_get("/metrics/prometheus/", broken);
    let read = collect(&host, "read_in_pieces").unwrap();
    assert_eq!(read.metrics.value("kiln.test.value", &[]), 70_000.0);
    assert_eq!(read.failed_sources(), ["/metrics/prometheus/"]);
}
