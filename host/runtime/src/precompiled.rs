//! Plugins that were compiled before they came to this machine, with the Kiln that is to run them: those of a bundle.
//!
//! What is in such a file runs with the authority of the process, so it is believed for one reason alone: whoever started
//! Kiln has named the SHA-256 of the list of the bundle's files, the list names the SHA-256 of each, and both are what they
//! should be. Nobody else could be asked: the machine has no compiler, and no signature would say more than the digest that
//! whoever rendered the init script has written into it.
//!
//! The list is `SHA256SUMS`, as `sha256sum` writes and checks it. Code for the plugin with the digest D is in
//! `precompiled/D.cwasm`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_policy::Digest;

use crate::native_code::{Artifact, MAX_ARTIFACT_BYTES};
use crate::regular_file::open_regular;

/// The list of a bundle's files.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// Bytes of the list at most; 256 files take a fifth of it.
const MAX_LIST_BYTES: u64 = 256 * 1024;

const PREFIX: &str = "precompiled/";
const EXTENSION: &str = ".cwasm";

/// Where code for a plugin is in a bundle.
#[must_use]
pub fn precompiled_name(plugin: &Digest) -> String {
    format!("{PREFIX}{}{EXTENSION}", plugin.hex())
}

/// The compiled plugins of a bundle.
#[derive(Debug)]
pub struct Precompiled {
    dir: Dir,
    path: PathBuf,
    /// By name.
    files: BTreeMap<String, Digest>,
}

impl Precompiled {
    /// Reads the list of the bundle in `directory`.
    ///
    /// # Errors
    /// It is not there, is not the one with this digest, or is no list.
    pub fn open(directory: &Path, digest: &Digest) -> Result<Self, PrecompiledError> {
        let error = |problem| PrecompiledError { directory: directory.to_owned(), problem };
        let dir = Dir::open_ambient_dir(directory, ambient_authority()).map_err(|it| error(Problem::Unreadable(it)))?;
        let list = read(&dir, CHECKSUMS, MAX_LIST_BYTES).map_err(|it| error(Problem::Unreadable(it)))?;
        let found = Digest::of(&list);
        if found != *digest {
            return Err(error(Problem::AnotherList { expected: *digest, found }));
        }
        let list = String::from_utf8_lossy(&list);
        let lines = (1..).zip(list.lines());
        let files: Result<_, usize> = lines.map(|(number, line)| read_line(line).ok_or(number)).collect();
        let files = files.map_err(|number| error(Problem::NoList(number)))?;
        Ok(Self { dir, path: directory.to_owned(), files })
    }

    /// Digests of the plugins the bundle has code for, which are valid components therefore.
    #[must_use]
    pub fn plugins(&self) -> BTreeSet<Digest> {
        let plugin = |name: &String| {
            let hex = name.strip_prefix(PREFIX)?.strip_suffix(EXTENSION)?;
            format!("sha256:{hex}").parse().ok()
        };
        self.files.keys().filter_map(plugin).collect()
    }

    /// The code for a plugin, if the bundle has it and it is what the list says.
    pub(crate) fn get(&self, plugin: &Digest) -> Option<Artifact> {
        let name = precompiled_name(plugin);
        let expected = self.files.get(&name)?;
        let file = self.path.join(&name);
        match read(&self.dir, &name, MAX_ARTIFACT_BYTES) {
            // Hashed and used are the same bytes in memory, whatever becomes of the file meanwhile.
            Ok(bytes) if Digest::of(&bytes) == *expected => Some(Artifact::known_to_be_ours(bytes)),
            Ok(_) => {
                tracing::warn!("{} is not what {CHECKSUMS} says: it is not used", file.display());
                None
            }
            Err(error) => {
                tracing::warn!("{} cannot be read: {error}", file.display());
                None
            }
        }
    }
}

fn read(dir: &Dir, name: &str, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(dir, Path::new(name))?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

fn read_line(line: &str) -> Option<(String, Digest)> {
    let (digest, name) = line.split_once("  ")?;
    Some((name.to_owned(), format!("sha256:{digest}").parse().ok()?))
}

/// Why the compiled plugins of a bundle are not used.
#[derive(Debug, thiserror::Error)]
#[error("the bundle in {}: {problem}", directory.display())]
pub struct PrecompiledError {
    directory: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{CHECKSUMS} cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("the digest of {CHECKSUMS} should be {expected} and is {found}: unpack the bundle again")]
    AnotherList { expected: Digest, found: Digest },
    #[error("line {0} of {CHECKSUMS} is none that `sha256sum` writes")]
    NoList(usize),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn bundle(code: &[u8], list: impl Fn(&str) -> String) -> (tempfile::TempDir, Digest, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let plugin = Digest::of(b"a plugin");
        std::fs::create_dir(folder.path().join("precompiled")).unwrap();
        std::fs::write(folder.path().join(precompiled_name(&plugin)), code).unwrap();
        let list = list(&format!("{}  {}\n", Digest::of(b"code").hex(), precompiled_name(&plugin)));
        std::fs::write(folder.path().join(CHECKSUMS), &list).unwrap();
        (folder, plugin, Digest::of(list.as_bytes()))
    }

    /// Scenario: a bundle as it should be; then its code, its list or the digest that is named is another.
    /// Guarantees: code is given out only where all three agree, and only for the plugin it was made from.
    #[test]
    fn code_is_believed_for_the_digest_that_was_named_and_nothing_else() {
        let (folder, plugin, digest) = bundle(b"code", str::to_owned);
        let opened = Precompiled::open(folder.path(), &digest).unwrap();
        assert_eq!(opened.get(&plugin).unwrap().bytes(), b"code");
        assert!(opened.get(&Digest::of(b"another plugin")).is_none());
        assert_eq!(opened.plugins(), BTreeSet::from([plugin]));

        let error = Precompiled::open(folder.path(), &Digest::of(b"")).unwrap_err().to_string();
        assert!(
            error.contains("the digest of SHA256SUMS should be sha256:e3b0") && error.contains(&digest.to_string())
        );

        let (folder, plugin, digest) = bundle(b"c0de", str::to_owned);
        assert!(Precompiled::open(folder.path(), &digest).unwrap().get(&plugin).is_none());

        let (folder, plugin, digest) = bundle(b"code", |_| String::new());
        assert!(Precompiled::open(folder.path(), &digest).unwrap().get(&plugin).is_none());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for line in ["x", "00  kiln", "  kiln"] {
            let (folder, _, digest) = bundle(b"code", |good| format!("{good}{line}\n"));
            let error = Precompiled::open(folder.path(), &digest).unwrap_err().to_string();
            assert!(error.ends_with("line 2 of SHA256SUMS is none that `sha256sum` writes"), "{error}");
        }
        let nowhere = tempfile::tempdir().unwrap();
        let error = Precompiled::open(nowhere.path(), &Digest::of(b"")).unwrap_err().to_string();
        assert!(error.contains("SHA256SUMS cannot be read"), "{error}");
    }
}
