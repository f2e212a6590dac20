//! The queue itself: which segments there are, and whether there is room.

use std::collections::BTreeMap;
use std::io;

use crate::disk::Disk;
use crate::files::Directory;
use crate::format::{acks_name, segment_name, set_aside_name};
use crate::options::{Fsync, OnFull, Options};
use crate::segment::{SEGMENT_COST, Segment, record_cost};
use crate::{MAX_RECORD_BYTES, MAX_SET_ASIDE};

/// Records that wait on disk.
#[derive(Debug)]
pub struct Queue<D: Directory = Disk> {
    pub(crate) dir: D,
    pub(crate) options: Options,
    /// By first id.
    pub(crate) segments: BTreeMap<u64, Segment<D::File>>,
    /// The segment new records go to.
    pub(crate) active: Option<u64>,
    pub(crate) next_id: u64,
    pub(crate) is_dir_dirty: bool,
    /// Damaged files there are.
    pub(crate) set_aside: usize,
    /// Acks whose segment is gone, though perhaps not for good: a power cut could bring it back, and with it all that is
    /// done with. They go once it is.
    pub(crate) orphans: BTreeMap<u64, u64>,
    /// Records that had to make room and nobody was told of yet.
    pub(crate) dropped: Vec<u64>,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room now. Never with [`OnFull::DropOldest`].
    #[error("the queue is full")]
    Full,
    /// There never will be.
    #[error("records of {bytes} bytes together do not fit into a queue of at most {max_bytes} bytes")]
    TooLarge {
        /// What they would take on disk.
        bytes: u64,
        /// What the queue may take.
        max_bytes: u64,
    },
    /// The system refuses.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

/// Why a record cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is acknowledged, was dropped, or never was.
    #[error("there is no such record")]
    Gone,
    /// It is not what was written. It is to be acknowledged like any other.
    #[error("the record is damaged")]
    Damaged,
    /// The system refuses. It may not the next time.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
}

impl<D: Directory> Queue<D> {
    /// Appends records, all of them or, if it fails, none, and returns their ids.
    ///
    /// # Errors
    /// There is no room, or they cannot be written.
    pub fn append(&mut self, payloads: &[&[u8]]) -> Result<Vec<u64>, AppendError> {
        self.make_room(payloads)?;
        let mut ids = Vec::new();
        let written = self.write_all(payloads, &mut ids);
        if let Err(error) = written {
            // What is written cannot be unwritten. If this fails too the records are there after the next start.
            let _ = self.acknowledge(&ids);
            return Err(error.into());
        }
        Ok(ids)
    }

