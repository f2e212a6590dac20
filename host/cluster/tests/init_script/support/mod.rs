//! A driver node in a temporary directory: a root for the script, and a bundle with a stand-in for Kiln.
//!
//! Nothing outside the directory is touched. Every process the script starts carries the directory in its environment,
//! so that [`Driver`] can find and end them all, whatever a test did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub(crate) mod web;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kiln_cluster::archive::{ArchiveFile, archive};
use kiln_cluster::{Architecture, Bundle, BundleFile, Digest, InitScript, Options, Source};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a condition may take to become true on a busy machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Writes down with what it was started, then waits for an order to exit.
const STAND_IN: &str = r#"#!/bin/bash
echo "a line of kiln's own log"
data="${0%/current/kiln}/data"
mkdir -p "$data/starts"
mkfifo "$data/orders.$$"
TEST_ARGUMENTS="$*" TEST_DATA_LIMIT="$(ulimit -d)" env -0 >"$data/incoming.$$"
mv "$data/incoming.$$" "$data/starts/$$"
exec {orders}<>"$data/orders.$$"
read -r -u "$orders" code
exit "$code"
"#;

/// Lets the script reach this test's servers and nothing else on the machine; writes down what it tried.
const CURL: &str = r#"#!/bin/bash
config=$(cat)
url=$(sed -n 's/^url = "\(.*\)"$/\1/p' <<<"$config")
echo "$*" >>"$TEST_DIRECTORY/command-lines"
authority=${url#*://} authority=${authority%%/*}
while read -r from to; do
  [[ $authority = "$from" || $authority:443 = "$from" || $authority:80 = "$from" ]] && reachable="$from:$to"
done <"$TEST_DIRECTORY/reachable"
status=7
if [[ -n $reachable ]]; then
  CURL_CA_BUNDLE="$TEST_DIRECTORY/ca.pem" REAL_CURL "$@" --connect-to "$reachable" <<<"$config"
  status=$?
fi
echo "$status $url" >>"$TEST_DIRECTORY/requests"
exit "$status"
"#;

/// Starts what a unit says with an environment of its own, as systemd does, and writes down what it was asked.
const SYSTEMCTL: &str = r#"#!/bin/bash
echo "$*" >>"$TEST_DIRECTORY/asked"
[[ $1 = --no-ask-password ]] && shift
case $1 in
  start)
    STARTS || exit 1
    command=$(sed -n 's/^ExecStart=//p' "$KILN_ROOT/run/systemd/system/kiln.service")
    eval "exec env -i TEST_DIRECTORY='$TEST_DIRECTORY' setsid $command" </dev/null >"$TEST_DIRECTORY/journal" 2>&1 &
    echo "$!" >"$TEST_DIRECTORY/main-pid"
    ;;
  stop)
    kill -TERM "$(<"$TEST_DIRECTORY/main-pid")"
    tail --pid="$(<"$TEST_DIRECTORY/main-pid")" -f -s 0.1 /dev/null
    ;;
esac
"#;

/// Until `condition` holds.
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

/// The architecture the tests run on, and one they do not run on.
pub(crate) fn architectures() -> (Architecture, Architecture) {
    match std::env::consts::ARCH {
        "x86_64" => (Architecture::X86_64, Architecture::Aarch64),
        "aarch64" => (Architecture::Aarch64, Architecture::X86_64),
        other => panic!("no drivers of kind {other}"),
    }
}

pub(crate) struct Driver {
    directory: TempDir,
    root: PathBuf,
    /// The environment the script is started with. `None` as a value in [`Driver::set`] removes a variable.
    environment: BTreeMap<String, String>,
    source: String,
    bundle: Bundle,
    pub(crate) options: Options,
}

/// One start of the stand-in.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) pid: Pid,
    pub(crate) environment: BTreeMap<String, String>,
}

/// What the foreground part of the script did.
pub(crate) struct Run {
    pub(crate) output: Output,
    pub(crate) took: Duration,
}

impl Run {
    /// Promise 4: the script never fails a cluster start.
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.output.status.code(), Some(0), "{}", String::from_utf8_lossy(&self.output.stderr));
        assert_eq!(String::from_utf8_lossy(&self.output.stderr), "");
    }
}

