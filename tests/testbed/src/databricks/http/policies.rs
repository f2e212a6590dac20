//! Cluster policies and instance pools.
//!
//! Source: `databricks/sdk/service/compute.py` (`ClusterPoliciesAPI.list`, `InstancePoolsAPI.list`) of
//! databricks-sdk 0.156.0: no pages; policies are sorted by `sort_column` and `sort_order`, the most recently
//! created first if nothing is said.

use super::super::shared::Shared;
use super::super::world::{InstancePool, Policy};
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/policies/clusters/list", get(policies))
        .route("/api/2.0/instance-pools/list", get(pools))
}

async fn policies(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let mut policies = shared.read(|state| state.world.scene().policies.clone());
    match query.text("sort_column") {
        None | Some("POLICY_CREATION_TIME") => policies.sort_by_key(|policy| policy.created),
        Some("POLICY_NAME") => policies.sort_by(|a, b| a.name.cmp(&b.name)),
        Some(other) => return Err(ApiError::invalid(format!("sort_column '{other}' is not a column"))),
    }
    match query.text("sort_order") {
        None | Some("DESC") => policies.reverse(),
        Some("ASC") => {}
        Some(other) => return Err(ApiError::invalid(format!("sort_order '{other}' is neither ASC nor DESC"))),
    }
    let body = |policy: &Policy| {
        json!({
            "policy_id": policy.policy_id,
            "name": policy.name,
            "is_default": policy.is_default,
            "created_at_timestamp": policy.created,
            "definition": "{}",
        })
    };
    Ok(Json(json!({ "policies": policies.iter().map(body).collect::<Vec<Value>>() })))
}

async fn pools(State(shared): State<Arc<Shared>>) -> Answer {
    let body = |pool: &InstancePool| {
        let [idle, used, pending_idle, pending_used] = pool.stats;
        json!({
            "instance_pool_id": pool.pool_id,
            "instance_pool_name": pool.name,
            "state": pool.state,
            "node_type_id": "i3.xlarge",
            "min_idle_instances": pool.min_idle,
            "max_capacity": pool.max_capacity,
            "idle_instance_autotermination_minutes": 20,
            "enable_elastic_disk": true,
            "stats": {
                "idle_count": idle,
                "used_count": used,
                "pending_idle_count": pending_idle,
                "pending_used_count": pending_used,
            },
        })
    };
    let pools: Vec<Value> = shared.read(|state| state.world.scene().instance_pools.iter().map(body).collect());
    Ok(Json(json!({ "instance_pools": pools })))
}
