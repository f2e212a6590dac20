//! How large clusters were while they were watched, which is what a run on them costs.

use std::collections::BTreeMap;

use crate::clusters::Clusters;
use crate::compute::Make;

/// For how long it is remembered how large a cluster was that is gone, in milliseconds: its run is reported soon after.
const REMEMBERED: u64 = 2 * 60 * 60 * 1_000;
/// Bounds what is remembered of one cluster, and of how many.
const MAX_SIZES: usize = 500;
const MAX_CLUSTERS: usize = 5_000;

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
        let now = clusters.listed_at();
        for cluster in clusters.all() {
            let Some(id) = &cluster.cluster_id else { continue };
            let Some(make) = Make::of(&cluster.described()) else { continue };
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
