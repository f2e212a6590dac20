//! `service.memory_limit`: how much memory telemetry on its way, and the process, may take before collections wait.

use crate::reader::Section;
use crate::units::{GIB, KIB, MIB, Share};

/// What may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// What the process may take. A share is of the memory of the control group or of the machine, whichever is less, and
    /// counts what all processes of the group take; a size counts this process alone.
    pub process: Share,
    /// What batches may take that are collected and not delivered yet; if `None`, [`Self::BATCHES`], but no more than
    /// [`Self::BATCHES_AT_MOST`].
    pub batches: Option<Share>,
}

impl MemoryLimit {
    /// Default of [`Self::process`]: what is left is for a collection that is under way.
    pub const PROCESS: Share = Share::Percent(80);
    /// Default of [`Self::batches`], in bytes.
    pub const BATCHES: u64 = 256 * MIB;
    /// What the default of [`Self::batches`] may come to.
    pub const BATCHES_AT_MOST: Share = Share::Percent(25);

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let mut share = |key| section.get(key).and_then(|value| value.share(64 * KIB..=1024 * GIB));
        let (process, batches) = (share("process"), share("batches"));
        for key in ["limit_mib", "limit_percentage"] {
            section.unsupported(key, "write `process: 512MiB` or `process: 80%`");
        }
        for key in ["spike_limit_mib", "spike_limit_percentage"] {
            section.unsupported(
                key,
                "what collections bring is counted; bound it with `batches`, as in `batches: 128MiB`",
            );
        }
        section.unsupported("check_interval", "memory is looked at whenever a collection is to begin; remove the key");
        section.finish();
        Self { process: process.unwrap_or(Self::PROCESS), batches }
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self { process: Self::PROCESS, batches: None }
    }
}
