//! What is compiled is native code: whoever can change it runs with Kiln's own authority.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;

attacks!(
    "cache",
    "cache.rs",
    running: [
        cached_code_changed,
        cached_code_truncated,
        cached_code_of_another_plugin,
        cached_code_behind_a_link,
        cache_open_to_others,
    ],
    refused: [],
);

/// The compiled plugins of the warm cache.
fn entries(arena: &Arena) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(arena.path("data/cache")).map_err(|error| error.to_string())?;
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.retain(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    entries.sort();
    if entries.len() < 2 { Err("the cache is not warm: the case tests nothing".to_owned()) } else { Ok(entries) }
}

fn change(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
    let mut bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    change(&mut bytes);
    std::fs::write(path, bytes).map_err(|error| error.to_string())
}

/// Compiled again, and said so.
fn compiled_again(arena: &mut Arena) -> Result<Stopped, String> {
    arena.start()?;
    arena.says(&["not genuine"])?;
    arena.stopped("ignored", "kiln_instance_up", &["steady"])
}

/// Scenario: one bit of every compiled plugin is changed.
/// Guarantees: none of it becomes code: the plugins are compiled again.
fn cached_code_changed(arena: &mut Arena) -> Result<Stopped, String> {
    for path in entries(arena)? {
        change(&path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })?;
    }
    compiled_again(arena)
}

/// Scenario: every compiled plugin is cut in half, as a full disk would.
/// Guarantees: none of it becomes code: the plugins are compiled again.
fn cached_code_truncated(arena: &mut Arena) -> Result<Stopped, String> {
    for path in entries(arena)? {
        change(&path, |bytes| bytes.truncate(bytes.len() / 2))?;
    }
    compiled_again(arena)
}

/// Scenario: compiled plugins change places; each is genuine, but of another plugin.
/// Guarantees: what is authenticated includes what it was made from: they are compiled again.
fn cached_code_of_another_plugin(arena: &mut Arena) -> Result<Stopped, String> {
    let entries = entries(arena)?;
    let contents: Result<Vec<_>, _> = entries.iter().map(std::fs::read).collect();
    let contents = contents.map_err(|error| error.to_string())?;
    for (path, content) in entries.iter().zip(contents.iter().cycle().skip(1)) {
        std::fs::write(path, content).map_err(|error| error.to_string())?;
    }
    compiled_again(arena)
}

/// Scenario: compiled plugins are replaced by symbolic links to code an attacker wrote elsewhere.
/// Guarantees: none of it becomes code.
fn cached_code_behind_a_link(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("code", [0x90; 100_000])?;
    for path in entries(arena)? {
        std::fs::remove_file(&path)
            .and_then(|()| symlink(arena.path("code"), &path))
            .map_err(|error| error.to_string())?;
    }
    arena.start()?;
    arena.stopped("ignored", "kiln_instance_up", &["steady"])
}

/// Scenario: the directory of compiled plugins is open to other users.
/// Guarantees: it is not used, and the log says why; plugins are compiled.
fn cache_open_to_others(arena: &mut Arena) -> Result<Stopped, String> {
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(arena.path("data/cache"), open).map_err(|error| error.to_string())?;
    arena.start()?;
    arena.says(&["cache", "700"])?;
    arena.stopped("ignored", "kiln_instance_up", &["steady"])
}
