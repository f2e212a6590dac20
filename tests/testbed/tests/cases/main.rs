//! End-to-end cases: every folder under `tests/cases` is one, run against the real `kiln` binary and real plugins.
//!
//! A case says what the world is like, what is configured, and what must come of it: telemetry that arrives, or the
//! error that is printed. `KILN_BIN`, `KILN_PLUGINS` and `KILN_TEST_PLUGINS` say where the binary and the packed plugins
//! are; `scripts/test` sets them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arrival;
mod case;
mod expected;
mod kiln;
mod plugin_file;
mod world;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};

use crate::case::Case;
use crate::world::World;

fn main() {
    let arguments = Arguments::from_args();
    let root = repository().join("tests/cases");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("tests/cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("case.toml").is_file())
        .collect();
    folders.sort();
    let trials = folders
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            Trial::test(name, move || run(&folder).map_err(Into::into))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Asked for when run, not when built: clones that share a target directory share this binary.
fn repository() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR: run `cargo test`");
    Path::new(&manifest).join("../..")
}

fn run(folder: &Path) -> Result<(), String> {
    let case = Case::read(folder)?;
    let world = World::build(&case, folder)?;
    let mut kiln = kiln::Kiln::start(&case, &world)?;
    let result = kiln.meet(&case, &world, folder);
    let output = kiln.stop();
    result.and_then(|()| output.as_ref().map(|_| ()).map_err(Clone::clone)).map_err(|problem| {
        let log = kiln.stderr();
        format!("\n{}\n{}\n\n{problem}\n\nstandard error of kiln:\n{log}", case.scenario, case.guarantees)
    })
}
