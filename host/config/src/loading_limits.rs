//! `service.limits`: what turning plugin files into running code may use up. `docs/limits.md` lists them with what was
//! measured.

use std::time::Duration;

use crate::reader::Section;
use crate::units::{GIB, MIB};

/// Default of [`LoadingLimits::compile_memory`].
pub const DEFAULT_COMPILE_MEMORY: u64 = GIB;

/// Default of [`LoadingLimits::compile_time`].
pub const DEFAULT_COMPILE_TIME: Duration = Duration::from_secs(60);

/// Default of [`LoadingLimits::cache_bytes`].
pub const DEFAULT_CACHE_BYTES: u64 = GIB;

/// What loading may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadingLimits {
    /// Memory of the process that compiles a plugin, in bytes of address space.
    pub compile_memory: u64,
    /// How long it may take, on the clock on the wall and in processor time.
    pub compile_time: Duration,
    /// What compiled plugins may take on disk.
    pub cache_bytes: u64,
}

impl Default for LoadingLimits {
    fn default() -> Self {
        Self {
            compile_memory: DEFAULT_COMPILE_MEMORY,
            compile_time: DEFAULT_COMPILE_TIME,
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }
}

impl LoadingLimits {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut size = |key, range, default| section.get(key).and_then(|value| value.size(range)).unwrap_or(default);
        let compile_memory = size("compile_memory", 64 * MIB..=64 * GIB, defaults.compile_memory);
        let cache_bytes = size("cache_bytes", MIB..=1024 * GIB, defaults.cache_bytes);
        let compile_time = section
            .get("compile_time")
            .and_then(|value| value.duration(Duration::from_secs(1)..=Duration::from_secs(60 * 60)))
            .unwrap_or(defaults.compile_time);
        section.finish();
        Self { compile_memory, compile_time, cache_bytes }
    }
}
