//! SQL warehouses.
//!
//! Source: `databricks/sdk/service/sql.py` (`WarehousesAPI.list`, `EndpointInfo`) of databricks-sdk 0.156.0:
//! `next_page_token` is left out on the last page; without `page_size` everything comes at once.

use super::super::shared::Shared;
use super::super::world::Warehouse;
use super::paging::{Page, page};
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.0/sql/warehouses", get(list))
}

async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let limit = match query.number::<usize>("page_size")? {
        None => usize::MAX,
        Some(0) => return Err(ApiError::invalid("page_size must be greater than 0")),
        Some(limit) => limit,
    };
    let warehouses = shared.read(|state| state.world.warehouses(state.world.now()));
    let keyed = warehouses.into_iter().enumerate().collect();
    let Page { items, next, .. } = page("warehouses", keyed, |(order, _): &(usize, Warehouse)| *order, limit, &query)?;
    let mut answer = json!({
        "warehouses": items.iter().map(|(_, warehouse)| body(warehouse)).collect::<Vec<_>>(),
    });
    if let Some(next) = next {
        answer["next_page_token"] = next.into();
    }
    Ok(Json(answer))
}

fn body(warehouse: &Warehouse) -> Value {
    let mut body = json!({
        "id": warehouse.id,
        "name": warehouse.name,
        "state": warehouse.state,
        "cluster_size": warehouse.size,
        "warehouse_type": warehouse.kind,
        "num_clusters": warehouse.clusters,
        "min_num_clusters": 1,
        "max_num_clusters": warehouse.max_clusters,
        "num_active_sessions": warehouse.sessions,
        "auto_stop_mins": 10,
        "enable_photon": true,
        "enable_serverless_compute": warehouse.serverless,
        "spot_instance_policy": "COST_OPTIMIZED",
        "creator_name": "admin@example.com",
        "channel": { "name": "CHANNEL_NAME_CURRENT" },
        "tags": { "custom_tags": [] },
    });
    if let Some(health) = &warehouse.health {
        body["health"] = json!({ "status": health });
    }
    body
}
