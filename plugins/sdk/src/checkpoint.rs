//! How far a receiver has come, as one value.
//!
//! The host commits state with what the collection emitted, or drops both. So the truth is in the state and not in the
//! receiver: a value kept in a field would be ahead of it after a collection that failed. A checkpoint is therefore read
//! when a collection begins and saved when it ends, and lives no longer.

use core::fmt;
use core::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::imports::Imports as _;
use crate::json;
use crate::prelude::*;
use crate::state::{State, StateError};

/// A value under one key of the state, for the length of one collection. Needs `[requests.state]` in the manifest.
///
/// ```
/// use kiln_plugin::{Checkpoint, CollectError, Host, UnixNanos};
/// use serde::{Deserialize, Serialize};
///
/// // With a default for every field that comes later, what an older version stored can be read.
/// #[derive(Serialize, Deserialize)]
/// struct Progress {
///     since: UnixNanos,
///     #[serde(default)]
///     cursor: Option<String>,
/// }
///
/// fn collect(host: &mut Host) -> Result<(), CollectError> {
///     let now = host.now();
///     let mut progress = Checkpoint::load(host.state(), "progress", || Progress { since: now, cursor: None })?;
///     // … read from the cursor on, emit …
///     progress.cursor = Some("42".to_owned());
///     Ok(progress.save(host.state())?)
/// }
/// ```
pub struct Checkpoint<T> {
    key: &'static str,
    value: T,
    stored: Option<Vec<u8>>,
}

impl<T: Serialize + DeserializeOwned> Checkpoint<T> {
    /// What was saved under `key` last, or `first` if nothing ever was.
    ///
    /// # Errors
    /// The store is unavailable, or holds something that is not a `T`.
    pub fn load(state: State<'_>, key: &'static str, first: impl FnOnce() -> T) -> Result<Self, StateError> {
        let stored = state.0.state_get(key).map_err(|error| StateError::of(key, error))?;
        let value = match &stored {
            Some(bytes) => {
                json::from_slice(bytes).map_err(|error| StateError::Unreadable { key: key.to_owned(), error })?
            }
            None => first(),
        };
        Ok(Self { key, value, stored })
    }

    /// Saves it, from the moment what this collection emits is safely queued. What has not changed is not written.
    ///
    /// # Errors
    /// The store is full or unavailable, or the value has no JSON form.
    pub fn save(&mut self, state: State<'_>) -> Result<(), StateError> {
        let key = self.key;
        let bytes = serde_json::to_vec(&self.value)
            .map_err(|error| StateError::Unreadable { key: key.to_owned(), error: error.into() })?;
        if self.stored.as_ref() != Some(&bytes) {
            state.0.state_set(key, &bytes).map_err(|error| StateError::of(key, error))?;
            self.stored = Some(bytes);
        }
        Ok(())
    }
}

impl<T> Deref for Checkpoint<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Checkpoint<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Checkpoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("key", &self.key).field("value", &self.value).finish_non_exhaustive()
    }
}
