//! SQL statements: submit, poll, fetch.
//!
//! Source: `databricks/sdk/service/sql.py` (`StatementExecutionAPI`) of databricks-sdk 0.156.0: `wait_timeout`
//! is `0s` or 5 to 50 seconds, 10 by default; when it is over the statement goes on, or is cancelled if
//! `on_wait_timeout` says so; a statement that fails is answered with HTTP 200; results come in chunks, all
//! values as text. `EXTERNAL_LINKS` are not simulated.
//!
//! Invariant: a statement that was once seen to have ended never runs again, not even in a world whose time
//! stands still while a caller waits.

use super::super::shared::{Shared, Statement};
use super::super::world::{Rows, SqlOutcome, SqlRule, UnixMillis, millis};
use super::{Answer, ApiError, Json};
use crate::request::remember;
use crate::server::Connection;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const MAX_STATEMENT: usize = 16 << 20;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/sql/statements", post(execute))
        .route("/api/2.0/sql/statements/{id}", get(poll))
        .route("/api/2.0/sql/statements/{id}/cancel", post(cancel))
        .route("/api/2.0/sql/statements/{id}/result/chunks/{index}", get(chunk))
}

#[derive(Deserialize)]
struct Asked {
    statement: String,
    warehouse_id: String,
    #[serde(default)]
    parameters: Vec<Parameter>,
    wait_timeout: Option<String>,
    on_wait_timeout: Option<String>,
    disposition: Option<String>,
    format: Option<String>,
    row_limit: Option<usize>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: Option<String>,
}

async fn execute(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    body: Bytes,
) -> Answer {
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid(format!("the request cannot be read: {error}")))?;
    let wait = wait_of(asked.wait_timeout.as_deref())?;
    if asked.statement.is_empty() || asked.statement.len() > MAX_STATEMENT {
        return Err(ApiError::invalid("statement must have between 1 byte and 16 MiB"));
    }
    if !matches!(asked.disposition.as_deref(), None | Some("INLINE")) {
        let message = "only the disposition INLINE is simulated";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message));
    }
    if !matches!(asked.format.as_deref(), None | Some("JSON_ARRAY")) {
        return Err(ApiError::invalid("with the disposition INLINE the format must be JSON_ARRAY"));
    }
    let cancels = match asked.on_wait_timeout.as_deref() {
        None | Some("CONTINUE") => false,
        Some("CANCEL") => true,
        Some(other) => return Err(ApiError::invalid(format!("on_wait_timeout '{other}' is not known"))),
    };
    let (id, ends) = shared.update(|state| {
        let now = state.world.now();
        let known = state.world.warehouses(now).iter().any(|warehouse| warehouse.id == asked.warehouse_id);
        if !known {
            let message = format!("SQL warehouse {} does not exist.", asked.warehouse_id);
            return Err(ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message));
        }
        let mut rule = state.world.sql_rule(&asked.statement, now);
        if let (SqlOutcome::Rows(rows), Some(limit)) = (&mut rule.outcome, asked.row_limit) {
            rows.rows.truncate(limit);
        }
        let number = state.statements.last().map_or(0, |last| last.number + 1);
        let id = format!("01f0a000-0000-1000-8000-{number:012x}");
        let ends = millis(rule.pending + rule.running);
        let statement = Statement {
            number,
            id: id.clone(),
            text: asked.statement,
            parameters: asked.parameters.into_iter().map(|given| (given.name, given.value)).collect(),
            warehouse_id: asked.warehouse_id,
            submitted: now,
            rule,
            settled: None,
        };
        remember(&mut state.statements, statement);
        Ok((id, ends))
    })?;
    // Waits as long as the statement takes, and no longer than it was told to.
    let waited = ends.min(millis(wait));
    connection.wait(u64::try_from(waited).unwrap_or(0)).await;
    shared.update(|state| {
        let statement = state.statements.iter_mut().find(|statement| statement.id == id);
        let statement = statement.ok_or_else(|| missing(&id))?;
        if waited == ends {
            statement.settled = Some(end_of(&statement.rule));
        } else if cancels && !wait.is_zero() {
            statement.settled = Some("CANCELED");
        }
        let at = statement.submitted.plus(Duration::from_millis(u64::try_from(waited).unwrap_or(0)));
        Ok(Json(response(statement, at)))
    })
}

async fn poll(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    with_statement(&shared, &id, |statement, now| Ok(Json(response(statement, now))))
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    with_statement(&shared, &id, |statement, now| {
        if !has_ended(state_of(statement, now)) {
            statement.settled = Some("CANCELED");
        }
        Ok(Json(json!({})))
    })
}

