//! Query history.
//!
//! Source: `databricks/sdk/service/sql.py` (`QueryHistoryAPI.list`, `QueryFilter`, `QueryInfo`) of
//! databricks-sdk 0.156.0: the most recently started first; `max_results` "must be less than 1000 and the
//! default is 100"; `has_next_page` says whether `next_page_token` leads anywhere. 1000 itself is taken, as
//! the published REST reference allows it.

use super::super::shared::Shared;
use super::super::world::{Query as Plan, UnixMillis, millis};
use super::paging::page_of;
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
const RANGE: &str = "filter_by.query_start_time_range";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.0/sql/history/queries", get(list))
}

async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let limit = query.number::<usize>("max_results")?.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(ApiError::invalid(format!("max_results must be between 1 and {MAX_PAGE}, got {limit}")));
    }
    let metrics = query.flag("include_metrics")?;
    let from: Option<i64> = query.number(&format!("{RANGE}.start_time_ms"))?;
    let to: Option<i64> = query.number(&format!("{RANGE}.end_time_ms"))?;
    let [ids, warehouses, statuses, users] = ["statement_ids", "warehouse_ids", "statuses", "user_ids"]
        .map(|field| query.texts(&format!("filter_by.{field}")));
    if !users.is_empty() {
        let message = "filter_by.user_ids is not simulated";
        return Err(ApiError::new(axum::http::StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message));
    }
    let wanted = |words: &[&str], word: &str| words.is_empty() || words.contains(&word);
    shared.read(|state| {
        let now = state.world.now();
        state.world.with_queries(now, |queries| {
            let at = |place: usize| queries.get(queries.len().checked_sub(place + 1)?);
            let key = |place: usize| at(place).map(|plan| Reverse((plan.start, plan.query_id.clone())));
            let shown = |place: usize| {
                at(place).is_some_and(|plan| {
                    from.is_none_or(|from| plan.start.0 >= from)
                        && to.is_none_or(|to| plan.start.0 <= to)
                        && wanted(&ids, &plan.query_id)
                        && wanted(&warehouses, &plan.warehouse_id)
                        && wanted(&statuses, plan.status(now))
                })
            };
            let page = page_of("queries", queries.len(), key, shown, limit, &query)?;
            let res: Vec<Value> =
                page.items.iter().filter_map(|place| at(*place)).map(|plan| body(plan, now, metrics)).collect();
            let mut answer = json!({ "has_next_page": page.next.is_some() });
            if !res.is_empty() {
                answer["res"] = res.into();
            }
            if let Some(next) = page.next {
                answer["next_page_token"] = next.into();
            }
            Ok(Json(answer))
        })
    })
}

fn body(plan: &Plan, now: UnixMillis, metrics: bool) -> Value {
    let end = plan.end();
    let ended = now >= end;
    let until = if ended { end } else { now };
    let mut body = json!({
        "query_id": plan.query_id,
        "lookup_key": plan.query_id,
        "warehouse_id": plan.warehouse_id,
        "endpoint_id": plan.warehouse_id,
        "status": plan.status(now),
        "statement_type": plan.statement_type,
        "query_text": plan.text,
        "user_name": plan.user,
        "executed_as_user_name": plan.user,
        "query_start_time_ms": plan.start,
        "duration": until.0 - plan.start.0,
        "is_final": ended,
        "plans_state": "EXISTS",
        "channel_used": { "name": "CHANNEL_NAME_CURRENT" },
    });
    if ended {
        body["query_end_time_ms"] = end.0.into();
        body["execution_end_time_ms"] = end.0.into();
        body["rows_produced"] = plan.rows.into();
        if let Some(error) = &plan.error {
            body["error_message"] = error.as_str().into();
        }
    }
    if metrics {
        let [compiling, executing] = [plan.compiling, plan.executing].map(millis);
        body["metrics"] = match ended {
            true => json!({
                "total_time_ms": end.0 - plan.start.0,
                "compilation_time_ms": compiling,
                "execution_time_ms": executing,
                "result_fetch_time_ms": 0,
                "task_total_time_ms": executing.saturating_mul(4),
                "photon_total_time_ms": executing.saturating_mul(3),
                "read_bytes": plan.read_bytes,
                "read_cache_bytes": plan.read_bytes / 4,
                "read_remote_bytes": plan.read_bytes - plan.read_bytes / 4,
                "write_remote_bytes": 0,
                "rows_read_count": plan.rows.saturating_mul(100),
                "rows_produced_count": plan.rows,
                "spill_to_disk_bytes": plan.spilled_bytes,
                "network_sent_bytes": plan.rows.saturating_mul(64),
                "pruned_bytes": 0,
                "pruned_files_count": 0,
                "read_files_count": 1 + plan.read_bytes / (128 << 20),
                "read_partitions_count": 1,
                "result_from_cache": plan.from_cache,
                "query_compilation_start_timestamp": plan.start.plus(plan.queued),
            }),
            false => json!({ "total_time_ms": until.0 - plan.start.0, "result_from_cache": false }),
        };
        if !plan.queued.is_zero() {
            body["metrics"]["overloading_queue_start_timestamp"] = plan.start.0.into();
        }
    }
    body
}
