//! Reads a segment from one end to the other, whatever is in it.
//!
//! Ids in a segment count up by one. So when the search for the next sound header has stepped over something, the ids say
//! how many records that was, and an id narrows the search so far that only headers are ever checked.

use std::ops::ControlFlow;

use crate::files::File;
use crate::format::{RECORD_HEADER, RecordHeader, SEGMENT_HEADER, Salt};

/// How much of a file is searched at a time.
const WINDOW: usize = 64 << 10;

/// A record of a segment.
#[derive(Debug)]
pub(crate) enum Found<'p> {
    Sound { id: u64, offset: u64, payload: &'p [u8] },
    Damaged { id: u64 },
}

/// What is known once the whole segment was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The id after the last that was found.
    pub(crate) next: u64,
    /// Where the last record that was found ends; what follows could not be read.
    pub(crate) end: u64,
}

/// Calls `found` for every record of the file, in order.
pub(crate) fn scan<F: File>(
    file: &F,
    length: u64,
    first: u64,
    salt: Salt,
    mut found: impl FnMut(Found<'_>),
) -> Scanned {
    let mut payload = Vec::new();
    let mut at = Scanned { next: first, end: SEGMENT_HEADER };
    while let Some((header, position)) = next_header(file, length, salt, at) {
        for id in at.next..header.id {
            found(Found::Damaged { id });
        }
        payload.resize(usize::try_from(header.length).unwrap_or(usize::MAX), 0);
        let offset = position + RECORD_HEADER as u64;
        // What the disk will not give back is as good as damaged.
        let is_sound = file.read_at(&mut payload, offset).is_ok() && salt.checksum(&payload) == header.checksum;
        found(match is_sound {
            true => Found::Sound { id: header.id, offset, payload: &payload },
            false => Found::Damaged { id: header.id },
        });
        at = Scanned { next: header.id + 1, end: position + header.size() };
    }
    at
}

/// The next header of a record that is there as a whole, and its place.
fn next_header<F: File>(file: &F, length: u64, salt: Salt, at: Scanned) -> Option<(RecordHeader, u64)> {
    let Scanned { next, end } = at;
    let room = length.checked_sub(end)?;
    let fits = |header: &RecordHeader, position: u64| header.size() <= length - position;
    let mut bytes = [0; RECORD_HEADER];
    if room >= RECORD_HEADER as u64
        && file.read_at(&mut bytes, end).is_ok()
        && let Some(header) = RecordHeader::parse(&bytes, salt, next..=next)
    {
        return Some((header, end)).filter(|(header, position)| fits(header, *position));
    }
    let ids = next + 1..=next + room / RECORD_HEADER as u64;
    search(file, length, end + 1, |bytes, position| {
        match RecordHeader::parse(bytes, salt, ids.clone()).filter(|header| fits(header, position)) {
            Some(header) => ControlFlow::Break((header, position)),
            None => ControlFlow::Continue(()),
        }
    })
}

/// Tries every place from `start` on where a header would fit.
fn search<F: File, T>(
    file: &F,
    length: u64,
    start: u64,
    mut test: impl FnMut(&[u8], u64) -> ControlFlow<T>,
) -> Option<T> {
    let mut window = vec![0; WINDOW];
    let mut start = start;
    while start + RECORD_HEADER as u64 <= length {
        let size = usize::try_from(length - start).unwrap_or(WINDOW).min(WINDOW);
        window.truncate(size);
        if file.read_at(&mut window, start).is_ok() {
            for (bytes, position) in window.windows(RECORD_HEADER).zip(start..) {
                if let ControlFlow::Break(found) = test(bytes, position) {
                    return Some(found);
                }
            }
        }
        start += (size - RECORD_HEADER + 1) as u64;
    }
    None
}
