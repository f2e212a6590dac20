//! What a start makes of what it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::MAX_SET_ASIDE;
use crate::files::{Directory, File as _};
use crate::format::{
    ACK, ACKS_HEADER, DAMAGED_TAIL, HEADER, Name, SEGMENT_HEADER, acks_name, parse_segment_header, segment_header,
    segment_name, set_aside_name,
};
use crate::options::Options;
use crate::queue::Queue;
use crate::scan::{Found, Scanned, scan};
use crate::segment::{Place, Segment};

/// A segment holds one record of the greatest length or many that are shorter; a longer file is none of ours.
const MAX_SEGMENT_FILE: u64 = 2 << 30;

/// Whether a record that was found still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits.
    Keep,
    /// It is acknowledged at once.
    Discard,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Records that wait.
    pub recovered: u64,
    /// Records that were discarded at their owner's word.
    pub discarded: u64,
    /// Records found damaged this time; they are lost. More where several lie side by side at the end of a segment.
    pub damaged: u64,
    /// Bytes at the end of the log that had not become a record, as after a crash, and were cut off.
    pub truncated_bytes: u64,
    /// Why some of this could not be written down. It will be found again at the next start.
    pub unsaved: Option<io::Error>,
}

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two processes must not write to one log.
    #[error("another process is using it")]
    Locked,
    /// The system refuses.
    #[error("{name} cannot be {attempt}: {error}")]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// With which file, or `.` for the directory.
        name: String,
        /// What the system says.
        error: io::Error,
    },
}

fn refused(attempt: &'static str, name: &str) -> impl FnOnce(io::Error) -> OpenError {
    move |error| OpenError::Io { attempt, name: name.to_owned(), error }
}

impl<D: Directory> Queue<D> {
    /// Opens the queue in a directory, which may be empty. `judge` is asked about every record that waits, in order.
    ///
    /// # Errors
    /// Another process uses the directory, or the system refuses.
    pub fn open(
        mut dir: D,
        options: Options,
        mut judge: impl FnMut(u64, &[u8]) -> Verdict,
    ) -> Result<(Self, Recovery), OpenError> {
        if !dir.lock().map_err(refused("locked", "lock"))? {
            return Err(OpenError::Locked);
        }
        let names = dir.names().map_err(refused("listed", "."))?;
        let names: Vec<_> = names.iter().map(|name| Name::parse(name)).collect();
        let of = |find: fn(&Name) -> Option<u64>| names.iter().filter_map(find).collect::<BTreeSet<_>>();
        let segments = of(|name| if let Name::Segment(first) = name { Some(*first) } else { None });
        let acks = of(|name| if let Name::Acks(first) = name { Some(*first) } else { None });
        let set_aside = of(|name| if let Name::SetAside(first) = name { Some(*first) } else { None });
        let mut queue = Self {
            dir,
            options,
            segments: BTreeMap::new(),
            active: None,
            // No name is used again, lest one file takes the place of another.
            next_id: set_aside.last().map_or(0, |first| first + 1),
            is_dir_dirty: true,
            orphans: acks.difference(&segments).map(|first| (*first, 0)).collect(),
            set_aside: set_aside.len(),
            dropped: Vec::new(),
        };
        let mut recovery = Recovery::default();
        for first in &segments {
            queue.next_id = queue.next_id.max(first + 1);
            let following = segments.range(first + 1..).next().copied();
            queue.recover(*first, following, acks.contains(first), &mut recovery, &mut judge)?;
        }
        let tidied = queue.sync_dir();
        note(&mut recovery, tidied);
        Ok((queue, recovery))
    }

