//! A real Collector that writes down what it takes.

use std::net::SocketAddr;
use std::process::Command;

use kiln_testbed::program::Program;
use tempfile::TempDir;

use crate::messages::{Messages, from_json, from_protobuf};
use crate::process::PATIENCE;

/// Both protocols on ports of the system's choice; everything that arrives is written twice, as JSON and as protobuf.
const CONFIGURATION: &str = r#"
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } }
exporters:
  file/json: { path: "taken.json", flush_interval: 10ms }
  file/metrics: { path: "metrics.pb", format: proto, flush_interval: 10ms }
  file/traces: { path: "traces.pb", format: proto, flush_interval: 10ms }
  file/logs: { path: "logs.pb", format: proto, flush_interval: 10ms }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    metrics: { receivers: [otlp], exporters: [file/json, file/metrics] }
    traces: { receivers: [otlp], exporters: [file/json, file/traces] }
    logs: { receivers: [otlp], exporters: [file/json, file/logs] }
"#;

pub(crate) struct Collector {
    program: Program,
    folder: TempDir,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("collector.yaml"), CONFIGURATION).unwrap();
        let binary = std::env::var("KILN_COLLECTOR").expect("KILN_COLLECTOR: run `scripts/test cases`");
        let mut command = Command::new(binary);
        command.args(["--config", "collector.yaml"]).current_dir(folder.path()).env_clear();
        let program = Program::start(&mut command).unwrap();
        let address = |server: &str| program.stderr().wait_for(PATIENCE, |log| address_of(log, server)).unwrap();
        Self { grpc: address("Starting GRPC server"), http: address("Starting HTTP server"), program, folder }
    }

    /// What it has taken so far, as it stands in the file of JSON and in those of protobuf.
    pub(crate) fn taken(&self) -> [Messages; 2] {
        let read = |name: &str| std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        let protobuf = ["metrics.pb", "traces.pb", "logs.pb"].map(read);
        [from_json(&read("taken.json")), from_protobuf(protobuf.each_ref().map(Vec::as_slice))]
    }

    pub(crate) fn log(&self) -> String {
        self.program.stderr().text()
    }
}

/// The address that a line says its server was given.
fn address_of(log: &str, server: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(server))?;
    let (_, address) = line.split_once("\"endpoint\": \"")?;
    address.split('"').next()?.parse().ok()
}
