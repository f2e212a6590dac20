//! One entry of `scrape_configs`.

use core::time::Duration;
use std::collections::BTreeMap;

use kiln_plugin::ConfigError;
use serde::Deserialize;
use serde_json::Value;

use super::Global;
use super::quantity::{PrometheusDuration, Size};
use super::relabel_config::{RelabelConfig, rules};
use super::unsupported;
use crate::labels::Labels;
use crate::relabel::Rule;
use crate::target::Target;

/// Prometheus' default of `scrape_timeout`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
struct ScrapeConfig {
    job_name: String,
    #[serde(default = "metrics")]
    metrics_path: String,
    #[serde(default)]
    scheme: Scheme,
    #[serde(default)]
    params: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    static_configs: Vec<StaticConfig>,
    #[serde(default)]
    relabel_configs: Vec<RelabelConfig>,
    #[serde(default)]
    metric_relabel_configs: Vec<RelabelConfig>,
    #[serde(default)]
    honor_labels: bool,
    #[serde(default = "yes")]
    honor_timestamps: bool,
    #[serde(default)]
    track_timestamps_staleness: bool,
    #[serde(default)]
    extra_scrape_metrics: bool,
    scrape_interval: Option<PrometheusDuration>,
    scrape_timeout: Option<PrometheusDuration>,
    scrape_protocols: Option<Vec<Protocol>>,
    #[serde(default)]
    sample_limit: u64,
    #[serde(default)]
    label_limit: u64,
    #[serde(default)]
    label_name_length_limit: u64,
    #[serde(default)]
    label_value_length_limit: u64,
    #[serde(default)]
    body_size_limit: Size,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn metrics() -> String {
    "/metrics".to_owned()
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    #[default]
    Http,
    Https,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticConfig {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Formats that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Protocol {
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics1,
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics0,
    #[serde(rename = "PrometheusText1.0.0")]
    Text1,
    #[serde(rename = "PrometheusText0.0.4")]
    Text0,
}

impl Protocol {
    const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics1 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Self::Text1 => "text/plain;version=1.0.0",
            Self::Text0 => "text/plain;version=0.0.4",
        }
    }
}

/// What a scrape may be; 0 is no limit. One that is more fails as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Samples that are left after relabelling.
    pub(crate) samples: u64,
    /// Labels of a sample, its name among them.
    pub(crate) labels: u64,
    /// Bytes of the name of a label.
    pub(crate) label_name_bytes: u64,
    /// Bytes of the value of a label.
    pub(crate) label_value_bytes: u64,
    /// Bytes of the page, decompressed.
    pub(crate) body_bytes: u64,
}

/// A job, valid.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    /// Time between scrapes; every collection is one if there is none.
    pub(crate) interval: Option<Duration>,
    /// What targets are told.
    pub(crate) timeout: Duration,
    /// Formats that are asked for, with their weights.
    pub(crate) accept: String,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    /// Whether series with timestamps of their own end when they vanish.
    pub(crate) track_timestamps: bool,
    pub(crate) extra_metrics: bool,
    pub(crate) limits: Limits,
    pub(crate) metric_rules: Vec<Rule>,
    pub(crate) targets: Vec<Target>,
}

impl Job {
    pub(super) fn read(place: &str, job: Value, global: &Global) -> Result<Self, ConfigError> {
        let fail = |key: &str, message: String| Err(ConfigError::new(format!("{place}{key}"), message));
        let config: ScrapeConfig = match serde_json::from_value(job) {
            Ok(config) => config,
            Err(error) => return fail("", error.to_string()),
        };
        unsupported::refuse(place, &config.rest)?;
        if config.job_name.is_empty() {
            return fail("/job_name", "a job needs a name".to_owned());
        }
        if !config.metrics_path.starts_with('/') {
            return fail("/metrics_path", "a path starts with `/`".to_owned());
        }
        let interval = config.scrape_interval.or(global.scrape_interval).map(|interval| interval.0);
        let timeout = match (config.scrape_timeout.or(global.scrape_timeout), interval) {
            (Some(PrometheusDuration(timeout)), Some(interval)) if timeout > interval => {
                return fail("/scrape_timeout", "is longer than `scrape_interval`; shorten it".to_owned());
            }
            (Some(timeout), _) => timeout.0,
            (None, interval) => interval.map_or(DEFAULT_TIMEOUT, |interval| interval.min(DEFAULT_TIMEOUT)),
        };
        let protocols = config
            .scrape_protocols
            .clone()
            .unwrap_or_else(|| vec![Protocol::OpenMetrics1, Protocol::OpenMetrics0, Protocol::Text1, Protocol::Text0]);
        let metric_rules = rules(&format!("{place}/metric_relabel_configs"), config.metric_relabel_configs)?;
        let target_rules = rules(&format!("{place}/relabel_configs"), config.relabel_configs)?;
        let scheme = match config.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let mut targets: Vec<Target> = Vec::new();
        for (index, group) in config.static_configs.into_iter().enumerate() {
            for (at, address) in group.targets.iter().enumerate() {
                let mut labels: Labels<'static> = group.labels.clone().into_iter().collect();
                labels.set("job", config.job_name.clone());
                labels.set("__address__", address.clone());
                labels.set("__scheme__", scheme);
                labels.set("__metrics_path__", config.metrics_path.clone());
                for (name, values) in &config.params {
                    labels.set(format!("__param_{name}"), values.first().cloned().unwrap_or_default());
                }
                match Target::new(labels, &target_rules, &config.params) {
                    Ok(Some(target)) if !targets.iter().any(|other| target.is_same(other)) => targets.push(target),
                    Ok(_) => {}
                    Err(message) => return fail(&format!("/static_configs/{index}/targets/{at}"), message),
                }
            }
        }
        Ok(Self {
            name: config.job_name,
            interval,
            timeout,
            accept: accept(&protocols),
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps: config.track_timestamps_staleness,
            extra_metrics: config.extra_scrape_metrics,
            limits: Limits {
                samples: config.sample_limit,
                labels: config.label_limit,
                label_name_bytes: config.label_name_length_limit,
                label_value_bytes: config.label_value_length_limit,
                body_bytes: config.body_size_limit.0,
            },
            metric_rules,
            targets,
        })
    }
}

/// In order of preference, and anything at the end: a server that offers nothing else may still be read.
fn accept(protocols: &[Protocol]) -> String {
    let mut accept: Vec<String> = protocols
        .iter()
        .zip((0..10_u32).rev())
        .map(|(protocol, weight)| format!("{};q=0.{}", protocol.media_type(), weight.max(2)))
        .collect();
    accept.push("*/*;q=0.1".to_owned());
    accept.join(",")
}
