//! What happened to a cluster.
//!
//! Like its state, a cluster's events follow from its plan (when it was created, grew, ended), so that the
//! list of events and the list of clusters cannot contradict each other. A script can add any others.
//!
//! Source: `databricks/sdk/service/compute.py` (`ClusterEvent`, `EventDetails`, `EventType`,
//! `TerminationReason`) of databricks-sdk 0.156.0.
//!
//! Invariant: an event is told once its time has come, and then never changes.

use super::compute::Cluster;
use super::time::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Something that happened to a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterEvent {
    /// `timestamp`.
    pub at: UnixMillis,
    /// `type`: `CREATING`, `RUNNING`, `RESIZING`, ...
    pub kind: String,
    /// `details`, as the API writes them.
    #[serde(default)]
    pub details: Value,
}

/// An init script, and how it went when the cluster started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitScript {
    /// Where it lies, such as `/Volumes/main/default/scripts/kiln.sh`.
    pub destination: String,
    /// `SUCCEEDED`, `FAILED_EXECUTION`, `NOT_EXECUTED`, ...
    pub status: String,
    /// `execution_duration_seconds`.
    pub seconds: u32,
    /// `error_message`, if it failed.
    #[serde(default)]
    pub error: Option<String>,
}

impl InitScript {
    /// A script that succeeds.
    #[must_use]
    pub fn new(destination: &str, seconds: u32) -> Self {
        let (destination, status) = (destination.to_owned(), "SUCCEEDED".to_owned());
        Self { destination, status, seconds, error: None }
    }

    fn body(&self, finished: bool) -> Value {
        let mut body = json!({ "volumes": { "destination": self.destination } });
        if finished && let Some(fields) = body.as_object_mut() {
            fields.insert("status".to_owned(), self.status.as_str().into());
            fields.insert("execution_duration_seconds".to_owned(), self.seconds.into());
            if let Some(error) = &self.error {
                fields.insert("error_message".to_owned(), error.as_str().into());
            }
        }
        body
    }
}

impl ClusterEvent {
    /// An event without details.
    #[must_use]
    pub fn new(at: UnixMillis, kind: &str) -> Self {
        Self { at, kind: kind.to_owned(), details: json!({}) }
    }

    /// The same with details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

impl Cluster {
    /// Everything that has happened to it until `now`, in the order of time.
    #[must_use]
    pub fn events_until(&self, now: UnixMillis) -> Vec<ClusterEvent> {
        let mut events = self.events.clone();
        let mut push = |at: UnixMillis, kind: &str, details: Value| {
            events.push(ClusterEvent::new(at, kind).with(details));
        };
        let size = self.workers.least();
        push(
            self.start,
            "CREATING",
            json!({ "cluster_size": { "num_workers": size }, "user": "data-platform@example.com" }),
        );
        if !self.init_scripts.is_empty() {
            let scripts = |finished| self.init_scripts.iter().map(|script| script.body(finished)).collect::<Vec<_>>();
            let seconds: u32 = self.init_scripts.iter().map(|script| script.seconds).sum();
            let finished = self.running_since();
            let started = finished.minus(Duration::from_secs(seconds.into())).max(self.start);
            push(started, "INIT_SCRIPTS_STARTED", json!({ "init_scripts": { "cluster": scripts(false) } }));
            push(finished, "INIT_SCRIPTS_FINISHED", json!({ "init_scripts": { "cluster": scripts(true) } }));
        }
        let over = self.terminated.is_some_and(|end| end <= self.running_since());
        if !over {
            push(self.running_since(), "RUNNING", json!({ "current_num_workers": size, "target_num_workers": size }));
        }
        let mut before = size;
        for resize in &self.resizes {
            let details = json!({
                "cause": "AUTOSCALE",
                "current_num_workers": before,
                "target_num_workers": resize.workers,
                "current_num_vcpus": 4 * before,
                "target_num_vcpus": 4 * resize.workers,
            });
            push(
                resize.at,
                "AUTOSCALING_STATS_REPORT",
                json!({
                    "current_num_workers": before,
                    "target_num_workers": resize.workers,
                    "attributes": {},
                }),
            );
            push(resize.at, "RESIZING", details);
            if resize.workers > before {
                let size = json!({ "current_num_workers": resize.workers, "target_num_workers": resize.workers });
                push(resize.done(), "UPSIZE_COMPLETED", size);
            }
            before = resize.workers;
        }
        if let (Some(end), Some((code, kind))) = (self.terminated, &self.reason) {
            let reason = json!({ "code": code, "type": kind, "parameters": self.reason_parameters });
            push(end, "TERMINATING", json!({ "reason": reason }));
        }
        events.retain(|event| event.at <= now);
        events.sort_by_key(|event| event.at);
        events
    }
}
