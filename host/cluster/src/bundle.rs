//! What is installed on a driver, and the pins that make a changed file visible.
//!
//! Invariant: a [`Bundle`] is what `kiln bundle` has packed, at most one file per architecture and at least one; or it holds
//! single files, at most one binary per architecture and at least one, exactly one configuration, at
//! most one for workers and at least one plugin, every one with its size and digest, under names that need no quoting in
//! a path or a URL. Its size is bounded by [`MAX_FILES`] and [`MAX_FILE_BYTES`].

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::archive;

/// Files of one bundle at most. The script carries a line for each in its environment, which Linux bounds.
pub const MAX_FILES: usize = 256;

/// Bytes of one file at most: a driver's disk is not Kiln's to fill.
pub const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Characters of a plugin's file name at most, without `.wasm`; it bounds the script like [`MAX_FILES`].
const MAX_NAME: usize = 64;

const CONFIGURATION: &str = "kiln.yaml";
const WORKER_CONFIGURATION: &str = "kiln-worker.yaml";
const ARCHIVES: [(&str, Architecture); 2] =
    [("kiln-x86_64.tar.gz", Architecture::X86_64), ("kiln-aarch64.tar.gz", Architecture::Aarch64)];
const BINARIES: [&str; 3] = ["kiln", "kiln-x86_64", "kiln-aarch64"];

/// A machine Databricks runs drivers on, by the name `uname -m` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// Intel and AMD.
    X86_64,
    /// Arm, such as AWS Graviton.
    Aarch64,
}

