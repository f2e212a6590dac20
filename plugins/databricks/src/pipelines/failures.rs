//! Why updates failed: the errors in the event log of their pipeline, as log records.
//!
//! `GET /api/2.0/pipelines/{id}/events` (databricks-sdk, `PipelinesAPI.list_pipeline_events`), the newest first. What the
//! log does not show yet is looked for again in the next readings, and what cannot be read too, until the [`PATIENCE`]
//! with an update is at an end. Updates that wait are bounded by [`MAX_WAITING`], what is said of one by [`MAX_RECORDS`]
//! and [`MAX_TEXT`].

use kiln_plugin::UnixNanos;
use kiln_plugin::telemetry::{AttributeValue, LogRecord, Severity};
use serde::{Deserialize, Serialize};

use super::{LIST, segment};
use crate::api::{Api, ApiError, encode, lenient};
use crate::attributes::{Attributes, clip};

/// Pipelines of which events are read in one reading.
const PIPELINES: usize = 5;
const PER_PAGE: u32 = 100;
/// Pages that are read for the updates of one pipeline.
const PAGES: usize = 3;
/// What a log that does not show an update costs of the patience with it, and a log that cannot be read.
const PATIENCE: u8 = 60;
const NOT_SHOWN: u8 = 20;
const NOT_READ: u8 = 1;
const MAX_WAITING: usize = 100;
/// Records of one update.
const MAX_RECORDS: usize = 20;
/// Bytes of a message.
const MAX_TEXT: usize = 8 * 1024;
/// Exceptions of a chain of causes.
const MAX_CAUSES: usize = 10;

/// An update whose errors are to be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) pipeline: String,
    pub(crate) name: Option<String>,
    pub(crate) update: String,
    patience: u8,
}

impl Failed {
    pub(crate) const fn new(pipeline: String, name: Option<String>, update: String) -> Self {
        Self { pipeline, name, update, patience: PATIENCE }
    }
}

/// Those that wait, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Failures(Vec<Failed>);

/// A page of events.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    events: lenient::Items<Event>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    event_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    level: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "kiln_plugin::moment::deserialize")]
    timestamp: Option<u64>,
    #[serde(default, deserialize_with = "lenient::object")]
    origin: Option<Origin>,
    #[serde(default, deserialize_with = "lenient::object")]
    error: Option<ErrorDetail>,
}

#[derive(Debug, Deserialize)]
struct Origin {
    #[serde(default, deserialize_with = "lenient::text")]
    update_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    flow_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    dataset_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    /// The error, and what it was caused by.
    #[serde(default)]
    exceptions: lenient::Items<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(default, deserialize_with = "lenient::text")]
    class_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    message: Option<String>,
}

impl Failures {
    /// Adds an update. If too many wait, the oldest is left untold.
    pub(crate) fn add(&mut self, failed: Failed) {
        self.0.push(failed);
        if self.0.len() > MAX_WAITING {
            self.0.remove(0);
        }
    }

    /// Reads the errors of some of those that wait. `trouble` is what could not be read.
    pub(crate) fn read(&mut self, api: &mut Api<'_>, trouble: &mut Vec<ApiError>) -> Vec<LogRecord> {
        let mut pipelines: Vec<String> = Vec::new();
        for failed in &self.0 {
            if !pipelines.contains(&failed.pipeline) {
                pipelines.push(failed.pipeline.clone());
            }
        }
        let mut records = Vec::new();
        for pipeline in pipelines.iter().take(PIPELINES) {
            if api.spare() == 0 {
                break;
            }
            let (mine, others): (Vec<Failed>, Vec<Failed>) =
                core::mem::take(&mut self.0).into_iter().partition(|failed| failed.pipeline == *pipeline);
            self.0 = others;
            let (events, error) = read_events(api, pipeline, &mine);
            let cost = match &error {
                None => NOT_SHOWN,
                Some(error) if error.is_gone() || error.is_forbidden() => PATIENCE,
                Some(_) => NOT_READ,
            };
            for mut failed in mine {
                let told = failed.records(&events);
                failed.patience = failed.patience.saturating_sub(cost);
                if told.is_empty() && failed.patience > 0 {
                    // Behind those that have not been looked for.
                    self.0.push(failed);
                }
                records.extend(told);
            }
            trouble.extend(error);
            if cost == NOT_READ {
                // The next one would most likely fail too, and cost as much time.
                break;
            }
        }
        records
    }
}

