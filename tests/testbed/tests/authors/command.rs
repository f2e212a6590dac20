//! The binary, run to its end or watched while it goes on.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// Far more than anything here takes; reached only by what never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The objects it printed, one on each line.
    pub(crate) fn objects(&self) -> Vec<Json> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"))).collect()
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let binary = std::env::var("KILN_BIN").expect("KILN_BIN: run `scripts/test cases`");
    let mut command = Command::new(binary);
    command.args(["plugin"]).args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Runs `kiln plugin ARGUMENTS` to its end.
pub(crate) fn kiln(folder: &Path, arguments: &[&str]) -> Ended {
    ended(command(folder, arguments))
}

/// The same, as a user whose caches are in this directory.
pub(crate) fn kiln_with_caches(caches: &Path, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = command(folder, arguments);
    command.env("XDG_CACHE_HOME", caches);
    ended(command)
}

fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// `kiln plugin ARGUMENTS` at work.
pub(crate) struct Watched {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Watched {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command(folder, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
            });
        }
        Self { child, lines, seen: String::new() }
    }

    /// Waits for a line that contains this, among those nobody has waited for yet.
    pub(crate) fn wait_for(&mut self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen += &format!("{line}\n");
                    if line.contains(wanted) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("this does not come: {wanted}\nthis does:\n{}", self.seen)
                }
            }
        }
    }

    /// Tells it to stop, and waits for the code it ends with.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A packed plugin: an example, a plugin of Kiln's or a test guest.
pub(crate) fn plugin(name: &str) -> PathBuf {
    for variable in ["KILN_EXAMPLES", "KILN_PLUGINS", "KILN_TEST_PLUGINS"] {
        let directory = std::env::var(variable).unwrap_or_else(|_| panic!("{variable}: run `scripts/test cases`"));
        let path = Path::new(&directory).join(format!("{name}.wasm"));
        if path.exists() {
            return path;
        }
    }
    panic!("there is no packed plugin {name}: run `scripts/build-plugins` and `scripts/build-examples`")
}