impl Architecture {
    /// The machine a program was built for, from the first bytes of its file: ELF, 64 bits, little endian, `e_machine`.
    #[must_use]
    pub fn of_program(start: &[u8]) -> Option<Self> {
        let header = start.strip_prefix(b"\x7fELF\x02\x01")?;
        match header.get(12..14)? {
            [62, 0] => Some(Self::X86_64),
            [183, 0] => Some(Self::Aarch64),
            _ => None,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// A SHA-256, shown in lower-case hexadecimal as `sha256sum` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One file of a bundle: where it is below the bundle's directory, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    name: String,
    role: Role,
    size: u64,
    digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Archive(Architecture, HasWorkerConfiguration),
    Binary(Architecture),
    Configuration,
    WorkerConfiguration,
    Plugin,
}

type HasWorkerConfiguration = bool;

impl BundleFile {
    /// What `kiln bundle` has packed for one architecture, `kiln-x86_64.tar.gz` or `kiln-aarch64.tar.gz`.
    ///
    /// # Errors
    /// When the name or the size is not one a bundle may hold, or `content` is something else.
    pub fn archive(name: &str, content: &[u8]) -> Result<Self, BundleError> {
        let Some((_, architecture)) = ARCHIVES.into_iter().find(|(known, _)| *known == name) else {
            return Err(BundleError::Name { name: name.to_owned() });
        };
        let names = archive::names(content).unwrap_or_default();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if !["kiln", CONFIGURATION, "SHA256SUMS"].into_iter().all(has) {
            return Err(BundleError::NoArchive { name: name.to_owned() });
        }
        let role = Role::Archive(architecture, has(WORKER_CONFIGURATION));
        Self::bounded(name, role, content.len() as u64, Digest::of(content))
    }

    /// The Kiln program for `architecture`, named `kiln`, `kiln-x86_64` or `kiln-aarch64`.
    ///
    /// # Errors
    /// When the name or the size is not one a bundle may hold.
    pub fn binary(name: &str, architecture: Architecture, size: u64, digest: Digest) -> Result<Self, BundleError> {
        if !BINARIES.contains(&name) {
            return Err(BundleError::Name { name: name.to_owned() });
        }
        Self::bounded(name, Role::Binary(architecture), size, digest)
    }

    /// `kiln.yaml`, `kiln-worker.yaml` or `plugins/<name>.wasm`.
    ///
    /// # Errors
    /// When the name or the size is not one a bundle may hold.
    pub fn new(name: &str, size: u64, digest: Digest) -> Result<Self, BundleError> {
        let role = if name == CONFIGURATION {
            Role::Configuration
        } else if name == WORKER_CONFIGURATION {
            Role::WorkerConfiguration
        } else if name.strip_prefix("plugins/").is_some_and(is_plugin_name) {
            Role::Plugin
        } else {
            return Err(BundleError::Name { name: name.to_owned() });
        };
        Self::bounded(name, role, size, digest)
    }

    fn bounded(name: &str, role: Role, size: u64, digest: Digest) -> Result<Self, BundleError> {
        if size == 0 || size > MAX_FILE_BYTES {
            return Err(BundleError::Size { name: name.to_owned(), size });
        }
        Ok(Self { name: name.to_owned(), role, size, digest })
    }

    /// The path below the bundle's directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The only machine that needs this file; `None` when every machine does.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        match self.role {
            Role::Archive(architecture, _) | Role::Binary(architecture) => Some(architecture),
            Role::Configuration | Role::WorkerConfiguration | Role::Plugin => None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// A complete set of files to install on a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle(Vec<BundleFile>);

impl Bundle {
    /// Puts `files` together, in an order that does not depend on theirs.
    ///
    /// # Errors
    /// When something is missing, double, or too much.
    pub fn from_files(mut files: Vec<BundleFile>) -> Result<Self, BundleError> {
        if files.len() > MAX_FILES {
            return Err(BundleError::TooManyFiles { files: files.len() });
        }
        files.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
        for (first, second) in files.iter().zip(files.iter().skip(1)) {
            let same_machine = first.role == second.role && matches!(first.role, Role::Binary(_));
            if first.name == second.name || same_machine {
                return Err(BundleError::Twice { first: first.name.clone(), second: second.name.clone() });
            }
        }
        if files.iter().any(|file| matches!(file.role, Role::Archive(..))) {
            return match files.iter().find(|file| !matches!(file.role, Role::Archive(..))) {
                None => Ok(Self(files)),
                Some(file) => Err(BundleError::Twice { first: "kiln-*.tar.gz".to_owned(), second: file.name.clone() }),
            };
        }
        let missing: Vec<&'static str> = [
            ("kiln (the program; kiln-x86_64 and kiln-aarch64 for clusters of both kinds)", has_binary(&files)),
            ("kiln.yaml (the configuration)", files.iter().any(|file| file.role == Role::Configuration)),
            ("plugins/*.wasm (at least one plugin)", files.iter().any(|file| file.role == Role::Plugin)),
        ]
        .into_iter()
        .filter_map(|(part, there)| (!there).then_some(part))
        .collect();
        if missing.is_empty() { Ok(Self(files)) } else { Err(BundleError::Incomplete { directory: None, missing }) }
    }

    /// Reads and pins what is in `directory`: `kiln` (or `kiln-x86_64`, `kiln-aarch64`), `kiln.yaml`, `plugins/*.wasm`
    /// and, if it is there, `kiln-worker.yaml`. Where there is `kiln-x86_64.tar.gz` or `kiln-aarch64.tar.gz`, these are the
    /// bundle and nothing else is.
    /// Other files, such as `kiln.env`, are left alone.
    ///
    /// # Errors
    /// The first file that cannot be pinned, or everything that is missing.
    pub fn read(directory: &Path) -> Result<Self, BundleError> {
        let archives: Vec<BundleFile> = ARCHIVES
            .into_iter()
            .filter(|(name, _)| directory.join(name).exists())
            .map(|(name, _)| read_archive(name, &directory.join(name)))
            .collect::<Result<_, _>>()?;
        if !archives.is_empty() {
            return Self::from_files(archives);
        }
        let mut names: Vec<String> = BINARIES.iter().map(ToString::to_string).collect();
        names.extend([CONFIGURATION, WORKER_CONFIGURATION].map(str::to_owned));
        names.extend(plugins_in(directory)?);
        let mut files = Vec::new();
        for name in names {
            let path = directory.join(&name);
            match pin(&name, &path) {
                Ok(file) => files.push(file),
                Err(BundleError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Self::from_files(files).map_err(|error| match error {
            BundleError::Incomplete { missing, .. } => {
                BundleError::Incomplete { directory: Some(directory.to_owned()), missing }
            }
            other => other,
        })
    }

    /// Whether it says what workers run.
    #[must_use]
    pub fn has_worker_configuration(&self) -> bool {
        let (archives, others): (Vec<_>, Vec<_>) =
            self.0.iter().map(|file| file.role).partition(|role| matches!(role, Role::Archive(..)));
        let in_archives = !archives.is_empty() && archives.iter().all(|role| matches!(role, Role::Archive(_, true)));
        in_archives || others.contains(&Role::WorkerConfiguration)
    }

    /// Every file, binaries first.
    #[must_use]
    pub fn files(&self) -> &[BundleFile] {
        &self.0
    }
}

fn has_binary(files: &[BundleFile]) -> bool {
    files.iter().any(|file| matches!(file.role, Role::Binary(_)))
}

fn is_plugin_name(name: &str) -> bool {
    name.strip_suffix(".wasm").is_some_and(|stem| {
        stem.len() <= MAX_NAME
            && stem.starts_with(|first: char| first.is_ascii_alphanumeric())
            && stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    })
}

/// The names of the plugins, as far as [`MAX_FILES`] lets anybody care. A missing directory has none.
fn plugins_in(directory: &Path) -> Result<Vec<String>, BundleError> {
    let directory = directory.join("plugins");
    let unreadable = |source| BundleError::Unreadable { path: directory.clone(), source };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "wasm") {
            names.push(format!("plugins/{}", name.to_string_lossy()));
        }
        if names.len() > MAX_FILES {
            break;
        }
    }
    Ok(names)
}

fn read_archive(name: &str, path: &Path) -> Result<BundleFile, BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(BundleError::NotAFile { path: path.to_owned() });
    }
    let mut content = Vec::new();
    let read = File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content);
    read.map_err(unreadable)?;
    BundleFile::archive(name, &content)
}

