//! The real binary, to be ended one way or the other.
#![allow(dead_code, reason = "every test that shares this uses a part of it")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes; reached only by what never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Kiln, run in a folder with its `kiln.yaml`; what it logs goes to `log` there.
pub(crate) struct Kiln {
    child: Child,
}

impl Kiln {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same, with variables in its environment.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &Path)]) -> Self {
        let binary = std::env::var("KILN_BIN").expect("KILN_BIN: run `scripts/test cases`");
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let child = Command::new(binary)
            .arg("run")
            .current_dir(folder)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn wait_until(&mut self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(self.child.try_wait().unwrap().is_none(), "kiln ended by itself");
            assert!(Instant::now() < deadline, "kiln remembers nothing");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// With SIGTERM: it has time to put everything in order.
    pub(crate) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Tells it to read everything again, and does not wait.
    pub(crate) fn reload(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The code it ends with by itself.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// With SIGKILL: it learns nothing of it.
    pub(crate) fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "kiln ended by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
