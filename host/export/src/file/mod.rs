//! The file exporter: OTLP JSON, one request a line, in files that are begun anew before they get too large.
//!
//! A line is whole or not there: what could be written of one before the disk was full is cut off again, and a file that
//! ends within a line, because the process did, is ended before anything is added. Whatever keeps a line from being
//! written is a reason to try again, so a full disk holds batches up in the queue and costs none.
//!
//! The exporter writes at its path and nowhere else: the file and its predecessors are opened by name within their directory,
//! never through a symbolic link, and have to be regular files. Nobody but Kiln's user may read what is new, and no second
//! process writes to the same file.
//!
//! What bounds its growth: `rotation.max_megabytes` for each file, `rotation.max_backups` for their number.

mod rotation;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kiln_config::Fsync;
use kiln_otlp::to_json;
use kiln_telemetry::metrics::DropReason;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use self::rotation::{prune, set_aside};
use crate::attempt::{Outcome, Request};

/// With `fsync: interval` a line is safe from a power cut within about this time.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Writes batches to a file.
#[derive(Debug)]
pub(crate) struct Lines(Arc<Mutex<Output>>);

#[derive(Debug)]
struct Output {
    path: PathBuf,
    max_bytes: u64,
    max_backups: usize,
    fsync: Fsync,
    open: Option<Open>,
}

/// The file that is written to.
#[derive(Debug)]
struct Open {
    directory: OwnedFd,
    file: File,
    /// How long it is, whole lines only.
    size: u64,
    synced: Instant,
}

impl Lines {
    pub(crate) fn new(settings: &kiln_config::File) -> Self {
        Self(Arc::new(Mutex::new(Output {
            path: settings.path.clone(),
            max_bytes: settings.max_bytes,
            max_backups: settings.max_backups,
            fsync: settings.fsync,
            open: None,
        })))
    }

    /// Writes one batch.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let (output, request) = (Arc::clone(&self.0), request.clone());
        // Disks block, and network file systems do so for as long as they like.
        let written = tokio::task::spawn_blocking(move || {
            let line = match to_json(request.signal, &request.body) {
                Ok(line) => line + "\n",
                Err(error) => return Outcome::failed(DropReason::Unwritable, format!("the batch is {error}")),
            };
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            match output.write(line.as_bytes()) {
                Ok(()) => Outcome::Delivered { rejected: 0, note: None },
                Err(error) => {
                    let cause = format!("cannot write to {}: {error}", output.path.display());
                    // Whatever it was, the file may be another one by the next attempt.
                    output.open = None;
                    Outcome::Retry { cause, told: None }
                }
            }
        });
        written.await.unwrap_or_else(|error| Outcome::failed(DropReason::Unwritable, error.to_string()))
    }
}

impl Output {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        // Somebody may have moved the file away or removed it.
        if self.open.as_ref().is_some_and(|open| !open.is_at(&self.path)) {
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if open.size > 0 && open.size.saturating_add(length) > self.max_bytes {
            open.file.sync_data()?;
            set_aside(&open.directory, &self.path, SystemTime::now())?;
            open = Open::at(&self.path)?;
            if let Err(error) = prune(&open.directory, &self.path, self.max_backups) {
                tracing::warn!(path = %self.path.display(), %error, "cannot remove old files");
            }
        }
        open.append(line)?;
        let is_due = match self.fsync {
            Fsync::Always => true,
            Fsync::Interval => open.synced.elapsed() >= SYNC_INTERVAL,
            Fsync::Never => false,
        };
        if is_due {
            open.file.sync_data()?;
            open.synced = Instant::now();
        }
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other("it is no path of a file"));
        };
        let directory = rustix::fs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        // Not blocking: a pipe would wait for a reader.
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(|error| match error {
            Errno::LOOP => io::Error::other("it is a symbolic link, which is not followed; name the file itself"),
            error => error.into(),
        })?;
        let mut file = File::from(file);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => io::Error::other("another process or exporter writes to it; give each its own"),
            error => error.into(),
        })?;
        let mut open = Self { size: metadata.len(), directory, synced: Instant::now(), file: file.try_clone()? };
        if open.size > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                open.append(b"\n")?;
            }
        }
        Ok(open)
    }

    /// Whether the file is still the one of that name.
    fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let ours = self.file.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
        let there = std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        if written.is_err() {
            // Half a line would be read as a whole one together with the next.
            self.file.set_len(self.size)?;
        }
        written?;
        self.size += u64::try_from(line.len()).unwrap_or_default();
        Ok(())
    }
}
