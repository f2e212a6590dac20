//! The bytes of segments and acks, as the head of the crate describes them.

use crc32fast::Hasher;

/// Both kinds of file begin with a header of this length.
pub(crate) const HEADER: usize = 32;
/// A segment has two of them.
pub(crate) const SEGMENT_HEADER: u64 = 2 * HEADER as u64;
pub(crate) const ACKS_HEADER: u64 = HEADER as u64;
pub(crate) const RECORD_HEADER: usize = 20;
pub(crate) const ACK: usize = 12;

/// Set in an ack that stands for no record, but for what follows the offset in the lower bits and could not be read.
pub(crate) const DAMAGED_TAIL: u64 = 1 << 63;

const SEGMENT_MAGIC: &[u8; 12] = b"kilnqueue 1\n";
const ACKS_MAGIC: &[u8; 12] = b"kiln acks 1\n";
const SET_ASIDE: &str = ".segment.damaged";

/// The random number that all checksums of a segment depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// What a file in the directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    Acks(u64),
    SetAside(u64),
    Foreign,
}

impl Name {
    pub(crate) fn parse(name: &str) -> Self {
        let id = |digits: &str| {
            let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            // Nobody has appended as many records as that; counting on from there might come to an end.
            digits.parse::<u64>().ok().filter(|id| is_ours && *id <= 1 << 62)
        };
        if let Some(id) = name.strip_suffix(".segment").and_then(id) {
            Self::Segment(id)
        } else if let Some(id) = name.strip_suffix(".acks").and_then(id) {
            Self::Acks(id)
        } else if let Some(id) = name.strip_suffix(SET_ASIDE).and_then(id) {
            Self::SetAside(id)
        } else {
            Self::Foreign
        }
    }
}

pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}.segment")
}

pub(crate) fn acks_name(first: u64) -> String {
    format!("{first:020}.acks")
}

pub(crate) fn set_aside_name(first: u64) -> String {
    format!("{first:020}{SET_ASIDE}")
}

fn header(magic: &[u8; 12], first: u64, salt: Salt) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&salt.0.to_le_bytes());
    let checksum = Salt(0).checksum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn parse_header(magic: &[u8; 12], bytes: &[u8]) -> Option<(u64, Salt)> {
    let (covered, rest) = bytes.split_at_checked(HEADER - 4)?;
    let (checksum, _) = rest.split_first_chunk()?;
    if Salt(0).checksum(covered) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (first, rest) = covered.strip_prefix(magic)?.split_first_chunk()?;
    let (salt, _) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*first), Salt(u64::from_le_bytes(*salt))))
}

pub(crate) fn segment_header(first: u64, salt: Salt) -> Vec<u8> {
    header(SEGMENT_MAGIC, first, salt).repeat(2)
}

/// First id and salt, from whichever copy is sound.
pub(crate) fn parse_segment_header(bytes: &[u8]) -> Option<(u64, Salt)> {
    bytes.chunks_exact(HEADER).find_map(|copy| parse_header(SEGMENT_MAGIC, copy))
}

pub(crate) fn acks_header(first: u64, salt: Salt) -> Vec<u8> {
    header(ACKS_MAGIC, first, salt)
}

pub(crate) fn parse_acks_header(bytes: &[u8]) -> Option<(u64, Salt)> {
    parse_header(ACKS_MAGIC, bytes)
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) id: u64,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

impl RecordHeader {
    pub(crate) fn encode(self, salt: Salt) -> [u8; RECORD_HEADER] {
        let mut covered = [0; 16];
        let parts = self.length.to_le_bytes().into_iter().chain(self.checksum.to_le_bytes());
        for (byte, value) in covered.iter_mut().zip(parts.chain(self.id.to_le_bytes())) {
            *byte = value;
        }
        let mut bytes = [0; RECORD_HEADER];
        let all = covered.into_iter().chain(salt.checksum(&covered).to_le_bytes());
        for (byte, value) in bytes.iter_mut().zip(all) {
            *byte = value;
        }
        bytes
    }

    /// The header at the start of `bytes`, if it is sound. Cheap where it is not, for it is tried at every offset.
    pub(crate) fn parse(bytes: &[u8], salt: Salt, ids: std::ops::RangeInclusive<u64>) -> Option<Self> {
        let (covered, rest) = bytes.split_first_chunk::<16>()?;
        let (length, tail) = covered.split_first_chunk()?;
        let (checksum, tail) = tail.split_first_chunk()?;
        let (id, _) = tail.split_first_chunk()?;
        let id = u64::from_le_bytes(*id);
        if !ids.contains(&id) {
            return None;
        }
        let (own, _) = rest.split_first_chunk()?;
        let is_sound = salt.checksum(covered) == u32::from_le_bytes(*own);
        is_sound.then(|| Self { id, length: u32::from_le_bytes(*length), checksum: u32::from_le_bytes(*checksum) })
    }

    /// Bytes of the record, header and payload.
    pub(crate) fn size(self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.length)
    }
}

pub(crate) fn ack(id: u64, salt: Salt) -> [u8; ACK] {
    let id = id.to_le_bytes();
    let mut bytes = [0; ACK];
    for (byte, value) in bytes.iter_mut().zip(id.into_iter().chain(salt.checksum(&id).to_le_bytes())) {
        *byte = value;
    }
    bytes
}

pub(crate) fn parse_ack(bytes: &[u8], salt: Salt) -> Option<u64> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, _) = rest.split_first_chunk()?;
    (salt.checksum(id) == u32::from_le_bytes(*checksum)).then(|| u64::from_le_bytes(*id))
}
