//! The limits whose breach stops a plugin, each with its name.
//!
//! The name is that of the configuration key where there is one; it labels `kiln_instance_limit_hits_total` and is part
//! of the `error.type` of the error. Limits a plugin is merely told about, such as those on what it emits, are counted
//! under names of their own and do not stop it; `docs/limits.md` lists all.

use std::time::Duration;

/// A limit that was broken, and how much it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The plugin computed for too long in one call.
    #[error("used more than {0:?} of CPU in one call and was stopped; if that is reasonable, raise `limits.cpu`")]
    Cpu(Duration),
    /// The plugin, and what it waited for, took too long.
    #[error("took more than {0:?} and was stopped; if that is reasonable, raise `timeout`")]
    Timeout(Duration),
    /// The plugin wanted more memory.
    #[error(
        "needs more than {limit} bytes of memory and was stopped: it held {held} and asked for {asked} more; if that is \
         reasonable, raise `limits.memory`"
    )]
    Memory {
        /// What it may have, in bytes.
        limit: usize,
        /// What it had.
        held: usize,
        /// What it asked for beyond that.
        asked: usize,
    },
    /// The plugin handed over too much in one host call, in bytes.
    #[error(
        "hands over more than {0} bytes in one host call and was stopped; if that is reasonable, raise \
         `limits.host_call_bytes`"
    )]
    HostCallBytes(usize),
    /// The plugin handed over too much in all host calls of one call, in bytes.
    #[error(
        "hands over more than {0} bytes in the host calls of one cycle and was stopped; if that is reasonable, raise \
         `limits.host_call_total_bytes`"
    )]
    HostCallTotalBytes(usize),
    /// The plugin recursed too deep: its stack, in bytes.
    #[error("needs more than {0} bytes of stack, which no plugin may have; this is a fault in the plugin")]
    Stack(usize),
    /// The plugin consists of too many core instances.
    #[error("consists of more than {0} core instances, which no plugin may; this is a fault in the plugin")]
    Instances(usize),
    /// The plugin has too many memories.
    #[error("has more than {0} memories, which no plugin may; this is a fault in the plugin")]
    Memories(usize),
    /// The plugin has too many tables.
    #[error("has more than {0} tables, which no plugin may; this is a fault in the plugin")]
    Tables(usize),
    /// The plugin has tables that are too large, in elements.
    #[error("needs more than {0} elements in its tables, which no plugin may have; this is a fault in the plugin")]
    TableElements(usize),
    /// The plugin holds on to too many handles.
    #[error("holds more than {0} handles, which no plugin may; this is a fault in the plugin")]
    Handles(usize),
    /// The plugin holds on to too much of WASI at once: open files, streams, requests.
    #[error(
        "holds more than {0} resources of WASI at the same time, which no plugin may; this is a fault in the plugin"
    )]
    Resources(usize),
}

impl Breach {
    /// The name of the limit.
    #[must_use]
    pub const fn limit(self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Timeout(_) => "timeout",
            Self::Memory { .. } => "memory",
            Self::HostCallBytes(_) => "host_call_bytes",
            Self::HostCallTotalBytes(_) => "host_call_total_bytes",
            Self::Stack(_) => "stack",
            Self::Instances(_) => "instances",
            Self::Memories(_) => "memories",
            Self::Tables(_) => "tables",
            Self::TableElements(_) => "table_elements",
            Self::Handles(_) => "handles",
            Self::Resources(_) => "resources",
        }
    }

    /// The class of the error, as [`crate::CallError::error_type`] has it.
    pub(crate) const fn error_type(self) -> &'static str {
        match self {
            Self::Cpu(_) => "limit_cpu",
            Self::Timeout(_) => "limit_timeout",
            Self::Memory { .. } => "limit_memory",
            Self::HostCallBytes(_) => "limit_host_call_bytes",
            Self::HostCallTotalBytes(_) => "limit_host_call_total_bytes",
            Self::Stack(_) => "limit_stack",
            Self::Instances(_) => "limit_instances",
            Self::Memories(_) => "limit_memories",
            Self::Tables(_) => "limit_tables",
            Self::TableElements(_) => "limit_table_elements",
            Self::Handles(_) => "limit_handles",
            Self::Resources(_) => "limit_resources",
        }
    }
}
