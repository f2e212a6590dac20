//! An event of a cluster, as a log record.
//!
//! databricks-sdk, `compute.ClusterEvent` and `compute.EventDetails`. Texts are bounded: the message of an init script
//! or the parameters of a termination are as long as somebody made them.

use std::collections::BTreeMap;

use kiln_plugin::UnixNanos;
use kiln_plugin::telemetry::{AttributeValue, LogRecord, Severity};
use serde::Deserialize;

use crate::api::{lenient, non_negative, positive};
use crate::attributes::{Attributes, clip};

pub(crate) const EVENT_NAME: &str = "databricks.cluster.event";
/// The load of an autoscaling cluster, told every few seconds: a metric in the clothes of an event.
const NOISE: &str = "AUTOSCALING_STATS_REPORT";
/// Bytes of a text at the most.
const MAX_TEXT: usize = 8 * 1024;

/// An event.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    #[serde(default, deserialize_with = "lenient::number")]
    timestamp: Option<i64>,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "lenient::text")]
    cause: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    current_num_workers: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    target_num_workers: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    driver_state_message: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    did_not_expand_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    instance_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    reason: Option<Reason>,
    #[serde(default, deserialize_with = "lenient::object")]
    init_scripts: Option<InitScripts>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    #[serde(default, deserialize_with = "lenient::text")]
    code: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    parameters: Option<BTreeMap<String, Text>>,
}

#[derive(Debug, Deserialize)]
struct Text(#[serde(deserialize_with = "lenient::text")] Option<String>);

#[derive(Debug, Deserialize)]
struct InitScripts {
    #[serde(default)]
    cluster: lenient::Items<InitScript>,
    #[serde(default)]
    global: lenient::Items<InitScript>,
}

#[derive(Debug, Deserialize)]
struct InitScript {
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    execution_duration_seconds: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    error_message: Option<String>,
    /// Global scripts have a name instead of a place.
    #[serde(default, deserialize_with = "lenient::text")]
    script_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    workspace: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    volumes: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    dbfs: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    s3: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    abfss: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    gcs: Option<Place>,
    #[serde(default, deserialize_with = "lenient::object")]
    file: Option<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    #[serde(default, deserialize_with = "lenient::text")]
    destination: Option<String>,
}

/// How the init scripts of a start went.
struct Outcome<'a> {
    worst: &'a InitScript,
    /// All of them, one after another.
    seconds: i64,
}

impl Event {
    /// In milliseconds.
    pub(crate) fn time(&self) -> Option<u64> {
        positive(self.timestamp)
    }

    pub(crate) fn kind(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| !kind.is_empty())
    }

    /// Tells it apart from the events of the same time. Several instances may meet the same fate at once.
    pub(crate) fn key(&self) -> String {
        let instance = self.details.as_ref().and_then(|details| details.instance_id.as_deref());
        format!("{} {}", self.kind().unwrap_or_default(), instance.unwrap_or_default())
    }

    pub(crate) fn is_noise(&self) -> bool {
        self.kind() == Some(NOISE)
    }

    /// The record, for a cluster with this id and this name.
    pub(crate) fn record(&self, id: &str, name: Option<&str>) -> LogRecord {
        let kind = self.kind().unwrap_or_default();
        let nothing = Details::default();
        let details = self.details.as_ref().unwrap_or(&nothing);
        let outcome = details.init_scripts.as_ref().and_then(InitScripts::outcome);
        let name = name.filter(|name| !name.is_empty());
        let mut attributes = Attributes::default();
        attributes.text("databricks.cluster.id", Some(id));
        attributes.text("databricks.cluster.name", name);
        attributes.text("databricks.cluster.event.type", Some(kind));
        attributes.text("databricks.cluster.event.cause", details.cause.as_deref());
        attributes
            .text("databricks.cluster.event.message", details.message().map(|text| clip(text, MAX_TEXT)).as_deref());
        attributes.integer("databricks.cluster.workers.current", workers(details.current_num_workers));
        attributes.integer("databricks.cluster.workers.target", workers(details.target_num_workers));
        if let Some(reason) = &details.reason {
            attributes.text("databricks.termination.code", reason.code.as_deref());
            attributes.text("databricks.termination.type", reason.kind.as_deref());
            attributes.text("databricks.termination.parameters", Some(&reason.parameters()));
        }
        if let Some(Outcome { worst, seconds }) = &outcome {
            attributes.text("databricks.init_script.status", worst.status.as_deref());
            attributes.integer("databricks.init_script.duration", Some(*seconds));
            if worst.has_failed() {
                let error = worst.error_message.as_deref().map(|text| clip(text, MAX_TEXT));
                attributes.text("databricks.init_script.name", worst.name());
                attributes.text("databricks.init_script.error", error.as_deref());
            }
        }
        LogRecord {
            time: UnixNanos::from_millis(self.time().unwrap_or_default()).as_nanos(),
            observed_time: 0,
            severity: severity(kind, details, outcome.as_ref()),
            severity_text: kind.to_owned(),
            event_name: EVENT_NAME.to_owned(),
            body: AttributeValue::Text(clip(&sentence(kind, name.unwrap_or(id), details, outcome.as_ref()), MAX_TEXT)),
            attributes: attributes.0,
            trace_id: Vec::new(),
            span_id: Vec::new(),
        }
    }
}

