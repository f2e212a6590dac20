//! A query of the history, as far as it is counted.
//!
//! databricks-sdk, `sql.QueryInfo` and `sql.QueryMetrics`. Everything may be missing; the accessors say what is meant
//! then, so that nothing else has to.

use serde::Deserialize;

use crate::api::{lenient, non_negative, positive};
use crate::ids::is_id;

/// Stands for a status nobody knows.
const UNKNOWN: &str = "UNKNOWN";

/// A query.
#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    #[serde(default, deserialize_with = "lenient::text")]
    query_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    statement_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    warehouse_id: Option<String>,
    /// "Whether more updates for the query are expected", says the API, and means the contrary.
    #[serde(default, deserialize_with = "lenient::flag")]
    is_final: bool,
    #[serde(default, deserialize_with = "lenient::number")]
    duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    query_start_time_ms: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    query_end_time_ms: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    execution_end_time_ms: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    metrics: Option<Metrics>,
}

#[derive(Debug, Deserialize)]
struct Metrics {
    #[serde(default, deserialize_with = "lenient::number")]
    total_time_ms: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    read_bytes: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    spill_to_disk_bytes: Option<i64>,
}

impl Query {
    pub(crate) fn id(&self) -> Option<&str> {
        self.query_id.as_deref().filter(|id| is_id(id))
    }

    pub(crate) fn status(&self) -> &str {
        self.status.as_deref().filter(|status| is_word(status)).unwrap_or(UNKNOWN)
    }

    pub(crate) fn statement_type(&self) -> Option<&str> {
        self.statement_type.as_deref().filter(|kind| is_word(kind))
    }

    pub(crate) fn warehouse(&self) -> Option<&str> {
        self.warehouse_id.as_deref().filter(|id| is_id(id))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.is_final || matches!(self.status(), "FINISHED" | "FAILED" | "CANCELED")
    }

    /// When it was submitted, in milliseconds.
    pub(crate) fn start(&self) -> Option<u64> {
        positive(self.query_start_time_ms)
    }

    /// When it ended, in milliseconds.
    pub(crate) fn end(&self) -> Option<u64> {
        let after_duration = || Some(self.start()?.saturating_add(non_negative(self.duration)?));
        positive(self.query_end_time_ms).or_else(|| positive(self.execution_end_time_ms)).or_else(after_duration)
    }

    /// In milliseconds. The API's own number leaves out the time its client took to fetch the results.
    pub(crate) fn duration(&self) -> Option<u64> {
        let total = || non_negative(self.metrics.as_ref()?.total_time_ms);
        let between = || self.end()?.checked_sub(self.start()?);
        non_negative(self.duration).or_else(total).or_else(between)
    }

    pub(crate) fn read_bytes(&self) -> i64 {
        self.metrics.as_ref().and_then(|metrics| metrics.read_bytes).unwrap_or_default().max(0)
    }

    pub(crate) fn spilled_bytes(&self) -> i64 {
        self.metrics.as_ref().and_then(|metrics| metrics.spill_to_disk_bytes).unwrap_or_default().max(0)
    }
}

/// Statuses and types are words of the API; what is longer is none.
const fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(body: serde_json::Value) -> Query {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_query_has_ended_if_its_status_or_the_api_says_so() {
        for status in ["FINISHED", "FAILED", "CANCELED"] {
            assert!(query(json!({ "status": status })).has_ended(), "{status}");
        }
        for status in ["QUEUED", "STARTED", "COMPILING", "COMPILED", "RUNNING", "NEW"] {
            assert!(!query(json!({ "status": status, "is_final": null })).has_ended(), "{status}");
            assert!(query(json!({ "status": status, "is_final": true })).has_ended(), "{status}");
        }
        assert_eq!(query(json!({ "is_final": true })).status(), "UNKNOWN");
    }

    #[test]
    fn what_one_field_does_not_tell_another_does() {
        let times = json!({ "query_start_time_ms": 1_000, "query_end_time_ms": 5_000, "duration": 3_000 });
        assert_eq!((query(times.clone()).end(), query(times).duration()), (Some(5_000), Some(3_000)));
        let started = query(json!({ "query_start_time_ms": 1_000, "duration": 3_000 }));
        assert_eq!((started.end(), started.duration()), (Some(4_000), Some(3_000)));
        let ended = query(json!({ "query_start_time_ms": 1_000, "execution_end_time_ms": 1_500 }));
        assert_eq!((ended.end(), ended.duration()), (Some(1_500), Some(500)));
        let measured = query(json!({ "duration": -1, "metrics": { "total_time_ms": 7 } }));
        assert_eq!((measured.end(), measured.duration()), (None, Some(7)));
    }

    #[test]
    fn numbers_that_make_no_sense_are_none() {
        let odd = query(json!({ "query_start_time_ms": 9_000, "query_end_time_ms": 5_000, "duration": null,
            "metrics": { "read_bytes": -5, "spill_to_disk_bytes": "many" } }));
        assert_eq!((odd.duration(), odd.read_bytes(), odd.spilled_bytes()), (None, 0, 0));
        assert_eq!(query(json!({ "query_id": "", "query_start_time_ms": -1 })).start(), None);
        assert_eq!(query(json!({ "query_id": "" })).id(), None);
        let long = "x".repeat(1_000);
        let long = query(json!({ "query_id": long, "status": long, "statement_type": long, "warehouse_id": long }));
        assert_eq!((long.id(), long.status(), long.statement_type(), long.warehouse()), (None, "UNKNOWN", None, None));
    }
}