/// Reads the errors of a pipeline until all updates have some, and what stopped it.
fn read_events(api: &mut Api<'_>, pipeline: &str, failed: &[Failed]) -> (Vec<Event>, Option<ApiError>) {
    let path = format!("{LIST}/{}/events?max_results={PER_PAGE}", segment(pipeline));
    let mut next = format!("{path}&filter={}", encode("level='ERROR'"));
    let mut events: Vec<Event> = Vec::new();
    for _ in 0..PAGES {
        let page = match api.get_json::<Page>(&next) {
            Ok(page) => page,
            Err(error) => return (events, Some(error)),
        };
        api.pass_over(&path, page.events.odd);
        events.extend(page.events.items);
        let is_found = failed.iter().all(|failed| events.iter().any(|event| event.is_of(failed)));
        // With a token the API takes no other parameter but the size: the filter is part of the token.
        match page.next_page_token.filter(|token| !token.is_empty() && !is_found && api.spare() > 0) {
            Some(token) => next = format!("{path}&page_token={}", encode(&token)),
            None => break,
        }
    }
    (events, None)
}

impl Failed {
    /// The records of its errors, the oldest first.
    fn records(&self, events: &[Event]) -> Vec<LogRecord> {
        let mut mine: Vec<&Event> = Vec::new();
        for event in events.iter().filter(|event| event.is_of(self)) {
            // Lists that change while they are read may show an event twice.
            let is_known = event.id.is_some() && mine.iter().any(|known| known.id == event.id);
            if !is_known && mine.len() < MAX_RECORDS {
                mine.push(event);
            }
        }
        mine.into_iter().rev().map(|event| self.record(event)).collect()
    }

    fn record(&self, event: &Event) -> LogRecord {
        let exceptions = event.error.as_ref().map(|error| error.exceptions.items.as_slice()).unwrap_or_default();
        let message = chain(exceptions);
        let origin = event.origin.as_ref();
        let mut attributes = Attributes::default();
        attributes.text("databricks.pipeline.id", Some(&self.pipeline));
        attributes.text("pipeline_name", self.name.as_deref());
        attributes.text("databricks.pipeline.update.id", Some(&self.update));
        attributes.text("databricks.pipeline.event.type", event.event_type.as_deref());
        attributes.text("databricks.pipeline.flow.name", origin.and_then(|origin| origin.flow_name.as_deref()));
        attributes.text("databricks.pipeline.dataset.name", origin.and_then(|origin| origin.dataset_name.as_deref()));
        attributes.text("exception.type", exceptions.first().and_then(|exception| exception.class_name.as_deref()));
        attributes.text("exception.message", Some(&message));
        let said = event.message.as_deref().filter(|text| !text.is_empty());
        let body = said.or(Some(message.as_str()).filter(|text| !text.is_empty()));
        LogRecord {
            time: UnixNanos::from_millis(event.timestamp.unwrap_or_default()).as_nanos(),
            observed_time: 0,
            severity: Severity::Error,
            severity_text: "ERROR".to_owned(),
            event_name: "databricks.pipeline.error".to_owned(),
            body: AttributeValue::Text(clip(body.unwrap_or("the update failed"), MAX_TEXT)),
            attributes: attributes.0,
            trace_id: Vec::new(),
            span_id: Vec::new(),
        }
    }
}

