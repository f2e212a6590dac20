//! Pipelines, their updates and their event log.
//!
//! Source: `databricks/sdk/service/pipelines.py` (`PipelinesAPI.list_pipelines`, `list_updates`,
//! `list_pipeline_events`) of databricks-sdk 0.156.0: of pipelines 25 by default and at most 100, in the order
//! of their ids; updates and events the latest first. Their page sizes are not documented: 25 by default and
//! at most 100 were chosen. Of the filters of events `level='..'`, `level in (..)` and `timestamp > '..'` (and
//! `>=`, `<`, `<=`, `=`) joined by AND are simulated; other filters are refused.

use super::super::shared::Shared;
use super::super::world::{Logged, Pipeline, UnixMillis, Update};
use super::paging::{Page, page};
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

const DEFAULT_PAGE: usize = 25;
const MAX_PAGE: usize = 100;
const CREATOR: &str = "data-platform@example.com";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/pipelines", get(list))
        .route("/api/2.0/pipelines/{id}/updates", get(updates))
        .route("/api/2.0/pipelines/{id}/events", get(events))
}

fn page_size(query: &Query) -> Result<usize, ApiError> {
    match query.number::<usize>("max_results")?.unwrap_or(DEFAULT_PAGE) {
        size @ 1..=MAX_PAGE => Ok(size),
        size => Err(ApiError::invalid(format!("max_results must be between 1 and {MAX_PAGE}, got {size}"))),
    }
}

fn refuse(query: &Query, parameters: &[&str]) -> Result<(), ApiError> {
    match parameters.iter().find(|name| query.text(name).is_some()) {
        None => Ok(()),
        Some(name) => {
            let message = format!("{name} is not simulated");
            Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message))
        }
    }
}

async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    refuse(&query, &["filter", "order_by"])?;
    let limit = page_size(&query)?;
    let (now, pipelines) = pipelines(&shared);
    let page = page("pipelines", pipelines, |pipeline| pipeline.pipeline_id.clone(), limit, &query)?;
    Ok(envelope("statuses", page, |pipeline| state_body(pipeline, now)))
}

async fn updates(State(shared): State<Arc<Shared>>, Path(id): Path<String>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let limit = page_size(&query)?;
    let (now, pipeline) = find(&shared, &id)?;
    let mut updates = pipeline.updates_until(now);
    if let Some(last) = query.text("until_update_id") {
        let place = updates.iter().position(|update| update.update_id == last);
        updates.truncate(place.map_or(0, |place| place + 1));
    }
    let key = |update: &&Update| Reverse((update.start, update.update_id.clone()));
    let page = page(&format!("updates of {id}"), updates, key, limit, &query)?;
    Ok(envelope("updates", page, |update| {
        json!({
            "pipeline_id": id,
            "update_id": update.update_id,
            "state": update.state(now),
            "cause": update.cause,
            "creation_time": update.start,
            "full_refresh": update.full_refresh,
            "mode": "DEFAULT",
            "validate_only": false,
        })
    }))
}

