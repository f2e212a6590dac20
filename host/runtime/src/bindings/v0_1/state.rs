//! `state`: the overlay of the current collection.

use super::receiver::kiln::plugin::state::{Error, Host};
use crate::state::{Overlay, StateError};
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        self.use_state(key.len(), |overlay| Ok(overlay.get(&key)))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let bytes = key.len().saturating_add(value.len());
        self.use_state(bytes, |overlay| overlay.set(key, value))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        self.use_state(key.len(), |overlay| {
            overlay.delete(key);
            Ok(())
        })
    }

    async fn keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, Error>> {
        self.use_state(prefix.len(), |overlay| Ok(overlay.keys(&prefix)))
    }
}

impl StoreData {
    /// Counts what the plugin hands over and what the host computes for it.
    fn use_state<T>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Overlay) -> Result<T, StateError>,
    ) -> wasmtime::Result<Result<T, Error>> {
        self.host_calls.next();
        self.host_calls.read(bytes)?;
        let computing = self.cpu.begin_host_work();
        let result = work(&mut self.overlay);
        self.cpu.end_host_work(computing);
        Ok(result.map_err(|error| {
            let full = |limit| {
                self.metrics.limit_hit(limit);
                Error::Full(error.to_string())
            };
            match error {
                StateError::Full { .. } => full("state_bytes"),
                StateError::TooManyEntries { .. } => full("state_entries"),
                StateError::KeyTooLong { .. } => full("key_bytes"),
                StateError::Read { .. } | StateError::Write { .. } => Error::Unavailable(error.to_string()),
            }
        }))
    }
}
