//! Instance pools: how many in which state, and what the instances of each one do.
//!
//! `GET /api/2.0/instance-pools/list` (databricks-sdk, `InstancePoolsAPI.list`): one answer, no pages. What is kept is
//! that answer, until the next one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient};
use crate::part::Part;
use crate::telemetry;

pub(crate) const PART: Part =
    Part { name: "pools", permission: "Can attach to on the instance pools, or to be a workspace admin" };

const PATH: &str = "/api/2.0/instance-pools/list";

/// Every state a pool can be in (databricks-sdk, `compute.InstancePoolState`), so that a state nothing is in shows as
/// zero.
const STATES: [&str; 3] = ["ACTIVE", "STOPPED", "DELETED"];

/// The pools.
#[derive(Debug, Default)]
pub(crate) struct Pools(Vec<Pool>);

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    instance_pools: lenient::Items<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    #[serde(default, deserialize_with = "lenient::text")]
    instance_pool_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    instance_pool_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    stats: Option<Stats>,
}

/// A count that is missing is not known, which is not zero.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Stats {
    #[serde(default, deserialize_with = "lenient::number")]
    idle_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    used_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pending_idle_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pending_used_count: Option<i64>,
}

impl Pools {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let answer: Answer = api.get_json(PATH)?;
        api.pass_over(PATH, answer.instance_pools.odd);
        let mut pools = answer.instance_pools.items;
        let mut seen = BTreeSet::new();
        pools.retain(|pool| pool.instance_pool_id.as_ref().is_none_or(|id| seen.insert(id.clone())));
        Ok(Self(pools))
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let mut states: BTreeMap<&str, i64> = STATES.map(|state| (state, 0)).into();
        for pool in &self.0 {
            if let Some(state) = &pool.state {
                let count = states.entry(state).or_default();
                *count = count.saturating_add(1);
            }
            pool.add_to(metrics);
        }
        for (pool_state, count) in states {
            metrics.databricks_instance_pools_count(&telemetry::DatabricksInstancePoolsCount { pool_state }, count);
        }
    }
}

impl Pool {
    fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let (Some(databricks_instance_pool_id), Some(stats)) = (self.instance_pool_id.as_deref(), self.stats) else {
            return;
        };
        let counts = [
            ("idle", stats.idle_count),
            ("used", stats.used_count),
            ("pending_idle", stats.pending_idle_count),
            ("pending_used", stats.pending_used_count),
        ];
        for (instance_state, count) in counts {
            if let Some(count) = count.filter(|count| *count >= 0) {
                let attributes = telemetry::DatabricksInstancePoolInstances {
                    databricks_instance_pool_id,
                    databricks_instance_pool_name: self.instance_pool_name.as_deref(),
                    instance_state,
                };
                metrics.databricks_instance_pool_instances(&attributes, count);
            }
        }
    }
}
