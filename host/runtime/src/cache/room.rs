//! How much the cache may take, and what leaves it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use cap_std::fs::{Dir, DirEntry};
use kiln_telemetry::metrics::LoadingMetrics;

/// Artifacts, of this and of former builds, and what is left of one that was being written.
const EXTENSIONS: [&str; 2] = ["cwasm", "new"];

/// The bound on a directory of artifacts. When an artifact was used is the time its file was changed: nobody else changes
/// it, and it outlives the process.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) max_bytes: u64,
    pub(super) metrics: LoadingMetrics,
}

/// A file in the cache.
struct Kept {
    used: SystemTime,
    bytes: u64,
    entry: DirEntry,
}

impl Room {
    /// Removes what was used least recently until `bytes` more fit in, not counting the file called `replaced`. Returns
    /// whether they fit at all; if not, nothing is removed.
    ///
    /// # Errors
    /// The directory cannot be listed, or a file not be removed.
    pub(super) fn make(&self, dir: &Dir, bytes: u64, replaced: Option<&str>) -> io::Result<bool> {
        let Some(left) = self.max_bytes.checked_sub(bytes) else {
            self.metrics.limit_hit("cache_bytes");
            return Ok(false);
        };
        let mut kept = files(dir)?;
        kept.retain(|file| replaced.is_none_or(|name| file.entry.file_name() != name));
        kept.sort_by_key(|file| file.used);
        let mut taken: u64 = kept.iter().map(|file| file.bytes).sum();
        for file in kept {
            if taken <= left {
                break;
            }
            match file.entry.remove_file() {
                // Another process shares the directory and was faster.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            taken = taken.saturating_sub(file.bytes);
            self.metrics.limit_hit("cache_bytes");
            self.metrics.evicted();
            tracing::info!(file = %file.entry.file_name().display(), "compiled plugin leaves the cache to make room");
        }
        self.metrics.cache(taken, self.max_bytes);
        Ok(true)
    }

    /// Tells what the directory takes.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) fn measure(&self, dir: &Dir) -> io::Result<()> {
        let taken = files(dir)?.iter().map(|file| file.bytes).sum();
        self.metrics.cache(taken, self.max_bytes);
        Ok(())
    }
}

fn files(dir: &Dir) -> io::Result<Vec<Kept>> {
    let mut files = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let is_artifact = Path::new(&name).extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known));
        if !is_artifact {
            continue;
        }
        // Of a link, what is removed is the link.
        let metadata = entry.metadata()?;
        let used = metadata.modified().map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std);
        files.push(Kept { used, bytes: metadata.len(), entry });
    }
    Ok(files)
}

/// Notes that an artifact was used. Failing to makes it leave the cache too early, nothing else.
pub(super) fn used_now(file: &File) {
    if let Err(error) = file.set_modified(SystemTime::now()) {
        tracing::debug!(%error, "cannot note when a compiled plugin was used");
    }
}
