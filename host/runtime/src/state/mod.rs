//! What an instance remembers. Changes are made to an overlay and committed when what they account for is queued.
//!
//! Beside what the instance remembers stands the number of its last committed collection. Exporters that queue on disk
//! hold the batches of a collection under its number before it is committed, so that replacing the file is what makes
//! the collection complete, everywhere at once; see [`StateStore::committed`].

mod file;
mod overlay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Dir;

use self::file::{Read, StateFile, encode, file_name, read};
pub use self::overlay::Checkpoint;
pub(crate) use self::overlay::{Overlay, StateLimits};

type Entries = BTreeMap<String, Vec<u8>>;

/// The committed state of one instance.
#[derive(Clone, Debug)]
pub struct StateStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    committed: Mutex<Committed>,
    file: Option<StateFile>,
}

/// What the last commit left.
#[derive(Debug, Default)]
struct Committed {
    /// The collection it was; 0 before the first.
    sequence: u64,
    entries: Entries,
    /// Counts the commits of this process that changed something.
    revision: u64,
}

impl StateStore {
    /// State that lasts as long as the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Arc::new(Shared { committed: Mutex::default(), file: None }))
    }

    /// The same, with what an earlier instance might have left. For whoever tries a plugin.
    #[must_use]
    pub fn in_memory_with(entries: BTreeMap<String, Vec<u8>>) -> Self {
        let committed = Mutex::new(Committed { entries, ..Committed::default() });
        Self(Arc::new(Shared { committed, file: None }))
    }

    /// What is remembered.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|committed| committed.entries.clone())
    }

    /// State kept in `dir` under a name made from the instance's id.
    ///
    /// # Errors
    /// The file exists but cannot be read. One that is damaged is set aside instead.
    pub fn open(dir: Dir, instance: &str) -> Result<Self, StateError> {
        let name = file_name(instance);
        let committed = match read(&dir, &name).map_err(|error| StateError::Read { name: name.clone(), error })? {
            Read::Committed(committed) => committed,
            Read::Missing => Committed::default(),
            Read::Damaged => {
                let aside = format!("{name}.damaged");
                tracing::error!(instance, "state file {name} is damaged: set aside as {aside}, starting without state");
                if let Err(error) = dir.rename(&name, &dir, &aside) {
                    tracing::error!(instance, %error, "cannot set {name} aside");
                }
                Committed::default()
            }
        };
        Ok(Self(Arc::new(Shared { committed: Mutex::new(committed), file: Some(StateFile { dir, name }) })))
    }

    /// The last collection an instance has committed, by the file in `dir`; `None` if that does not say: it is missing,
    /// damaged or cannot be read. An instance that has begun under [`Self::count_from`] has a file.
    #[must_use]
    pub fn committed(dir: &Dir, instance: &str) -> Option<u64> {
        match read(dir, &file_name(instance)) {
            Ok(Read::Committed(committed)) => Some(committed.sequence),
            Ok(Read::Missing | Read::Damaged) | Err(_) => None,
        }
    }

    /// Makes sure that the file says what was committed, and gives no number up to `sequence` to a collection again.
    /// Blocks while the file is written.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn count_from(&self, sequence: u64) -> Result<(), StateError> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let encoded = self.with(|committed| {
            committed.sequence = committed.sequence.max(sequence);
            encode(committed)
        });
        file.replace(&encoded)
    }

    /// Differs from what it was before if anything was changed since.
    pub(crate) fn revision(&self) -> u64 {
        self.with(|committed| committed.revision)
    }

    fn with<T>(&self, read: impl FnOnce(&mut Committed) -> T) -> T {
        read(&mut self.0.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What can go wrong with state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operator's limit.
    #[error("state would grow to {size} bytes, more than `limits.state_bytes` allows ({limit})")]
    Full {
        /// The limit.
        limit: usize,
        /// The size it would have.
        size: usize,
    },
    /// The operator's limit on keys.
    #[error("state would have more than the {limit} keys that `limits.state_entries` allows")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The fixed limit on the length of a key.
    #[error("a key of state is {size} bytes long; at most {limit} are allowed")]
    KeyTooLong {
        /// The limit.
        limit: usize,
        /// How long it is.
        size: usize,
    },
    /// The file cannot be read.
    #[error("state file {name} cannot be read: {error}")]
    Read {
        /// Name of the file in the state directory.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file cannot be written.
    #[error("state file {name} cannot be written: {error}; check the disk under `data_dir`")]
    Write {
        /// Name of the file in the state directory.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
}
