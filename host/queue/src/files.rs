//! What a queue asks of a file system, so that tests can give it one that fails.

use std::io;

/// A directory whose entries survive a power cut once [`Directory::sync`] has returned.
pub trait Directory {
    /// A file in it.
    type File: File;

    /// Takes the directory for this process, until the value is dropped; `false` if another has it.
    ///
    /// # Errors
    /// The system refuses.
    fn lock(&mut self) -> io::Result<bool>;

    /// The names of its entries, in any order. Names that are not Unicode are none of ours and left out.
    ///
    /// # Errors
    /// The system refuses.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a new file.
    ///
    /// # Errors
    /// There is one of that name, or the system refuses.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in place of what may have that name.
    ///
    /// # Errors
    /// The system refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and deletions so far survive a power cut.
    ///
    /// # Errors
    /// They may not survive one.
    fn sync(&self) -> io::Result<()>;
}

/// An open file.
pub trait File {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The system refuses.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// The file ends before, or the system refuses.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    /// Some of it may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off, or lengthens it with zeros.
    ///
    /// # Errors
    /// The system refuses.
    fn set_len(&mut self, length: u64) -> io::Result<()>;

    /// Makes what is in the file survive a power cut.
    ///
    /// # Errors
    /// It may not survive one.
    fn sync(&mut self) -> io::Result<()>;
}