fn pin(name: &str, path: &Path) -> Result<BundleFile, BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: path.to_owned(), source };
    // Opening a named pipe would wait for somebody to write to it.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(BundleError::NotAFile { path: path.to_owned() });
    }
    let mut file = File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES + 1);
    let mut start = Vec::with_capacity(64);
    file.by_ref().take(64).read_to_end(&mut start).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    hasher.update(&start);
    let rest = io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    let size = rest.saturating_add(u64::try_from(start.len()).unwrap_or(u64::MAX));
    let digest = Digest(hasher.finalize().into());
    if BINARIES.contains(&name) {
        let architecture =
            Architecture::of_program(&start).ok_or_else(|| BundleError::NotAProgram { path: path.to_owned() })?;
        BundleFile::binary(name, architecture, size, digest)
    } else {
        BundleFile::new(name, size, digest)
    }
}

/// Why files are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A part is missing.
    #[error("{} lacks {}", bundle_in(directory.as_deref()), missing.join(", "))]
    Incomplete {
        /// Where it was looked for, when it was.
        directory: Option<PathBuf>,
        /// What to add, each with a word of explanation.
        missing: Vec<&'static str>,
    },
    /// A file or directory could not be read.
    #[error("cannot read {} for the bundle: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, pipe or device.
    #[error("{} is not a regular file: put the file itself into the bundle", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// A `kiln` that would not run on a cluster.
    #[error(
        "{} is no Linux program for x86_64 or aarch64: put the kiln built for the cluster's machines into the bundle",
        path.display()
    )]
    NotAProgram {
        /// Which.
        path: PathBuf,
    },
    /// Something else under the name of an archive.
    #[error("`{name}` is not what `kiln bundle` makes: make it again, or remove it")]
    NoArchive {
        /// Its name.
        name: String,
    },
    /// A name that has no place in a bundle.
    #[error(
        "`{name}` has no place in a bundle: it holds kiln, kiln-x86_64, kiln-aarch64, kiln.yaml, kiln-worker.yaml and \
         plugins/<name>.wasm, where <name> is at most {MAX_NAME} letters, digits, `.`, `_` and `-`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Empty or huge.
    #[error("`{name}` has {size} bytes: a file of a bundle has between 1 and {MAX_FILE_BYTES}")]
    Size {
        /// Which file.
        name: String,
        /// Its length; one more than allowed when it is longer than that.
        size: u64,
    },
    /// Two files for one purpose.
    #[error("the bundle holds both `{first}` and `{second}` for the same purpose: keep one")]
    Twice {
        /// One of them.
        first: String,
        /// The other; the same name when it was listed twice.
        second: String,
    },
    /// Too many plugins.
    #[error("the bundle has {files} files or more: at most {MAX_FILES} are supported")]
    TooManyFiles {
        /// How many.
        files: usize,
    },
}