async fn events(State(shared): State<Arc<Shared>>, Path(id): Path<String>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let limit = page_size(&query)?;
    let ascending = match query.text("order_by") {
        None | Some("timestamp desc") => false,
        Some("timestamp asc") => true,
        Some(other) => return Err(ApiError::invalid(format!("order_by '{other}' is not an order of events"))),
    };
    let conditions = query.text("filter").map(read_filter).transpose()?.unwrap_or_default();
    let (now, pipeline) = find(&shared, &id)?;
    // The ordinal since the beginning is the one thing about an event that never changes.
    let log = pipeline.log_until(now);
    let count = log.len();
    let numbered = log.into_iter().enumerate().map(|(place, entry)| (count - place, entry));
    let entries: Vec<_> =
        numbered.filter(|(_, entry)| conditions.iter().all(|condition| condition.holds(entry))).collect();
    let order = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let key = |(number, _): &(usize, Logged<'_>)| if ascending { order(*number) } else { -order(*number) };
    let page = page(&format!("events of {id}"), entries, key, limit, &query)?;
    Ok(envelope("events", page, |(number, entry)| event_body(&pipeline, *number, entry, shared.org_id())))
}

fn pipelines(shared: &Shared) -> (UnixMillis, Vec<Pipeline>) {
    shared.read(|state| {
        let now = state.world.now();
        (now, state.world.pipelines(now))
    })
}

fn find(shared: &Shared, id: &str) -> Result<(UnixMillis, Pipeline), ApiError> {
    let (now, pipelines) = pipelines(shared);
    let found = pipelines.into_iter().find(|pipeline| pipeline.pipeline_id == id);
    let missing = || {
        let message = format!("The specified pipeline {id} was not found.");
        ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    };
    Ok((now, found.ok_or_else(missing)?))
}

fn envelope<T>(list: &str, page: Page<T>, body: impl Fn(&T) -> Value) -> Json {
    let mut answer = json!({});
    if !page.items.is_empty() {
        answer[list] = page.items.iter().map(body).collect();
    }
    for (name, token) in [("next_page_token", page.next), ("prev_page_token", page.previous)] {
        if let Some(token) = token {
            answer[name] = token.into();
        }
    }
    Json(answer)
}

fn state_body(pipeline: &Pipeline, now: UnixMillis) -> Value {
    let latest = |update: &&Update| json!({ "update_id": update.update_id, "state": update.state(now), "creation_time": timestamp(update.start) });
    let updates = pipeline.updates_until(now);
    let mut body = json!({
        "pipeline_id": pipeline.pipeline_id,
        "name": pipeline.name,
        "state": pipeline.state(now),
        "creator_user_name": CREATOR,
        "run_as_user_name": CREATOR,
    });
    if !updates.is_empty() {
        body["latest_updates"] = updates.iter().take(5).map(latest).collect();
    }
    if let Some(healthy) = pipeline.is_healthy(now) {
        body["health"] = if healthy { "HEALTHY" } else { "UNHEALTHY" }.into();
    }
    body
}

fn event_body(pipeline: &Pipeline, number: usize, entry: &Logged<'_>, org_id: u64) -> Value {
    let mut body = json!({
        "id": format!("{}-{number}", pipeline.pipeline_id),
        "sequence": { "control_plane_seq_no": number },
        "event_type": entry.kind,
        "level": entry.level,
        "maturity_level": "STABLE",
        "timestamp": timestamp(entry.at),
        "message": entry.message,
        "origin": {
            "org_id": org_id,
            "pipeline_id": pipeline.pipeline_id,
            "pipeline_name": pipeline.name,
            "update_id": entry.update.update_id,
        },
    });
    if let Some(flow) = entry.flow {
        body["origin"]["flow_name"] = flow.into();
        body["origin"]["dataset_name"] = flow.into();
    }
    if let Some((class, message)) = entry.error {
        body["error"] = json!({
            "fatal": true,
            "exceptions": [{
                "class_name": class,
                "message": message,
                "stack": [{
                    "declaring_class": "org.apache.spark.sql.Dataset",
                    "method_name": "collect",
                    "file_name": "Dataset.scala",
                    "line_number": 3321,
                }],
            }],
        });
    }
    body
}

/// RFC 3339 in UTC, to the millisecond.
fn timestamp(at: UnixMillis) -> String {
    let (days, ms) = (at.0.div_euclid(86_400_000), at.0.rem_euclid(86_400_000));
    // From days since 1970 to a date: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

enum Condition {
    Level(Vec<String>),
    /// Times of one form sort as text does.
    Time(String, String),
}

impl Condition {
    fn holds(&self, entry: &Logged<'_>) -> bool {
        match self {
            Self::Level(levels) => levels.iter().any(|level| level == entry.level),
            Self::Time(operator, than) => {
                let at = timestamp(entry.at);
                match operator.as_str() {
                    ">" => at > *than,
                    ">=" => at >= *than,
                    "<" => at < *than,
                    "<=" => at <= *than,
                    _ => at == *than,
                }
            }
        }
    }
}

fn read_filter(text: &str) -> Result<Vec<Condition>, ApiError> {
    let refused = || ApiError::invalid(format!("filter cannot be read: {text}"));
    let normal = text.replace(" and ", " AND ");
    let mut conditions = Vec::new();
    for term in normal.split(" AND ").map(str::trim) {
        let quoted: Vec<String> = term.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
        let head = term.split('\'').next().unwrap_or_default().replace(['(', ' '], "");
        let first = quoted.first().cloned();
        conditions.push(match (head.as_str(), first) {
            ("level=" | "levelin", Some(_)) => Condition::Level(quoted),
            (head, Some(than)) if head.starts_with("timestamp") => {
                let operator = head.trim_start_matches("timestamp");
                if ![">", ">=", "<", "<=", "="].contains(&operator) {
                    return Err(refused());
                }
                Condition::Time(operator.to_owned(), than)
            }
            _ => return Err(refused()),
        });
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(UnixMillis(ms)), text);
        }
    }
}
