//! A queue of opaque records on disk, that survives what happens to processes and disks.
//!
//! Records are appended, read by id, and acknowledged in any order; what is not acknowledged is there again after the
//! next [`Queue::open`], in the order it was appended. The promise, tested against a file system that loses and tears
//! whatever was not synced and flips bits: a record that was synced and not acknowledged is never lost but by damage to
//! its own bytes, which costs that record alone and is counted; nothing is reordered and nothing is invented. Nothing that
//! is found in the directory stops a start, only what the operating system refuses.
//!
//! What bounds its growth: [`Options::max_bytes`] on disk, [`Options::max_records`] in memory, where a waiting record takes
//! its id and place and not its payload. Beyond the budget of bytes there are only damaged files, at most
//! [`MAX_SET_ASIDE`] of them.
//!
//! # The directory
//!
//! All numbers are little-endian. A checksum is CRC-32 (IEEE 802.3) over the segment's salt, 8 bytes, and what it covers.
//!
//! - `lock`: empty, locked by the process that uses the directory.
//! - `<first id, 20 digits>.segment`: a header, then records whose ids count up by one from the first id.
//!
//!   ```text
//!   header  2 × { "kilnqueue 1\n" (12)  first id u64  salt u64  checksum of these u32, salted with 0 }
//!   record  payload length u32  checksum of the payload u32  id u64  checksum of these 16 bytes u32  payload
//!   ```
//!
//!   The header is there twice because all else depends on it. The salt is random: what a record carries cannot look like
//!   a record, whoever made it. Of a record, the header has its own checksum, so that a damaged payload is stepped over and
//!   a damaged header is searched past, to the next header that is sound.
//! - `<first id>.acks`: which of the segment's records are done with, in any order.
//!
//!   ```text
//!   header  { "kiln acks 1\n" (12)  first id u64  salt u64  checksum of these u32, salted with 0 }
//!   entry   id u64  checksum of the id u32
//!   ```
//!
//!   An entry that does not read back is as if it were not there: the record is delivered again. Damaged records are
//!   acknowledged when they are found, so that they are counted once; an id with its highest bit set stands for all that
//!   follows the offset in its other bits.
//! - `<first id>.segment.damaged`: a segment in which something could not be read, once all else in it is done with. It is
//!   left for whoever wants to look, and for them to delete.
//!
//! Other files are left alone. A segment that is found is never written to again, but to cut off a torn tail and to mend
//! the one copy of its header from the other; new records go to a new one. A segment goes, with its acks, when every record in it is acknowledged.

mod disk;
mod files;
mod format;
mod open;
mod options;
mod queue;
mod scan;
mod segment;

pub use disk::Disk;
pub use files::{Directory, File};
pub use open::{OpenError, Recovery, Verdict};
pub use options::{Fsync, OnFull, Options};
pub use queue::{AppendError, Queue, ReadError};

/// The longest record, in bytes: what the largest collection may bring, and room for what its owner adds.
pub const MAX_RECORD_BYTES: u32 = (1 << 30) + (1 << 20);

/// Damaged segments that are kept for whoever wants to look. Once there are as many, further ones are deleted.
pub const MAX_SET_ASIDE: usize = 16;
