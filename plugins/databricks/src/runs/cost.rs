//! What a finished run is estimated to have cost: DBU by node type × instances over time × price.
//!
//! The driver counts as an instance of its own type, Photon multiplies. Workers are those seen while the cluster ran,
//! else those it was to have: of an autoscaled cluster the middle of its bounds. A cluster made for the run is charged
//! from the first task's start to the last one's end, a shared one for the time tasks ran on it: two runs that share it
//! at the same time are both charged. What has no cluster (serverless) has no estimate, nor has the cloud's part of the
//! bill: `cost.source: billing` knows both.

use std::collections::BTreeMap;

use super::run::{Run, Task};
use crate::api::seconds;
use crate::compute::{Make, NewCluster};
use crate::config::Cost;
use crate::fleet::Fleet;
use crate::node_types;

/// What an instance costs.
#[derive(Debug)]
pub(crate) struct Tariff<'a>(pub(crate) &'a Cost);

/// A cluster in the service of a run.
struct Use {
    make: Make,
    /// When tasks ran on it, in milliseconds.
    spans: Vec<(u64, u64)>,
    /// It was there for the run alone.
    own: bool,
}

/// What the run is estimated to have cost, in USD.
pub(crate) fn estimate(run: &Run, end: u64, fleet: Option<&Fleet>, tariff: &Tariff<'_>) -> Option<f64> {
    let uses = uses(run, end, fleet);
    if uses.is_empty() {
        return None;
    }
    Some(uses.into_iter().map(|(id, used)| tariff.price(&id, used, fleet)).sum())
}

fn uses(run: &Run, end: u64, fleet: Option<&Fleet>) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    let mut note = |id: &str, described: Option<&NewCluster>, span: Option<(u64, u64)>| {
        let known = || fleet.and_then(|fleet| fleet.make(id));
        let (Some(make), Some(span)) = (described.and_then(Make::of).or_else(known), span) else { return };
        let own = described.is_some();
        uses.entry(id.to_owned()).or_insert_with(|| Use { make, spans: Vec::new(), own }).spans.push(span);
    };
    for task in &run.tasks.items {
        let shared = task.job_cluster_key.as_deref().and_then(|key| run.job_cluster(key));
        if let Some(id) = task.cluster_id() {
            note(id, task.new_cluster.as_ref().or(shared), span(task));
        }
    }
    let own_cluster = run.cluster_instance.as_ref().and_then(|instance| instance.cluster_id.as_deref());
    if let Some(id) = own_cluster.filter(|_| run.tasks.items.is_empty()) {
        let described = run.cluster_spec.as_ref().and_then(|spec| spec.new_cluster.as_ref());
        let start = run.course().start;
        note(id, described, start.zip(Some(end)).filter(|(start, end)| start < end));
    }
    uses
}

fn span(task: &Task) -> Option<(u64, u64)> {
    let course = task.course();
    course.start.zip(course.end).filter(|(start, end)| start < end)
}

impl Tariff<'_> {
    fn price(&self, cluster_id: &str, mut used: Use, fleet: Option<&Fleet>) -> f64 {
        used.spans.sort_unstable();
        let spans = if used.own { whole(&used.spans) } else { joined(&used.spans) };
        let (driver, worker) = (self.dbu_per_hour(&used.make.driver), self.dbu_per_hour(&used.make.worker));
        let multiplier = if used.make.photon { self.0.photon_multiplier } else { 1.0 };
        let dbu: f64 = spans
            .into_iter()
            .map(|(from, to)| {
                let hours = seconds(to.saturating_sub(from)) / 3_600.0;
                let seen = fleet.and_then(|fleet| fleet.mean_workers(cluster_id, from, to));
                (driver + worker * seen.unwrap_or(used.make.workers)) * hours
            })
            .sum();
        dbu * multiplier * self.0.dbu_price
    }

    fn dbu_per_hour(&self, node_type: &str) -> f64 {
        let configured = self.0.dbu_per_hour.get(node_type).copied();
        configured.or_else(|| node_types::dbu_per_hour(node_type)).unwrap_or(self.0.default_dbu_per_hour)
    }
}

/// From the first start to the last end.
fn whole(spans: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let from = spans.iter().map(|span| span.0).min();
    from.zip(spans.iter().map(|span| span.1).max()).into_iter().collect()
}

/// Spans that overlap, counted once; sorted by their starts.
fn joined(spans: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in spans.iter().copied() {
        match joined.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn cost() -> Cost {
        serde_json::from_value(json!({
            "source": "estimate", "dbu_price": 0.5, "dbu_per_hour": { "big": 4.0, "small": 1.0 },
            "default_dbu_per_hour": 2.0, "photon_multiplier": 3.0,
        }))
        .unwrap()
    }

    fn price(body: Value) -> Option<f64> {
        let run: Run = serde_json::from_value(body).unwrap();
        let cost = cost();
        estimate(&run, 9 * HOUR, None, &Tariff(&cost))
    }

    fn task(cluster: &str, key: &str, start: u64, end: u64) -> Value {
        json!({ "task_key": "t", "start_time": start, "end_time": end, "job_cluster_key": key,
            "cluster_instance": { "cluster_id": cluster } })
    }

    #[test]
    fn the_driver_and_the_workers_are_charged_for_as_long_as_the_cluster_lived() {
        let clusters = json!([{ "job_cluster_key": "k", "new_cluster": { "node_type_id": "small", "driver_node_type_id": "big", "num_workers": 2 } }]);
        let tasks = json!([task("c", "k", HOUR, 2 * HOUR), task("c", "k", 3 * HOUR, 4 * HOUR)]);
        // Three hours of 4 + 2 × 1 DBU at 0.5 USD: it waited between its tasks.
        assert_eq!(price(json!({ "tasks": tasks, "job_clusters": clusters })), Some(9.0));
    }

    #[test]
    fn photon_multiplies_and_an_autoscaled_cluster_nobody_saw_is_between_its_bounds() {
        let new = json!({ "node_type_id": "small", "autoscale": { "min_workers": 1, "max_workers": 5 }, "runtime_engine": "PHOTON" });
        let clusters = json!([{ "job_cluster_key": "k", "new_cluster": new }]);
        let tasks = json!([task("c", "k", HOUR, 2 * HOUR)]);
        assert_eq!(price(json!({ "tasks": tasks, "job_clusters": clusters })), Some((1.0 + 3.0) * 3.0 * 0.5));
    }

    #[test]
    fn a_node_type_in_no_table_has_the_default() {
        let new = json!({ "node_type_id": "quantum.9xlarge", "num_workers": 0 });
        let body = json!({ "start_time": 8 * HOUR, "cluster_instance": { "cluster_id": "c" }, "cluster_spec": { "new_cluster": new } });
        assert_eq!(price(body), Some(1.0));
    }

    #[test]
    fn what_has_no_cluster_or_one_nobody_knows_has_no_estimate() {
        assert_eq!(price(json!({ "tasks": [{ "task_key": "t", "start_time": 1, "end_time": HOUR }] })), None);
        assert_eq!(price(json!({ "tasks": [task("c", "unknown", HOUR, 2 * HOUR)] })), None);
    }

    #[test]
    fn time_on_a_shared_cluster_is_charged_once() {
        assert_eq!(joined(&[(1, 5), (2, 3), (4, 7), (9, 10)]), [(1, 7), (9, 10)]);
    }
}
