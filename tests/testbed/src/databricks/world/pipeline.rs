//! Pipelines and their updates, planned like runs.
//!
//! Source: `databricks/sdk/service/pipelines.py` (`PipelineStateInfo`, `UpdateInfo`, `PipelineEvent`) of
//! databricks-sdk 0.156.0.
//!
//! Invariant: a pipeline's state, its health, its updates and its event log follow from its updates' plans and
//! the time, so they always agree.

use super::time::{UnixMillis, as_millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// `pipeline_id`.
    pub pipeline_id: String,
    /// Shown to users.
    pub name: String,
    /// Its updates, in the order they start.
    #[serde(default)]
    pub updates: Vec<Update>,
}

/// The plan of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// `update_id`.
    pub update_id: String,
    /// `creation_time`. Before that it does not exist.
    pub start: UnixMillis,
    /// Waiting for resources and initialising.
    #[serde(rename = "setup_ms", with = "as_millis")]
    pub setup: Duration,
    /// Running its flows.
    #[serde(rename = "running_ms", with = "as_millis")]
    pub running: Duration,
    /// `COMPLETED`, `FAILED` or `CANCELED`.
    #[serde(default = "completed")]
    pub ends: String,
    /// The exception it fails with: class and message.
    #[serde(default)]
    pub error: Option<(String, String)>,
    /// `API_CALL`, `JOB_TASK`, `USER_ACTION`, ...
    #[serde(default = "job_task")]
    pub cause: String,
    /// `full_refresh`.
    #[serde(default)]
    pub full_refresh: bool,
}

/// An entry of a pipeline's event log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logged<'a> {
    pub(crate) at: UnixMillis,
    pub(crate) kind: &'static str,
    pub(crate) level: &'static str,
    pub(crate) message: String,
    pub(crate) flow: Option<&'static str>,
    pub(crate) update: &'a Update,
    pub(crate) error: Option<&'a (String, String)>,
}

fn completed() -> String {
    "COMPLETED".to_owned()
}

fn job_task() -> String {
    "JOB_TASK".to_owned()
}

impl Pipeline {
    /// A pipeline that has never been updated.
    #[must_use]
    pub fn new(pipeline_id: &str, name: &str) -> Self {
        Self { pipeline_id: pipeline_id.to_owned(), name: name.to_owned(), updates: Vec::new() }
    }

    /// The updates there are, the latest first.
    pub(crate) fn updates_until(&self, now: UnixMillis) -> Vec<&Update> {
        let mut updates: Vec<&Update> = self.updates.iter().filter(|update| update.start <= now).collect();
        updates.sort_by(|a, b| (b.start, &b.update_id).cmp(&(a.start, &a.update_id)));
        updates
    }

    /// `state` at `now`.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> &'static str {
        match self.updates_until(now).first().map(|update| update.state(now)) {
            Some("WAITING_FOR_RESOURCES" | "INITIALIZING") => "STARTING",
            Some("RUNNING") => "RUNNING",
            Some("FAILED") => "FAILED",
            _ => "IDLE",
        }
    }

    /// Whether the latest update that has ended did not fail; nothing before one has.
    #[must_use]
    pub fn is_healthy(&self, now: UnixMillis) -> Option<bool> {
        let updates = self.updates_until(now);
        updates.iter().find(|update| update.end() <= now).map(|update| update.ends != "FAILED")
    }

    /// What has been logged, the latest first.
    pub(crate) fn log_until(&self, now: UnixMillis) -> Vec<Logged<'_>> {
        let mut log = Vec::new();
        for update in self.updates_until(now) {
            let id = &update.update_id;
            let mut push = |at, kind, level, message: String, flow, error| {
                log.push(Logged { at, kind, level, message, flow, update, error });
            };
            push(
                update.start,
                "create_update",
                "INFO",
                format!("Update {id} started by {}.", update.cause),
                None,
                None,
            );
            let running = update.start.plus(update.setup);
            push(running, "update_progress", "INFO", format!("Update {id} is RUNNING."), None, None);
            let half = running.plus(update.running / 2);
            for flow in ["raw_orders", "clean_orders"] {
                push(half, "flow_progress", "METRICS", format!("Flow '{flow}' is RUNNING."), Some(flow), None);
            }
            let message = format!("Update {id} is {}.", update.ends);
            match (update.ends.as_str(), &update.error) {
                ("FAILED", error) => {
                    let failed = "Flow 'clean_orders' has FAILED.".to_owned();
                    push(update.end(), "flow_progress", "ERROR", failed, Some("clean_orders"), error.as_ref());
                    push(update.end(), "update_progress", "ERROR", message, None, error.as_ref());
                }
                ("CANCELED", _) => push(update.end(), "update_progress", "WARN", message, None, None),
                _ => push(update.end(), "update_progress", "INFO", message, None, None),
            }
        }
        log.retain(|entry| entry.at <= now);
        log.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        log
    }
}

impl Update {
    /// An update that completes.
    #[must_use]
    pub fn new(update_id: &str, start: UnixMillis, setup: Duration, running: Duration) -> Self {
        Self {
            update_id: update_id.to_owned(),
            start,
            setup,
            running,
            ends: completed(),
            error: None,
            cause: job_task(),
            full_refresh: false,
        }
    }

    /// The same, failing with an exception.
    #[must_use]
    pub fn failing(mut self, class: &str, message: &str) -> Self {
        self.ends = "FAILED".to_owned();
        self.error = Some((class.to_owned(), message.to_owned()));
        self
    }

    /// When it ends.
    #[must_use]
    pub fn end(&self) -> UnixMillis {
        self.start.plus(self.setup).plus(self.running)
    }

    /// `state` at `now`.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> &str {
        if now >= self.end() {
            &self.ends
        } else if now < self.start.plus(self.setup / 2) {
            "WAITING_FOR_RESOURCES"
        } else if now < self.start.plus(self.setup) {
            "INITIALIZING"
        } else {
            "RUNNING"
        }
    }
}