impl Details {
    fn message(&self) -> Option<&str> {
        self.driver_state_message.as_deref().or(self.did_not_expand_reason.as_deref()).filter(|text| !text.is_empty())
    }
}

impl Reason {
    /// `key=value`, sorted.
    fn parameters(&self) -> String {
        let all = self.parameters.iter().flatten();
        let told = all.filter_map(|(key, Text(value))| Some(format!("{key}={}", value.as_deref()?)));
        clip(&told.collect::<Vec<_>>().join(", "), MAX_TEXT)
    }
}

impl InitScripts {
    /// Nothing if none ran.
    fn outcome(&self) -> Option<Outcome<'_>> {
        let all = || self.global.items.iter().chain(&self.cluster.items);
        // Of several that failed, the first: those after it are not run.
        let worst = all().rev().max_by_key(|script| script.badness())?;
        let durations = all().filter_map(|script| script.execution_duration_seconds);
        Some(Outcome { worst, seconds: durations.map(|seconds| seconds.max(0)).fold(0, i64::saturating_add) })
    }
}

impl InitScript {
    fn badness(&self) -> u8 {
        match self.status.as_deref() {
            Some("SUCCEEDED") => 0,
            Some("SKIPPED") => 1,
            Some(status) if status.contains("FAILED") => 3,
            // NOT_EXECUTED, UNKNOWN, and what is new.
            Some(_) | None => 2,
        }
    }

    fn has_failed(&self) -> bool {
        self.badness() == 3
    }

    fn name(&self) -> Option<&str> {
        let places = [&self.workspace, &self.volumes, &self.dbfs, &self.s3, &self.abfss, &self.gcs, &self.file];
        let destination = places.into_iter().flatten().find_map(|place| place.destination.as_deref());
        destination.or(self.script_name.as_deref())
    }
}

fn workers(number: Option<i64>) -> Option<i64> {
    non_negative(number).and_then(|number| i64::try_from(number).ok())
}

fn severity(kind: &str, details: &Details, outcome: Option<&Outcome<'_>>) -> Severity {
    let is_clean = |reason: &Reason| reason.kind.as_deref().is_none_or(|kind| kind == "SUCCESS");
    match kind {
        _ if outcome.is_some_and(|outcome| outcome.worst.has_failed()) => Severity::Error,
        "DRIVER_NOT_RESPONDING"
        | "DRIVER_UNAVAILABLE"
        | "SPARK_EXCEPTION"
        | "METASTORE_DOWN"
        | "DBFS_DOWN"
        | "ADD_NODES_FAILED"
        | "AUTOSCALING_FAILED"
        | "FAILED_TO_EXPAND_DISK" => Severity::Error,
        "NODES_LOST"
        | "NODE_BLACKLISTED"
        | "DID_NOT_EXPAND_DISK"
        | "AUTOSCALING_BACKOFF"
        | "UC_VOLUME_MISCONFIGURED" => Severity::Warn,
        "TERMINATING" if !details.reason.as_ref().is_none_or(is_clean) => Severity::Warn,
        _ => Severity::Info,
    }
}

