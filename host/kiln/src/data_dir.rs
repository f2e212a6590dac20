//! `service.data_dir`, for this user only.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use kiln_runtime::StateStore;

use crate::exit::Failure;

/// The directory that outlives the process.
#[derive(Debug)]
pub(crate) struct DataDir {
    state: Dir,
}

impl DataDir {
    /// Uses it, creating it if need be.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error| Failure::usage(format!("data_dir {} cannot be used: {error}", path.display()));
        let mut private = DirBuilder::new();
        private.mode(0o700);
        let create = |parent: &Dir, name: &Path| match parent.create_dir_with(name, &private) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => parent.open_dir(name),
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(unusable)?;
        Ok(Self { state: create(&root, Path::new("state")).map_err(unusable)? })
    }

    /// What an instance remembers.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn state(&self, id: &str) -> Result<StateStore, String> {
        let dir = self.state.try_clone().map_err(|error| error.to_string())?;
        StateStore::open(dir, id).map_err(|error| error.to_string())
    }

    /// The last collection an instance has committed, if its file says so.
    pub(crate) fn committed(&self, instance: &str) -> Option<u64> {
        StateStore::committed(&self.state, instance)
    }
}