fn bundle_in(directory: Option<&Path>) -> String {
    directory.map_or_else(|| "the bundle".to_owned(), |path| format!("the bundle {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    /// The first bytes of a program for `machine`.
    fn program(machine: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes.resize(4096, 0);
        bytes
    }

    fn complete() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("kiln"), program(62)).unwrap();
        fs::write(directory.path().join("kiln.yaml"), "receivers: {}\n").unwrap();
        fs::create_dir(directory.path().join("plugins")).unwrap();
        fs::write(directory.path().join("plugins/spark.wasm"), "wasm").unwrap();
        directory
    }

    #[track_caller]
    fn refusal(directory: &TempDir) -> String {
        Bundle::read(directory.path()).unwrap_err().to_string()
    }

    /// Scenario: a complete bundle with a file for another tool beside it.
    /// Guarantees: everything is pinned with the digest `sha256sum` prints, in a fixed order; the other file is not.
    #[test]
    fn a_complete_bundle_is_pinned() {
        let directory = complete();
        fs::write(directory.path().join("kiln.env"), "OTLP_TOKEN=s3cret\n").unwrap();
        let bundle = Bundle::read(directory.path()).unwrap();
        let names: Vec<&str> = bundle.files().iter().map(BundleFile::name).collect();
        assert_eq!(names, ["kiln", "kiln.yaml", "plugins/spark.wasm"]);
        assert_eq!(bundle.files()[0].architecture(), Some(Architecture::X86_64));
        assert_eq!(bundle.files()[0].size(), 4096);
        assert_eq!(
            bundle.files()[2].digest().to_string(),
            "336154bf67f765f8f75d16a0accee61b5ee5f6a75b2a2905703df913bd550f3e"
        );
    }

    #[test]
    fn an_empty_directory_lacks_everything_at_once() {
        let refusal = refusal(&tempfile::tempdir().unwrap());
        for part in ["kiln (the program", "kiln.yaml", "plugins/*.wasm"] {
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn a_missing_part_is_named_and_only_that() {
        let directory = complete();
        fs::remove_file(directory.path().join("kiln.yaml")).unwrap();
        let refusal = refusal(&directory);
        assert!(refusal.ends_with("lacks kiln.yaml (the configuration)"), "{refusal}");
    }

    /// Scenario: clusters of both kinds, from one bundle; then two programs for one kind.
    /// Guarantees: the program says what it is for, not its name; a choice that would be a guess is refused.
    #[test]
    fn one_program_for_each_kind_of_machine() {
        let directory = complete();
        fs::write(directory.path().join("kiln-aarch64"), program(183)).unwrap();
        let bundle = Bundle::read(directory.path()).unwrap();
        let machines: Vec<_> = bundle.files().iter().filter_map(BundleFile::architecture).collect();
        assert_eq!(machines, [Architecture::X86_64, Architecture::Aarch64]);

        fs::write(directory.path().join("kiln-aarch64"), program(62)).unwrap();
        assert!(refusal(&directory).contains("both `kiln` and `kiln-aarch64`"));
    }

    #[test]
    fn a_program_that_cannot_run_there_is_refused() {
        let directory = complete();
        for bytes in [b"#!/bin/sh\n".to_vec(), program(3), b"\x7fELF\x02\x01".to_vec(), b"\xcf\xfa\xed\xfe".to_vec()] {
            fs::write(directory.path().join("kiln"), bytes).unwrap();
            assert!(refusal(&directory).contains("no Linux program"));
        }
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_refused() {
        let directory = complete();
        fs::write(directory.path().join("plugins/it's.wasm"), "wasm").unwrap();
        assert!(refusal(&directory).contains("`plugins/it's.wasm` has no place"));

        let directory = complete();
        fs::write(directory.path().join("plugins/spark.wasm"), "").unwrap();
        assert!(refusal(&directory).contains("has 0 bytes"));

        let directory = complete();
        fs::create_dir(directory.path().join("plugins/more.wasm")).unwrap();
        assert!(refusal(&directory).contains("not a regular file"));

        let directory = complete();
        fs::remove_dir_all(directory.path().join("plugins")).unwrap();
        fs::write(directory.path().join("plugins"), "").unwrap();
        assert!(refusal(&directory).contains("cannot read"));
    }

    #[test]
    fn the_bounds_hold() {
        let digest = Digest::of(b"");
        assert!(BundleFile::new("kiln.yaml", MAX_FILE_BYTES, digest).is_ok());
        assert!(matches!(BundleFile::new("kiln.yaml", MAX_FILE_BYTES + 1, digest), Err(BundleError::Size { .. })));

        let named = |length: usize| BundleFile::new(&format!("plugins/{}.wasm", "p".repeat(length)), 1, digest);
        assert!(named(MAX_NAME).is_ok());
        assert!(matches!(named(MAX_NAME + 1), Err(BundleError::Name { .. })));

        let directory = complete();
        for number in 0..MAX_FILES - 3 {
            fs::write(directory.path().join(format!("plugins/p{number}.wasm")), "wasm").unwrap();
        }
        assert_eq!(Bundle::read(directory.path()).unwrap().files().len(), MAX_FILES);
        fs::write(directory.path().join("plugins/one-more.wasm"), "wasm").unwrap();
        assert!(refusal(&directory).contains("at most 256"));
    }

    proptest! {
        /// Guarantees: an accepted name stays below its directory and means the same in a path, a URL and a log line.
        #[test]
        fn an_accepted_name_needs_no_quoting(name in "(plugins/)?[ -~]{0,20}(\\.wasm)?") {
            if BundleFile::new(&name, 1, Digest::of(b"")).is_ok() {
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)));
                prop_assert!(name.split('/').all(|part| !part.starts_with('.')));
            }
        }
    }
}