impl Event {
    fn is_of(&self, failed: &Failed) -> bool {
        let is_error = self.level.as_deref().is_none_or(|level| level == "ERROR");
        is_error && self.origin.as_ref().and_then(|origin| origin.update_id.as_deref()) == Some(&failed.update)
    }
}

/// The message of an exception and those of its causes.
fn chain(exceptions: &[Exception]) -> String {
    let mut text = String::new();
    for exception in exceptions.iter().take(MAX_CAUSES) {
        let message = clip(exception.message.as_deref().unwrap_or_default(), MAX_TEXT);
        match exception.class_name.as_deref().filter(|_| !text.is_empty()) {
            Some(class) => text.push_str(&format!("\ncaused by {class}: {message}")),
            None => text.push_str(&message),
        }
    }
    clip(&text, MAX_TEXT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn failed(update: &str) -> Failed {
        Failed::new("p".to_owned(), Some("orders".to_owned()), update.to_owned())
    }

    fn event(body: Value) -> Event {
        serde_json::from_value(body).unwrap()
    }

    fn attribute<'r>(record: &'r LogRecord, key: &str) -> Option<&'r AttributeValue> {
        record.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    #[test]
    fn an_error_says_where_it_came_from_and_what_caused_it() {
        let event = event(json!({ "id": "e", "event_type": "flow_progress", "level": "ERROR",
            "message": "Flow 'orders' has failed.", "timestamp": "2026-01-01T00:00:00.500Z",
            "origin": { "update_id": "u", "flow_name": "f", "dataset_name": "d" },
            "error": { "fatal": true, "exceptions": [
                { "class_name": "org.A", "message": "no", "stack": [{}] }, { "class_name": "org.B", "message": "why" } ] } }));
        let records = failed("u").records(&[event]);
        let record = &records[0];
        assert_eq!(record.time, 1_767_225_600_500_000_000);
        assert_eq!(record.body, AttributeValue::Text("Flow 'orders' has failed.".to_owned()));
        for (key, value) in [
            ("databricks.pipeline.id", "p"),
            ("pipeline_name", "orders"),
            ("databricks.pipeline.update.id", "u"),
            ("databricks.pipeline.flow.name", "f"),
            ("databricks.pipeline.dataset.name", "d"),
            ("exception.type", "org.A"),
            ("exception.message", "no\ncaused by org.B: why"),
        ] {
            assert_eq!(attribute(record, key), Some(&value.into()), "{key}");
        }
    }

    #[test]
    fn only_errors_of_the_update_are_told_each_once_and_not_too_many() {
        let of = |id: usize, update: &str| event(json!({ "id": id.to_string(), "origin": { "update_id": update } }));
        let events: Vec<Event> = [of(1, "u"), of(1, "u"), of(2, "other"), event(json!({})), of(3, "u")].into();
        assert_eq!(failed("u").records(&events).len(), 2);
        let many: Vec<Event> = (0..50).map(|id| of(id, "u")).collect();
        assert_eq!(failed("u").records(&many).len(), MAX_RECORDS);
        let warning = event(json!({ "level": "WARN", "origin": { "update_id": "u" } }));
        assert_eq!(failed("u").records(&[warning]).len(), 0);
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "x".repeat(100_000);
        let exceptions: Vec<Value> = (0..50).map(|_| json!({ "class_name": "A", "message": long })).collect();
        let event =
            event(json!({ "message": long, "origin": { "update_id": "u" }, "error": { "exceptions": exceptions } }));
        let record = &failed("u").records(&[event])[0];
        let length = |value: &AttributeValue| matches!(value, AttributeValue::Text(text) if text.len() <= MAX_TEXT);
        assert!(length(&record.body) && record.attributes.iter().all(|attribute| length(&attribute.value)));
    }

    #[test]
    fn no_more_wait_than_the_bound() {
        let mut failures = Failures::default();
        (0..500).for_each(|n| failures.add(failed(&n.to_string())));
        assert_eq!(failures.0.len(), MAX_WAITING);
        assert_eq!(failures.0[0].update, "400");
    }
}
