//! What the kernel tells of a process to whoever may ask.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// A part of a process's memory that can be written, and with that holds what was made while it ran.
pub(crate) struct Region {
    line: String,
    bytes: Vec<u8>,
}

impl Region {
    /// Whether these bytes are in it.
    pub(crate) fn has(&self, sought: &[u8]) -> bool {
        has(&self.bytes, sought)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Whether bytes are among others.
pub(crate) fn has(bytes: &[u8], sought: &[u8]) -> bool {
    bytes.windows(sought.len()).any(|window| window == sought)
}

/// Everything it can write to. What is not private to it is left out, and so is what goes away while it is read.
pub(crate) fn memory(process: u32) -> Result<Vec<Region>, String> {
    let text = |error: std::io::Error| format!("the memory of {process}: {error}");
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).map_err(text)?;
    let mut memory = File::open(format!("/proc/{process}/mem")).map_err(text)?;
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1) == Some("rw-p")) {
        let bounds = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = bounds
            .and_then(|(from, to)| Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?)));
        let (from, to) = bounds.ok_or_else(|| format!("not a line of maps: {line}"))?;
        let mut bytes = vec![0; usize::try_from(to - from).map_err(|error| error.to_string())?];
        memory.seek(SeekFrom::Start(from)).map_err(text)?;
        if memory.read_exact(&mut bytes).is_ok() {
            regions.push(Region { line: line.to_owned(), bytes });
        }
    }
    Ok(regions)
}

/// The largest core dump it may leave or allow itself to leave, in bytes.
pub(crate) fn most_core(process: u32) -> Result<u64, String> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).map_err(|error| error.to_string())?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max core file size")).ok_or("no limit of core files")?;
    let limits = line.split_whitespace().take(2).map(|limit| limit.parse().unwrap_or(u64::MAX));
    limits.max().ok_or_else(|| "no limit of core files".to_owned())
}

/// Whether this process may read whatever it likes.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t0")))
}
