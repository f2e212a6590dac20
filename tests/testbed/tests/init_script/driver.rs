//! A driver node in a temporary folder: a bundle as a platform team would upload it, the script rendered for it, and a
//! root in place of the machine's.
//!
//! Invariant: every process the script starts carries the root in its environment, so that [`Driver`] can find and end
//! them all, whatever a test did.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const CLUSTER_ID: &str = "1122-101010-abcdefgh";

/// How long a condition may take to become true on a busy machine before a test fails. Above the 40 s in which the
/// script gives up on a Kiln that does not stop.
const PATIENCE: Duration = Duration::from_secs(120);

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/databricks/kiln.yaml");

/// Until `condition` gives a value.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[track_caller]
fn await_sentence(sentence: &str, log: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !log().contains(sentence) {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for `{sentence}` in the log:\n{}", log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Whether `to`, a process or with a minus sign a group of them, was there to be signalled.
pub(crate) fn signal(name: &str, to: &str) -> bool {
    Command::new("kill").args(["-s", name, "--", to]).stderr(Stdio::null()).status().unwrap().success()
}

pub(crate) struct Driver {
    folder: TempDir,
    otlp_endpoint: String,
}

/// What the foreground part of the script did.
pub(crate) struct Run {
    output: Output,
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        let complaint = String::from_utf8_lossy(&self.output.stderr);
        assert_eq!(self.output.status.code(), Some(0), "{complaint}");
        assert_eq!(complaint, "");
    }
}

impl Driver {
    /// A driver whose init script is in place and has not run.
    pub(crate) fn new(kiln: &Path, plugins: &Path, otlp_endpoint: &str) -> Self {
        Self::with_configuration(kiln, plugins, otlp_endpoint, |deployed| deployed)
    }

    /// The same with what `change` makes of the deployed configuration.
    pub(crate) fn with_configuration(
        kiln: &Path,
        plugins: &Path,
        otlp_endpoint: &str,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let driver = Self { folder: tempfile::tempdir().unwrap(), otlp_endpoint: otlp_endpoint.to_owned() };
        for part in ["root/tmp", "bundle/plugins", "temporary"] {
            fs::create_dir_all(driver.path(part)).unwrap();
        }
        let copy = |from: &Path, to: &str| {
            fs::copy(from, driver.path(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        };
        copy(kiln, "bundle/kiln");
        let deployed = fs::read_to_string(CONFIGURATION).unwrap();
        fs::write(driver.path("bundle/kiln.yaml"), change(deployed)).unwrap();
        for plugin in ["spark.wasm", "resource-detection.wasm"] {
            copy(&plugins.join(plugin), &format!("bundle/plugins/{plugin}"));
        }
        driver.render(kiln);
        driver
    }

    fn render(&self, kiln: &Path) {
        let bundle = self.path("bundle");
        // Not the copy: a process that another test starts meanwhile may still hold it open for writing.
        let output = Command::new(kiln)
            .arg("init-script")
            .args([Path::new("--bundle"), &bundle, Path::new("--source"), &bundle])
            .args([Path::new("-o"), &self.path("kiln-init.sh")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is `/` on a real driver.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Runs the script as Databricks would, and reads its output to the end of every pipe it was handed: a process that
    /// kept one open would hold up a cluster start.
    pub(crate) fn run_init_script(&self, is_driver: &str) -> Run {
        let mut command = Command::new("bash");
        command
            .arg(self.path("kiln-init.sh"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("TMPDIR", self.path("temporary"))
            .env("KILN_ROOT", self.root())
            .env("DB_IS_DRIVER", is_driver)
            .env("DB_DRIVER_IP", "127.0.0.1")
            .env("DB_CLUSTER_ID", CLUSTER_ID)
            // Every other Spark of this machine is left alone.
            .env("KILN_SPARK_UI_PORTS", "")
            .env("DB_CLUSTER_NAME", "job-123-run-456-main")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.otlp_endpoint)
            .stdin(Stdio::null());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let started = Instant::now();
            let output = command.output().unwrap();
            let took = started.elapsed();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let _gave_up = sender.send(Run { output, said, took });
        });
        receiver.recv_timeout(PATIENCE).expect("the script does not return, or left its caller's pipes open")
    }

    /// Writes what Databricks writes when it starts the driver, all at once as far as a reader can tell.
    pub(crate) fn announce_ui(&self, ui: SocketAddr) {
        let text = format!("CONF_PUBLIC_DNS=\"10.0.0.7\"\nexport CONF_UI_PORT=\"{}\"\n", ui.port());
        fs::write(self.path("driver-env.sh"), text).unwrap();
        fs::rename(self.path("driver-env.sh"), self.root().join("tmp/driver-env.sh")).unwrap();
    }

    /// What the script has said since it returned.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root().join("var/log/kiln/init.log")).unwrap_or_default()
    }

    pub(crate) fn kiln_log(&self) -> String {
        fs::read_to_string(self.root().join("var/log/kiln/kiln.log")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn await_log(&self, sentence: &str) {
        await_sentence(sentence, || self.log());
    }

    #[track_caller]
    pub(crate) fn await_kiln_log(&self, sentence: &str) {
        await_sentence(sentence, || self.kiln_log());
    }

    /// Stops everything the way the documentation says, and waits until nothing is left.
    #[track_caller]
    pub(crate) fn stop(&self) {
        let supervisor = self.root().join("opt/kiln/supervisor.pid");
        let pid = fs::read_to_string(&supervisor).expect("a supervisor is running");
        assert!(signal("TERM", pid.trim()), "no process {pid}");
        eventually("every process to end", || self.processes().is_empty().then_some(()));
        assert!(!supervisor.exists());
        let log = self.log();
        assert!(log.contains("told to stop") && !log.contains("killed") && !log.contains("ended with"), "{log}");
    }

    /// Every process the script has started, at any depth. One that has ended and waits to be collected has no
    /// environment any more.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let ours = format!("KILN_ROOT={}\0", self.root().display());
        let is_ours = |pid: &u32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.windows(ours.len()).any(|window| window == ours.as_bytes()))
        };
        let entries = fs::read_dir("/proc").unwrap();
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }

    /// Everything below the root and the directory for temporary files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = vec![self.root(), self.path("temporary")];
        let mut looked_into = 0;
        while let Some(path) = found.get(looked_into).cloned() {
            looked_into += 1;
            if path.is_dir() {
                found.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        found.sort();
        found
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A process may start another while it is being looked for.
        while let pids @ [_, ..] = self.processes().as_slice() {
            for pid in pids {
                let _already_gone = signal("KILL", &pid.to_string());
            }
        }
    }
}
