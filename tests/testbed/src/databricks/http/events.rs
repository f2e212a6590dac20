//! What happened to clusters.
//!
//! Source: `databricks/sdk/service/compute.py` (`ClustersAPI.events`, `GetEvents`, `GetEventsResponse`) of
//! databricks-sdk 0.156.0: `POST` with everything in the body; `page_size` has to be in [0, 500] and outside
//! "the server enforces 0 or 500", empty or 0 lets the server decide; `order` is `DESC` unless it is `ASC`.
//! The answer has `next_page_token`, and for older clients `next_page`, the body of the next request.

use super::super::shared::Shared;
use super::super::world::ClusterEvent;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: i64 = 500;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.1/clusters/events", post(events))
}

#[derive(Clone, Deserialize, Serialize)]
struct Asked {
    cluster_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
}

async fn events(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let mut asked: Asked = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid(format!("the request cannot be read: {error}")))?;
    let page_size = match asked.page_size.or(asked.limit).unwrap_or(0).clamp(0, MAX_PAGE) {
        0 => DEFAULT_PAGE,
        size => usize::try_from(size).unwrap_or(DEFAULT_PAGE),
    };
    let descending = match asked.order.as_deref() {
        None | Some("DESC") => true,
        Some("ASC") => false,
        Some(other) => return Err(ApiError::invalid(format!("order '{other}' is neither ASC nor DESC"))),
    };
    let first = match asked.page_token.as_deref() {
        None | Some("") => asked.offset.unwrap_or(0),
        Some(token) => read_token(token).ok_or_else(|| ApiError::invalid(format!("Invalid page_token '{token}'")))?.1,
    };
    let until = match asked.page_token.as_deref().and_then(read_token) {
        // Events that come while pages are read must not move the others.
        Some((until, _)) => Some(until),
        None => asked.end_time,
    };
    let (now, cluster) = shared.read(|state| {
        let now = state.world.now();
        (now, state.world.cluster(&asked.cluster_id, now))
    });
    let cluster = cluster.ok_or_else(|| ApiError::invalid(format!("Cluster {} does not exist", asked.cluster_id)))?;
    let until = until.unwrap_or(now.0);
    let mut events = cluster.events_until(now);
    events.retain(|event| {
        event.at.0 <= until
            && asked.start_time.is_none_or(|start| event.at.0 >= start)
            && (asked.event_types.is_empty() || asked.event_types.contains(&event.kind))
    });
    if descending {
        events.reverse();
    }
    let total = events.len();
    let page: Vec<Value> =
        events.iter().skip(first).take(page_size).map(|event| event_body(&asked.cluster_id, event)).collect();
    let next = first.saturating_add(page_size);
    let mut answer = json!({ "total_count": total });
    if !page.is_empty() {
        answer["events"] = page.into();
    }
    if next < total {
        let token = format!("{until}+{next}==");
        answer["next_page_token"] = token.as_str().into();
        asked.page_token = Some(token);
        asked.offset = None;
        answer["next_page"] = serde_json::to_value(&asked).unwrap_or_default();
    }
    if first > 0 {
        answer["prev_page_token"] = format!("{until}+{}==", first.saturating_sub(page_size)).into();
    }
    Ok(Json(answer))
}

/// Up to when events are told, and the place of the first on the page.
fn read_token(token: &str) -> Option<(i64, usize)> {
    let (until, first) = token.strip_suffix("==")?.split_once('+')?;
    Some((until.parse().ok()?, first.parse().ok()?))
}

fn event_body(cluster_id: &str, event: &ClusterEvent) -> Value {
    json!({ "cluster_id": cluster_id, "timestamp": event.at, "type": event.kind, "details": event.details })
}
