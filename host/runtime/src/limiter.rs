//! Memory, tables and instances of one store, counted together.
//!
//! wasmtime's own limits hold for each memory by itself, and a component can bring many.

use wasmtime::ResourceLimiter;

/// Far above what any toolchain emits, far below what hurts.
const MAX_MEMORIES: usize = 8;
const MAX_TABLES: usize = 16;
const MAX_INSTANCES: usize = 32;
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Counts what a store holds and remembers whether it asked for more.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    memory: usize,
    table_elements: usize,
    denied: Option<&'static str>,
}

impl Limiter {
    pub(crate) const fn new(memory_limit: usize) -> Self {
        Self { memory_limit, memory: 0, table_elements: 0, denied: None }
    }

    /// Bytes of linear memory held. Memories never shrink, so this is also the high-water mark.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }

    pub(crate) const fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// The limit that was refused since it was last taken, if any.
    pub(crate) const fn denied(&self) -> Option<&'static str> {
        self.denied
    }

    /// As [`Self::denied`], and forgets it.
    pub(crate) const fn take_denied(&mut self) -> Option<&'static str> {
        self.denied.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            self.denied = Some("memory");
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > MAX_TABLE_ELEMENTS {
            self.denied = Some("tables");
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
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
