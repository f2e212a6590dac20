//! What an instance remembers. Changes are made to an overlay and committed when what they account for is queued.
//!
//! On disk a checkpoint is one file, replaced as a whole: written aside, synced, renamed. A file that does not read
//! back is set aside, never deleted, and the instance starts without memory rather than not at all.
//!
//! Beside what the instance remembers stands the number of its last committed collection. Exporters that queue on disk
//! hold the batches of a collection under its number before it is committed, so that replacing this file is what makes
//! the collection complete, everywhere at once; see [`StateStore::committed`].
//!
//! ```text
//! "kiln state 2\n"  SHA-256 of the rest (32)  sequence u64 LE  { key length u32 LE, key, value length u32 LE, value }*
//! ```
//!
//! `kiln state 1`, which is still read, had no sequence.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8] = b"kiln state 2\n";
const MAGIC_WITHOUT_SEQUENCE: &[u8] = b"kiln state 1\n";
const CHECKSUM: usize = 32;
/// No state file is larger; `limits.state_bytes` is far below.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

type Entries = BTreeMap<String, Vec<u8>>;
type Changes = BTreeMap<String, Option<Vec<u8>>>;

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
}

#[derive(Debug)]
struct StateFile {
    dir: Dir,
    name: String,
}

impl StateStore {
    /// State that lasts as long as the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Arc::new(Shared { committed: Mutex::default(), file: None }))
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
        write(file, &encoded).map_err(|error| StateError::Write { name: file.name.clone(), error })
    }

    fn with<T>(&self, read: impl FnOnce(&mut Committed) -> T) -> T {
        read(&mut self.0.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one collection would change.
#[derive(Debug)]
pub(crate) struct Overlay {
    store: StateStore,
    changes: Changes,
    limit: usize,
}

impl Overlay {
    pub(crate) const fn new(store: StateStore, limit: usize) -> Self {
        Self { store, changes: Changes::new(), limit }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.changes.get(key) {
            Some(change) => change.clone(),
            None => self.store.with(|committed| committed.entries.get(key).cloned()),
        }
    }

    pub(crate) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), StateError> {
        let others: usize = self.merged(|current, size| if current == key { 0 } else { size });
        let size = others.saturating_add(key.len()).saturating_add(value.len());
        if size > self.limit {
            return Err(StateError::Full { limit: self.limit, size });
        }
        self.changes.insert(key, Some(value));
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: String) {
        self.changes.insert(key, None);
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.store.with(|Committed { entries, .. }| {
            entries.keys().filter(|key| key.starts_with(prefix) && !self.changes.contains_key(*key)).cloned().collect()
        });
        let changed = self.changes.iter().filter(|(key, change)| change.is_some() && key.starts_with(prefix));
        keys.extend(changed.map(|(key, _)| key.clone()));
        keys.sort();
        keys
    }

    /// Adds up what `weigh` says of each entry as it would be after a commit.
    fn merged(&self, weigh: impl Fn(&str, usize) -> usize) -> usize {
        let committed: usize = self.store.with(|Committed { entries, .. }| {
            let kept = entries.iter().filter(|(key, _)| !self.changes.contains_key(*key));
            kept.map(|(key, value)| weigh(key, key.len() + value.len())).sum()
        });
        let changed = self.changes.iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
        committed + changed.map(|(key, value)| weigh(key, key.len() + value.len())).sum::<usize>()
    }

    /// Hands the changes over for committing; the overlay is empty again.
    pub(crate) fn take(&mut self) -> Checkpoint {
        let sequence = self.store.with(|committed| committed.sequence.saturating_add(1));
        let changes = std::mem::take(&mut self.changes);
        Checkpoint { store: self.store.clone(), changes, sequence, is_counted: false }
    }

    pub(crate) fn discard(&mut self) {
        self.changes.clear();
    }
}

/// Changes of state that wait for their batch to be accepted. Dropping one forgets them: the cycle is replayed.
#[must_use]
#[derive(Debug)]
pub struct Checkpoint {
    store: StateStore,
    changes: Changes,
    sequence: u64,
    is_counted: bool,
}

impl Checkpoint {
    /// The number of the collection, as long as it is not committed. One that fails leaves it to the next.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Makes [`Self::commit`] note that the collection is complete even if it changed nothing, because something that
    /// waits on disk goes by it.
    pub const fn count(&mut self) {
        self.is_counted = true;
    }

    /// Makes the changes last. Blocks while the file is written.
    ///
    /// # Errors
    /// The file cannot be written; the changes hold until the process ends.
    pub fn commit(self) -> Result<(), StateError> {
        if self.changes.is_empty() && !self.is_counted {
            return Ok(());
        }
        let encoded = self.store.with(|committed| {
            committed.sequence = committed.sequence.max(self.sequence);
            let entries = &mut committed.entries;
            for (key, change) in self.changes {
                match change {
                    Some(value) => entries.insert(key, value),
                    None => entries.remove(&key),
                };
            }
            self.store.0.file.is_some().then(|| encode(committed))
        });
        match (&self.store.0.file, encoded) {
            (Some(file), Some(bytes)) => {
                write(file, &bytes).map_err(|error| StateError::Write { name: file.name.clone(), error })
            }
            _ => Ok(()),
        }
    }
}

/// One file per instance; ids hold only characters that are safe in file names, but for the slash.
fn file_name(instance: &str) -> String {
    format!("{}.state", instance.replace('/', "@"))
}

fn encode(committed: &Committed) -> Vec<u8> {
    let mut body = committed.sequence.to_le_bytes().to_vec();
    for (key, value) in &committed.entries {
        for part in [key.as_bytes(), value] {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend_from_slice(part);
        }
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&Sha256::digest(&body));
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Committed> {
    let has_sequence = !bytes.starts_with(MAGIC_WITHOUT_SEQUENCE);
    let magic = if has_sequence { MAGIC } else { MAGIC_WITHOUT_SEQUENCE };
    let (checksum, mut body) = bytes.strip_prefix(magic)?.split_at_checked(CHECKSUM)?;
    if Sha256::digest(body).as_slice() != checksum {
        return None;
    }
    let mut sequence = 0;
    if has_sequence {
        let (counted, rest) = body.split_first_chunk()?;
        (sequence, body) = (u64::from_le_bytes(*counted), rest);
    }
    let mut part = || {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        body = rest;
        Some(part.to_vec())
    };
    let mut entries = Entries::new();
    while let Some(key) = part() {
        entries.insert(String::from_utf8(key).ok()?, part()?);
    }
    body.is_empty().then_some(Committed { sequence, entries })
}

enum Read {
    Committed(Committed),
    Missing,
    Damaged,
}

fn read(dir: &Dir, name: &str) -> std::io::Result<Read> {
    let file = match dir.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(decode(&bytes).map_or(Read::Damaged, Read::Committed))
}

fn write(file: &StateFile, bytes: &[u8]) -> std::io::Result<()> {
    let aside = format!("{}.new", file.name);
    let mut options = OpenOptions::new();
    let mut target = file.dir.open_with(&aside, options.write(true).create(true).truncate(true))?;
    target.write_all(bytes)?;
    target.sync_all()?;
    file.dir.rename(&aside, &file.dir, &file.name)?;
    // The rename itself must survive a power cut.
    file.dir.open(Path::new("."))?.sync_all()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    fn dir() -> (tempfile::TempDir, Dir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temporary.path(), ambient_authority()).unwrap();
        (temporary, dir)
    }

    fn reopened(dir: &Dir) -> Overlay {
        Overlay::new(StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap(), 1000)
    }

    #[test]
    fn what_is_committed_outlives_the_process_and_what_is_not_does_not() {
        let (_temporary, dir) = dir();
        let mut overlay = reopened(&dir);
        overlay.set("kept".into(), vec![1]).unwrap();
        overlay.set("gone".into(), vec![2]).unwrap();
        overlay.take().commit().unwrap();
        overlay.delete("gone".into());
        overlay.take().commit().unwrap();
        overlay.set("never".into(), vec![3]).unwrap();
        drop(overlay.take());
        assert_eq!((overlay.get("kept"), overlay.get("never")), (Some(vec![1]), None));
        let again = reopened(&dir);
        assert_eq!(again.keys(""), ["kept"]);
    }

    #[test]
    fn an_overlay_shows_its_own_changes() {
        let mut overlay = Overlay::new(StateStore::in_memory(), 100);
        overlay.set("run/1".into(), vec![1]).unwrap();
        overlay.take().commit().unwrap();
        overlay.set("run/2".into(), vec![2]).unwrap();
        overlay.delete("run/1".into());
        assert_eq!(overlay.keys("run/"), ["run/2"]);
        overlay.discard();
        assert_eq!(overlay.keys("run/"), ["run/1"]);
    }

    #[test]
    fn the_limit_counts_keys_and_values_after_the_change() {
        let mut overlay = Overlay::new(StateStore::in_memory(), 10);
        overlay.set("a".into(), vec![0; 9]).unwrap();
        overlay.set("a".into(), vec![0; 8]).unwrap();
        assert!(matches!(overlay.set("b".into(), vec![0; 1]), Err(StateError::Full { limit: 10, size: 11 })));
        overlay.delete("a".into());
        overlay.set("b".into(), vec![0; 9]).unwrap();
    }

    fn committed(dir: &Dir) -> Option<u64> {
        StateStore::committed(dir, "databricks/prod")
    }

    #[test]
    fn a_collection_is_complete_once_it_is_committed_even_if_it_changed_nothing() {
        let (_temporary, dir) = dir();
        let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
        assert_eq!(committed(&dir), None);
        store.count_from(0).unwrap();
        assert_eq!(committed(&dir), Some(0));
        let mut overlay = Overlay::new(store, 1000);
        let failed = overlay.take();
        assert_eq!(failed.sequence(), 1);
        drop(failed);
        let uncounted = overlay.take();
        assert_eq!(uncounted.sequence(), 1);
        uncounted.commit().unwrap();
        assert_eq!(committed(&dir), Some(0));
        let mut counted = overlay.take();
        counted.count();
        counted.commit().unwrap();
        assert_eq!(committed(&dir), Some(1));
        assert_eq!(reopened(&dir).take().sequence(), 2);
    }

    #[test]
    fn no_number_is_given_twice_even_if_the_file_was_lost() {
        let (temporary, dir) = dir();
        std::fs::write(temporary.path().join("databricks@prod.state"), b"garbage").unwrap();
        assert_eq!(committed(&dir), None);
        let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
        store.count_from(41).unwrap();
        assert_eq!((committed(&dir), Overlay::new(store, 1000).take().sequence()), (Some(41), 42));
        let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
        store.count_from(7).unwrap();
        assert_eq!(committed(&dir), Some(41));
    }

    #[test]
    fn what_was_written_before_collections_were_counted_is_still_read() {
        let (temporary, dir) = dir();
        let body = [&3_u32.to_le_bytes()[..], b"key", &1_u32.to_le_bytes(), &[7]].concat();
        let old = [MAGIC_WITHOUT_SEQUENCE, &Sha256::digest(&body), &body].concat();
        std::fs::write(temporary.path().join("databricks@prod.state"), old).unwrap();
        assert_eq!(committed(&dir), Some(0));
        assert_eq!(reopened(&dir).get("key"), Some(vec![7]));
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let (temporary, dir) = dir();
        let mut overlay = reopened(&dir);
        overlay.set("key".into(), vec![7; 20]).unwrap();
        overlay.take().commit().unwrap();
        let path = temporary.path().join("databricks@prod.state");
        let whole = std::fs::read(&path).unwrap();
        for (index, length) in
            [(5, whole.len()), (40, whole.len()), (whole.len() - 1, whole.len()), (0, whole.len() - 1)]
        {
            let mut bytes = whole.get(..length).unwrap().to_vec();
            if let Some(byte) = bytes.get_mut(index) {
                *byte ^= u8::from(length == whole.len());
            }
            std::fs::write(&path, bytes).unwrap();
            assert!(reopened(&dir).keys("").is_empty());
            assert!(temporary.path().join("databricks@prod.state.damaged").exists());
        }
    }
}
