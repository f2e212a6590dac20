//! Clusters: all-purpose ones and those of job runs.
//!
//! Source: `databricks/sdk/service/compute.py` (`ClustersAPI.list`, `ClusterDetails`) of databricks-sdk 0.156.0:
//! an empty `next_page_token` means that there is no further page; the server may return fewer items than
//! `page_size` asks for. Its bounds are not documented; 20 by default and at most 100 were chosen.

use super::super::shared::Shared;
use super::super::world::{Cluster, InitScript, UnixMillis, Workers};
use super::paging::page_of;
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const DEFAULT_PAGE: usize = 20;
const MAX_PAGE: usize = 100;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.1/clusters/list", get(list))
}

async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    for unsupported in ["filter_by.policy_id", "sort_by.field", "sort_by.direction"] {
        if query.text(unsupported).is_some() {
            let message = format!("{unsupported} is not simulated");
            return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message));
        }
    }
    let limit = match query.number::<usize>("page_size")? {
        None => DEFAULT_PAGE,
        Some(0) => return Err(ApiError::invalid("page_size must be greater than 0")),
        Some(limit) => limit.min(MAX_PAGE),
    };
    let states = query.texts("filter_by.cluster_states");
    let sources = query.texts("filter_by.cluster_sources");
    let pinned = match query.text("filter_by.is_pinned") {
        None => None,
        Some(_) => Some(query.flag("filter_by.is_pinned")?),
    };
    let wanted = |words: &[&str], word: &str| words.is_empty() || words.contains(&word);
    shared.read(|state| {
        let now = state.world.now();
        state.world.with_clusters(now, |clusters| {
            let shown = |position: usize| {
                clusters.traits(position).is_some_and(|(state, source, is_pinned)| {
                    wanted(&states, state)
                        && wanted(&sources, source)
                        && pinned.is_none_or(|pinned| is_pinned == pinned)
                })
            };
            let page = page_of("clusters", clusters.len(), |position| clusters.key(position), shown, limit, &query)?;
            let listed = page.items.iter().filter_map(|position| clusters.get(*position));
            Ok(Json(json!({
                "clusters": listed.map(|cluster| body(&cluster, now)).collect::<Vec<_>>(),
                "next_page_token": page.next.unwrap_or_default(),
                "prev_page_token": page.previous.unwrap_or_default(),
            })))
        })
    })
}

fn body(cluster: &Cluster, now: UnixMillis) -> Value {
    let mut body = json!({
        "cluster_id": cluster.cluster_id,
        "cluster_name": cluster.name,
        "cluster_source": cluster.source,
        "state": cluster.state,
        "state_message": "",
        "node_type_id": cluster.node_type,
        "driver_node_type_id": cluster.node_type,
        "start_time": cluster.start,
        "last_restarted_time": cluster.start,
        "spark_version": "16.4.x-scala2.12",
        "runtime_engine": if cluster.photon { "PHOTON" } else { "STANDARD" },
        "data_security_mode": "SINGLE_USER",
        "single_user_name": "data-platform@example.com",
        "creator_user_name": "data-platform@example.com",
        "custom_tags": cluster.tags,
        "default_tags": BTreeMap::from([
            ("Vendor", "Databricks"),
            ("Creator", "data-platform@example.com"),
            ("ClusterName", &cluster.name),
            ("ClusterId", &cluster.cluster_id),
        ]),
    });
    // "This field reflects the desired number of workers rather than the actual current number."
    let (current, target) = cluster.size(now);
    body["num_workers"] = target.into();
    if let Workers::Autoscale { min, max } = cluster.workers {
        body["autoscale"] = json!({ "min_workers": min, "max_workers": max });
    }
    if !cluster.init_scripts.is_empty() {
        let script = |script: &InitScript| json!({ "volumes": { "destination": script.destination } });
        body["init_scripts"] = cluster.init_scripts.iter().map(script).collect();
    }
    if matches!(cluster.state.as_str(), "RUNNING" | "RESIZING") {
        let node = |role: &str, index: u32| json!({ "node_id": format!("{}-{role}{index}", cluster.cluster_id), "start_timestamp": cluster.start });
        body["driver"] = node("driver", 0);
        body["executors"] = (0..current).map(|index| node("worker", index)).collect();
        // An i3.xlarge: four cores and 30.5 GiB each.
        body["cluster_cores"] = (4.0 * (f64::from(current) + 1.0)).into();
        body["cluster_memory_mb"] = (31_232 * (u64::from(current) + 1)).into();
    }
    if let Some(terminated) = cluster.terminated {
        body["terminated_time"] = terminated.0.into();
    }
    if let Some((code, kind)) = &cluster.reason {
        body["termination_reason"] = json!({ "code": code, "type": kind, "parameters": cluster.reason_parameters });
    }
    body
}
