//! `state`: the overlay of the current collection.

use super::receiver::kiln::plugin::state::{Error, Host};
use crate::state::StateError;
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.overlay.get(&key))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Error> {
        self.overlay.set(key, value).map_err(|error| match error {
            StateError::Full { .. } => {
                self.metrics.limit_hit("state_bytes");
                Error::Full(error.to_string())
            }
            StateError::Read { .. } | StateError::Write { .. } => Error::Unavailable(error.to_string()),
        })
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.overlay.delete(key);
        Ok(())
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, Error> {
        Ok(self.overlay.keys(&prefix))
    }
}
