//! The contract for a toolchain: as WIT, or as bindings where the generator is a library.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_policy::Manifest;
use kiln_runtime::{contract_for, resolve_contract};
use wit_bindgen_core::{Files, WorldGenerator};

use crate::go;

/// A language Kiln generates bindings for. The tools of the others make their own from the WIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingsLanguage {
    /// A header, a source and an object that says which world it is.
    C,
    /// Packages of a module.
    Go(go::Packages),
}

impl BindingsLanguage {
    fn generator(&self) -> Box<dyn WorldGenerator> {
        match self {
            Self::C => wit_bindgen_c::Opts::default().build(),
            Self::Go(packages) => packages.generator(),
        }
    }
}

/// Writes the contract, cut to what the manifest requests, into a directory of its own.
///
/// # Errors
/// The directory cannot be written.
pub fn write_contract(manifest: &Manifest, directory: &Path) -> Result<(), BindingsError> {
    for (name, text) in contract_for(manifest) {
        write(&directory.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Writes bindings for the world of the manifest's kind, cut to what it requests.
///
/// # Errors
/// They cannot be generated, or the directory cannot be written.
pub fn write_bindings(manifest: &Manifest, language: &BindingsLanguage, directory: &Path) -> Result<(), BindingsError> {
    let (mut resolve, world) = resolve_contract(manifest).map_err(BindingsError::Generate)?;
    let mut files = Files::default();
    let generated = language.generator().generate(&mut resolve, world, &mut files);
    generated.map_err(|error| BindingsError::Generate(format!("{error:#}")))?;
    match language {
        BindingsLanguage::C => files.iter().try_for_each(|(name, content)| write(&directory.join(name), content)),
        BindingsLanguage::Go(packages) => {
            packages.finish(&files).try_for_each(|(name, content)| write(&directory.join(name), &content))
        }
    }
}

/// Leaves a file that is right already as it is, so that build tools see what has changed.
fn write(path: &Path, content: &[u8]) -> Result<(), BindingsError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, content));
    written.map_err(|error| BindingsError::Write { path: path.to_owned(), error })
}

/// Why there are no bindings.
#[derive(Debug, thiserror::Error)]
pub enum BindingsError {
    /// The generator gave up.
    #[error("no bindings can be generated from the contract: {0}")]
    Generate(String),
    /// Bindings for Go are packages of a module, and there is none.
    #[error("{}: {problem}", path.display())]
    NoModule {
        /// Where go.mod should be.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file could not be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
