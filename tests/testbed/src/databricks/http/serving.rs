//! Serving endpoints and the metrics they export.
//!
//! Source: `databricks/sdk/service/serving.py` (`ServingEndpointsAPI.list`, `export_metrics`) of
//! databricks-sdk 0.156.0: no pages; the metrics are text in the Prometheus format.

use super::super::shared::Shared;
use super::super::world::ServingEndpoint;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/serving-endpoints", get(list))
        .route("/api/2.0/serving-endpoints/{name}/metrics", get(metrics))
}

async fn list(State(shared): State<Arc<Shared>>) -> Answer {
    let endpoints: Vec<Value> = shared.read(|state| state.world.scene().serving_endpoints.iter().map(body).collect());
    Ok(match endpoints.is_empty() {
        true => Json(json!({})),
        false => Json(json!({ "endpoints": endpoints })),
    })
}

fn body(endpoint: &ServingEndpoint) -> Value {
    json!({
        "id": format!("{:032x}", endpoint.name.bytes().fold(7_u128, |id, byte| id.wrapping_mul(131) + u128::from(byte))),
        "name": endpoint.name,
        "creator": "data-platform@example.com",
        "creation_timestamp": endpoint.created,
        "last_updated_timestamp": endpoint.created,
        "state": {
            "ready": if endpoint.ready { "READY" } else { "NOT_READY" },
            "config_update": endpoint.config_update,
        },
        "config": { "served_entities": [{
            "name": format!("{}-1", endpoint.entity),
            "entity_name": endpoint.entity,
            "entity_version": "1",
        }] },
        "tags": [],
    })
}

async fn metrics(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let text = shared.read(|state| {
        let endpoints = &state.world.scene().serving_endpoints;
        endpoints.iter().find(|endpoint| endpoint.name == name).map(|endpoint| endpoint.metrics_at(state.world.now()))
    });
    let missing = || {
        let message = format!("Endpoint with name '{name}' does not exist.");
        ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    };
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.ok_or_else(missing)?).into_response())
}
