//! The entries of a directory, as many at a time as fit a moment: there may be millions.

use std::collections::VecDeque;
use std::sync::Arc;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use super::granted_directory::GrantedDirectory;

/// Entries read from the disk at a time.
const AT_A_TIME: usize = 256;

/// A directory that is being listed.
#[allow(unreachable_pub, reason = "the generated bindings name it in an interface of theirs")]
pub struct Listing {
    granted: Arc<GrantedDirectory>,
    names: Vec<String>,
    /// `None` at the end.
    rest: Option<Dir>,
    next: VecDeque<Entry>,
    _place: OwnedSemaphorePermit,
}

/// One entry.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: FileType,
}

impl Listing {
    pub(super) fn new(
        granted: Arc<GrantedDirectory>,
        names: Vec<String>,
        directory: Dir,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { granted, names, rest: Some(directory), next: VecDeque::new(), _place: place }
    }

    /// The next entry that has been read.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.next.pop_front()
    }

    /// What has to be read before there is another; `None` at the end.
    pub(super) fn unread(&mut self) -> Option<Unread> {
        let rest = self.rest.take()?;
        Some(Unread { rest, granted: Arc::clone(&self.granted), names: self.names.clone() })
    }

    /// Takes what was read.
    pub(super) fn push(&mut self, read: Read) {
        self.next.extend(read.entries);
        self.rest = read.rest;
    }
}

/// The part of a directory that has not been read.
pub(super) struct Unread {
    rest: Dir,
    granted: Arc<GrantedDirectory>,
    names: Vec<String>,
}

/// Some entries, and what is left.
pub(super) struct Read {
    entries: Vec<Entry>,
    rest: Option<Dir>,
}

impl Unread {
    /// Reads on, without showing what the rule does not reach or what has no name in UTF-8.
    pub(super) fn read(mut self) -> Result<Read, Errno> {
        let mut entries = Vec::new();
        for _ in 0..AT_A_TIME {
            let Some(entry) = self.rest.read() else { return Ok(Read { entries, rest: None }) };
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !matches!(name, "." | "..") && self.granted.shows(&self.names, name, entry.file_type()) {
                entries.push(Entry { name: name.to_owned(), kind: entry.file_type() });
            }
        }
        Ok(Read { entries, rest: Some(self.rest) })
    }
}
