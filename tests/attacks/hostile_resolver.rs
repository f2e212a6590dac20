//! A name server under an attacker's control.
//!
//! Kiln asks the C library for addresses. A few lines of C stand between the two, so that the binary under test is the
//! real one and the answers are the attacker's: any address, another one each time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library, compiled once in a run.
fn library() -> Result<&'static Path, String> {
    static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compiled = LIBRARY.get_or_init(|| {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let library =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-resolver-{}.so", std::process::id()));
        let status = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(crate::repository().join("tests/attacks/hostile_resolver.c"))
            .args(["-ldl", "-lpthread"])
            .status();
        match status {
            Ok(status) if status.success() => Ok(library),
            Ok(status) => Err(format!("{compiler} ended with {status}")),
            Err(error) => Err(format!("{compiler}, which Rust links with, is needed: {error}")),
        }
    });
    compiled.as_deref().map_err(Clone::clone)
}

/// What the environment of a process has to say for `names` to be answered so; see `hostile_resolver.c`.
pub(crate) fn environment(folder: &Path, names: &str) -> Result<Vec<(String, String)>, String> {
    let script = folder.join("hostile-names");
    std::fs::write(&script, names).map_err(|error| error.to_string())?;
    let text = |path: &Path| path.display().to_string();
    Ok(vec![
        ("LD_PRELOAD".to_owned(), text(library()?)),
        ("KILN_HOSTILE_NAMES".to_owned(), text(&script)),
        ("KILN_HOSTILE_LOOKUPS".to_owned(), text(&lookups(folder))),
    ])
}

/// How often a name was looked up that an attacker answers for.
pub(crate) fn count_lookups(folder: &Path) -> usize {
    std::fs::read(lookups(folder)).unwrap_or_default().len()
}

fn lookups(folder: &Path) -> PathBuf {
    folder.join("hostile-lookups")
}