impl Driver {
    /// A driver with a bundle of four files in a directory.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for part in ["root/tmp", "source/plugins", "bin", "temporary"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        fs::write(path.join("source/kiln"), STAND_IN).unwrap();
        fs::write(path.join("source/kiln.yaml"), "receivers: {}\n").unwrap();
        fs::write(path.join("source/kiln-worker.yaml"), "receivers: { host-metrics: {} }\n").unwrap();
        fs::write(path.join("source/plugins/spark.wasm"), "a plugin").unwrap();
        fs::write(path.join("reachable"), "").unwrap();
        let curl = which("curl").expect("curl is installed");
        write_program(&path.join("bin/curl"), &CURL.replace("REAL_CURL", curl.to_str().unwrap()));
        let search = format!("{}/bin:{}", path.display(), std::env::var("PATH").unwrap());
        let environment = [
            ("PATH", search.as_str()),
            ("TEST_DIRECTORY", path.to_str().unwrap()),
            ("TMPDIR", path.join("temporary").to_str().unwrap()),
            ("KILN_ROOT", path.join("root").to_str().unwrap()),
            ("DB_IS_DRIVER", "TRUE"),
            ("DB_DRIVER_IP", "127.0.0.1"),
            ("DB_CLUSTER_ID", "1122-101010-abcdefgh"),
            ("DB_CLUSTER_NAME", "nightly"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let source = path.join("source").to_str().unwrap().to_owned();
        let bundle = pinned(&path.join("source"), architectures().0);
        Self { root: path.join("root"), directory, environment, source, bundle, options: Options::default() }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.environment.insert(name.to_owned(), value.to_owned()),
            None => self.environment.remove(name),
        };
    }

    /// Moves the root of the script, below the test's directory or anywhere it cannot write.
    pub(crate) fn set_root(&mut self, root: &Path) {
        self.root = root.to_owned();
        self.set("KILN_ROOT", root.to_str());
    }

    /// Puts a stand-in for systemd on the driver, which `starts` what it is told to, or fails to.
    pub(crate) fn install_systemd(&self, starts: bool) {
        fs::create_dir_all(self.root.join("run/systemd/system")).unwrap();
        let program = SYSTEMCTL.replace("STARTS", if starts { "true" } else { "false" });
        write_program(&self.path("bin/systemctl"), &program);
    }

