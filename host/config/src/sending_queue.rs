//! `sending_queue`: what waits to be sent, and where.

use std::path::{Path, PathBuf};

use crate::error::Problem;
use crate::reader::Section;
use crate::units::{GIB, MIB};

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Batches that may wait.
    pub queue_size: usize,
    /// Requests that may be under way at once.
    pub num_consumers: usize,
    /// Where batches wait; in memory if it is `None`.
    pub storage: Option<Storage>,
}

/// A queue on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its directory, which it shares with nobody.
    pub directory: PathBuf,
    /// Bytes it may take on disk.
    pub max_bytes: u64,
    /// What happens when it has taken them.
    pub on_full: OnFull,
    /// When a batch in it is safe from a power cut; it is safe from a crash of Kiln at once.
    pub fsync: Fsync,
}

/// What a full queue on disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Receivers wait, which loses nothing.
    Block,
    /// The oldest batches are dropped, and counted.
    DropOldest,
}

/// When a batch on disk is safe from a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before the checkpoint of its collection is committed.
    Always,
    /// Within a second.
    Interval,
    /// When the operating system sees fit.
    Never,
}

/// Default of [`Storage::max_bytes`].
pub const DEFAULT_MAX_BYTES: u64 = GIB;

/// In memory a batch is a whole collection, so a tenth of the Collector's number goes as far.
const IN_MEMORY: usize = 100;
/// On disk it is bytes that count; this many batches take some ten MiB of memory.
const ON_DISK: usize = 100_000;
const CONSUMERS: usize = 4;

impl Default for Queue {
    fn default() -> Self {
        Self { queue_size: IN_MEMORY, num_consumers: CONSUMERS, storage: None }
    }
}

impl Queue {
    pub(crate) fn read(mut section: Section<'_>, data_dir: Option<&Path>) -> Self {
        if let Some(enabled) = section.get("enabled")
            && enabled.boolean() == Some(false)
        {
            enabled.error(Problem::Unsupported("the queue cannot be turned off; remove the key"));
        }
        let storage = Storage::read(&mut section, data_dir);
        let mut number = |key, max, default| {
            let value = section.get(key).and_then(|value| value.integer(1..=max));
            value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
        };
        let queue_size = number("queue_size", 1_000_000, if storage.is_some() { ON_DISK } else { IN_MEMORY });
        let num_consumers = number("num_consumers", 1000, CONSUMERS);
        section.unsupported("batch", "batches are whole collections and are not regrouped; remove the key");
        section.unsupported("sizer", "the queue is counted in batches, and in bytes on disk; remove the key");
        section.unsupported("block_on_overflow", "a full queue holds up the receivers unless `on_full` says otherwise");
        section.finish();
        Self { queue_size, num_consumers, storage }
    }
}

impl Storage {
    fn read(section: &mut Section<'_>, data_dir: Option<&Path>) -> Option<Self> {
        let storage = section.get("storage");
        let max_bytes = section.get("max_bytes");
        let on_full = section.get("on_full");
        let fsync = section.get("fsync");
        let Some(storage) = storage else {
            for value in [max_bytes, on_full, fsync].into_iter().flatten() {
                value.error(Problem::Unsupported("only a queue on disk has it; set `storage` or remove the key"));
            }
            return None;
        };
        let choices = [("block", OnFull::Block), ("drop_oldest", OnFull::DropOldest)];
        let on_full = on_full.and_then(|value| value.choice(&choices));
        let choices = [("always", Fsync::Always), ("interval", Fsync::Interval), ("never", Fsync::Never)];
        let fsync = fsync.and_then(|value| value.choice(&choices));
        let max_bytes = max_bytes.and_then(|value| value.size(MIB..=256 * GIB));
        let directory = storage.text()?;
        if directory.is_empty() {
            storage.error(Problem::Empty);
            return None;
        }
        let Some(data_dir) = data_dir else {
            storage.error(Problem::Unsupported(
                "a queue on disk needs `service.data_dir`, where Kiln remembers which collections are complete",
            ));
            return None;
        };
        Some(Self {
            directory: data_dir.join(directory),
            max_bytes: max_bytes.unwrap_or(DEFAULT_MAX_BYTES),
            on_full: on_full.unwrap_or(OnFull::Block),
            fsync: fsync.unwrap_or(Fsync::Always),
        })
    }
}
