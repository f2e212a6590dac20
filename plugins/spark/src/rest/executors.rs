//! Executors: those that are alive and where, and those that were removed and why.
//!
//! The page of metrics lists the living and forgets the dead. Spark keeps the last hundred of those
//! (`spark.ui.retainedDeadExecutors`), so the list has a bound of its own. A removal is told once; what is remembered is
//! the removals the list still shows.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::telemetry::{AttributeValue, LogRecord, Severity};
use kiln_plugin::{UnixNanos, lenient, moment};
use serde::{Deserialize, Serialize};

use super::api::{Api, Unread};
use super::totals::{add, seconds};
use super::trace::{Attributes, cut};
use crate::telemetry as t;

/// The largest number of executors with series of their own here.
const MOST: usize = 500;

/// The largest number of removals that are remembered, and told in one collection.
const MOST_REMOVED: usize = 10_000;

/// No id of an executor is longer: they are numbers.
const MOST_ID: usize = 64;

/// The reason of a removal may hold what a container printed.
const MOST_REASON: usize = 1_024;

/// An executor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Executor {
    #[serde(deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    host_port: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    is_active: bool,
    #[serde(deserialize_with = "lenient::flag")]
    is_excluded: bool,
    #[serde(deserialize_with = "moment::deserialize")]
    add_time: Option<u64>,
    #[serde(deserialize_with = "moment::deserialize")]
    remove_time: Option<u64>,
    #[serde(deserialize_with = "lenient::text")]
    remove_reason: Option<String>,
}

/// What is remembered of the executors of an application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Executors {
    /// Removals that were told and are still listed.
    told: BTreeSet<String>,
    removed: BTreeMap<String, i64>,
}

/// What a collection found.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    alive: Vec<Executor>,
    pub(crate) records: Vec<LogRecord>,
}

impl Executors {
    /// Reads all executors there are and were.
    pub(crate) fn read(&mut self, api: &mut Api<'_>) -> Result<Listed, Unread> {
        let all: Vec<Executor> = api.list("/allexecutors")?;
        let has_id = |executor: &Executor| executor.id.as_ref().is_some_and(|id| (1..=MOST_ID).contains(&id.len()));
        let (alive, removed): (Vec<_>, Vec<_>) =
            all.into_iter().filter(has_id).partition(|executor| executor.is_active);
        let mut listed = Listed { alive, records: Vec::new() };
        let mut told = BTreeSet::new();
        for executor in removed.into_iter().take(MOST_REMOVED) {
            let Some(id) = executor.id.clone() else { continue };
            if !self.told.contains(&id) && told.insert(id.clone()) {
                let cause = cause(executor.remove_reason.as_deref().unwrap_or_default());
                add(self.removed.entry(cause.to_owned()).or_default(), 1);
                listed.records.push(executor.record(cause));
            }
            told.insert(id);
        }
        self.told = told;
        Ok(listed)
    }

    /// Adds what is known at `now`, in milliseconds.
    pub(crate) fn add_to(&self, listed: &Listed, start: UnixNanos, now: u64, metrics: &mut t::Metrics) {
        let workers = listed.alive.iter().filter(|executor| executor.id.as_deref() != Some("driver"));
        metrics.spark_executors_active(i64::try_from(workers.count()).unwrap_or(i64::MAX));
        for (cause, count) in &self.removed {
            let attributes = t::SparkExecutorsRemoved { spark_executor_removed_cause: cause };
            metrics.spark_executors_removed(start, &attributes, *count);
        }
        let mut seen = BTreeSet::new();
        for executor in &listed.alive {
            let (Some(spark_executor_id), spark_executor_host) = (executor.id.as_deref(), executor.host()) else {
                continue;
            };
            if seen.len() >= MOST || !seen.insert(spark_executor_id) {
                continue;
            }
            let attributes = t::SparkExecutorExcluded { spark_executor_id, spark_executor_host };
            metrics.spark_executor_excluded(&attributes, i64::from(executor.is_excluded));
            if let Some(added) = executor.add_time {
                let attributes = t::SparkExecutorUptime { spark_executor_id, spark_executor_host };
                metrics.spark_executor_uptime(&attributes, seconds(now.saturating_sub(added)));
            }
        }
    }
}

impl Executor {
    /// Without the port.
    fn host(&self) -> &str {
        let address = self.host_port.as_deref().unwrap_or_default();
        address.rsplit_once(':').map_or(address, |(host, _)| host)
    }

    fn record(&self, cause: &str) -> LogRecord {
        let id = self.id.as_deref().unwrap_or_default();
        let words = self.remove_reason.as_deref().unwrap_or_default();
        let mut attributes = Attributes::default();
        attributes.text("spark.executor.id", Some(id));
        attributes.text("spark.executor.host", Some(self.host()));
        attributes.text("spark.executor.removed.cause", Some(cause));
        attributes.text("spark.executor.removed.reason", Some(words));
        let severity = match cause {
            "decommissioned" | "idle" => Severity::Info,
            _ => Severity::Warn,
        };
        LogRecord {
            time: self.remove_time.map_or(0, |millis| UnixNanos::from_millis(millis).as_nanos()),
            observed_time: 0,
            severity,
            severity_text: String::new(),
            event_name: "spark.executor.removed".to_owned(),
            body: AttributeValue::Text(cut(&format!("executor {id} was removed: {words}"), MOST_REASON)),
            attributes: attributes.0,
            trace_id: Vec::new(),
            span_id: Vec::new(),
        }
    }
}

/// Spark's words as one of a few, so that they can be counted.
fn cause(words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&["decommission"]) {
        "decommissioned"
    } else if has(&["idle"]) {
        "idle"
    } else if has(&["memory", "oom", "exit code 137", "code 52"]) {
        "memory"
    } else if has(&["heartbeat"]) {
        "heartbeat"
    } else if has(&["killed"]) {
        "killed"
    } else if has(&["exited", "exit code"]) {
        "exited"
    } else if has(&["lost", "disassociated", "preempt", "terminated"]) {
        "lost"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_of_a_few() {
        for (words, expected) in [
            ("Executor decommission finished: spark scale down", "decommissioned"),
            ("Executor killed by driver.", "killed"),
            ("Executor heartbeat timed out after 142316 ms", "heartbeat"),
            ("Container killed by YARN for exceeding memory limits.", "memory"),
            ("Command exited with code 52", "memory"),
            ("Command exited with code 1", "exited"),
            ("worker lost: 10.0.0.1", "lost"),
            ("", "other"),
        ] {
            assert_eq!(cause(words), expected, "{words}");
        }
    }

    #[test]
    fn a_host_is_told_without_its_port() {
        for (address, host) in [("10.0.0.1:7", "10.0.0.1"), ("[::1]:7", "[::1]"), ("host", "host"), ("", "")] {
            assert_eq!(Executor { host_port: Some(address.to_owned()), ..Executor::default() }.host(), host);
        }
    }
}
