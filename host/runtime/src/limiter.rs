//! Memory, tables and instances of one store, counted together.
//!
//! wasmtime's own limits hold for each memory by itself, and a component can bring many.

use wasmtime::ResourceLimiter;

use crate::breach::Breach;

/// These are far above what any toolchain emits, and far below what hurts.
pub(crate) const MAX_MEMORIES: usize = 8;
pub(crate) const MAX_TABLES: usize = 16;
// CPython is linked of dozens of modules, each an instance, and one holds its adapters.
pub(crate) const MAX_INSTANCES: usize = 128;
/// Over all tables together.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Counts what a store holds and remembers whether it asked for more.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    memory: usize,
    table_elements: usize,
    /// What the growth under way adds, in case it fails after it was allowed.
    growing: usize,
    denied: Option<Breach>,
}

impl Limiter {
    pub(crate) const fn new(memory_limit: usize) -> Self {
        Self { memory_limit, memory: 0, table_elements: 0, growing: 0, denied: None }
    }

    /// Bytes of linear memory held. Memories never shrink, so this is also the high-water mark.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }

    /// The limit that was refused since it was last taken, if any; and forgets it.
    pub(crate) const fn take_denied(&mut self) -> Option<Breach> {
        self.denied.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.growing = desired.saturating_sub(current);
        let total = self.memory.saturating_add(self.growing);
        if total > self.memory_limit {
            let asked = std::mem::take(&mut self.growing);
            self.denied = Some(Breach::Memory { limit: self.memory_limit, held: self.memory, asked });
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self.memory.saturating_sub(std::mem::take(&mut self.growing));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.growing = desired.saturating_sub(current);
        let total = self.table_elements.saturating_add(self.growing);
        if total > MAX_TABLE_ELEMENTS {
            self.growing = 0;
            self.denied = Some(Breach::TableElements(MAX_TABLE_ELEMENTS));
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements = self.table_elements.saturating_sub(std::mem::take(&mut self.growing));
        Ok(())
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_share_one_limit_and_what_fails_to_grow_is_given_back() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "another memory");
        assert_eq!(limiter.take_denied(), Some(Breach::Memory { limit: 100, held: 60, asked: 60 }));
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("the system has none")).unwrap();
        assert_eq!((limiter.memory(), limiter.take_denied()), (60, None));
    }

    #[test]
    fn all_tables_share_one_limit() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        limiter.table_grow_failed(wasmtime::Error::msg("the system has none")).unwrap();
        assert!(limiter.table_growing(0, MAX_TABLE_ELEMENTS - 1, None).unwrap());
        assert!(!limiter.table_growing(0, 2, None).unwrap());
        assert_eq!(limiter.take_denied(), Some(Breach::TableElements(MAX_TABLE_ELEMENTS)));
    }
}
