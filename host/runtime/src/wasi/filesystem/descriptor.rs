//! The functions of `wasi:filesystem`, on granted directories.
//!
//! Every function that asks the disk does so on a thread that may block, so that a slow or dead file system costs the
//! instance its time-out and nobody anything else.

use std::sync::Arc;

use kiln_telemetry::DeniedCapability;
use rustix::fs::{Dir, FileType, Stat};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error as IoError};

use super::convert::{code, described, identity, kind, last};
use super::granted_directory::{Failure, GrantedDirectory, Last, Reason};
use super::listing::Listing;
use super::open_file::{OpenFile, read_at};
use super::preopens;
use super::stream::FileStream;
use super::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use crate::store_data::StoreData;

/// Bytes one `read` returns at most.
const MAX_READ_BYTES: usize = 256 << 10;

/// A file or directory a guest has opened.
#[allow(unreachable_pub, reason = "the generated bindings name it in an interface of theirs")]
pub struct Descriptor {
    granted: Arc<GrantedDirectory>,
    /// The way to it from the granted directory.
    names: Vec<String>,
    /// `None` for a directory, which is opened anew whenever something in it is looked for.
    file: Option<Arc<OpenFile>>,
}

type Result<T> = std::result::Result<T, ErrorCode>;

impl StoreData {
    fn place(&self, descriptor: &Resource<Descriptor>) -> Result<(Arc<GrantedDirectory>, Vec<String>)> {
        let descriptor = self.wasi.table.get(descriptor).map_err(|_| ErrorCode::BadDescriptor)?;
        Ok((Arc::clone(&descriptor.granted), descriptor.names.clone()))
    }

    fn file(&self, descriptor: &Resource<Descriptor>) -> Result<Arc<OpenFile>> {
        let descriptor = self.wasi.table.get(descriptor).map_err(|_| ErrorCode::BadDescriptor)?;
        descriptor.file.clone().ok_or(ErrorCode::IsDirectory)
    }

    /// A place among the files that may be open.
    fn room(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.wasi.open_files).try_acquire_owned().map_err(|_| {
            self.metrics.limit_hit("open_files");
            ErrorCode::Quota
        })
    }

    fn keep<T: Send + 'static>(&mut self, resource: T) -> Result<Resource<T>> {
        self.wasi.table.push(resource).map_err(|_| {
            self.metrics.limit_hit("resources");
            ErrorCode::InsufficientMemory
        })
    }

    /// Asks the disk; what is refused is recorded.
    async fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.cpu.pause();
        let answer = tokio::task::spawn_blocking(work).await;
        self.cpu.resume();
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::System(error))) => Err(code(error)),
            Ok(Err(Failure::Denied(denied))) => {
                self.denied(DeniedCapability::Files, &denied.path, denied.reason.name(), &denied.text);
                Err(match denied.reason {
                    Reason::Outside => ErrorCode::NotPermitted,
                    Reason::Path | Reason::Kind => ErrorCode::Access,
                })
            }
            Err(_) => Err(ErrorCode::Io),
        }
    }

    async fn stat_of(&mut self, descriptor: &Resource<Descriptor>, path: &str, last: Last) -> Result<Stat> {
        let (granted, names) = self.place(descriptor)?;
        let path = path.to_owned();
        self.ask(move || granted.find(&names, &path, last).map(|found| found.stat)).await
    }

    async fn own_stat(&mut self, descriptor: &Resource<Descriptor>) -> Result<Stat> {
        match self.file(descriptor) {
            Ok(file) => self.ask(move || Ok(rustix::fs::fstat(&file.file)?)).await,
            Err(ErrorCode::IsDirectory) => self.stat_of(descriptor, ".", Last::Follow).await,
            Err(error) => Err(error),
        }
    }
}

impl preopens::Host for StoreData {
    async fn get_directories(&mut self) -> Vec<(Resource<Descriptor>, String)> {
        let mut directories = Vec::new();
        for granted in self.wasi.directories.clone() {
            let name = granted.guest().to_owned();
            let Ok(descriptor) = self.keep(Descriptor { granted, names: Vec::new(), file: None }) else { break };
            directories.push((descriptor, name));
        }
        directories
    }
}

impl Host for StoreData {
    async fn filesystem_error_code(&mut self, _: Resource<IoError>) -> Option<ErrorCode> {
        None
    }
}

impl HostDescriptor for StoreData {
    async fn open_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Resource<Descriptor>> {
        let (granted, base) = self.place(&descriptor)?;
        let writes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open_flags.intersects(writes) || flags.contains(DescriptorFlags::WRITE) {
            let target = format!("{}/{path}", granted.guest());
            self.denied(
                DeniedCapability::Files,
                &target,
                "write",
                &format!("{target} cannot be written: grants of files are read-only"),
            );
            return Err(ErrorCode::ReadOnly);
        }
        let place = self.room()?;
        let last = last(path_flags);
        let wants_directory = open_flags.contains(OpenFlags::DIRECTORY);
        let opened = self.ask(move || {
            let found = granted.find(&base, &path, last)?;
            let is_directory = found.kind() == FileType::Directory;
            if wants_directory && !is_directory {
                return Err(Errno::NOTDIR.into());
            }
            let file = if is_directory {
                None
            } else {
                Some(Arc::new(OpenFile { file: granted.open_file(&found)?, _place: place }))
            };
            Ok(Descriptor { granted, names: found.names(), file })
        });
        let opened = opened.await?;
        self.keep(opened)
    }

