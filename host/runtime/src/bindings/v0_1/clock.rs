//! `clock`: the host's time.

use super::receiver::kiln::plugin::clock::Host;
use crate::store_data::{StoreData, unix_nanos};

impl Host for StoreData {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_nanos())
    }

    async fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
