//! The machine Kiln runs on: its clock, its disk, and how long it lives.
//!
//! The binary under test is the real one. What it asks the C library goes through a few lines of C, which do what this
//! says; see `ailing_machine.c`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// What the library reads, in this order.
const CLOCK: u64 = 0;
const ROOM: u64 = 1;
const LIFE: u64 = 2;
const NO_END: i64 = -1;

pub(crate) struct Machine {
    control: File,
    path: PathBuf,
}

impl Machine {
    /// One that is well.
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("machine");
        let control = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let machine = Self { control, path };
        machine.set(CLOCK, 0);
        machine.set(ROOM, NO_END);
        machine.set(LIFE, NO_END);
        machine
    }

    /// What a process has to have in its environment to run on it.
    pub(crate) fn environment(&self) -> [(&str, &Path); 2] {
        [("LD_PRELOAD", library()), ("KILN_MACHINE", &self.path)]
    }

    /// The clock is ahead by so much, or behind.
    pub(crate) fn turn_clock(&self, ahead: bool, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap();
        self.set(CLOCK, if ahead { by } else { -by });
    }

    /// There is room for so many bytes on the disk, or no end of it.
    pub(crate) fn leave_room(&self, bytes: Option<u64>) {
        self.set(ROOM, bytes.map_or(NO_END, |bytes| i64::try_from(bytes).unwrap()));
    }

    /// The process is killed half-way through a write or a sync of a file, after so many of them; or it is not.
    pub(crate) fn kill_after(&self, operations: Option<u64>) {
        self.set(LIFE, operations.map_or(NO_END, |operations| i64::try_from(operations).unwrap()));
    }

    fn set(&self, number: u64, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), number * 8).unwrap();
    }
}

/// The library, compiled once in a run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ailing-machine-{}.so", std::process::id()));
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it: run `cargo test`");
        let compiled = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(Path::new(&manifest).join("tests/oracle/ailing_machine.c"))
            .arg("-ldl")
            .status();
        let compiled = compiled.unwrap_or_else(|error| panic!("{compiler}, which Rust links with, is needed: {error}"));
        assert!(compiled.success(), "{compiler} ended with {compiled}");
        library
    })
}