    async fn read(&mut self, descriptor: Resource<Descriptor>, length: u64, offset: u64) -> Result<(Vec<u8>, bool)> {
        let file = self.file(&descriptor)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_READ_BYTES);
        let bytes = self.ask(move || Ok(read_at(&file.file, length, offset)?)).await?;
        let is_end = bytes.len() < length;
        Ok((bytes, is_end))
    }

    async fn read_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(FileStream::new(self.file(&descriptor)?, offset));
        self.keep(stream)
    }

    async fn read_directory(&mut self, descriptor: Resource<Descriptor>) -> Result<Resource<Listing>> {
        if self.file(&descriptor).is_ok() {
            return Err(ErrorCode::NotDirectory);
        }
        let (granted, names) = self.place(&descriptor)?;
        let place = self.room()?;
        let listing = self.ask(move || {
            let directory = Dir::new(granted.open_list(&names)?)?;
            Ok(Listing::new(granted, names, directory, place))
        });
        let listing = listing.await?;
        self.keep(listing)
    }

    async fn stat(&mut self, descriptor: Resource<Descriptor>) -> Result<DescriptorStat> {
        Ok(described(&self.own_stat(&descriptor).await?))
    }

    async fn stat_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> Result<DescriptorStat> {
        Ok(described(&self.stat_of(&descriptor, &path, last(path_flags)).await?))
    }

    async fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> Result<MetadataHashValue> {
        Ok(identity(&self.own_stat(&descriptor).await?))
    }

    async fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue> {
        Ok(identity(&self.stat_of(&descriptor, &path, last(path_flags)).await?))
    }

    async fn is_same_object(&mut self, descriptor: Resource<Descriptor>, other: Resource<Descriptor>) -> bool {
        let (one, other) = (self.own_stat(&descriptor).await, self.own_stat(&other).await);
        matches!((one, other), (Ok(one), Ok(other)) if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    async fn readlink_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> Result<String> {
        let (granted, names) = self.place(&descriptor)?;
        self.ask(move || granted.read_link(&names, &path)).await
    }

    async fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> Result<DescriptorFlags> {
        self.place(&descriptor).map(|_| DescriptorFlags::READ)
    }

    async fn get_type(&mut self, descriptor: Resource<Descriptor>) -> Result<DescriptorType> {
        match self.file(&descriptor) {
            Ok(_) => Ok(DescriptorType::RegularFile),
            Err(ErrorCode::IsDirectory) => Ok(DescriptorType::Directory),
            Err(error) => Err(error),
        }
    }

    async fn advise(&mut self, descriptor: Resource<Descriptor>, _: u64, _: u64, _: Advice) -> Result<()> {
        self.file(&descriptor).map(|_| ())
    }

    async fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> Result<()> {
        self.place(&descriptor).map(|_| ())
    }

    async fn sync(&mut self, descriptor: Resource<Descriptor>) -> Result<()> {
        self.place(&descriptor).map(|_| ())
    }

    async fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.wasi.table.delete(descriptor)?;
        Ok(())
    }

    // Everything below would write.

    async fn write_via_stream(&mut self, of: Resource<Descriptor>, _: u64) -> Result<Resource<DynOutputStream>> {
        Err(self.read_only(&of, ""))
    }

    async fn append_via_stream(&mut self, of: Resource<Descriptor>) -> Result<Resource<DynOutputStream>> {
        Err(self.read_only(&of, ""))
    }

    async fn write(&mut self, of: Resource<Descriptor>, _: Vec<u8>, _: u64) -> Result<u64> {
        Err(self.read_only(&of, ""))
    }

    async fn set_size(&mut self, of: Resource<Descriptor>, _: u64) -> Result<()> {
        Err(self.read_only(&of, ""))
    }

    async fn set_times(&mut self, of: Resource<Descriptor>, _: NewTimestamp, _: NewTimestamp) -> Result<()> {
        Err(self.read_only(&of, ""))
    }

    async fn set_times_at(
        &mut self,
        of: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn create_directory_at(&mut self, of: Resource<Descriptor>, path: String) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn link_at(
        &mut self,
        of: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        path: String,
    ) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn rename_at(
        &mut self,
        of: Resource<Descriptor>,
        path: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn symlink_at(&mut self, of: Resource<Descriptor>, _: String, path: String) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn remove_directory_at(&mut self, of: Resource<Descriptor>, path: String) -> Result<()> {
        Err(self.read_only(&of, &path))
    }

    async fn unlink_file_at(&mut self, of: Resource<Descriptor>, path: String) -> Result<()> {
        Err(self.read_only(&of, &path))
    }
}

impl StoreData {
    fn read_only(&self, descriptor: &Resource<Descriptor>, path: &str) -> ErrorCode {
        let Ok((granted, mut names)) = self.place(descriptor) else { return ErrorCode::BadDescriptor };
        if !path.is_empty() {
            names.push(path.to_owned());
        }
        let target = format!("{}/{}", granted.guest(), names.join("/"));
        self.denied(
            DeniedCapability::Files,
            &target,
            "write",
            &format!("{target} cannot be written: grants of files are read-only"),
        );
        ErrorCode::ReadOnly
    }
}

impl HostDirectoryEntryStream for StoreData {
    async fn read_directory_entry(&mut self, listing: Resource<Listing>) -> Result<Option<DirectoryEntry>> {
        loop {
            let list = self.wasi.table.get_mut(&listing).map_err(|_| ErrorCode::BadDescriptor)?;
            if let Some(entry) = list.pop() {
                return Ok(Some(DirectoryEntry { type_: kind(entry.kind), name: entry.name }));
            }
            let Some(unread) = list.unread() else { return Ok(None) };
            let read = self.ask(move || Ok(unread.read()?)).await?;
            self.wasi.table.get_mut(&listing).map_err(|_| ErrorCode::BadDescriptor)?.push(read);
        }
    }

    async fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        self.wasi.table.delete(listing)?;
        Ok(())
    }
}