async fn chunk(State(shared): State<Arc<Shared>>, Path((id, index)): Path<(String, String)>) -> Answer {
    let index: usize = index.parse().map_err(|_| ApiError::invalid(format!("'{index}' is not a chunk index")))?;
    with_statement(&shared, &id, |statement, now| match (state_of(statement, now), &statement.rule.outcome) {
        ("SUCCEEDED", SqlOutcome::Rows(rows)) => match result(&statement.id, rows, index) {
            Some(result) => Ok(Json(result)),
            None => Err(ApiError::invalid(format!("chunk_index {index} is out of range"))),
        },
        (state, _) => Err(ApiError::invalid(format!("the statement has no result: it is {state}"))),
    })
}

fn wait_of(text: Option<&str>) -> Result<Duration, ApiError> {
    let seconds = text.unwrap_or("10s").strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    match seconds {
        Some(seconds @ (0 | 5..=50)) => Ok(Duration::from_secs(seconds)),
        _ => Err(ApiError::invalid("wait_timeout must be 0s or between 5s and 50s")),
    }
}

fn with_statement<R>(
    shared: &Shared,
    id: &str,
    with: impl FnOnce(&mut Statement, UnixMillis) -> Result<R, ApiError>,
) -> Result<R, ApiError> {
    shared.update(|state| {
        let now = state.world.now();
        let statement = state.statements.iter_mut().find(|statement| statement.id == id);
        let statement = statement.ok_or_else(|| missing(id))?;
        let state = state_of(statement, now);
        if has_ended(state) {
            statement.settled = Some(state);
        }
        with(statement, now)
    })
}

fn missing(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("The statement {id} was not found."))
}

fn end_of(rule: &SqlRule) -> &'static str {
    match rule.outcome {
        SqlOutcome::Rows(_) => "SUCCEEDED",
        SqlOutcome::Failed(..) => "FAILED",
        SqlOutcome::Closed => "CLOSED",
    }
}

fn state_of(statement: &Statement, now: UnixMillis) -> &'static str {
    let running = statement.submitted.plus(statement.rule.pending);
    match statement.settled {
        Some(state) => state,
        None if now < running => "PENDING",
        None if now < running.plus(statement.rule.running) => "RUNNING",
        None => end_of(&statement.rule),
    }
}

fn has_ended(state: &str) -> bool {
    !matches!(state, "PENDING" | "RUNNING")
}

fn response(statement: &Statement, now: UnixMillis) -> Value {
    let state = state_of(statement, now);
    let mut body = json!({ "statement_id": statement.id, "status": { "state": state } });
    match (state, &statement.rule.outcome) {
        ("FAILED", SqlOutcome::Failed(code, message)) => {
            body["status"]["error"] = json!({ "error_code": code, "message": message });
        }
        ("SUCCEEDED", SqlOutcome::Rows(rows)) => {
            body["manifest"] = manifest(rows);
            body["result"] = result(&statement.id, rows, 0).unwrap_or_else(|| json!({ "row_count": 0 }));
        }
        _ => {}
    }
    body
}

fn manifest(rows: &Rows) -> Value {
    let column = |(position, (name, kind)): (usize, &(String, String))| json!({ "name": name, "type_name": kind, "type_text": kind, "position": position });
    let chunk = |index: usize| {
        let (first, chunk) = rows.chunk_at(index)?;
        Some(json!({ "chunk_index": index, "row_offset": first, "row_count": chunk.len() }))
    };
    json!({
        "format": "JSON_ARRAY",
        "schema": {
            "column_count": rows.columns.len(),
            "columns": rows.columns.iter().enumerate().map(column).collect::<Vec<Value>>(),
        },
        "total_chunk_count": rows.chunk_count(),
        "total_row_count": rows.rows.len(),
        "chunks": (0..rows.chunk_count()).filter_map(chunk).collect::<Vec<Value>>(),
        "truncated": false,
    })
}

fn result(id: &str, rows: &Rows, index: usize) -> Option<Value> {
    let (first, chunk) = rows.chunk_at(index)?;
    let mut body = json!({ "chunk_index": index, "row_offset": first, "row_count": chunk.len(), "data_array": chunk });
    if index + 1 < rows.chunk_count() {
        body["next_chunk_index"] = (index + 1).into();
        body["next_chunk_internal_link"] = format!("/api/2.0/sql/statements/{id}/result/chunks/{}", index + 1).into();
    }
    Some(body)
}
