//! Changes of state on their way from a collection to what is committed.

use std::collections::BTreeMap;

use super::file::encode;
use super::{Committed, StateError, StateStore};

type Changes = BTreeMap<String, Option<Vec<u8>>>;

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
            (Some(file), Some(bytes)) => file.replace(&bytes),
            _ => Ok(()),
        }
    }
}
