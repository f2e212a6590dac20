//! All clusters of a world in the order the API lists them.
//!
//! A large world has made thousands of job clusters, nearly all of which have ended. They follow from the runs
//! like all others, but to make each of them for every page would take longer than everything else: of those
//! that have ended only what decides their place is known beforehand.
//!
//! Invariant: the order is that of [`ClusterKey`], the same as if every cluster had been made and sorted.

use super::compute::Cluster;
use super::runs::Visible;

/// "By default, clusters are sorted by 3 columns from highest to lowest precedence: cluster state, pinned or
/// unpinned, then cluster name" (`ListClustersSortBy`). That what is alive comes first was chosen.
pub(crate) type ClusterKey = (usize, bool, String, String);

const TERMINATED: &str = "TERMINATED";

fn rank(state: &str) -> usize {
    const STATES: [&str; 6] = ["RUNNING", "RESIZING", "RESTARTING", "PENDING", "TERMINATING", TERMINATED];
    STATES.iter().position(|known| *known == state).unwrap_or(STATES.len())
}

fn key(cluster: &Cluster) -> ClusterKey {
    (rank(&cluster.state), !cluster.pinned, cluster.name.clone(), cluster.cluster_id.clone())
}

fn key_of_ended(runs: &Visible<'_>, place: usize) -> ClusterKey {
    (rank(TERMINATED), true, runs.cluster_name(place), runs.cluster_id(place))
}

/// The list of clusters at one moment.
pub(crate) struct Clusters<'a> {
    runs: Visible<'a>,
    places: Vec<Place>,
}

enum Place {
    Made(Box<Cluster>),
    /// The cluster of the run at this place, which has ended.
    Ended(usize),
}

impl<'a> Clusters<'a> {
    pub(super) fn new(standing: Vec<Cluster>, runs: Visible<'a>) -> Self {
        let mut made = standing;
        made.extend(
            runs.places_with_clusters()
                .filter(|place| !runs.cluster_is_over(*place))
                .filter_map(|place| runs.cluster_at(place)),
        );
        made.sort_by_cached_key(key);
        let mut ended = runs.places_by_cluster_name().filter(|place| runs.cluster_is_over(*place)).peekable();
        let mut places = Vec::with_capacity(made.len());
        for cluster in made {
            // What has ended is unpinned and listed by name.
            let own = key(&cluster);
            while own.0 >= rank(TERMINATED)
                && let Some(place) = ended.next_if(|place| key_of_ended(&runs, *place) < own)
            {
                places.push(Place::Ended(place));
            }
            places.push(Place::Made(Box::new(cluster)));
        }
        places.extend(ended.map(Place::Ended));
        Self { runs, places }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn key(&self, position: usize) -> Option<ClusterKey> {
        match self.places.get(position)? {
            Place::Made(cluster) => Some(key(cluster)),
            Place::Ended(place) => Some(key_of_ended(&self.runs, *place)),
        }
    }

    /// State, source and whether it is pinned.
    pub(crate) fn traits(&self, position: usize) -> Option<(&str, &str, bool)> {
        Some(match self.places.get(position)? {
            Place::Made(cluster) => (&cluster.state, &cluster.source, cluster.pinned),
            Place::Ended(_) => (TERMINATED, "JOB", false),
        })
    }

    pub(crate) fn get(&self, position: usize) -> Option<Cluster> {
        match self.places.get(position)? {
            Place::Made(cluster) => Some(cluster.as_ref().clone()),
            Place::Ended(place) => self.runs.cluster_at(*place),
        }
    }

    pub(super) fn all(&self) -> Vec<Cluster> {
        (0..self.len()).filter_map(|position| self.get(position)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, UnixMillis, World};
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_list_is_the_one_of_all_clusters_made_and_sorted() {
        let mut world = World::living(1, 60).with_clock(Clock::Frozen(UnixMillis(1_790_000_000_000)));
        for _ in 0..30 {
            world.advance(Duration::from_secs(97));
            let now = world.now();
            let mut expected = world.standing_clusters(now);
            expected.extend(world.runs(now).iter().filter_map(|run| Cluster::of_run(&run.at(now)?)));
            expected.sort_by_cached_key(key);
            world.with_clusters(now, |clusters| {
                assert_eq!(clusters.all(), expected);
                assert!((0..clusters.len()).all(|place| clusters.key(place) == clusters.get(place).as_ref().map(key)));
            });
        }
    }
}
