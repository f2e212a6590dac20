//! Clusters that are not terminated: how many in which state, how large, for how long up; and how large they were,
//! which is what a run on them costs.
//!
//! `GET /api/2.1/clusters/list` (databricks-sdk, `ClustersAPI.list`). Without a filter the API also lists what
//! terminated within 30 days: in a workspace full of job clusters that is tens of thousands.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient, listing, positive, seconds};
use crate::runs::cost::Make;
use crate::runs::run::{Autoscale, NewCluster};
use crate::telemetry;
use crate::watch::Part;

pub(crate) const PART: Part =
    Part { name: "clusters", permission: "Can attach to on the clusters, or to be a workspace admin" };

const PATH: &str = "/api/2.1/clusters/list?page_size=100&filter_by.cluster_states=PENDING\
&filter_by.cluster_states=RUNNING&filter_by.cluster_states=RESTARTING&filter_by.cluster_states=RESIZING\
&filter_by.cluster_states=TERMINATING&filter_by.cluster_states=ERROR&filter_by.cluster_states=UNKNOWN";

/// For how long it is remembered how large a cluster was that is gone, in milliseconds: its run is reported soon after.
const REMEMBERED: u64 = 2 * 60 * 60 * 1_000;
/// Bounds what is remembered of one cluster, and of how many.
const MAX_SIZES: usize = 500;
const MAX_CLUSTERS: usize = 5_000;

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
    fn is_up(&self) -> bool {
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

/// How large clusters were while they were watched. In memory only: after a restart runs are estimated from what
/// their clusters were to have.
#[derive(Debug, Default)]
pub(crate) struct Fleet(BTreeMap<String, Record>);

#[derive(Debug)]
struct Record {
    make: Make,
    /// When it was seen to have how many workers, each where it changed.
    sizes: Vec<(u64, u32)>,
    last_seen: u64,
}

impl Fleet {
    /// Notes how large the clusters are.
    pub(crate) fn watch(&mut self, clusters: &Clusters) {
        let now = clusters.now;
        for cluster in &clusters.clusters {
            let Some(id) = &cluster.cluster_id else { continue };
            let described = NewCluster {
                node_type_id: cluster.node_type_id.clone(),
                driver_node_type_id: cluster.driver_node_type_id.clone(),
                num_workers: cluster.num_workers,
                autoscale: cluster.autoscale,
                runtime_engine: cluster.runtime_engine.clone(),
            };
            let Some(make) = Make::of(&described) else { continue };
            if !self.0.contains_key(id) && self.0.len() >= MAX_CLUSTERS {
                continue;
            }
            let record = self.0.entry(id.clone()).or_insert_with(|| Record {
                make: Make::default(),
                sizes: Vec::new(),
                last_seen: now,
            });
            (record.make, record.last_seen) = (make, now);
            let workers = cluster.running_workers().and_then(|workers| u32::try_from(workers).ok());
            if let Some(workers) = workers.filter(|_| cluster.is_up()) {
                record.note(now, workers);
            }
        }
        self.0.retain(|_, record| record.last_seen.saturating_add(REMEMBERED) >= now);
    }

    /// What a cluster is made of.
    pub(crate) fn make(&self, cluster_id: &str) -> Option<Make> {
        self.0.get(cluster_id).map(|record| record.make.clone())
    }

    /// How many workers it had on average between two times, in milliseconds, if it was watched then.
    #[allow(clippy::cast_precision_loss, reason = "times within a run are far below 2^53")]
    pub(crate) fn mean_workers(&self, cluster_id: &str, from: u64, to: u64) -> Option<f64> {
        let record = self.0.get(cluster_id)?;
        let (first, _) = record.sizes.first()?;
        let (from, to) = (from.max(*first), to.max(*first));
        let mut ends = record.sizes.iter().skip(1).map(|(time, _)| *time);
        let sum: u128 = record
            .sizes
            .iter()
            .map(|(start, workers)| {
                let end = ends.next().unwrap_or(u64::MAX).min(to);
                u128::from(end.saturating_sub((*start).max(from))) * u128::from(*workers)
            })
            .sum();
        match to.saturating_sub(from) {
            // It ended before it was seen: what was seen next says most.
            0 => record.sizes.first().map(|(_, workers)| f64::from(*workers)),
            length => Some(sum as f64 / length as f64),
        }
    }
}

impl Record {
    fn note(&mut self, now: u64, workers: u32) {
        if self.sizes.last().is_none_or(|(_, last)| *last != workers) {
            if self.sizes.len() >= MAX_SIZES {
                self.sizes.remove(0);
            }
            self.sizes.push((now, workers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_averaged_over_the_time_they_were_there() {
        let mut record = Record { make: Make::default(), sizes: Vec::new(), last_seen: 0 };
        for (time, workers) in [(100, 2), (150, 2), (200, 4), (300, 0)] {
            record.note(time, workers);
        }
        let fleet = Fleet([("c".to_owned(), record)].into());
        assert_eq!(fleet.mean_workers("c", 100, 200), Some(2.0));
        assert_eq!(fleet.mean_workers("c", 150, 250), Some(3.0));
        assert_eq!(fleet.mean_workers("c", 200, 400), Some(2.0));
        assert_eq!(fleet.mean_workers("c", 0, 50), Some(2.0));
        assert_eq!(fleet.mean_workers("unknown", 0, 50), None);
    }
}
