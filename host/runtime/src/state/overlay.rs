//! Changes of state on their way from a collection to what is committed.

use std::collections::BTreeMap;

use super::file::encode;
use super::{Committed, StateError, StateStore};

type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// A key is a name and no place for data.
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// What an instance may remember.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateLimits {
    /// Keys and values, in bytes.
    pub(crate) bytes: usize,
    /// Keys.
    pub(crate) entries: usize,
}

/// How much there would be after a commit.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: usize,
    entries: usize,
}

/// What one collection would change.
#[derive(Debug)]
pub(crate) struct Overlay {
    store: StateStore,
    changes: Changes,
    limits: StateLimits,
    /// Kept up to date from the first change on: adding everything up at every change would cost a plugin little and
    /// the host much.
    size: Option<Size>,
}

impl Overlay {
    pub(crate) const fn new(store: StateStore, limits: StateLimits) -> Self {
        Self { store, changes: Changes::new(), limits, size: None }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.changes.get(key) {
            Some(change) => change.clone(),
            None => self.store.with(|committed| committed.entries.get(key).cloned()),
        }
    }

    pub(crate) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), StateError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(StateError::KeyTooLong { limit: MAX_KEY_BYTES, size: key.len() });
        }
        let mut size = self.size_without(&key);
        size.bytes = size.bytes.saturating_add(key.len()).saturating_add(value.len());
        size.entries = size.entries.saturating_add(1);
        if size.bytes > self.limits.bytes {
            return Err(StateError::Full { limit: self.limits.bytes, size: size.bytes });
        }
        if size.entries > self.limits.entries {
            return Err(StateError::TooManyEntries { limit: self.limits.entries });
        }
        self.size = Some(size);
        self.changes.insert(key, Some(value));
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: String) {
        // What is not there is not remembered as deleted either, or deleting would be a way to fill the host's memory.
        if self.length(&key).is_some() {
            self.size = Some(self.size_without(&key));
            self.changes.insert(key, None);
        }
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

    /// Bytes there would be after a commit, keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.size.unwrap_or_else(|| self.committed_size()).bytes
    }

    #[cfg(test)]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// Length of the value of a key, if it has one.
    fn length(&self, key: &str) -> Option<usize> {
        match self.changes.get(key) {
            Some(change) => change.as_ref().map(Vec::len),
            None => self.store.with(|committed| committed.entries.get(key).map(Vec::len)),
        }
    }

    /// How much there would be, were `key` not there.
    fn size_without(&self, key: &str) -> Size {
        let size = self.size.unwrap_or_else(|| self.committed_size());
        match self.length(key) {
            Some(length) => Size {
                bytes: size.bytes.saturating_sub(key.len().saturating_add(length)),
                entries: size.entries.saturating_sub(1),
            },
            None => size,
        }
    }

    fn committed_size(&self) -> Size {
        self.store.with(|Committed { entries, .. }| Size {
            bytes: entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
            entries: entries.len(),
        })
    }

    /// Hands the changes over for committing; the overlay is empty again.
    pub(crate) fn take(&mut self) -> Checkpoint {
        let sequence = self.store.with(|committed| committed.sequence.saturating_add(1));
        self.size = None;
        let changes = std::mem::take(&mut self.changes);
        Checkpoint { store: self.store.clone(), changes, sequence, is_counted: false }
    }

    pub(crate) fn discard(&mut self) {
        self.size = None;
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
            committed.revision = committed.revision.wrapping_add(u64::from(!self.changes.is_empty()));
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
            (Some(file), Some(bytes)) => file.replace(&bytes),
            _ => Ok(()),
        }
    }
}
