//! A queue on disk that is opened and not in use yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use kiln_config::{Fsync, OnFull};
use kiln_queue::{Disk, OpenError, Options, Recovery, Verdict};

use super::envelope::Envelope;
use super::staged::Waiting;

/// So many segments a full queue has at the most: disk space is given back, or dropped, a segment at a time.
const SEGMENTS: u64 = 64;
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 30);

/// A queue on disk with what was found in it.
#[derive(Debug)]
pub struct Storage {
    pub(crate) log: kiln_queue::Queue,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) options: Options,
    pub(crate) recovery: Recovery,
    sequences: BTreeMap<String, u64>,
}

/// Why a queue on disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the queue in {} cannot be used: {problem}", path.display())]
pub struct StorageError {
    path: PathBuf,
    #[source]
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Directory(#[from] std::io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Storage {
    /// Opens the queue of exporter `id`. Blocks while what is there is read.
    ///
    /// `committed` is the last complete collection of an instance. Batches of a later one are discarded, for it will be
    /// collected again. Where it is not known nothing is discarded: rather twice than never.
    pub(crate) fn open(
        id: &str,
        settings: &kiln_config::Storage,
        max_records: usize,
        committed: &dyn Fn(&str) -> Option<u64>,
    ) -> Result<Self, StorageError> {
        let path = settings.directory.as_path();
        let failed = |problem| StorageError { path: path.to_owned(), problem };
        let dir = private(path).map_err(|error| failed(error.into()))?;
        let options = options(settings, max_records);
        let mut waiting = VecDeque::new();
        let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
        let mut known: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let mut unreadable = 0;
        let judge = |id, payload: &[u8]| {
            let Some((Envelope { unit, signal, items }, _)) = Envelope::read(payload) else {
                unreadable += 1;
                return Verdict::Discard;
            };
            if !unit.instance.is_empty() {
                let known = *known.entry(unit.instance.clone()).or_insert_with(|| committed(&unit.instance));
                if known.is_some_and(|committed| unit.sequence > committed) {
                    return Verdict::Discard;
                }
                let highest = sequences.entry(unit.instance).or_default();
                *highest = unit.sequence.max(*highest);
            }
            waiting.push_back(Waiting { id, signal, items });
            Verdict::Keep
        };
        let opened = kiln_queue::Queue::open(Disk::new(dir), options, judge);
        let (log, mut recovery) = opened.map_err(|error| failed(error.into()))?;
        recovery.discarded -= unreadable;
        recovery.damaged += unreadable;
        let unknown: BTreeSet<_> = sequences.keys().filter(|instance| known.get(*instance) == Some(&None)).collect();
        for instance in unknown {
            tracing::warn!(
                exporter = id,
                instance,
                "nothing says which of its collections are complete: what waits is sent, perhaps a second time"
            );
        }
        Ok(Self { log, waiting, options, recovery, sequences })
    }

    /// The latest collection of each instance that waits here. None must be given its number again.
    #[must_use]
    pub const fn sequences(&self) -> &BTreeMap<String, u64> {
        &self.sequences
    }
}

fn options(settings: &kiln_config::Storage, max_records: usize) -> Options {
    let segment_bytes = (settings.max_bytes / SEGMENTS).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
    Options {
        segment_bytes: u32::try_from(segment_bytes).unwrap_or(u32::MAX),
        max_bytes: settings.max_bytes,
        max_records,
        on_full: match settings.on_full {
            OnFull::Block => kiln_queue::OnFull::Block,
            OnFull::DropOldest => kiln_queue::OnFull::DropOldest,
        },
        fsync: match settings.fsync {
            Fsync::Always => kiln_queue::Fsync::Always,
            Fsync::Interval => kiln_queue::Fsync::Interval,
            Fsync::Never => kiln_queue::Fsync::Never,
        },
    }
}

/// The directory, for this user only if it is new.
fn private(path: &Path) -> std::io::Result<Dir> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    if let Some(parent) = path.parent()
        && let Some(name) = path.file_name()
        && !path.exists()
    {
        std::fs::create_dir_all(parent)?;
        Dir::open_ambient_dir(parent, ambient_authority())?.create_dir_with(name, &builder)?;
    }
    Dir::open_ambient_dir(path, ambient_authority())
}
