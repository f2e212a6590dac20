//! Files, through the calls a standard library makes.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// Opens an absolute path below whichever directory holds it.
fn open(path: &str, open_flags: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    for (directory, name) in get_directories() {
        if let Some(rest) = path.strip_prefix(&name) {
            // What follows may be anything: whether it stays below is for the host to say.
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            let rest = if rest.is_empty() { "." } else { rest };
            return directory.open_at(PathFlags::SYMLINK_FOLLOW, rest, open_flags, flags);
        }
    }
    Err(ErrorCode::BadDescriptor)
}

/// How many bytes a file has.
pub(crate) fn read(path: &str) -> Result<usize, ErrorCode> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut count = 0;
    loop {
        let (bytes, end) = file.read(1 << 30, u64::try_from(count).unwrap_or(u64::MAX))?;
        count += bytes.len();
        if end {
            return Ok(count);
        }
    }
}

/// How many entries a directory shows.
pub(crate) fn list(path: &str) -> Result<usize, ErrorCode> {
    let entries = open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?.read_directory()?;
    let mut count = 0;
    while entries.read_directory_entry()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Tries every way to change something.
pub(crate) fn write(path: &str) -> Result<usize, ErrorCode> {
    for flags in [OpenFlags::CREATE, OpenFlags::TRUNCATE, OpenFlags::CREATE | OpenFlags::EXCLUSIVE] {
        match open(path, flags, DescriptorFlags::WRITE) {
            Err(ErrorCode::ReadOnly) => {}
            other => return other.map(|_| 1),
        }
    }
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    match (file.write(b"changed", 0), file.set_size(0)) {
        (Err(ErrorCode::ReadOnly), Err(ErrorCode::ReadOnly)) => Err(ErrorCode::ReadOnly),
        _ => Ok(1),
    }
}

/// How often a file can be opened.
pub(crate) fn keep_open(path: &str) -> Result<usize, ErrorCode> {
    let mut kept = Vec::new();
    loop {
        match open(path, OpenFlags::empty(), DescriptorFlags::READ) {
            Ok(file) => kept.push(file),
            Err(ErrorCode::Quota) => return Ok(kept.len()),
            Err(error) => return Err(error),
        }
    }
}
