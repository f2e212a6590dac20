//! RDDs and tables that are cached, by `/storage/rdd`: what is not cached any more is not listed.

use kiln_plugin::lenient;
use serde::Deserialize;

use super::api::{Api, Unread};
use super::job::count;
use super::totals::add;
use crate::telemetry as t;

/// A cached RDD. The same answer also lists every partition, which is read over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rdd {
    #[serde(deserialize_with = "lenient::number")]
    id: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_partitions: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_cached_partitions: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    memory_used: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    disk_used: Option<i64>,
}

/// What is cached, the latest first.
#[derive(Debug)]
pub(crate) struct Storage(Vec<Rdd>);

impl Storage {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, Unread> {
        let mut rdds: Vec<Rdd> = api.list("/storage/rdd")?;
        rdds.retain(|rdd| rdd.id.is_some());
        rdds.sort_by_key(|rdd| core::cmp::Reverse(rdd.id));
        rdds.dedup_by_key(|rdd| rdd.id);
        Ok(Self(rdds))
    }

    /// Adds a series for each of the first `limit`, and one for all others together.
    pub(crate) fn add_to(&self, limit: usize, metrics: &mut t::Metrics) {
        metrics.spark_rdd_count(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        let (own, others) = self.0.split_at(self.0.len().min(limit));
        for rdd in own {
            add_point(rdd.id, rdd.figures(), metrics);
        }
        if !others.is_empty() {
            let mut sums = [0; 4];
            for rdd in others {
                sums.iter_mut().zip(rdd.figures()).for_each(|(sum, figure)| add(sum, figure));
            }
            add_point(None, sums, metrics);
        }
    }
}

impl Rdd {
    fn figures(&self) -> [i64; 4] {
        [self.num_partitions, self.num_cached_partitions, self.memory_used, self.disk_used].map(count)
    }
}

fn add_point(spark_rdd_id: Option<i64>, [partitions, cached, memory, disk]: [i64; 4], metrics: &mut t::Metrics) {
    metrics.spark_rdd_partitions(&t::SparkRddPartitions { spark_rdd_id }, partitions);
    metrics.spark_rdd_cached_partitions(&t::SparkRddCachedPartitions { spark_rdd_id }, cached);
    metrics.spark_rdd_memory_usage(&t::SparkRddMemoryUsage { spark_rdd_id }, memory);
    metrics.spark_rdd_disk_usage(&t::SparkRddDiskUsage { spark_rdd_id }, disk);
}
