//! A file that is open, and how it is read.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

/// A file that is open, and its place among those that may be.
pub(super) struct OpenFile {
    pub(super) file: OwnedFd,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Reads until `length` bytes are there or the file ends: files of `/proc` come in small pieces.
pub(super) fn read_at(file: &OwnedFd, length: usize, offset: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    let mut read = 0;
    while let Some(room) = bytes.get_mut(read..).filter(|room| !room.is_empty()) {
        match rustix::io::pread(file.as_fd(), room, offset.saturating_add(read as u64)) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(Errno::INTR) => {}
            Err(error) if read == 0 => return Err(error),
            // What there is comes first; the next read meets the error again.
            Err(_) => break,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
