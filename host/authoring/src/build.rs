//! From a project to a plugin: the contract written down, the project's script, the result packed.
//!
//! The script is the author's own file and runs with the author's rights, as a Makefile would.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use kiln_policy::Manifest;
use kiln_runtime::{ComponentFile, MAX_FILE_BYTES, PackError, pack, world_of};

use crate::bindings::{BindingsError, write_contract};

const MANIFEST: &str = "plugin.toml";
const SCRIPT: &str = "build.sh";
const DIRECTORY: &str = "build";
/// Where nobody looks for plugins, so that the directory of the plugin can be a plugins directory.
const MODULE: &str = ".unpacked/module.wasm";

/// A plugin that was built.
#[derive(Debug)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub file: ComponentFile,
}

/// Builds the project in `directory` and writes the plugin to `output`, or to `build/NAME.wasm` there.
///
/// `kiln` is the program that the script may call for bindings, and `tools` where it may keep toolchains.
///
/// # Errors
/// Whatever keeps a plugin from being there, and what to do about it.
pub fn build(directory: &Path, output: Option<&Path>, kiln: &Path, tools: &Path) -> Result<Built, BuildError> {
    let directory = directory.canonicalize().map_err(|error| BuildError::read(directory, error))?;
    let text = read(&directory.join(MANIFEST))?;
    let text = String::from_utf8(text).map_err(|_| BuildError::ManifestEncoding(directory.join(MANIFEST)))?;
    let manifest = Manifest::parse(&text)
        .map_err(|error| BuildError::Manifest { path: directory.join(MANIFEST), error: Box::new(error) })?;
    let working = directory.join(DIRECTORY);
    let wit = working.join("wit");
    write_contract(&manifest, &wit)?;

    let script = directory.join(SCRIPT);
    if !script.is_file() {
        return Err(BuildError::NoScript(directory));
    }
    let module = working.join(MODULE);
    prepare(&module)?;
    let status = Command::new("bash")
        .arg(&script)
        .current_dir(&directory)
        .env("KILN", kiln)
        .env("KILN_TOOLS", tools)
        .env("KILN_WIT", &wit)
        .env("KILN_WORLD", world_of(manifest.kind))
        .env("KILN_MODULE", &module)
        .status()
        .map_err(|error| BuildError::Start { script: script.clone(), error })?;
    if !status.success() {
        return Err(BuildError::Script { script, status });
    }
    if !module.exists() {
        return Err(BuildError::NothingBuilt { script, module });
    }
    let file =
        pack(&read(&module)?, &text, &[]).map_err(|error| BuildError::Pack { module, error: Box::new(error) })?;
    let path = output.map_or_else(|| working.join(format!("{}.wasm", manifest.name)), Path::to_owned);
    fs::write(&path, &file.bytes).map_err(|error| BuildError::Write { path: path.clone(), error })?;
    Ok(Built { path, file })
}

/// What an earlier build left must not pass for the result of this one.
fn prepare(module: &Path) -> Result<(), BuildError> {
    let made = module.parent().map_or(Ok(()), fs::create_dir_all);
    let removed = made.and_then(|()| match fs::remove_file(module) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    removed.map_err(|error| BuildError::Write { path: module.to_owned(), error })
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES.saturating_add(1);
    let read = fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| BuildError::read(path, error))?;
    Ok(bytes)
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file is not there, or not readable.
    #[error("{} cannot be read: {error}{}", path.display(), hint(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The manifest is not text.
    #[error("{} is not UTF-8 text", .0.display())]
    ManifestEncoding(PathBuf),
    /// The manifest breaks its own rules.
    #[error("{}: {error}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<kiln_policy::ManifestError>,
    },
    /// The contract could not be written down.
    #[error(transparent)]
    Contract(#[from] BindingsError),
    /// The directory is no project.
    #[error(
        "{} has no {SCRIPT}: write one that leaves a core module or a component in $KILN_MODULE, or start from `kiln plugin new`",
        .0.display()
    )]
    NoScript(PathBuf),
    /// The script could not be started.
    #[error("bash cannot run {}: {error}", script.display())]
    Start {
        /// The script.
        script: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The script failed; it has said why.
    #[error("{} ended with {status}; what it says above is the reason", script.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// The script says it succeeded, and there is nothing.
    #[error("{} left nothing in $KILN_MODULE, which is {}", script.display(), module.display())]
    NothingBuilt {
        /// The script.
        script: PathBuf,
        /// Where something should be.
        module: PathBuf,
    },
    /// What was built is no plugin.
    #[error("{}: {error}", module.display())]
    Pack {
        /// What was built.
        module: PathBuf,
        /// What is wrong.
        error: Box<PackError>,
    },
}

fn hint(path: &Path) -> &'static str {
    if path.file_name().is_some_and(|name| name == MANIFEST) {
        "; run this in the directory of a project, or make one with `kiln plugin new`"
    } else {
        ""
    }
}

impl BuildError {
    fn read(path: &Path, error: io::Error) -> Self {
        Self::Read { path: path.to_owned(), error }
    }
}