/// What happened, for people.
fn sentence(kind: &str, name: &str, details: &Details, outcome: Option<&Outcome<'_>>) -> String {
    let (current, target) = (workers(details.current_num_workers), workers(details.target_num_workers));
    let what = match (kind, current, target) {
        ("RESIZING", Some(current), Some(target)) => format!("resized from {current} to {target} workers"),
        ("RESIZING", None, Some(target)) => format!("resized to {target} workers"),
        ("UPSIZE_COMPLETED", Some(current), _) => format!("has its {current} workers"),
        ("RUNNING", Some(current), _) => format!("runs with {current} workers"),
        ("RUNNING", None, _) => "runs".to_owned(),
        ("CREATING", ..) => "is being created".to_owned(),
        ("STARTING" | "RESTARTING" | "TERMINATING", ..) => format!("is {}", words(kind)),
        ("EDITED" | "PINNED" | "UNPINNED", ..) => format!("was {}", words(kind)),
        ("INIT_SCRIPTS_STARTED", ..) => "runs its init scripts".to_owned(),
        ("INIT_SCRIPTS_FINISHED", ..) => "has run its init scripts".to_owned(),
        _ => format!("reports {}", words(kind)),
    };
    let mut parts = vec![format!("cluster {name} {what}")];
    parts.extend(details.cause.as_deref().filter(|cause| !cause.is_empty()).map(words));
    if let Some(reason) = &details.reason {
        parts.extend(reason.code.as_deref().map(words));
        parts.extend(Some(reason.parameters()).filter(|parameters| !parameters.is_empty()));
    }
    if let Some(Outcome { worst, seconds }) = outcome.filter(|_| kind == "INIT_SCRIPTS_FINISHED") {
        parts.push(match worst.has_failed() {
            true => format!("{} failed after {seconds} s", worst.name().unwrap_or("one")),
            false => format!("{seconds} s"),
        });
        parts.extend(worst.error_message.clone().filter(|text| !text.is_empty() && worst.has_failed()));
    }
    parts.extend(details.message().map(str::to_owned));
    parts.join(": ")
}

