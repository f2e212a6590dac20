//! What a warehouse answers to SQL it cannot parse.
//!
//! A simulated warehouse has no engine: a script says which statements (by a text they contain) give which
//! rows, after how long, or how they fail. What nobody scripted fails as a query on an unknown table does.
//!
//! Source: `databricks/sdk/service/sql.py` (`StatementResponse`, `ResultManifest`, `ServiceError`) of
//! databricks-sdk 0.156.0.
//!
//! Invariant: the first rule that fits answers; values are text or null, as in the `JSON_ARRAY` format.

use super::time::as_millis;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How statements are answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlRule {
    /// A text the statement contains, whatever its case; empty: every statement.
    #[serde(default)]
    pub containing: String,
    /// `PENDING` for so long.
    #[serde(default, rename = "pending_ms", with = "as_millis")]
    pub pending: Duration,
    /// `RUNNING` for so long.
    #[serde(default, rename = "running_ms", with = "as_millis")]
    pub running: Duration,
    /// And then.
    pub outcome: SqlOutcome,
}

/// How a statement ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlOutcome {
    /// `SUCCEEDED` with rows.
    Rows(Rows),
    /// `FAILED`: `status.error.error_code` and `.message`. The HTTP status is 200 all the same.
    Failed(String, String),
    /// `CLOSED`: it succeeded, and the result has been fetched or has expired.
    Closed,
}

/// A result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// `manifest.schema.columns`: names and types such as `STRING`, `LONG`, `DECIMAL`, `DATE`.
    pub columns: Vec<(String, String)>,
    /// `result.data_array`.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows of one chunk; 0: all of them in one.
    #[serde(default)]
    pub chunk: usize,
}

impl Default for SqlOutcome {
    fn default() -> Self {
        Self::Rows(Rows::default())
    }
}

impl SqlRule {
    /// Statements that contain a text succeed at once with these rows.
    #[must_use]
    pub fn rows(containing: &str, columns: &[(&str, &str)], rows: Vec<Vec<Option<String>>>) -> Self {
        let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        let outcome = SqlOutcome::Rows(Rows { columns, rows, chunk: 0 });
        Self { containing: containing.to_owned(), outcome, ..Self::default() }
    }

    /// Statements that contain a text fail at once.
    #[must_use]
    pub fn failing(containing: &str, code: &str, message: &str) -> Self {
        let outcome = SqlOutcome::Failed(code.to_owned(), message.to_owned());
        Self { containing: containing.to_owned(), outcome, ..Self::default() }
    }

    /// The same, pending and running for a while.
    #[must_use]
    pub fn taking(mut self, pending: Duration, running: Duration) -> Self {
        (self.pending, self.running) = (pending, running);
        self
    }

    /// The same, in chunks of so many rows.
    #[must_use]
    pub fn in_chunks_of(mut self, chunk: usize) -> Self {
        if let SqlOutcome::Rows(rows) = &mut self.outcome {
            rows.chunk = chunk;
        }
        self
    }

    /// The rule for what nobody scripted.
    pub(crate) fn unknown_table() -> Self {
        let message = "[TABLE_OR_VIEW_NOT_FOUND] The table or view cannot be found. SQLSTATE: 42P01";
        Self::failing("", "BAD_REQUEST", message)
    }

    pub(crate) fn fits(&self, statement: &str) -> bool {
        statement.to_lowercase().contains(&self.containing.to_lowercase())
    }
}

impl Rows {
    pub(crate) fn chunk_count(&self) -> usize {
        match self.chunk {
            0 => usize::from(!self.rows.is_empty()),
            size => self.rows.len().div_ceil(size),
        }
    }

    /// The place of a chunk's first row, and its rows.
    pub(crate) fn chunk_at(&self, index: usize) -> Option<(usize, &[Vec<Option<String>>])> {
        if index >= self.chunk_count() {
            return None;
        }
        let size = if self.chunk == 0 { self.rows.len() } else { self.chunk };
        let first = index * size;
        Some((first, self.rows.get(first..(first + size).min(self.rows.len()))?))
    }
}
