//! The plugins directory: every `.wasm` file in it and below it, read once.
//!
//! A file that is no plugin is set aside with its reason and costs nobody else anything.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_policy::{Digest, PluginName};

use crate::component_file::{ComponentFile, FileError, MAX_FILE_BYTES, plugin_name};
use crate::plugin_files::{MAX_FILES, PluginFiles};
use crate::regular_file::open_regular;
use crate::signature_file::read_signature;

/// What a plugins directory holds.
#[derive(Debug, Default)]
pub struct Directory {
    /// By name, then by version.
    plugins: BTreeMap<String, BTreeMap<String, (PathBuf, Arc<ComponentFile>)>>,
    refused: Vec<Refused>,
}

/// Why a plugin is not found; what there is instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Nothing of that name.
    Name,
    /// Not that version, but these.
    Version(Vec<String>),
    /// These versions, and nobody has said which.
    Ambiguous(Vec<String>),
}

/// A file that is no plugin of this Kiln.
#[derive(Debug)]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: Box<FileError>,
}

impl Directory {
    /// Reads every `.wasm` and `.cwasm` file in `path` and its subdirectories, in order of name.
    ///
    /// # Errors
    /// The directory cannot be listed, or two files hold plugins of the same name and version.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        Self::read_some(path, &BTreeSet::new(), |_| true)
    }

    /// The same, but for plugins whose names are not `wanted`, of which nothing more is looked at. `compiled` is for
    /// [`ComponentFile::parse_compiled`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_some(
        path: &Path,
        compiled: &BTreeSet<Digest>,
        wanted: impl Fn(&PluginName) -> bool,
    ) -> Result<Self, DirectoryError> {
        let unreadable = |error| DirectoryError::Unreadable { path: path.to_owned(), error };
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(unreadable)?;
        let PluginFiles { files, unreadable: closed, is_too_much } = PluginFiles::of(&dir).map_err(unreadable)?;
        if is_too_much {
            return Err(DirectoryError::TooMany { path: path.to_owned(), count: files.len() });
        }
        let mut directory = Self::default();
        for (below, error) in closed {
            directory.refused.push(Refused { path: path.join(below), error: Box::new(error.into()) });
        }
        for name in files {
            directory.take(&dir, &name, path.join(&name), compiled, &wanted)?;
        }
        Ok(directory)
    }

    /// Reads one file, as if it were alone in its directory.
    ///
    /// # Errors
    /// The directory it is in cannot be read. What is wrong with the file itself is among [`Self::refused`].
    pub fn read_one(path: &Path) -> Result<Self, DirectoryError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let unreadable = |error| DirectoryError::Unreadable { path: parent.to_owned(), error };
        let dir = Dir::open_ambient_dir(parent, ambient_authority()).map_err(unreadable)?;
        let mut directory = Self::default();
        let name = Path::new(path.file_name().unwrap_or_default());
        directory.take(&dir, name, path.to_owned(), &BTreeSet::new(), &|_| true)?;
        Ok(directory)
    }

    /// Reads a file of `dir`, which is called `path` in messages.
    fn take(
        &mut self,
        dir: &Dir,
        name: &Path,
        path: PathBuf,
        compiled: &BTreeSet<Digest>,
        wanted: &impl Fn(&PluginName) -> bool,
    ) -> Result<(), DirectoryError> {
        let bytes = match read_file(dir, name) {
            Ok(bytes) if plugin_name(&bytes).is_some_and(|name| !wanted(&name)) => return Ok(()),
            read => read,
        };
        match bytes.and_then(|bytes| ComponentFile::parse_compiled(bytes, compiled)) {
            Ok(mut file) => {
                file.signature = read_signature(dir, name);
                self.insert(path, file)
            }
            Err(error) => {
                self.refused.push(Refused { path, error: Box::new(error) });
                Ok(())
            }
        }
    }

    fn insert(&mut self, path: PathBuf, file: ComponentFile) -> Result<(), DirectoryError> {
        let (name, version) = (file.manifest.name.to_string(), file.manifest.version.clone());
        let versions = self.plugins.entry(name.clone()).or_default();
        if let Some((other, _)) = versions.get(&version) {
            return Err(DirectoryError::SameName { name, version, first: other.clone(), second: path });
        }
        versions.insert(version, (path, Arc::new(file)));
        Ok(())
    }

    /// The plugin of this name, and of this version if one is said.
    ///
    /// # Errors
    /// There is none, or there are several and none is said.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<&Arc<ComponentFile>, NotFound> {
        let versions = self.plugins.get(name).ok_or(NotFound::Name)?;
        let others = || versions.keys().cloned().collect();
        let found = match version {
            Some(version) => versions.get(version).ok_or_else(|| NotFound::Version(others()))?,
            None if versions.len() > 1 => return Err(NotFound::Ambiguous(others())),
            None => versions.values().next().ok_or(NotFound::Name)?,
        };
        Ok(&found.1)
    }

    /// Every plugin with the file it was read from, by name and version.
    pub fn plugins(&self) -> impl Iterator<Item = (&Path, &ComponentFile)> {
        self.plugins.values().flat_map(BTreeMap::values).map(|(path, file)| (path.as_path(), &**file))
    }

    /// The files that are no plugins.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// Reads one file of the directory, following symbolic links only inside of it.
fn read_file(dir: &Dir, name: &Path) -> Result<Vec<u8>, FileError> {
    let file = open_regular(dir, name)?;
    let size = file.metadata()?.len();
    if size > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { size });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a plugins directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not there, not a directory or not ours to read.
    #[error("plugins directory {} cannot be read: {error}; set `plugins_dir` to the directory that holds the .wasm files", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// More files than anyone would put there.
    #[error("plugins directory {} holds more than {MAX_FILES} plugin files ({count}), or more directories than anyone would look into", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// A name must mean one plugin.
    #[error("{} and {} both hold the plugin `{name}` in version {version}: remove one", first.display(), second.display())]
    SameName {
        /// Name of the plugin.
        name: String,
        /// Its version.
        version: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}
