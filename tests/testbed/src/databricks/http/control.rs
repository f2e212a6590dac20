//! `/-/`: the door behind the stage, for callers that cannot hold the library's handle.
//!
//! `POST /-/faults` adds a fault rule (`{"path": "/api/2.0/sql", "times": 3, "fault": "rate_limited",
//! "retry_after": 1}`), `GET` shows the rules that lie ahead, `DELETE` clears them. `GET /-/requests` shows what
//! was asked. It needs no token: it exists only in a simulated workspace.

use super::super::shared::Shared;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/-/faults", get(show).post(add).delete(clear)).route("/-/requests", get(requests))
}

async fn show(State(shared): State<Arc<Shared>>) -> Json {
    Json(json!(shared.read(|state| state.faults.rules().to_vec())))
}

async fn add(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let rule = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid(format!("the fault rule cannot be read: {error}")))?;
    shared.update(|state| state.faults.add(rule));
    Ok(show(State(shared)).await)
}

async fn clear(State(shared): State<Arc<Shared>>) -> Json {
    shared.update(|state| state.faults.clear());
    show(State(shared)).await
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json {
    Json(json!(shared.read(|state| state.requests.clone())))
}
