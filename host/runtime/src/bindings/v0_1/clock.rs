//! `clock`: the host's time.

use super::receiver::kiln::plugin::clock::Host;
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.unix_nanos())
    }

    async fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
