//! Queries on SQL warehouses, planned like runs: what a reader sees of one is a pure function of the time.
//!
//! Source: `databricks/sdk/service/sql.py` (`QueryInfo`, `QueryMetrics`, `QueryStatus`) of databricks-sdk
//! 0.156.0.
//!
//! Invariant: a query goes through QUEUED, COMPILING and RUNNING to one of the three ends, and its answer is
//! final once it has ended.

use super::time::{UnixMillis, as_millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The plan of a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// `query_id`.
    pub query_id: String,
    /// `warehouse_id`.
    pub warehouse_id: String,
    /// `query_start_time_ms`. Before that it does not exist.
    pub start: UnixMillis,
    /// Waiting for a place on the warehouse.
    #[serde(default, rename = "queued_ms", with = "as_millis")]
    pub queued: Duration,
    /// Compiling.
    #[serde(default, rename = "compiling_ms", with = "as_millis")]
    pub compiling: Duration,
    /// Executing.
    #[serde(default, rename = "executing_ms", with = "as_millis")]
    pub executing: Duration,
    /// `FINISHED`, `FAILED` or `CANCELED`.
    #[serde(default = "finished")]
    pub ends: String,
    /// `error_message`, if it fails.
    #[serde(default)]
    pub error: Option<String>,
    /// `user_name`.
    #[serde(default = "analyst")]
    pub user: String,
    /// `statement_type`.
    #[serde(default = "select")]
    pub statement_type: String,
    /// `query_text`.
    #[serde(default)]
    pub text: String,
    /// `rows_produced`.
    #[serde(default)]
    pub rows: i64,
    /// `metrics.read_bytes`.
    #[serde(default)]
    pub read_bytes: i64,
    /// `metrics.spill_to_disk_bytes`.
    #[serde(default)]
    pub spilled_bytes: i64,
    /// `metrics.result_from_cache`.
    #[serde(default)]
    pub from_cache: bool,
}

fn finished() -> String {
    "FINISHED".to_owned()
}

fn analyst() -> String {
    "analyst@example.com".to_owned()
}

fn select() -> String {
    "SELECT".to_owned()
}

impl Query {
    /// A query that executes for a while and finishes.
    #[must_use]
    pub fn new(query_id: &str, warehouse_id: &str, start: UnixMillis, executing: Duration) -> Self {
        Self {
            query_id: query_id.to_owned(),
            warehouse_id: warehouse_id.to_owned(),
            start,
            queued: Duration::ZERO,
            compiling: Duration::ZERO,
            executing,
            ends: finished(),
            error: None,
            user: analyst(),
            statement_type: select(),
            text: "SELECT count(*) FROM main.sales.orders".to_owned(),
            rows: 1,
            read_bytes: 1 << 20,
            spilled_bytes: 0,
            from_cache: false,
        }
    }

    /// The same, failing.
    #[must_use]
    pub fn failing(mut self, error: &str) -> Self {
        (self.ends, self.error) = ("FAILED".to_owned(), Some(error.to_owned()));
        self
    }

    /// When it ends.
    #[must_use]
    pub fn end(&self) -> UnixMillis {
        self.start.plus(self.queued).plus(self.compiling).plus(self.executing)
    }

    /// `status` at `now`.
    #[must_use]
    pub fn status(&self, now: UnixMillis) -> &str {
        if now >= self.end() {
            &self.ends
        } else if now < self.start.plus(self.queued) {
            "QUEUED"
        } else if now < self.start.plus(self.queued).plus(self.compiling) {
            "COMPILING"
        } else {
            "RUNNING"
        }
    }
}
