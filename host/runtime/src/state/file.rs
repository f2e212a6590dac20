//! State on disk: one file per instance, replaced as a whole: written aside, synced, renamed. A file that does not read
//! back is set aside, never deleted, and the instance starts without memory rather than not at all.
//!
//! ```text
//! "kiln state 2\n"  SHA-256 of the rest (32)  sequence u64 LE  { key length u32 LE, key, value length u32 LE, value }*
//! ```
//!
//! `kiln state 1`, which is still read, had no sequence.

use std::io::{Read as _, Write as _};
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};

use super::{Committed, Entries, StateError};

const MAGIC: &[u8] = b"kiln state 2\n";
pub(super) const MAGIC_WITHOUT_SEQUENCE: &[u8] = b"kiln state 1\n";
const CHECKSUM: usize = 32;
/// No state file is larger: the most `limits.state_bytes` can allow is 1 GiB, and the most `limits.state_entries` can,
/// ten million, adds 80 MB of lengths.
const MAX_FILE_BYTES: u64 = 1280 * 1024 * 1024;

/// Where one instance's state is kept.
#[derive(Debug)]
pub(super) struct StateFile {
    pub(super) dir: Dir,
    pub(super) name: String,
}

/// One file per instance; ids hold only characters that are safe in file names, but for the slash.
pub(super) fn file_name(instance: &str) -> String {
    format!("{}.state", instance.replace('/', "@"))
}

/// A state file with this content.
pub(super) fn encode(committed: &Committed) -> Vec<u8> {
    let mut body = committed.sequence.to_le_bytes().to_vec();
    for (key, value) in &committed.entries {
        for part in [key.as_bytes(), value] {
            body.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            body.extend_from_slice(part);
        }
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&Sha256::digest(&body));
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Committed> {
    let has_sequence = !bytes.starts_with(MAGIC_WITHOUT_SEQUENCE);
    let magic = if has_sequence { MAGIC } else { MAGIC_WITHOUT_SEQUENCE };
    let (checksum, mut body) = bytes.strip_prefix(magic)?.split_at_checked(CHECKSUM)?;
    if Sha256::digest(body).as_slice() != checksum {
        return None;
    }
    let mut sequence = 0;
    if has_sequence {
        let (counted, rest) = body.split_first_chunk()?;
        (sequence, body) = (u64::from_le_bytes(*counted), rest);
    }
    let mut part = || {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        body = rest;
        Some(part.to_vec())
    };
    let mut entries = Entries::new();
    while let Some(key) = part() {
        entries.insert(String::from_utf8(key).ok()?, part()?);
    }
    body.is_empty().then_some(Committed { sequence, entries, revision: 0 })
}

/// What a state file says.
pub(super) enum Read {
    Committed(Committed),
    Missing,
    Damaged,
}

/// Reads a state file; one that is too large to be ours reads as damaged.
pub(super) fn read(dir: &Dir, name: &str) -> std::io::Result<Read> {
    let file = match dir.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(decode(&bytes).map_or(Read::Damaged, Read::Committed))
}

impl StateFile {
    /// Makes `bytes` the content of the file, wholly or not at all.
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<(), StateError> {
        self.write(bytes).map_err(|error| StateError::Write { name: self.name.clone(), error })
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let aside = format!("{}.new", self.name);
        let mut options = OpenOptions::new();
        let mut target = self.dir.open_with(&aside, options.write(true).create(true).truncate(true))?;
        target.write_all(bytes)?;
        target.sync_all()?;
        self.dir.rename(&aside, &self.dir, &self.name)?;
        // The rename itself must survive a power cut.
        self.dir.open(Path::new("."))?.sync_all()
    }
}
