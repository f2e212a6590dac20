//! What the system says, in the words of WASI.

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::granted_directory::Last;
use super::types::{DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, PathFlags};

pub(super) fn last(flags: PathFlags) -> Last {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { Last::Follow } else { Last::Keep }
}

#[allow(clippy::useless_conversion, reason = "the fields have other types on other machines")]
pub(super) fn described(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        type_: kind(FileType::from_raw_mode(stat.st_mode)),
        link_count: u64::try_from(stat.st_nlink).unwrap_or(u64::MAX),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        data_access_timestamp: moment(stat.st_atime, stat.st_atime_nsec),
        data_modification_timestamp: moment(stat.st_mtime, stat.st_mtime_nsec),
        status_change_timestamp: moment(stat.st_ctime, stat.st_ctime_nsec),
    }
}

fn moment(seconds: impl TryInto<u64>, nanoseconds: impl TryInto<u32>) -> Option<Datetime> {
    Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds: nanoseconds.try_into().ok()? })
}

/// Says whether two names mean the same file, and nothing about where it is.
pub(super) fn identity(stat: &Stat) -> MetadataHashValue {
    let digest = Sha256::new().chain_update(stat.st_dev.to_le_bytes()).chain_update(stat.st_ino.to_le_bytes());
    let digest = digest.finalize();
    let half = |range| {
        let bytes = digest.get(range).and_then(|bytes: &[u8]| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    MetadataHashValue { lower: half(0..8), upper: half(8..16) }
}

pub(super) const fn kind(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

/// The code for what the system says.
pub(super) const fn code(error: Errno) -> ErrorCode {
    match error {
        Errno::ACCESS => ErrorCode::Access,
        Errno::PERM => ErrorCode::NotPermitted,
        Errno::NOENT | Errno::SRCH => ErrorCode::NoEntry,
        Errno::NOTDIR => ErrorCode::NotDirectory,
        Errno::ISDIR => ErrorCode::IsDirectory,
        Errno::LOOP => ErrorCode::Loop,
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::INVAL => ErrorCode::Invalid,
        Errno::ILSEQ => ErrorCode::IllegalByteSequence,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::NOMEM | Errno::MFILE | Errno::NFILE => ErrorCode::InsufficientMemory,
        Errno::AGAIN => ErrorCode::WouldBlock,
        Errno::BUSY => ErrorCode::Busy,
        Errno::NOTSUP | Errno::NOSYS => ErrorCode::Unsupported,
        Errno::NXIO | Errno::NODEV => ErrorCode::NoSuchDevice,
        _ => ErrorCode::Io,
    }
}
