//! What clusters are made of, as runs and the list of clusters describe it alike.
//!
//! `ClusterSpec` and `ClusterDetails` of databricks-sdk 0.156.0 (`service/compute.py`).

use serde::Deserialize;

use crate::api::lenient;

/// A cluster made for a run.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NewCluster {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) node_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) driver_node_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) num_workers: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) autoscale: Option<Autoscale>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) runtime_engine: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Autoscale {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) min_workers: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) max_workers: Option<i64>,
}

/// What a cluster is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Make {
    pub(crate) driver: String,
    pub(crate) worker: String,
    pub(crate) photon: bool,
    /// How many it is to have, if nobody saw how many it had.
    pub(crate) workers: f64,
}

impl Make {
    /// Of the description of a cluster; a driver whose type is not told is of the workers' type.
    #[allow(clippy::cast_precision_loss, reason = "no cluster has 2^53 workers")]
    pub(crate) fn of(cluster: &NewCluster) -> Option<Self> {
        let worker = cluster.node_type_id.clone()?;
        let bounds = cluster.autoscale.map(|scale| (scale.min_workers, scale.max_workers));
        let workers = match bounds {
            Some((Some(min), Some(max))) => (min.max(0) as f64 + max.max(0) as f64) / 2.0,
            _ => cluster.num_workers.unwrap_or_default().max(0) as f64,
        };
        let photon = cluster.runtime_engine.as_deref() == Some("PHOTON");
        Some(Self {
            driver: cluster.driver_node_type_id.clone().unwrap_or_else(|| worker.clone()),
            worker,
            photon,
            workers,
        })
    }
}
