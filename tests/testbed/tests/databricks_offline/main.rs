//! The simulated workspace without a socket: what it tells, what truly happened, how it misbehaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod endpoints;
mod faults;
mod runs;
mod serving;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use kiln_testbed::databricks::world::UnixMillis;
use kiln_testbed::databricks::{Answer, Broken, Offline};
use serde_json::Value;
use std::time::Duration;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const RUNS: &str = "/api/2.2/jobs/runs/list";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn bearer(workspace: &Offline) -> [(String, String); 1] {
    [("authorization".to_owned(), format!("Bearer {}", workspace.token()))]
}

fn get(workspace: &Offline, path: &str) -> Result<Answer, Broken> {
    workspace.answer("GET", path, &bearer(workspace), b"")
}

/// The status and the body.
fn ask(workspace: &Offline, path: &str) -> (u16, Value) {
    let answer = get(workspace, path).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

/// The body of an answer that must be 200.
fn read(workspace: &Offline, path: &str) -> Value {
    let (status, body) = ask(workspace, path);
    assert_eq!(status, 200, "{path}: {body}");
    body
}
