//! What `kiln plugin new` writes: it builds, its tests pass, and what it builds is a plugin that keeps to the contract, as it is.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name}: run `scripts/test cases`")).into()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a command to its end and returns what it printed; a failure shows all of it.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Collections, or batches, of the check in which memory is watched.
const COLLECTIONS: &str = "50";

/// Bytes of what a new project in the language builds, at most: without `std` a plugin in Rust is not much more than the contract.
fn largest(language: &str) -> u64 {
    if language == "rust" { 60_000 } else { u64::MAX }
}

/// Scenario: a new project of each kind, built and tested without a touch.
/// Guarantees: both commands succeed, and the plugin passes inspection under the name it was given, and the contract's suite; what
/// is promised of its size holds.
fn builds_and_passes_its_tests(language: &str) {
    for kind in ["receiver", "processor"] {
        let project = Project::new(language, kind);
        project.build();
        let size = fs::metadata(project.path(&project.plugin())).unwrap().len();
        assert!(size <= largest(language), "{kind}: {size} bytes");
        run(&mut project.command("./test.sh"));
        // Its directory can be that of plugins: nothing else in it passes for one.
        let listed = run(project.kiln("list").arg("build"));
        assert!(listed.contains(&project.name), "{listed}");
        let inspected = run(project.kiln("inspect").arg(project.plugin()));
        assert!(inspected.contains(&project.name) && inspected.contains(kind), "{inspected}");
        let found = run(&mut project.check(COLLECTIONS));
        assert!(found.contains(", 0 failed"), "{found}");
    }
}

/// A project that `kiln plugin new` has written.
struct Project {
    folder: TempDir,
    kind: String,
    name: String,
}

impl Project {
    fn new(language: &str, kind: &str) -> Self {
        let (folder, name) = (TempDir::new().unwrap(), format!("my-{kind}"));
        let mut new = Command::new(variable("KILN_BIN"));
        new.args(["plugin", "new", "--kind", kind, "--lang", language, "--sdk"]).arg(root().join("plugins/sdk"));
        run(new.arg(&name).current_dir(folder.path()));
        let project = Self { folder, kind: kind.to_owned(), name };
        if language == "rust" {
            // The releases that the workspace has been tested with, which are on this machine.
            fs::copy(root().join("Cargo.lock"), project.path("Cargo.lock")).unwrap();
        }
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(&self.name).join(file)
    }

    fn plugin(&self) -> String {
        format!("build/{}.wasm", self.name)
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("")).env("CARGO_NET_OFFLINE", "true");
        // What the projects have in common is compiled once, and apart from the workspace, whose profiles differ.
        command.env("CARGO_TARGET_DIR", variable("KILN_EXAMPLES").with_file_name("new-projects"));
        command
    }

    fn kiln(&self, subcommand: &str) -> Command {
        let mut command = self.command(variable("KILN_BIN"));
        command.args(["plugin", subcommand]);
        command
    }

    fn build(&self) {
        run(&mut self.kiln("build"));
    }

    /// As its README says.
    fn check(&self, collections: &str) -> Command {
        let more: &[&str] = if self.kind == "receiver" {
            &["--with", "host: \"https://queues.example.com\"", "--answers", "tests/answers.json"]
        } else {
            &["--with", "keys: [user.email]"]
        };
        let mut check = self.kiln("check");
        check.arg(self.plugin()).args(["--collections", collections]).args(more);
        check
    }
}

#[test]
fn rust() {
    builds_and_passes_its_tests("rust");
}

#[test]
fn python() {
    builds_and_passes_its_tests("python");
}

#[test]
fn javascript() {
    builds_and_passes_its_tests("javascript");
}

#[test]
fn go() {
    builds_and_passes_its_tests("go");
}

/// Scenario: a receiver in Go collects a thousand times, as it is, and with an `init` that prints and keeps more than the memory
/// it begins with.
/// Guarantees: nothing traps; memory, once warm, grows no more; and what is printed is the operator's to read.
#[test]
fn the_heap_of_go_grows_and_is_collected() {
    let project = Project::new("go", "receiver");
    project.build();
    let found = run(&mut project.check("1000"));
    assert!(found.contains(", 0 failed") && found.contains("passed   memory"), "{found}");

    let plugin = fs::read_to_string(project.path("plugin.go")).unwrap();
    let greedy = "\nvar kept = make([]byte, 16<<20)\n\nfunc init() { println(\"keeps\", len(kept)) }\n";
    fs::write(project.path("plugin.go"), plugin + greedy).unwrap();
    project.build();
    let found = run(&mut project.check("1000"));
    assert!(found.contains(", 0 failed"), "{found}");
    let mut dev = project.kiln("dev");
    dev.arg(project.plugin()).args(["--once", "--with", "host: \"https://queues.invalid\""]);
    let output = dev.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("keeps 16777216"), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn c() {
    builds_and_passes_its_tests("c");
}
