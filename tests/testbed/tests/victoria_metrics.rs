//! A backend that is nobody's mock: VictoriaMetrics takes what Kiln sends, goes away and comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Kiln, PATIENCE};

/// VictoriaMetrics at an address of its own, with its data in a folder.
struct Backend {
    child: Child,
    address: SocketAddr,
}

impl Backend {
    fn start(data: &Path, address: SocketAddr) -> Self {
        let program = std::env::var("KILN_VICTORIA_METRICS").expect("KILN_VICTORIA_METRICS: run `scripts/test cases`");
        let child = Command::new(program)
            .arg(format!("-storageDataPath={}", data.display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=1d", "-memory.allowedBytes=128MB"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut backend = Self { child, address };
        let deadline = Instant::now() + PATIENCE;
        while get(address, "/health").is_none_or(|answer| !answer.ends_with("OK")) {
            assert!(backend.child.try_wait().unwrap().is_none(), "VictoriaMetrics ended by itself");
            assert!(Instant::now() < deadline, "VictoriaMetrics does not answer");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        backend
    }

    /// Every value it has of the plugin's metric, in the order of time.
    fn values(&self) -> Vec<f64> {
        get(self.address, "/internal/force_flush").unwrap();
        let answer = get(self.address, "/api/v1/export?match[]=%7B__name__%3D%22kiln.steady%22%7D").unwrap();
        let mut samples = Vec::new();
        for line in answer.lines().filter(|line| line.starts_with('{')) {
            let series: serde_json::Value = serde_json::from_str(line).unwrap();
            let (times, values) = (series["timestamps"].as_array().unwrap(), series["values"].as_array().unwrap());
            let pairs = times.iter().zip(values).map(|(time, value)| (time.as_u64().unwrap(), value.as_f64().unwrap()));
            samples.extend(pairs);
        }
        samples.sort_by_key(|(time, _)| *time);
        // A request whose answer went down with the backend is sent again.
        samples.dedup();
        samples.into_iter().map(|(_, value)| value).collect()
    }

    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a GET is answered with, head and body.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Scenario: a receiver that counts its collections sends to VictoriaMetrics over OTLP/HTTP, compressed, from a queue on disk; the
/// backend is stopped, Kiln goes on collecting, and the backend starts again on the data it had.
/// Guarantees: it has every collection, in order, those of the outage included.
#[test]
fn a_backend_that_was_away_has_every_collection() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::copy(Path::new(&plugins).join("steady.wasm"), folder.path().join("plugins/steady.wasm")).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "plugins_dir: plugins\nreceivers:\n  steady: {{ collection_interval: 100ms, initial_delay: 0s }}\nexporters:\n  otlp_http:\n    \
         metrics_endpoint: \"http://{address}/opentelemetry/v1/metrics\"\n    sending_queue: {{ storage: queue }}\n    \
         retry_on_failure: {{ initial_interval: 100ms, max_interval: 500ms }}\nservice:\n  data_dir: data\n  telemetry: {{ endpoint: \
         127.0.0.1:0 }}\n  pipelines:\n    metrics: {{ receivers: [steady], exporters: [otlp_http] }}\n"
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    let data = folder.path().join("backend");

    let backend = Backend::start(&data, address);
    let mut kiln = Kiln::start(folder.path());
    kiln.wait_until(|| backend.values().len() >= 10);
    let before = backend.values().len();
    backend.stop();
    // What is collected meanwhile shows in the queue and nowhere else.
    let log = folder.path().join("log");
    kiln.wait_until(|| std::fs::read_to_string(&log).is_ok_and(|log| log.contains("cannot connect to")));
    let backend = Backend::start(&data, address);
    kiln.wait_until(|| backend.values().len() >= before + 10);
    kiln.stop();
    let values = backend.values();
    assert!(values.iter().zip(1..).all(|(value, expected)| *value == f64::from(expected)), "{values:?}");
}
