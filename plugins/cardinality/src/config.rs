//! What the operator writes.

use core::time::Duration;

use kiln_plugin::processor::GaugeAggregation;
use serde::Deserialize;

use crate::pattern::{self, Pattern};

/// The configuration; `plugin.toml` says what the fields mean.
#[derive(Debug, Deserialize)]
pub struct Config {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    drop_attributes: Vec<DropAttributes>,
    gauges: Vec<Gauges>,
    pub(crate) top: Vec<Top>,
    series_limit: usize,
    series_limits: Vec<SeriesLimit>,
    forget_after_seconds: u64,
    report_interval_seconds: u64,
}

#[derive(Debug, Deserialize)]
struct DropAttributes {
    #[serde(default)]
    metrics: Vec<Pattern>,
    keys: Vec<Pattern>,
}

#[derive(Debug, Deserialize)]
struct Gauges {
    metrics: Vec<Pattern>,
    #[serde(rename = "use")]
    function: Function,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Function {
    Last,
    Min,
    Max,
    Mean,
    Sum,
}

/// An attribute of which only the largest values are kept.
#[derive(Debug, Deserialize)]
pub(crate) struct Top {
    #[serde(default)]
    metrics: Vec<Pattern>,
    pub(crate) key: String,
    pub(crate) keep: usize,
    #[serde(default = "other")]
    pub(crate) other: String,
}

fn other() -> String {
    "other".to_owned()
}

#[derive(Debug, Deserialize)]
struct SeriesLimit {
    metrics: Vec<Pattern>,
    limit: usize,
}

impl Config {
    pub(crate) fn keeps(&self, metric: &str) -> bool {
        pattern::any(&self.include, metric) && !pattern::any(&self.exclude, metric)
    }

    /// The patterns of keys that are summed away from this metric.
    pub(crate) fn dropped_keys(&self, metric: &str) -> Vec<&Pattern> {
        self.drop_attributes
            .iter()
            .filter(|entry| names(&entry.metrics, metric))
            .flat_map(|entry| &entry.keys)
            .collect()
    }

    pub(crate) fn gauges(&self, metric: &str) -> GaugeAggregation {
        let entry = self.gauges.iter().find(|entry| pattern::any(&entry.metrics, metric));
        match entry.map_or(Function::Last, |entry| entry.function) {
            Function::Last => GaugeAggregation::Last,
            Function::Min => GaugeAggregation::Min,
            Function::Max => GaugeAggregation::Max,
            Function::Mean => GaugeAggregation::Mean,
            Function::Sum => GaugeAggregation::Sum,
        }
    }

    /// The entries of `top` for this metric, with their places in the list.
    pub(crate) fn top_of<'c>(&'c self, metric: &str) -> Vec<(usize, &'c Top)> {
        self.top.iter().enumerate().filter(|(_, top)| names(&top.metrics, metric)).collect()
    }

    pub(crate) fn series_limit(&self, metric: &str) -> usize {
        let entry = self.series_limits.iter().find(|entry| pattern::any(&entry.metrics, metric));
        entry.map_or(self.series_limit, |entry| entry.limit)
    }

    pub(crate) const fn forget_after(&self) -> Duration {
        Duration::from_secs(self.forget_after_seconds)
    }

    pub(crate) const fn report_interval(&self) -> Duration {
        Duration::from_secs(self.report_interval_seconds)
    }
}

/// None is all.
fn names(metrics: &[Pattern], metric: &str) -> bool {
    metrics.is_empty() || pattern::any(metrics, metric)
}
