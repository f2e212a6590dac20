//! `sending_queue`: what waits to be sent, and where.

use std::path::{Path, PathBuf};

use crate::batching::Batching;
use crate::error::Problem;
use crate::reader::Section;
use crate::units::{GIB, KIB, MIB};

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How much may wait, in the unit of [`Self::sizer`].
    pub queue_size: usize,
    /// What [`Self::queue_size`] counts. On disk it is batches, for there bytes have a bound of their own.
    pub sizer: Sizer,
    /// Requests that may be under way at once.
    pub num_consumers: usize,
    /// How batches are joined to requests; if `None` each is one, as it was collected.
    pub batch: Option<Batching>,
    /// Where batches wait; in memory if it is `None`.
    pub storage: Option<Storage>,
}

/// What the size of a queue is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Batches, each of which is a request.
    Requests,
    /// Data points, spans and log records.
    Items,
    /// Bytes of OTLP, uncompressed.
    Bytes,
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
const IN_MEMORY: u64 = 100;
/// On disk it is bytes that count; this many batches take some ten MiB of memory.
const ON_DISK: u64 = 100_000;
/// As many as one collection may bring.
const ITEMS: u64 = 1_000_000;
/// A quarter of what all batches may take in memory.
const BYTES: u64 = 64 * MIB;
const CONSUMERS: usize = 4;

impl Default for Queue {
    fn default() -> Self {
        let queue_size = usize::try_from(IN_MEMORY).unwrap_or(usize::MAX);
        Self { queue_size, sizer: Sizer::Requests, num_consumers: CONSUMERS, batch: None, storage: None }
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
        let is_on_disk = section.get("storage").is_some();
        let sizer = sizer(&mut section, is_on_disk);
        let queue_size = section.get("queue_size").and_then(|value| match sizer {
            Sizer::Requests => value.integer(1..=1_000_000),
            Sizer::Items => value.integer(1..=1_000_000_000),
            Sizer::Bytes => value.size(KIB..=256 * GIB),
        });
        let queue_size = queue_size.unwrap_or(match (sizer, storage.is_some()) {
            (Sizer::Requests, true) => ON_DISK,
            (Sizer::Requests, false) => IN_MEMORY,
            (Sizer::Items, _) => ITEMS,
            (Sizer::Bytes, _) => BYTES,
        });
        let queue_size = usize::try_from(queue_size).unwrap_or(usize::MAX);
        let num_consumers = section.get("num_consumers").and_then(|value| value.integer(1..=1000));
        let num_consumers = num_consumers.and_then(|value| usize::try_from(value).ok()).unwrap_or(CONSUMERS);
        let batch = section.get_or_null("batch").map(|value| Batching::read(value.section()));
        section.unsupported("block_on_overflow", "a full queue holds up the receivers unless `on_full` says otherwise");
        section.finish();
        Self { queue_size, sizer, num_consumers, batch, storage }
    }
}

fn sizer(section: &mut Section<'_>, is_on_disk: bool) -> Sizer {
    let choices = [("requests", Sizer::Requests), ("items", Sizer::Items), ("bytes", Sizer::Bytes)];
    let Some(value) = section.get("sizer") else { return Sizer::Requests };
    let Some(sizer) = value.choice(&choices) else { return Sizer::Requests };
    if is_on_disk && sizer != Sizer::Requests {
        value.error(Problem::Unsupported("a queue on disk counts batches, and bytes with `max_bytes`; remove the key"));
        return Sizer::Requests;
    }
    sizer
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
