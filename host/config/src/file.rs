//! The `file` exporter: OTLP JSON, one request a line.
//!
//! Keys and defaults are those of the Collector's exporter of the same name, except where its defaults lose data or fill a
//! disk: files are appended to, and always rotated.

use std::path::{Path, PathBuf};

use crate::error::{Location, Problem};
use crate::reader::Section;
use crate::retry::Retry;
use crate::sending_queue::{Fsync, Queue};

/// Megabytes of the Collector, which are mebibytes.
const MEGABYTE: u64 = 1 << 20;
/// Bytes of a file before the next one is begun, where the file does not say.
pub const DEFAULT_FILE_BYTES: u64 = 100 * MEGABYTE;
/// Files that are full and kept, where the file does not say.
pub const DEFAULT_BACKUPS: usize = 100;

/// Writes what it receives to files.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The file that is written to; those that are full stand beside it.
    pub path: PathBuf,
    /// Bytes of a file before the next one is begun.
    pub max_bytes: u64,
    /// Files that are full and kept; the oldest beyond are removed.
    pub max_backups: usize,
    /// When a line is safe from a power cut.
    pub fsync: Fsync,
    /// What happens to a batch that could not be written.
    pub retry: Retry,
    /// What waits to be written.
    pub queue: Queue,
}

impl File {
    pub(crate) fn read(mut section: Section<'_>, at: Location, data_dir: Option<&Path>) -> Option<Self> {
        let path = section.get("path");
        if path.is_none() {
            section.report.error(at, &section.path.key("path"), Problem::Missing("path".to_owned()));
        }
        let path = path.and_then(|value| {
            let path = PathBuf::from(value.text()?);
            let is_file = path.is_absolute() && path.file_name().is_some() && !value.text()?.ends_with('/');
            if !is_file {
                value.error(Problem::Unsupported(
                    "not the path of a file from the root on, as in `/var/lib/kiln/otlp.json`",
                ));
            }
            is_file.then_some(path)
        });
        if let Some(format) = section.get("format")
            && format.text() != Some("json")
        {
            format.error(Problem::Unsupported("lines are written as `json`; remove the key"));
        }
        if let Some(append) = section.get("append")
            && append.boolean() == Some(false)
        {
            append.error(Problem::Unsupported("a file that is there is appended to, never emptied; remove the key"));
        }
        let mut rotation = section.section("rotation");
        let mut number = |key, range| rotation.get(key).and_then(|value| value.integer(range));
        let megabytes = number("max_megabytes", 1..=1_048_576);
        let backups = number("max_backups", 0..=10_000);
        rotation.unsupported("max_days", "full files are kept by number; set `max_backups`");
        rotation.unsupported("localtime", "full files are named in UTC; remove the key");
        rotation.finish();
        let choices = [("always", Fsync::Always), ("interval", Fsync::Interval), ("never", Fsync::Never)];
        let fsync = section.get("fsync").and_then(|value| value.choice(&choices));
        let queue = Queue::read(section.section("sending_queue"), data_dir);
        let retry = Retry::read(section.section("retry_on_failure"), queue.storage.is_some());
        for (key, remedy) in [
            ("compression", "lines are written as they are, so that they can be read; remove the key"),
            ("encoding", "there are no encoding extensions; remove the key"),
            ("flush_interval", "every batch is written at once; `fsync` says when it is safe from a power cut"),
            ("group_by", "there is one file; use an exporter for each"),
            ("create_directory", "the directory must be there, so that a path with a typing error is not made"),
        ] {
            section.unsupported(key, remedy);
        }
        section.finish();
        Some(Self {
            path: path?,
            max_bytes: megabytes.map_or(DEFAULT_FILE_BYTES, |megabytes| megabytes * MEGABYTE),
            max_backups: backups.and_then(|it| usize::try_from(it).ok()).unwrap_or(DEFAULT_BACKUPS),
            fsync: fsync.unwrap_or(Fsync::Always),
            retry,
            queue,
        })
    }
}
