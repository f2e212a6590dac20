//! A real Spark application: the one the demo runs, in a process group of its own.
//!
//! Invariant: nothing of it outlives its handle, and it writes nowhere but into the folder it is given.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::driver::{eventually, signal};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/demo.d/spark-application.py");

/// Two JVM-bound cores that others use too make this take minutes.
const START: Duration = Duration::from_secs(240);

pub(crate) struct Application {
    process: Child,
    stdout: Receiver<String>,
    stderr: PathBuf,
    ui: Option<SocketAddr>,
}

/// Where Spark looks: `JAVA_HOME` first.
pub(crate) fn java_is_installed() -> bool {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    home.into_iter().chain(std::env::split_paths(&path)).any(|folder| folder.join("java").is_file())
}

impl Application {
    /// Starts it and does not wait: its UI, on a port of its own choice, is minutes or seconds away.
    pub(crate) fn start(python: &Path, folder: &Path) -> Self {
        let scratch = folder.join("spark");
        fs::create_dir(&scratch).unwrap();
        let stderr = scratch.join("stderr");
        let mut process = Command::new(python)
            .arg(PROGRAM)
            .current_dir(&scratch)
            .env("TMPDIR", &scratch)
            .env("JDK_JAVA_OPTIONS", format!("-Djava.io.tmpdir={}", scratch.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        let (sender, stdout) = mpsc::channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, stdout, stderr, ui: None }
    }

    /// Where its UI is, once it is there and has metrics to show.
    pub(crate) fn await_ui(&mut self) -> SocketAddr {
        let line = self.stdout.recv_timeout(START).unwrap_or_else(|error| {
            panic!("spark has no UI ({error}); it says:\n{}", fs::read_to_string(&self.stderr).unwrap_or_default())
        });
        let url = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("unexpected: {line}"));
        let (_host, port) = url.rsplit_once(':').unwrap();
        *self.ui.insert(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())))
    }

    /// What Spark itself says it is called.
    pub(crate) fn id(&self) -> String {
        let url = format!("http://{}/api/v1/applications", self.ui.expect("await_ui was called"));
        let output = Command::new("curl")
            .args(["-q", "--fail", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", &url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        let applications: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let id = applications.pointer("/0/id").and_then(serde_json::Value::as_str);
        id.unwrap_or_else(|| panic!("{url} says {applications}")).to_owned()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // The JVM is a child of Python's in the same group.
        let group = format!("-{}", self.process.id());
        let _already_gone = signal("KILL", &group);
        let _ = self.process.wait();
        // Its folder is removed next, and must not be written to meanwhile.
        eventually("Spark to be gone", || (!signal("0", &group)).then_some(()));
    }
}
