//! The real Kiln, between a Spark and a backend.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Kiln {
    process: Child,
    log: PathBuf,
}

/// When it collects, as the keys of a receiver say it.
pub(crate) const EVERY_TWO_SECONDS: &str = "collection_interval: 2s";

impl Kiln {
    pub(crate) fn start(binary: &Path, plugins: &Path, folder: &Path, spark: &str, sink: &str, schedule: &str) -> Self {
        let configuration = format!(
            r#"
plugins_dir: {plugins}
receivers:
  spark:
    endpoint: {spark}
    {schedule}
    initial_delay: 0s
    rest:
      stages: {{ quantiles: true, limit: 1000 }}
      jobs: {{ limit: 1000 }}
      sql: {{ plan_metrics: true }}
      traces: {{ enabled: true }}
    grants: {{ http: [ {{ origin: "{spark}", addresses: [loopback] }} ] }}
exporters:
  otlp_http: {{ endpoint: "{sink}" }}
service:
  data_dir: {folder}/data
  shutdown_timeout: 10m
  telemetry: {{ endpoint: "127.0.0.1:0" }}
  pipelines:
    metrics: {{ receivers: [spark], exporters: [otlp_http] }}
    traces: {{ receivers: [spark], exporters: [otlp_http] }}
    logs: {{ receivers: [spark], exporters: [otlp_http] }}
"#,
            plugins = plugins.display(),
            folder = folder.display(),
        );
        let path = folder.join("kiln.yaml");
        fs::write(&path, configuration).unwrap();
        let log = folder.join("kiln.log");
        let process = Command::new(binary)
            .args(["run", "--config"])
            .arg(&path)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        Self { process, log }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop, and waits until it has sent what it had.
    pub(crate) fn stop(&mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success(), "it has ended by itself:\n{}", self.log());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _ = self.process.wait();
    }
}