    /// Records that had to make room since this was last asked, oldest first. They are gone.
    pub fn take_dropped(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dropped)
    }

    fn write_all(&mut self, payloads: &[&[u8]], ids: &mut Vec<u64>) -> io::Result<()> {
        for payload in payloads {
            ids.push(self.write(payload)?);
        }
        if self.options.fsync == Fsync::Always {
            self.sync_records()?;
        }
        Ok(())
    }

    fn write(&mut self, payload: &[u8]) -> io::Result<u64> {
        let id = self.next_id;
        let is_full = |segment: &Segment<D::File>| is_full(self.options, segment.cost, payload.len());
        if self.active.and_then(|first| self.segments.get(&first)).is_some_and(is_full) {
            self.seal()?;
        }
        if self.active.is_none() {
            let segment = Segment::create(&self.dir, id)?;
            self.is_dir_dirty = true;
            self.segments.insert(id, segment);
            self.active = Some(id);
        }
        let Some(segment) = self.active.and_then(|first| self.segments.get_mut(&first)) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        if let Err(failed) = segment.append(id, payload) {
            if failed.is_torn {
                self.close();
            }
            return Err(failed.error);
        }
        self.next_id += 1;
        Ok(id)
    }

    /// Writes no more to the segment that is written to.
    fn seal(&mut self) -> io::Result<()> {
        let Some(first) = self.active else { return Ok(()) };
        self.close();
        let Some(segment) = self.segments.get_mut(&first) else { return Ok(()) };
        if segment.waiting.is_empty() {
            return self.remove(first);
        }
        // So that no later record survives what an earlier one does not.
        if self.options.fsync == Fsync::Never { Ok(()) } else { segment.sync_records(&self.dir) }
    }

    fn close(&mut self) {
        let closed = self.active.take().and_then(|first| self.segments.get_mut(&first));
        closed.into_iter().for_each(Segment::seal);
    }

    /// Sees to it that the records fit.
    fn make_room(&mut self, payloads: &[&[u8]]) -> Result<(), AppendError> {
        let Options { max_bytes, max_records, on_full, .. } = self.options;
        let alone = needed(self.options, None, payloads);
        let is_long = payloads.iter().any(|payload| payload.len() as u64 > u64::from(MAX_RECORD_BYTES));
        if alone > max_bytes || is_long {
            return Err(AppendError::TooLarge { bytes: alone, max_bytes });
        }
        loop {
            let active = self.active.and_then(|first| self.segments.get(&first));
            let needed = needed(self.options, active.map(|segment| segment.cost), payloads);
            let has_room = self.bytes().saturating_add(needed) <= max_bytes;
            let waiting = self.len();
            // What is appended together is never too many for an empty queue: it could not be divided.
            if has_room && (waiting == 0 || waiting + payloads.len() <= max_records) {
                return Ok(());
            }
            if active.is_some_and(|segment| segment.waiting.is_empty()) {
                self.seal()?;
                continue;
            }
            if !self.orphans.is_empty() {
                self.sync_dir()?;
                continue;
            }
            let oldest = self.segments.first_key_value().map(|(first, _)| *first);
            match (on_full, oldest) {
                (OnFull::DropOldest, Some(oldest)) => {
                    self.active = self.active.filter(|first| *first != oldest);
                    let waiting = self.segments.get_mut(&oldest).map(|segment| std::mem::take(&mut segment.waiting));
                    self.dropped.extend(waiting.unwrap_or_default().into_keys());
                    self.remove(oldest)?;
                }
                (OnFull::DropOldest, None) | (OnFull::Block, _) => return Err(AppendError::Full),
            }
        }
    }

    /// The payload of a record that waits.
    ///
    /// # Errors
    /// It does not wait, is damaged, or cannot be read.
    pub fn read(&mut self, id: u64) -> Result<Vec<u8>, ReadError> {
        let segment = self.segments.range_mut(..=id).next_back().map(|(_, segment)| segment);
        let segment = segment.ok_or(ReadError::Gone)?;
        let place = *segment.waiting.get(&id).ok_or(ReadError::Gone)?;
        segment.read(&self.dir, place)?.ok_or(ReadError::Damaged)
    }

    /// Whether a record waits.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        let segment = self.segments.range(..=id).next_back();
        segment.is_some_and(|(_, segment)| segment.waiting.contains_key(&id))
    }

    /// Takes records as done with. Those that do not wait are none of its business.
    ///
    /// # Errors
    /// It cannot be noted on disk, or a file not be deleted: the records are there again after the next start.
    pub fn acknowledge(&mut self, ids: &[u64]) -> io::Result<()> {
        let mut done: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for id in ids {
            let segment = self.segments.range_mut(..=*id).next_back();
            if let Some((first, segment)) = segment
                && segment.waiting.remove(id).is_some()
            {
                done.entry(*first).or_default().push(*id);
            }
        }
        let mut result = Ok(());
        for (first, ids) in done {
            let Some(segment) = self.segments.get_mut(&first) else { continue };
            let noted = if segment.waiting.is_empty() && self.active != Some(first) {
                self.remove(first)
            } else {
                self.is_dir_dirty |= !segment.has_acks();
                segment.acknowledge(&self.dir, &ids)
            };
            result = result.and(noted);
        }
        result
    }

    /// Makes all that was appended and acknowledged so far survive a power cut; with [`Fsync::Never`] it only tidies up.
    ///
    /// # Errors
    /// It may not survive one.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.options.fsync == Fsync::Never {
            self.is_dir_dirty = false;
            return self.sync_dir();
        }
        self.segments.values_mut().try_for_each(|segment| segment.sync_acks(&self.dir))?;
        self.sync_records()
    }

    fn sync_records(&mut self) -> io::Result<()> {
        let mut synced = self.segments.values_mut().try_for_each(|segment| segment.sync_records(&self.dir));
        if synced.is_ok() {
            synced = self.sync_dir();
        }
        if synced.is_err() {
            // Nobody knows what of it is on disk now; what comes next must not depend on it.
            self.close();
        }
        synced
    }

    /// Deletes a segment in which nothing waits, or sets it aside.
    pub(crate) fn remove(&mut self, first: u64) -> io::Result<()> {
        let Some(segment) = self.segments.remove(&first) else { return Ok(()) };
        self.is_dir_dirty = true;
        if segment.has_acks() {
            self.orphans.insert(first, segment.acks_bytes());
        }
        let keep = segment.is_damaged && self.set_aside < MAX_SET_ASIDE;
        drop(segment);
        if keep {
            self.set_aside += 1;
            self.dir.rename(&segment_name(first), &set_aside_name(first))
        } else {
            self.dir.remove(&segment_name(first))
        }
    }

    /// Makes what was created and deleted survive a power cut, and deletes what was kept for fear of one.
    pub(crate) fn sync_dir(&mut self) -> io::Result<()> {
        if self.is_dir_dirty {
            self.dir.sync()?;
            self.is_dir_dirty = false;
        }
        while let Some((first, _)) = self.orphans.pop_first() {
            self.dir.remove(&acks_name(first))?;
        }
        Ok(())
    }

    /// Ids of the records that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.segments.values().flat_map(|segment| segment.waiting.keys().copied())
    }

    /// How many records wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.values().map(|segment| segment.waiting.len()).sum()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.values().all(|segment| segment.waiting.is_empty())
    }

    /// Bytes the segments take, with what it takes to acknowledge what waits in them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.cost).chain(self.orphans.values().copied()).sum()
    }

    /// Damaged files there are.
    #[must_use]
    pub const fn set_aside(&self) -> usize {
        self.set_aside
    }
}

/// Whether a segment that takes `cost` is to take no record of that length. The first it always takes.
fn is_full(options: Options, cost: u64, payload: usize) -> bool {
    cost > SEGMENT_COST && cost.saturating_add(record_cost(payload)) > u64::from(options.segment_bytes)
}

/// What the records will take on disk, the first of them in the active segment if that has room.
fn needed(options: Options, active: Option<u64>, payloads: &[&[u8]]) -> u64 {
    let (mut needed, mut active) = (0_u64, active);
    for payload in payloads {
        let cost = match active.filter(|cost| !is_full(options, *cost, payload.len())) {
            Some(cost) => cost,
            None => {
                needed = needed.saturating_add(SEGMENT_COST);
                SEGMENT_COST
            }
        };
        needed = needed.saturating_add(record_cost(payload.len()));
        active = Some(cost.saturating_add(record_cost(payload.len())));
    }
    needed
}
