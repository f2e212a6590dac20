//! A real Spark application that does what it is told, in a process group of its own.
//!
//! Invariant: nothing of it outlives its handle, and it writes nowhere but into the folder it is given.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::PATIENCE;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spark_live/application.py");

pub(crate) struct Application {
    process: Child,
    stdout: Receiver<String>,
    stderr: PathBuf,
}

impl Application {
    /// Starts it and does not wait.
    pub(crate) fn start(python: &Path, master: &str, catalogue: &str, port: u16, folder: &Path) -> Self {
        let scratch = folder.join("spark");
        fs::create_dir(&scratch).unwrap();
        let stderr = folder.join("spark.log");
        let mut process = Command::new(python)
            .arg(PROGRAM)
            .args([master, &port.to_string()])
            .arg(&scratch)
            .arg(catalogue)
            .current_dir(&scratch)
            .env("TMPDIR", &scratch)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("JDK_JAVA_OPTIONS", format!("-Djava.io.tmpdir={}", scratch.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        let (sender, stdout) = mpsc::channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, stdout, stderr }
    }

    /// Until the session is there.
    pub(crate) fn await_ui(&self) {
        self.await_line("listening on ");
    }

    /// Gives a command and waits until it is done.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{command}").unwrap();
        self.await_line(command);
    }

    /// Has the application end, and waits until it has.
    pub(crate) fn end(&mut self) {
        self.tell("end");
    }

    fn await_line(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.stdout.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            match line {
                Ok(line) if line.starts_with(wanted) => return,
                // Whatever else Spark prints there.
                Ok(_) => {}
                Err(error) => panic!("`{wanted}` is not said ({error}); Spark says:\n{}", self.log()),
            }
        }
    }

    /// The end of what it complained of.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(8_000)..]).into_owned()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // The JVMs are children of Python's in the same group.
        let group = format!("-{}", self.process.id());
        let signal = |name: &str| {
            Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status().unwrap().success()
        };
        let _already_gone = signal("KILL");
        let _ = self.process.wait();
        // Its folder is removed next, and must not be written to meanwhile.
        let deadline = Instant::now() + Duration::from_secs(60);
        while signal("0") && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}
