//! Full files: named after the moment they were full, as the Collector names them, and removed when there are too many.
//!
//! `otlp.json` becomes `otlp-2026-11-29T09-10-11.123.json`. What has no such name is none of the exporter's, and is never
//! removed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

/// `2026-11-29T09-10-11.123`, digits for digits.
const SHAPE: &str = "0000-00-00T00-00-00.000";
/// Files that are full within one millisecond, and more.
const ATTEMPTS: u32 = 1000;

/// Gives the file that is full its name. Never replaces another one.
pub(super) fn set_aside(directory: &OwnedFd, path: &Path, now: SystemTime) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    let mut moment = now;
    for _ in 0..ATTEMPTS {
        match renameat_with(directory, name, directory, backup_name(path, moment), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => moment += Duration::from_millis(1),
            renamed => return Ok(renamed?),
        }
    }
    Err(io::Error::other("every name for the full file is taken"))
}

/// Removes the oldest full files, so that `keep` are left.
pub(super) fn prune(directory: &OwnedFd, path: &Path, keep: usize) -> io::Result<()> {
    let mut backups: Vec<OsString> = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = OsString::from(entry?.file_name().to_string_lossy().as_ref());
        if is_backup(path, &name) {
            backups.push(name);
        }
    }
    // By name is by time.
    backups.sort();
    let surplus = backups.len().saturating_sub(keep);
    for name in backups.into_iter().take(surplus) {
        unlinkat(directory, name, AtFlags::empty())?;
    }
    Ok(())
}

fn backup_name(path: &Path, moment: SystemTime) -> OsString {
    // A time before 1970 is a clock that is not set.
    let moment = moment.max(SystemTime::UNIX_EPOCH);
    // `2026-11-29T09:10:11.123Z`
    let text = humantime::format_rfc3339_millis(moment).to_string();
    let text = text.trim_end_matches('Z').replace(':', "-");
    let (before, after) = around(path);
    let mut name = before;
    name.push(text);
    name.push(after);
    name
}

/// What stands before and after the moment.
fn around(path: &Path) -> (OsString, OsString) {
    let mut before = path.file_stem().unwrap_or_default().to_owned();
    before.push("-");
    let after = path.extension().map_or_else(OsString::new, |extension| {
        let mut after = OsString::from(".");
        after.push(extension);
        after
    });
    (before, after)
}

fn is_backup(path: &Path, name: &OsStr) -> bool {
    let (before, after) = around(path);
    let (Some(before), Some(after), Some(name)) = (before.to_str(), after.to_str(), name.to_str()) else {
        return false;
    };
    let moment = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    moment.is_some_and(|moment| {
        moment.len() == SHAPE.len()
            && moment.bytes().zip(SHAPE.bytes()).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    })
}
