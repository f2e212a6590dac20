//! `--locked`: nothing runs but what somebody has reviewed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kiln_audit::{LOCK_FILE, Lock};

use crate::prepare::Preparation;

/// A byte more than any lock file may have.
const MAX_BYTES: u64 = kiln_audit::MAX_LOCK_BYTES as u64 + 1;

/// Where the lock file of a configuration is.
pub(crate) fn place(config: &Path) -> PathBuf {
    config.with_file_name(LOCK_FILE)
}

/// What would run, as it would be locked.
pub(crate) fn lock_of(preparation: &Preparation) -> Lock {
    let mut lock = Lock::default();
    // Whichever order they are configured in: of several versions the first has the name to itself.
    let mut ready: Vec<_> = preparation.ready.iter().collect();
    ready.sort_by_key(|prepared| {
        let file = &prepared.file;
        (file.manifest.name.clone(), file.manifest.version.clone(), file.digest)
    });
    for prepared in ready {
        lock.add(&prepared.instance, &prepared.file, &prepared.policy, prepared.signature.as_ref());
    }
    lock
}

/// Compares what would run with the lock file beside `config`, for a start and for a reload.
///
/// # Errors
/// There is no lock file, or everything that differs, line by line.
pub(crate) fn check(config: &Path, preparation: &Preparation) -> Result<(), String> {
    let (place, config) = (place(config), config.display());
    let mut text = String::new();
    let read = File::open(&place).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    let place = place.display();
    read.map_err(|error| {
        format!("{place} cannot be read: {error}; write it with `kiln plugin lock --config {config}`")
    })?;
    let locked = Lock::parse(&text).map_err(|error| format!("{place} {error}"))?;
    locked.check(&lock_of(preparation)).map_err(|drift| {
        format!(
            "{place} says otherwise; if this is as it should be, run `kiln plugin lock --config {config}` and have the \
             change reviewed\n{drift}"
        )
    })
}