    /// What systemd does when the main process of the unit has ended.
    pub(crate) fn let_systemd_start_it_again(&self) {
        let environment = [("TEST_DIRECTORY", self.directory.path()), ("KILN_ROOT", &self.root)];
        let status = Command::new(self.path("bin/systemctl")).arg("start").envs(environment).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.source);
    }

    /// Pins the bundle as it is now, with a program for `architecture`.
    pub(crate) fn pin(&mut self, architecture: Architecture) {
        self.bundle = pinned(&self.path("source"), architecture);
    }

    /// Packs the bundle as it is now into one file, as `kiln bundle` does, and pins that; gives its name and the digest of
    /// the list in it.
    pub(crate) fn pack(&mut self) -> (String, Digest) {
        let list = b"the list of a bundle\n";
        let mut files = vec![ArchiveFile { name: "SHA256SUMS".to_owned(), bytes: list.to_vec(), executable: false }];
        for name in ["kiln", "kiln.yaml", "kiln-worker.yaml", "plugins/spark.wasm"] {
            let bytes = fs::read(self.path("source").join(name)).unwrap();
            files.push(ArchiveFile { name: name.to_owned(), bytes, executable: name == "kiln" });
        }
        let name = format!("kiln-{}.tar.gz", architectures().0);
        let packed = archive(&files).unwrap();
        fs::write(self.path("source").join(&name), &packed).unwrap();
        self.bundle = Bundle::from_files(vec![BundleFile::archive(&name, &packed).unwrap()]).unwrap();
        (name, Digest::of(list))
    }

    /// Lets `curl` reach `to` under the name `from`, both `host:port`.
    pub(crate) fn let_reach(&self, from: &str, to: &str) {
        let known = fs::read_to_string(self.path("reachable")).unwrap();
        fs::write(self.path("incoming"), format!("{known}{from} {to}\n")).unwrap();
        fs::rename(self.path("incoming"), self.path("reachable")).unwrap();
    }

    pub(crate) fn rendered(&self) -> String {
        let source = Source::parse(&self.source).unwrap();
        InitScript::new(source, self.bundle.clone(), self.options).unwrap().render()
    }

    /// Runs the script as Databricks would.
    pub(crate) fn run(&self) -> Run {
        self.run_with("bash")
    }

    /// Runs the script that takes Kiln off again.
    pub(crate) fn run_uninstall(&self) -> Run {
        self.run_script(&kiln_cluster::uninstall_script(), "bash")
    }

    /// Runs the script with `interpreter`, words separated by spaces. Its output is read to the end of every pipe it
    /// was handed, so that a process which keeps one open keeps the test waiting.
    pub(crate) fn run_with(&self, interpreter: &str) -> Run {
        self.run_script(&self.rendered(), interpreter)
    }

    fn run_script(&self, text: &str, interpreter: &str) -> Run {
        let script = self.path("kiln-init.sh");
        // Another run may be reading the last one.
        let incoming = tempfile::NamedTempFile::new_in(self.directory.path()).unwrap();
        fs::write(incoming.path(), text).unwrap();
        incoming.persist(&script).unwrap();
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg(format!("exec {interpreter} \"$0\" 3>&1 4>&2"))
            .arg(&script)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let started = Instant::now();
            let output = command.output().unwrap();
            let _gave_up = sender.send(Run { output, took: started.elapsed() });
        });
        receiver.recv_timeout(PATIENCE).expect("the script does not return, or left its caller's pipes open")
    }

    /// What the script has written so far, wherever it found a place for its log.
    pub(crate) fn log(&self) -> String {
        let fallback =
            fs::read_dir(self.path("temporary")).unwrap().map(|entry| entry.unwrap().path().join("init.log"));
        std::iter::once(self.root.join("var/log/kiln/init.log"))
            .chain(fallback)
            .filter(|path| path.is_file()) // a device has no end
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect()
    }

    /// Waits until the log says `sentence`.
    #[track_caller]
    pub(crate) fn await_log(&self, sentence: &str) {
        let mut log = String::new();
        let deadline = Instant::now() + PATIENCE;
        while !log.contains(sentence) {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for `{sentence}` in the log:\n{log}");
            std::thread::park_timeout(Duration::from_millis(20));
            log = self.log();
        }
    }

    /// The URLs `curl` was asked for so far, each behind its exit status.
    pub(crate) fn requests(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("requests")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How `curl` was called so far, a line each.
    pub(crate) fn command_lines(&self) -> String {
        fs::read_to_string(self.path("command-lines")).unwrap_or_default()
    }

    /// Every start of the stand-in so far, in no order.
    pub(crate) fn starts(&self) -> Vec<Start> {
        let Ok(entries) = fs::read_dir(self.root.join("opt/kiln/data/starts")) else { return Vec::new() };
        entries
            .map(|entry| {
                let entry = entry.unwrap();
                let pid = entry.file_name().to_str().unwrap().parse().unwrap();
                let variables = fs::read_to_string(entry.path()).unwrap();
                let environment = variables
                    .split_terminator('\0')
                    .filter_map(|variable| variable.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                Start { pid: Pid::from_raw(pid).unwrap(), environment }
            })
            .collect()
    }

    /// Waits for the stand-in to have been started `count` times, and returns the one that lives.
    #[track_caller]
    pub(crate) fn await_start(&self, count: usize) -> Start {
        let mut starts = eventually(&format!("start number {count}; the log says:\n{}", self.log()), || {
            Some(self.starts()).filter(|starts| starts.len() >= count)
        });
        assert_eq!(starts.len(), count);
        let living = self.processes();
        starts.retain(|start| living.contains(&start.pid));
        assert_eq!(starts.len(), 1, "one Kiln lives");
        starts.remove(0)
    }

    /// Makes a started stand-in exit with `status`.
    pub(crate) fn order_exit(&self, start: &Start, status: u8) {
        let pipe = self.root.join(format!("opt/kiln/data/orders.{}", start.pid.as_raw_nonzero()));
        fs::write(pipe, format!("{status}\n")).unwrap();
    }

    /// Stops everything the way the documentation says, and waits until nothing is left.
    #[track_caller]
    pub(crate) fn stop(&self) {
        let pid = fs::read_to_string(self.root.join("opt/kiln/supervisor.pid")).expect("a supervisor is running");
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::TERM).unwrap();
        self.await_nothing_left();
    }

    #[track_caller]
    pub(crate) fn await_nothing_left(&self) {
        eventually(&format!("every process to end; the log says:\n{}", self.log()), || {
            self.processes().is_empty().then_some(())
        });
    }

    /// Every process that was started from here, at any depth. One that has ended and waits to be collected has no
    /// environment any more.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let ours = format!("TEST_DIRECTORY={}\0", self.directory.path().display());
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                fs::read(format!("/proc/{pid}/environ"))
                    .is_ok_and(|environment| environment.windows(ours.len()).any(|window| window == ours.as_bytes()))
            })
            .filter_map(Pid::from_raw)
            .collect()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A process may start another while it is being looked for.
        while let pids @ [_, ..] = self.processes().as_slice() {
            for pid in pids {
                let _already_gone = kill_process(*pid, Signal::KILL);
            }
        }
    }
}

pub(crate) fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|part| part.join(program)).find(|path| path.is_file())
}

/// The bundle in `directory`, whose program is a shell script and therefore no ELF file for `Bundle::read` to judge.
fn pinned(directory: &Path, architecture: Architecture) -> Bundle {
    let read = |name: &str| {
        let bytes = fs::read(directory.join(name)).unwrap();
        (u64::try_from(bytes.len()).unwrap(), Digest::of(&bytes))
    };
    let (size, digest) = read("kiln");
    let mut files = vec![BundleFile::binary("kiln", architecture, size, digest).unwrap()];
    for name in ["kiln.yaml", "kiln-worker.yaml", "plugins/spark.wasm"] {
        let (size, digest) = read(name);
        files.push(BundleFile::new(name, size, digest).unwrap());
    }
    Bundle::from_files(files).unwrap()
}