    fn recover(
        &mut self,
        first: u64,
        following: Option<u64>,
        has_acks: bool,
        recovery: &mut Recovery,
        judge: &mut dyn FnMut(u64, &[u8]) -> Verdict,
    ) -> Result<(), OpenError> {
        let name = segment_name(first);
        let mut file = match self.dir.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(()),
            file => file.map_err(refused("opened", &name))?,
        };
        let length = file.length().map_err(refused("read", &name))?;
        let mut header = [0; SEGMENT_HEADER as usize];
        let has_header = length >= SEGMENT_HEADER && file.read_at(&mut header, 0).is_ok();
        let salt = parse_segment_header(&header).filter(|(named, _)| *named == first).map(|(_, salt)| salt);
        let Some(salt) = salt.filter(|_| has_header && length <= MAX_SEGMENT_FILE) else {
            drop(file);
            self.discard_unreadable(first, length, has_acks, recovery);
            return Ok(());
        };
        let sound = segment_header(first, salt);
        // Only the copy that needs it: were both written, both could be torn.
        for (at, (sound, found)) in sound.chunks(HEADER).zip(header.chunks(HEADER)).enumerate() {
            if sound != found {
                note(recovery, file.write_at(sound, (at * HEADER) as u64).and_then(|()| file.sync()));
            }
        }
        let mut segment = Segment::found(first, salt);
        let mut done = BTreeSet::new();
        if has_acks {
            let name = acks_name(first);
            let acks = self.dir.open(&name).map_err(refused("opened", &name))?;
            let ids = first..first.saturating_add(length);
            let found = |id| done.extend(Some(id).filter(|id| ids.contains(id) || *id >= DAMAGED_TAIL));
            let is_ours = segment.read_acks(&acks, found).map_err(refused("read", &name))?;
            if !is_ours {
                // A new header in the old file could bring back what was behind the old one.
                note(recovery, self.dir.remove(&name));
            }
        }
        let mut over = Vec::new();
        let mut places = Vec::new();
        let mut is_damaged = false;
        let Scanned { next, end } = scan(&file, length, first, salt, |found| match found {
            // The segment that follows began with this id, so it was free then: this one was deleted, and has come back.
            Found::Sound { id, .. } | Found::Damaged { id } if following.is_some_and(|following| id >= following) => {}
            Found::Sound { id, offset, payload } if !done.contains(&id) => match judge(id, payload) {
                Verdict::Keep => places.extend(Place::new(offset, payload, salt).ok().map(|place| (id, place))),
                Verdict::Discard => {
                    recovery.discarded += 1;
                    over.push(id);
                }
            },
            Found::Sound { .. } => {}
            Found::Damaged { id } => {
                is_damaged = true;
                // Counted once: from now on it is acknowledged.
                if !done.contains(&id) {
                    recovery.damaged += 1;
                    over.push(id);
                }
            }
        });
        let tail = DAMAGED_TAIL | end;
        if end < length && following.is_none() && !done.contains(&tail) {
            recovery.truncated_bytes += length - end;
            note(recovery, file.set_len(end).and_then(|()| file.sync()));
        } else if end < length {
            is_damaged = true;
            if !done.contains(&tail) {
                recovery.damaged += 1;
                over.push(tail);
            }
        }
        segment.end = end;
        segment.is_damaged = is_damaged;
        self.next_id = self.next_id.max(next);
        recovery.recovered += places.len() as u64;
        segment.waiting.extend(places);
        if !over.is_empty() && !segment.waiting.is_empty() {
            note(recovery, segment.acknowledge(&self.dir, &over).and_then(|()| segment.sync_acks(&self.dir)));
        }
        // One more ack than what waits will need, for one that was torn.
        let acks = segment.acks_bytes().max(ACKS_HEADER) + ((segment.waiting.len() + 1) * ACK) as u64;
        segment.cost = length + acks;
        let is_over = segment.waiting.is_empty();
        self.segments.insert(first, segment);
        if is_over {
            note(recovery, self.remove(first));
        }
        Ok(())
    }

    /// A file that is no segment, for all its name: too short to have held a record, or set aside.
    fn discard_unreadable(&mut self, first: u64, length: u64, has_acks: bool, recovery: &mut Recovery) {
        let name = segment_name(first);
        if length <= SEGMENT_HEADER {
            recovery.truncated_bytes += length;
            note(recovery, self.dir.remove(&name));
        } else {
            recovery.damaged += 1;
            if self.set_aside < MAX_SET_ASIDE {
                self.set_aside += 1;
                note(recovery, self.dir.rename(&name, &set_aside_name(first)));
            } else {
                note(recovery, self.dir.remove(&name));
            }
        }
        if has_acks {
            self.orphans.insert(first, 0);
        }
    }
}

fn note(recovery: &mut Recovery, result: io::Result<()>) {
    if let Err(error) = result {
        recovery.unsaved.get_or_insert(error);
    }
}
