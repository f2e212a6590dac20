//! Files of the granted directories, to read.

use crate::imports::{Backend, Imports};
use crate::prelude::*;

/// The granted directories.
#[derive(Clone, Copy)]
pub struct Files<'a>(pub(crate) &'a Backend);

impl Files<'_> {
    /// The whole of a file, given by its absolute path.
    ///
    /// # Errors
    /// There is no such file, it is not granted, or it is larger than `limit` bytes.
    pub fn read(self, path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        self.0.read_file(path, limit)
    }

    /// The names in a directory, as far as they are granted, in no order.
    ///
    /// # Errors
    /// There is no such directory, or it is not granted.
    pub fn list(self, path: &str) -> Result<Vec<String>, FileError> {
        self.0.list_directory(path)
    }
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not any more.
    #[error("is not there")]
    NotFound,
    /// It is not granted, or the system does not let Kiln read it.
    #[error("may not be read")]
    Denied,
    /// It is larger than the plugin expects.
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
    /// Anything else, in the words of WASI.
    #[error("cannot be read: {0}")]
    Other(String),
}

/// The component's own imports.
#[cfg(target_arch = "wasm32")]
pub(crate) mod component {
    use std::cell::OnceCell;

    use super::FileError;
    use crate::bindings::files::preopens::get_directories;
    use crate::bindings::files::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

    /// Bytes asked for at a time.
    const PIECE: u64 = 64 << 10;

    thread_local! {
        // They never change, and each time they are asked for the host makes new handles.
        static GRANTED: OnceCell<Vec<(Descriptor, String)>> = const { OnceCell::new() };
    }

    impl From<ErrorCode> for FileError {
        fn from(code: ErrorCode) -> Self {
            match code {
                ErrorCode::NoEntry => Self::NotFound,
                ErrorCode::Access | ErrorCode::NotPermitted => Self::Denied,
                other => Self::Other(other.name().to_owned()),
            }
        }
    }

    fn open(path: &str, flags: OpenFlags) -> Result<Descriptor, FileError> {
        GRANTED.with(|granted| {
            for (directory, name) in granted.get_or_init(get_directories) {
                let rest = path.strip_prefix(name.as_str());
                let rest = rest.and_then(|rest| if rest.is_empty() { Some(".") } else { rest.strip_prefix('/') });
                if let Some(rest) = rest {
                    return Ok(directory.open_at(PathFlags::SYMLINK_FOLLOW, rest, flags, DescriptorFlags::READ)?);
                }
            }
            Err(FileError::Denied)
        })
    }

    pub(crate) fn read(path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        let file = open(path, OpenFlags::empty())?;
        let mut content = Vec::new();
        loop {
            let (piece, is_end) = file.read(PIECE, content.len() as u64)?;
            let is_end = is_end || piece.is_empty();
            content.extend_from_slice(&piece);
            if content.len() > limit {
                return Err(FileError::TooLarge(limit));
            }
            if is_end {
                return Ok(content);
            }
        }
    }

    pub(crate) fn list(path: &str) -> Result<Vec<String>, FileError> {
        let entries = open(path, OpenFlags::DIRECTORY)?.read_directory()?;
        let mut names = Vec::new();
        while let Some(entry) = entries.read_directory_entry()? {
            names.push(entry.name);
        }
        Ok(names)
    }
}
