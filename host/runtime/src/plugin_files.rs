//! Which files of a plugins directory are looked at: those that could be plugins, in it and in its subdirectories.
//!
//! What begins with a dot is nobody's plugin: it is how file systems, editors and Kubernetes hide what is in the making. Links
//! to directories are not followed, so that nothing is found twice; links to files are, within the directory.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

/// Directories within directories.
const MAX_DEPTH: usize = 8;
/// Files beyond this many are not looked at.
pub(crate) const MAX_FILES: usize = 1000;
/// Directories beyond this many are not looked at.
const MAX_DIRECTORIES: usize = 1000;

/// What a plugins directory holds.
#[derive(Debug, Default)]
pub(crate) struct PluginFiles {
    /// Files that could be plugins, relative to the directory, in order.
    pub(crate) files: Vec<PathBuf>,
    /// Subdirectories that cannot be listed, and why.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
    /// Whether there is more than is looked at.
    pub(crate) is_too_much: bool,
}

/// Whether a name is that of a file that could be a plugin.
fn is_plugin(name: &Path) -> bool {
    name.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("wasm") || extension.eq_ignore_ascii_case("cwasm"))
}

impl PluginFiles {
    /// Lists a directory.
    ///
    /// # Errors
    /// The directory itself cannot be listed.
    pub(crate) fn of(root: &Dir) -> io::Result<Self> {
        let mut found = Self::default();
        let mut waiting = vec![(PathBuf::new(), 0)];
        let mut listed = 0;
        while let Some((directory, depth)) = waiting.pop() {
            listed += 1;
            if listed > MAX_DIRECTORIES {
                found.is_too_much = true;
                break;
            }
            match found.list(root, &directory) {
                Ok(below) if depth < MAX_DEPTH => waiting.extend(below.into_iter().map(|it| (it, depth + 1))),
                Ok(_) => {}
                Err(error) if directory.as_os_str().is_empty() => return Err(error),
                Err(error) => found.unreadable.push((directory, error)),
            }
        }
        found.files.sort();
        found.is_too_much |= found.files.len() > MAX_FILES;
        Ok(found)
    }

    /// Notes the files of one directory and gives the directories in it.
    fn list(&mut self, root: &Dir, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = if directory.as_os_str().is_empty() { root.entries()? } else { root.read_dir(directory)? };
        let mut below = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = directory.join(&name);
            if is_plugin(Path::new(&name)) {
                // Whatever it is, somebody meant it to be one.
                self.files.push(path);
            } else if entry.file_type()?.is_dir() {
                below.push(path);
            }
        }
        Ok(below)
    }
}

/// Where a plugins directory has files that could be plugins. Nothing, if it cannot be listed.
#[must_use]
pub fn plugin_paths(directory: &Path) -> Vec<PathBuf> {
    let dir = Dir::open_ambient_dir(directory, cap_std::ambient_authority());
    let found = dir.and_then(|dir| PluginFiles::of(&dir)).unwrap_or_default();
    found.files.into_iter().take(MAX_FILES).map(|file| directory.join(file)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(root: &Path) -> Vec<String> {
        plugin_paths(root).iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn subdirectories_are_looked_into_and_what_is_hidden_or_linked_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for directory in ["a/b", ".hidden", "..2026_01_01", "c.wasm.d"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in [
            "z.wasm",
            "a/x.WASM",
            "a/b/y.cwasm",
            ".hidden/h.wasm",
            "..2026_01_01/k.wasm",
            ".part.wasm",
            "a/notes.txt",
            "c.wasm.d/m.wasm",
        ] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink(root.join("a"), root.join("linked")).unwrap();
        symlink(root.join("..2026_01_01"), root.join("..data")).unwrap();
        symlink("..data/k.wasm", root.join("k.wasm")).unwrap();
        symlink(root, root.join("a/loop")).unwrap();
        assert_eq!(found(root), ["a/b/y.cwasm", "a/x.WASM", "c.wasm.d/m.wasm", "k.wasm", "z.wasm"]);
    }

    #[test]
    fn there_is_an_end_to_depth_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_owned();
        for _ in 0..MAX_DEPTH + 2 {
            deep.push("d");
            fs::create_dir(&deep).unwrap();
            fs::write(deep.join("p.wasm"), "").unwrap();
        }
        assert_eq!(found(folder.path()).len(), MAX_DEPTH);
        for number in 0..MAX_FILES {
            fs::write(folder.path().join(format!("{number}.wasm")), "").unwrap();
        }
        assert_eq!(found(folder.path()).len(), MAX_FILES);
        assert!(found(Path::new("/no/such/directory")).is_empty());
    }
}
