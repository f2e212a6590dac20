//! SQL warehouses: how many in which state and health, and what each one runs.
//!
//! `GET /api/2.0/sql/warehouses` (databricks-sdk, `WarehousesAPI.list`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient, listing};
use crate::part::Part;
use crate::telemetry;

pub(crate) const PART: Part =
    Part { name: "warehouses", permission: "Can view on the SQL warehouses, or to be a workspace admin" };

const PATH: &str = "/api/2.0/sql/warehouses?page_size=100";

/// Every state a warehouse can be in (databricks-sdk, `sql.State`), so that a state nothing is in shows as zero.
const STATES: [&str; 6] = ["STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETING", "DELETED"];

/// The warehouses.
#[derive(Debug, Default)]
pub(crate) struct Warehouses(Vec<Warehouse>);

listing! {
    /// A page of warehouses.
    Page { warehouses: Warehouse }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Warehouse {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    cluster_size: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    num_clusters: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    num_active_sessions: Option<i64>,
    #[serde(default, deserialize_with = "lenient::flag")]
    enable_serverless_compute: bool,
    #[serde(default, deserialize_with = "lenient::object")]
    health: Option<Health>,
}

#[derive(Debug, Deserialize)]
struct Health {
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
}

impl Warehouses {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let mut warehouses = Vec::new();
        api.list(PATH, |page: Page| warehouses.extend(page.warehouses.items))?;
        let mut seen = std::collections::BTreeSet::new();
        warehouses.retain(|warehouse: &Warehouse| warehouse.id.as_ref().is_none_or(|id| seen.insert(id.clone())));
        Ok(Self(warehouses))
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let mut states: BTreeMap<&str, i64> = STATES.map(|state| (state, 0)).into();
        let mut healths: BTreeMap<Option<&str>, i64> = BTreeMap::new();
        for warehouse in &self.0 {
            if let Some(state) = &warehouse.state {
                add_one(states.entry(state).or_default());
            }
            let health = warehouse.health.as_ref().and_then(|health| health.status.as_deref());
            add_one(healths.entry(health).or_default());
            warehouse.add_to(metrics);
        }
        for (warehouse_state, count) in states {
            metrics.databricks_warehouses_count(&telemetry::DatabricksWarehousesCount { warehouse_state }, count);
        }
        for (health_status, count) in healths {
            metrics.databricks_warehouses_health(&telemetry::DatabricksWarehousesHealth { health_status }, count);
        }
    }
}

impl Warehouse {
    fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let Some(id) = self.id.as_deref() else { return };
        let (databricks_warehouse_id, databricks_warehouse_name) = (Some(id), self.name.as_deref());
        let (warehouse_size, serverless) = (self.cluster_size.as_deref(), self.enable_serverless_compute);
        if let Some(running) = self.num_clusters {
            let attributes = telemetry::DatabricksWarehouseClustersRunning {
                databricks_warehouse_id,
                databricks_warehouse_name,
                warehouse_size,
                serverless,
            };
            metrics.databricks_warehouse_clusters_running(&attributes, running);
        }
        if let Some(sessions) = self.num_active_sessions {
            let attributes = telemetry::DatabricksWarehouseSessionsActive {
                databricks_warehouse_id,
                databricks_warehouse_name,
                warehouse_size,
                serverless,
            };
            metrics.databricks_warehouse_sessions_active(&attributes, sessions);
        }
    }
}

fn add_one(count: &mut i64) {
    *count = count.saturating_add(1);
}
