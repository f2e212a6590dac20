//! A real directory, reached through a capability for it and nothing else.

use std::fs::TryLockError;
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, FileExt as _, OpenOptions, OpenOptionsExt as _};

use crate::files::{Directory, File};

const LOCK: &str = "lock";

/// A directory of the operating system.
#[derive(Debug)]
pub struct Disk {
    dir: Dir,
    /// The lock is the open file's, so it ends with the process however that ends.
    lock: Option<std::fs::File>,
}

impl Disk {
    /// The directory, not taken yet.
    #[must_use]
    pub const fn new(dir: Dir) -> Self {
        Self { dir, lock: None }
    }
}

/// For this user only: what waits in a queue is nobody else's business.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

impl Directory for Disk {
    type File = DiskFile;

    fn lock(&mut self) -> io::Result<bool> {
        let file = self.dir.open_with(LOCK, options().create(true))?.into_std();
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.dir.entries()? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        self.dir.open_with(name, options().create_new(true)).map(DiskFile)
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        self.dir.open_with(name, &options()).map(DiskFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, &self.dir, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove_file(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.open(Path::new("."))?.sync_all()
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub struct DiskFile(cap_std::fs::File);

impl File for DiskFile {
    fn length(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The length is part of the data, all other metadata can go.
        self.0.sync_data()
    }
}
