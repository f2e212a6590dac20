//! The file a table comes from.
//!
//! It is read again from time to time and its content compared, not its times: a file that is replaced may keep its time
//! and its size, and reading a few megabytes costs less than a table that is wrong without anybody knowing.

use core::hash::{Hash as _, Hasher as _};
use core::time::Duration;
use std::collections::hash_map::DefaultHasher;

use kiln_plugin::files::FileError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{ConfigError, Level, ProcessorHost};

use crate::config::{Config, Target};
use crate::table::{Builder, MAX_FILE_BYTES, Table};
use crate::{csv, json};

/// A file and what it held when it was last read.
#[derive(Debug)]
pub(crate) struct Source {
    config: Config,
    targets: Option<Vec<Target>>,
    /// The last good one.
    table: Option<Table>,
    /// Of what was last read.
    seen: Option<Fingerprint>,
    /// What was wrong with it.
    fault: Option<String>,
    /// What was last said to be wrong.
    complaint: Option<String>,
    /// The moment of the monotonic clock from which the file is read again.
    due: u64,
}

/// Tells one content from another, unless somebody takes pains that it does not; whoever writes the file need not.
type Fingerprint = (usize, u64);

impl Source {
    /// # Errors
    /// The configuration contradicts itself.
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        let targets = config.targets()?;
        Ok(Self { config, targets, table: None, seen: None, fault: None, complaint: None, due: 0 })
    }

    /// The last good table.
    pub(crate) const fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Reads the table for the first time.
    ///
    /// # Errors
    /// The file cannot be read, or holds no table.
    pub(crate) fn load(&mut self, host: &ProcessorHost) -> Result<(), ConfigError> {
        self.read(host).map_err(|problem| ConfigError::new("/path", problem))
    }

    /// Reads the table again if it is time to. One that cannot be read leaves the last good one in place, and is told of
    /// once.
    pub(crate) fn refresh(&mut self, host: &ProcessorHost) {
        if host.monotonic() < self.due {
            return;
        }
        let before = self.seen;
        match self.read(host) {
            Ok(()) => {
                if before != self.seen || self.complaint.is_some() {
                    let rows = self.table.as_ref().map_or(0, Table::len);
                    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                    host.log(Level::Info, "has read the table again", &[self.path(), Attribute::new("rows", rows)]);
                }
                self.complaint = None;
            }
            Err(problem) if self.complaint.as_ref() != Some(&problem) => {
                let message = format!("{problem}; goes on with the table as it was");
                host.log(Level::Error, &message, &[self.path()]);
                self.complaint = Some(problem);
            }
            Err(_) => {}
        }
    }

    fn path(&self) -> Attribute {
        Attribute::new("file.path", self.config.path.as_str())
    }

    fn read(&mut self, host: &ProcessorHost) -> Result<(), String> {
        let path = self.config.path.as_str();
        let interval = Duration::from_secs(self.config.reload_interval_seconds);
        self.due = host.monotonic().saturating_add(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        let content = host.files().read(path, MAX_FILE_BYTES).map_err(|error| describe(path, &error))?;
        let fingerprint = fingerprint(&content);
        if self.seen == Some(fingerprint) {
            return self.fault.clone().map_or(Ok(()), Err);
        }
        self.seen = Some(fingerprint);
        self.fault = None;
        let builder = Builder::new(self.config.key_column(), self.targets.as_deref());
        let is_json = path.ends_with(".json");
        let table = if is_json { json::read(&content, builder) } else { csv::read(&content, builder) };
        match table {
            Ok(table) => {
                self.table = Some(table);
                Ok(())
            }
            Err(error) => {
                let fault = format!("{path} {error}");
                self.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }
}

fn describe(path: &str, error: &FileError) -> String {
    match error {
        FileError::Denied => {
            format!("{path} may not be read: grants.files has to cover it, and Kiln's user to be allowed to")
        }
        error => format!("{path} {error}"),
    }
}

fn fingerprint(content: &[u8]) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    (content.len(), hasher.finish())
}
