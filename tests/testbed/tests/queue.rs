//! Queues on disk, from one process to the next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::path::Path;

use kiln_testbed::databricks::world::World;
use kiln_testbed::databricks::{Options, Workspace};
use kiln_testbed::sink::{Fault, Sink};
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

fn workspace() -> Workspace {
    Workspace::start_with(Options { world: World::living(1, 10), ..Options::default() }).unwrap()
}

fn configure(workspace: &Workspace, sink: &Sink, storage: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        r#"
plugins_dir: {plugins}
receivers:
  databricks:
    host: {workspace}
    token: {token}
    collection_interval: 1s
    initial_delay: 0s
    initial_lookback: 6h
    grants: {{ http: [ {{ origin: "{workspace}", addresses: [loopback] }} ] }}
exporters:
  otlp_http:
    endpoint: "{sink}"
    sending_queue: {{ storage: "{storage}" }}
    retry_on_failure: {{ initial_interval: 50ms, max_interval: 200ms }}
service:
  data_dir: data
  shutdown_timeout: 2s
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    traces: {{ receivers: [databricks], exporters: [otlp_http] }}
"#,
        plugins = std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`"),
        workspace = workspace.url(),
        token = workspace.token(),
        sink = sink.url(),
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

/// Scenario: the backend is down while Kiln collects; Kiln is stopped, or killed; when it is started again the backend is
/// back and the workspace is gone, so that nothing can be collected a second time.
/// Guarantees: the traces that were collected arrive, out of the queue on disk.
#[test]
fn what_was_collected_while_the_backend_was_down_arrives_after_a_restart() {
    for kill in [false, true] {
        let (workspace, sink) = (workspace(), Sink::start().unwrap());
        let folder = configure(&workspace, &sink, "queue");
        sink.faults().at("/", Fault::status(503));
        let mut kiln = Kiln::start(folder.path());
        assert!(sink.wait_for(PATIENCE, |telemetry| telemetry.requests.len() >= 2).is_ok(), "nothing is sent");
        if kill {
            kiln.kill()
        } else {
            kiln.stop()
        }
        assert!(sink.telemetry().spans.is_empty());
        drop(workspace);
        sink.faults().clear();
        let mut kiln = Kiln::start(folder.path());
        let arrived = sink.wait_for(PATIENCE, |telemetry| !telemetry.spans.is_empty());
        kiln.stop();
        assert!(arrived.is_ok(), "kill: {kill}\n{}", log(folder.path()));
    }
}

/// Scenario: a second Kiln is started with the queue of one that runs.
/// Guarantees: it ends at once and says why; the first goes on.
#[test]
fn two_processes_cannot_share_a_queue() {
    let (workspace, sink) = (workspace(), Sink::start().unwrap());
    let folder = configure(&workspace, &sink, "queue");
    let mut first = Kiln::start(folder.path());
    assert!(sink.wait_for(PATIENCE, |telemetry| !telemetry.spans.is_empty()).is_ok(), "nothing arrives");
    let queue = folder.path().join("data/queue");
    let other = configure(&workspace, &sink, queue.to_str().unwrap());
    assert_eq!(Kiln::start(other.path()).exit_code(), Some(64));
    let expected =
        format!("exporter `otlp_http`: the queue in {} cannot be used: another process is using it", queue.display());
    assert!(log(other.path()).contains(&expected), "{}", log(other.path()));
    first.stop();
}
