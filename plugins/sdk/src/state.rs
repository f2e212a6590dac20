//! What an instance remembers, as typed values.
//!
//! The host keeps bytes and commits them with the batch; here they are JSON, so that a value written by one version
//! of a plugin can be read by the next.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::collection::CollectError;
pub use crate::bindings::state::Error as StoreError;
use crate::imports::{Backend, Imports};
use crate::json::{self, JsonError};
use crate::prelude::*;

/// The instance's own key-value store.
#[derive(Clone, Copy)]
pub struct State<'a>(pub(crate) &'a Backend);

impl State<'_> {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    /// The store is unavailable, or holds something that is not a `T`.
    pub fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, StateError> {
        let stored = self.0.state_get(key).map_err(|error| StateError::of(key, error))?;
        let Some(bytes) = stored else { return Ok(None) };
        json::from_slice(&bytes).map(Some).map_err(|error| StateError::Unreadable { key: key.to_owned(), error })
    }

    /// Remembers `value` under `key`, from the moment what this collection emits is safely queued.
    ///
    /// # Errors
    /// The store is full or unavailable, or the value has no JSON form.
    pub fn set<T: Serialize>(self, key: &str, value: &T) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StateError::Unreadable { key: key.to_owned(), error: error.into() })?;
        self.0.state_set(key, &bytes).map_err(|error| StateError::of(key, error))
    }

    /// Forgets what is under `key`.
    ///
    /// # Errors
    /// The store is unavailable.
    pub fn delete(self, key: &str) -> Result<(), StateError> {
        self.0.state_delete(key).map_err(|error| StateError::of(key, error))
    }

    /// All keys that start with `prefix`, sorted.
    ///
    /// # Errors
    /// The store is unavailable.
    pub fn keys(self, prefix: &str) -> Result<Vec<String>, StateError> {
        self.0.state_keys(prefix).map_err(|error| StateError::of(prefix, error))
    }
}

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Beyond the operator's limit.
    #[error("state `{key}`: {reason}")]
    Full {
        /// The key that was set.
        key: String,
        /// The limit, in the host's words.
        reason: String,
    },
    /// The host cannot reach it.
    #[error("state `{key}` is unavailable: {reason}")]
    Unavailable {
        /// The key that was used.
        key: String,
        /// The host's words.
        reason: String,
    },
    /// Stored by a version of the plugin that meant something else by it.
    #[error("state `{key}` does not hold what it should: {error}")]
    Unreadable {
        /// The key.
        key: String,
        /// What is wrong, and where.
        error: JsonError,
    },
}

impl StateError {
    pub(crate) fn of(key: &str, error: StoreError) -> Self {
        let key = key.to_owned();
        match error {
            StoreError::Full(reason) => Self::Full { key, reason },
            StoreError::Unavailable(reason) => Self::Unavailable { key, reason },
        }
    }
}

impl From<StateError> for CollectError {
    fn from(error: StateError) -> Self {
        Self::Failed(error.to_string())
    }
}