/// A constant of the API as one reads it.
fn words(constant: &str) -> String {
    constant.to_lowercase().replace('_', " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(kind: &str, details: Value) -> LogRecord {
        let event: Event = serde_json::from_value(json!({ "timestamp": 5, "type": kind, "details": details })).unwrap();
        event.record("0401-1", Some("etl-prod"))
    }

    fn body(record: &LogRecord) -> &str {
        match &record.body {
            AttributeValue::Text(body) => body,
            other => panic!("{other:?}"),
        }
    }

    fn attribute<'r>(record: &'r LogRecord, key: &str) -> Option<&'r AttributeValue> {
        record.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    #[test]
    fn a_resize_says_from_what_to_what_and_why() {
        let details = json!({ "current_num_workers": 2, "target_num_workers": 4, "cause": "AUTOSCALE" });
        let resized = record("RESIZING", details);
        assert_eq!(body(&resized), "cluster etl-prod resized from 2 to 4 workers: autoscale");
        assert_eq!((resized.severity, resized.severity_text.as_str()), (Severity::Info, "RESIZING"));
        assert_eq!((resized.time, resized.event_name.as_str()), (5_000_000, "databricks.cluster.event"));
        assert_eq!(attribute(&resized, "databricks.cluster.workers.target"), Some(&AttributeValue::Integer(4)));
        let unsure = record("RESIZING", json!({ "current_num_workers": -1, "target_num_workers": 4 }));
        assert_eq!(body(&unsure), "cluster etl-prod resized to 4 workers");
        assert_eq!(attribute(&unsure, "databricks.cluster.workers.current"), None);
    }

    #[test]
    fn a_termination_is_a_warning_unless_it_was_meant() {
        let ended = |kind: Option<&str>| {
            let reason = json!({ "code": "INACTIVITY", "type": kind, "parameters": { "b": "2", "a": 1, "c": "3" } });
            record("TERMINATING", json!({ "reason": reason }))
        };
        assert_eq!(body(&ended(Some("SUCCESS"))), "cluster etl-prod is terminating: inactivity: b=2, c=3");
        assert_eq!(ended(Some("SUCCESS")).severity, Severity::Info);
        assert_eq!(ended(None).severity, Severity::Info);
        for kind in ["CLIENT_ERROR", "CLOUD_FAILURE", "SERVICE_FAULT"] {
            assert_eq!(ended(Some(kind)).severity, Severity::Warn, "{kind}");
        }
        let failed = ended(Some("CLOUD_FAILURE"));
        let text = |key: &str| attribute(&failed, key).cloned();
        assert_eq!(text("databricks.termination.type"), Some("CLOUD_FAILURE".into()));
        assert_eq!(text("databricks.termination.parameters"), Some("b=2, c=3".into()));
    }

    #[test]
    fn init_scripts_are_as_bad_as_the_worst_and_the_first_that_failed_is_named() {
        let script = |status: &str, place: &str| {
            json!({ "status": status, "execution_duration_seconds": 7, "error_message": "exit code 1",
                "workspace": { "destination": place } })
        };
        let ran = |statuses: &[&str]| {
            let cluster: Vec<Value> =
                statuses.iter().enumerate().map(|(n, status)| script(status, &format!("/{n}.sh"))).collect();
            record("INIT_SCRIPTS_FINISHED", json!({ "init_scripts": { "cluster": cluster, "global": null } }))
        };
        let failed = ran(&["SUCCEEDED", "FAILED_FETCH", "FAILED_EXECUTION", "NOT_EXECUTED"]);
        assert_eq!(failed.severity, Severity::Error);
        assert_eq!(body(&failed), "cluster etl-prod has run its init scripts: /1.sh failed after 28 s: exit code 1");
        assert_eq!(attribute(&failed, "databricks.init_script.status"), Some(&"FAILED_FETCH".into()));
        assert_eq!(attribute(&failed, "databricks.init_script.duration"), Some(&AttributeValue::Integer(28)));
        let fine = ran(&["SUCCEEDED", "SKIPPED"]);
        assert_eq!((fine.severity, body(&fine)), (Severity::Info, "cluster etl-prod has run its init scripts: 14 s"));
        assert_eq!(attribute(&fine, "databricks.init_script.error"), None);
        assert_eq!(ran(&[]).severity, Severity::Info);
    }

    #[test]
    fn the_driver_and_the_nodes_are_heard() {
        let stuck = record("DRIVER_NOT_RESPONDING", json!({ "driver_state_message": "Driver is up but likely in GC" }));
        assert_eq!(stuck.severity, Severity::Error);
        assert_eq!(body(&stuck), "cluster etl-prod reports driver not responding: Driver is up but likely in GC");
        assert_eq!(record("NODES_LOST", Value::Null).severity, Severity::Warn);
        assert_eq!(record("DRIVER_HEALTHY", Value::Null).severity, Severity::Info);
        assert_eq!(record("SOMETHING_NEW", json!([])).severity, Severity::Info);
    }

    #[test]
    fn long_texts_are_cut() {
        let long = record("DRIVER_UNAVAILABLE", json!({ "driver_state_message": "x".repeat(100_000) }));
        assert_eq!(body(&long).len(), MAX_TEXT);
        assert!(long.attributes.iter().all(|attribute| match &attribute.value {
            AttributeValue::Text(text) => text.len() <= MAX_TEXT,
            _ => true,
        }));
    }
}
