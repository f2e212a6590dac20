//! A page that arrives in pieces.

use alloc::vec::Vec;

use memchr::memchr;

use crate::entry::Entry;
use crate::error::LineError;
use crate::format::Options;
use crate::reading::Reading;

/// Reads a page whose pieces end anywhere, as [`Parser`](crate::Parser) would read the whole. If what a piece completes is
/// read before the next, it keeps one piece and [`Limits::line_bytes`](crate::Limits::line_bytes) at most.
///
/// ```
/// use kiln_prometheus_text::{Feed, Options};
///
/// let mut feed = Feed::new(Options::default());
/// let mut entries = 0;
/// for piece in ["up 1\nrequ", "ests 5"] {
///     feed.push(piece.as_bytes());
///     while let Some(entry) = feed.next_entry() {
///         entries += usize::from(entry.is_ok());
///     }
/// }
/// feed.finish();
/// while let Some(entry) = feed.next_entry() {
///     entries += usize::from(entry.is_ok());
/// }
/// assert_eq!(entries, 2);
/// ```
#[derive(Clone, Debug)]
pub struct Feed {
    buffer: Vec<u8>,
    /// What of the buffer is read.
    read: usize,
    /// Up to where it is known that what is not read has no LF.
    searched: usize,
    /// Whether what comes next is the rest of a line that was too long.
    is_skipping: bool,
    is_finished: bool,
    reading: Reading,
}

impl Feed {
    /// Reads as `options` say.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let reading = Reading::new(options);
        Self { buffer: Vec::new(), read: 0, searched: 0, is_skipping: false, is_finished: false, reading }
    }

    /// Takes the next piece. The lines it completes are read by [`Feed::next_entry`], until there is none.
    pub fn push(&mut self, piece: &[u8]) {
        if self.is_finished || self.reading.is_done() {
            return;
        }
        self.buffer.drain(..self.read);
        self.searched = self.searched.saturating_sub(self.read);
        self.read = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.reading.line_number()
    }

    /// There are no more pieces: what is left is the last line.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// What the next line says. `None` if it is not complete, or if all is read and [`Feed::finish`] was called.
    pub fn next_entry(&mut self) -> Option<Result<Entry<'_>, LineError>> {
        let limit = self.reading.options().limits.line_bytes;
        while !self.reading.is_done() {
            let end =
                self.buffer.get(self.searched..).and_then(|text| memchr(b'\n', text)).map(|at| self.searched + at);
            let next = self.buffer.get(self.read..end.unwrap_or(self.buffer.len())).unwrap_or(&[]);
            self.searched = end.map_or(self.buffer.len(), |end| end + 1);
            if self.is_skipping {
                self.reading.skip(next.len());
                self.is_skipping = end.is_none();
                self.read = self.searched;
                if end.is_some() {
                    continue;
                }
            } else if end.is_some() || next.len() > limit || (self.is_finished && !next.is_empty()) {
                self.is_skipping = end.is_none();
                self.read = self.searched;
                if let Some(entry) = self.reading.line(next, |_| true) {
                    return Some(entry);
                }
                continue;
            }
            return if self.is_finished { self.reading.end().map(Err) } else { None };
        }
        None
    }
}
