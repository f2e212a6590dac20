//! Pages of `/proc` and what could not be read of them.

use kiln_plugin::PartialFailure;
use kiln_plugin::files::{FileError, Files};

/// No page is larger, even on a machine with a thousand CPUs.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// The granted files, and what went wrong with them in this collection.
pub(crate) struct Source<'a> {
    files: Files<'a>,
    failures: Vec<PartialFailure>,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(files: Files<'a>) -> Self {
        Self { files, failures: Vec::new() }
    }

    /// A page every kernel has. That it cannot be read is a failure.
    pub(crate) fn text(&mut self, path: &str) -> Option<String> {
        match self.read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.fail(path, &error);
                None
            }
        }
    }

    /// A page some kernels lack. That it is not there is no failure.
    pub(crate) fn text_if_there(&mut self, path: &str) -> Option<String> {
        match self.read(path) {
            Ok(text) => Some(text),
            Err(FileError::NotFound) => None,
            Err(error) => {
                self.fail(path, &error);
                None
            }
        }
    }

    /// A page of a process, which may end at any moment, or not be Kiln's to read.
    pub(crate) fn text_of_process(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    /// The names in a directory.
    pub(crate) fn list(&mut self, path: &str) -> Option<Vec<String>> {
        match self.files.list(path) {
            Ok(names) => Some(names),
            Err(error) => {
                self.fail(path, &error);
                None
            }
        }
    }

    pub(crate) fn fail(&mut self, path: &str, error: &FileError) {
        self.failures.push(PartialFailure::new(path, error.to_string()));
    }

    pub(crate) fn into_failures(self) -> Vec<PartialFailure> {
        self.failures
    }

    /// All failures in one sentence.
    pub(crate) fn describe_failures(&self) -> String {
        let sentences: Vec<_> =
            self.failures.iter().map(|failure| [failure.source.as_str(), " ", &failure.message].concat()).collect();
        sentences.join(", ")
    }

    fn read(&self, path: &str) -> Result<String, FileError> {
        let bytes = self.files.read(path, MAX_PAGE_BYTES)?;
        // Names of processes and interfaces may hold any byte.
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}
