//! Clusters that are not terminated: how many in which state, how large, for how long up.
//!
//! `GET /api/2.1/clusters/list` (databricks-sdk, `ClustersAPI.list`). Without a filter the API also lists what
//! terminated within 30 days: in a workspace full of job clusters that is tens of thousands.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient, listing, positive, seconds};
use crate::compute::{Autoscale, NewCluster};
use crate::part::Part;
use crate::telemetry;

pub(crate) const PART: Part =
    Part { name: "clusters", permission: "Can attach to on the clusters, or to be a workspace admin" };

const PATH: &str = "/api/2.1/clusters/list?page_size=100&filter_by.cluster_states=PENDING\
&filter_by.cluster_states=RUNNING&filter_by.cluster_states=RESTARTING&filter_by.cluster_states=RESIZING\
&filter_by.cluster_states=TERMINATING&filter_by.cluster_states=ERROR&filter_by.cluster_states=UNKNOWN";

/// The clusters.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    clusters: Vec<Cluster>,
    now: u64,
}

listing! {
    /// A page of clusters.
    Page { clusters: Cluster }
}

/// A cluster.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cluster {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) cluster_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) cluster_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    cluster_source: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) state: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) num_workers: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    autoscale: Option<Autoscale>,
    /// Only their number matters: a worker that is there has an entry. Absent while the cluster starts.
    #[serde(default)]
    executors: Option<lenient::Items<Executor>>,
    #[serde(default, deserialize_with = "lenient::text")]
    node_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    driver_node_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    runtime_engine: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    last_restarted_time: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Executor {}

impl Cluster {
    /// What it is made of.
    pub(crate) fn described(&self) -> NewCluster {
        NewCluster {
            node_type_id: self.node_type_id.clone(),
            driver_node_type_id: self.driver_node_type_id.clone(),
            num_workers: self.num_workers,
            autoscale: self.autoscale,
            runtime_engine: self.runtime_engine.clone(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state.as_deref(), Some("RUNNING" | "RESIZING"))
    }

    /// How many workers it has.
    pub(crate) fn running_workers(&self) -> Option<i64> {
        let executors = self.executors.as_ref().map(|executors| crate::api::count(executors.items.len()));
        if self.is_up() { executors.or(self.num_workers) } else { Some(executors.unwrap_or_default()) }
    }

    /// When it was last started, in milliseconds.
    pub(crate) fn up_since(&self) -> Option<u64> {
        positive(self.last_restarted_time).max(positive(self.start_time))
    }
}

impl Clusters {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let mut clusters: Vec<Cluster> = Vec::new();
        api.list(PATH, |page: Page| clusters.extend(page.clusters.items))?;
        let mut seen = std::collections::BTreeSet::new();
        clusters.retain(|cluster| {
            let ended = cluster.state.as_deref() == Some("TERMINATED");
            !ended && cluster.cluster_id.as_ref().is_none_or(|id| seen.insert(id.clone()))
        });
        Ok(Self { clusters, now: api.now() })
    }

    /// When they were listed, in milliseconds of the workspace's clock.
    pub(crate) const fn listed_at(&self) -> u64 {
        self.now
    }

    /// Those that are not terminated.
    pub(crate) fn all(&self) -> &[Cluster] {
        &self.clusters
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        const UNKNOWN: &str = "UNKNOWN";
        let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for cluster in &self.clusters {
            let state = cluster.state.as_deref().unwrap_or(UNKNOWN);
            let source = cluster.cluster_source.as_deref().unwrap_or(UNKNOWN);
            let count = counts.entry((state, source)).or_default();
            *count = count.saturating_add(1);
            self.add_cluster(cluster, metrics);
        }
        for ((cluster_state, cluster_source), count) in counts {
            let attributes = telemetry::DatabricksClustersCount { cluster_state, cluster_source };
            metrics.databricks_clusters_count(&attributes, count);
        }
    }

    fn add_cluster(&self, cluster: &Cluster, metrics: &mut telemetry::Metrics) {
        let Some(databricks_cluster_id) = cluster.cluster_id.as_deref() else { return };
        let databricks_cluster_name = cluster.cluster_name.as_deref();
        for (worker_state, workers) in [("running", cluster.running_workers()), ("target", cluster.num_workers)] {
            if let Some(workers) = workers {
                let attributes = telemetry::DatabricksClusterWorkers {
                    databricks_cluster_id,
                    databricks_cluster_name,
                    worker_state,
                };
                metrics.databricks_cluster_workers(&attributes, workers);
            }
        }
        if let Some(since) = cluster.up_since().filter(|_| cluster.is_up()) {
            let attributes = telemetry::DatabricksClusterUptime { databricks_cluster_id, databricks_cluster_name };
            metrics.databricks_cluster_uptime(&attributes, seconds(self.now.saturating_sub(since)));
        }
    }
}
