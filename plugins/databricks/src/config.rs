//! What the operator writes, as the manifest's schema describes it: defaults are the schema's and stand nowhere else.

use core::time::Duration;
use std::collections::BTreeMap;

use kiln_plugin::ConfigError;
use serde::Deserialize;

use crate::duration;

/// The longest time over which a success rate is kept: one count for each minute of it.
const MAX_SUCCESS_WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The configuration.
#[derive(Debug, Deserialize)]
pub struct Config {
    host: String,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) initial_lookback: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) success_window: Duration,
    pub(crate) requests_per_cycle: u32,
    pub(crate) job_names: JobNames,
    pub(crate) max_jobs: usize,
    pub(crate) task_metrics: bool,
    pub(crate) error_output: bool,
    pub(crate) cost: Cost,
    pub(crate) collectors: Collectors,
}

/// Whose runs are observed.
#[derive(Debug, Deserialize)]
pub(crate) struct JobNames {
    include: Vec<String>,
    exclude: Vec<String>,
}

/// Where the cost of a job comes from.
#[derive(Debug, Deserialize)]
pub(crate) struct Cost {
    pub(crate) source: CostSource,
    pub(crate) billing_warehouse_id: Option<String>,
    pub(crate) dbu_price: f64,
    pub(crate) dbu_per_hour: BTreeMap<String, f64>,
    pub(crate) default_dbu_per_hour: f64,
    pub(crate) photon_multiplier: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CostSource {
    Estimate,
    Billing,
    None,
}

/// What is read, and how often.
#[derive(Debug, Deserialize)]
pub(crate) struct Collectors {
    pub(crate) jobs: Read,
    pub(crate) runs: Switch,
    pub(crate) clusters: Clusters,
    pub(crate) warehouses: Read,
    pub(crate) queries: Read,
    pub(crate) pipelines: Read,
    pub(crate) serving: Serving,
    pub(crate) pools: Read,
    pub(crate) inventory: Inventory,
    pub(crate) identity: Identity,
    pub(crate) billing: Interval,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Switch {
    pub(crate) enabled: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Interval {
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Read {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Clusters {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
    pub(crate) events: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Serving {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
    pub(crate) endpoint_metrics: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Inventory {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
    pub(crate) workspace: bool,
    pub(crate) dbfs: bool,
    /// Paths in the workspace, or in DBFS after `dbfs:`.
    pub(crate) exclude: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Identity {
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) interval: Duration,
    pub(crate) token_comments: bool,
    pub(crate) group_members: bool,
    pub(crate) policy_types: bool,
}

impl Config {
    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.success_window > MAX_SUCCESS_WINDOW {
            return Err(ConfigError::new("/success_window", "is longer than 30d"));
        }
        if self.cost.source == CostSource::Billing && self.cost.billing_warehouse_id.is_none() {
            return Err(ConfigError::new(
                "/cost/billing_warehouse_id",
                "is needed by `cost.source: billing`: give the id of a SQL warehouse, or choose another source",
            ));
        }
        self.origin().map(|_| ())
    }

    /// Scheme, host and port. People paste the address of a page of the workspace.
    pub(crate) fn origin(&self) -> Result<String, ConfigError> {
        let origin = self.host.split_once("://").and_then(|(scheme, rest)| {
            let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
            Some(format!("{scheme}://{authority}"))
        });
        origin.ok_or_else(|| ConfigError::new("/host", "is no URL such as https://example.cloud.databricks.com"))
    }
}

impl JobNames {
    /// Whether the runs of a job of this name are observed.
    pub(crate) fn allow(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        any(&self.include) && !any(&self.exclude)
    }
}

/// Whether a name is as a pattern says, where `*` stands for any number of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at.saturating_add(part.len())..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "anything"),
            ("etl", "etl"),
            ("etl-*", "etl-orders"),
            ("*-orders", "etl-orders"),
            ("*a*b*", "xxaxxbxx"),
            ("a*b*b", "abb"),
            ("é*", "é1"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("etl", "etl2"), ("etl-*", "xetl-"), ("*-orders", "orders"), ("a*b*b", "ab"), ("", "x"), ("a*a", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_excluded_is_out_even_if_it_is_included() {
        let names = JobNames { include: vec!["etl-*".to_owned()], exclude: vec!["*-test".to_owned()] };
        assert!(names.allow("etl-orders"));
        assert!(!names.allow("etl-orders-test"));
        assert!(!names.allow("report"));
    }
}
