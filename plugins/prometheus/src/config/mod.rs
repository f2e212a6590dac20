//! From what the operator writes to jobs and their targets.
//!
//! The shape is that of Prometheus, so that what is there can be pasted. A key that would have no effect is an error
//! which says so.

mod job;
mod quantity;
mod relabel_config;
mod unsupported;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::ConfigError;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use job::{Job, Limits};
use quantity::PrometheusDuration;

/// More targets than this in one instance are refused: split them over several.
pub(crate) const MAX_TARGETS: usize = 1_000;

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    #[serde(default)]
    scrape_configs: Vec<Value>,
    #[serde(default)]
    global: Global,
    /// The Collector's receiver has Prometheus' configuration below this key.
    config: Option<Pasted>,
    #[serde(default)]
    start_time: StartTime,
}

#[derive(Debug, Deserialize)]
struct Pasted {
    #[serde(default)]
    scrape_configs: Vec<Value>,
    #[serde(default)]
    global: Global,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// What jobs inherit.
#[derive(Debug, Default, Deserialize)]
struct Global {
    scrape_interval: Option<PrometheusDuration>,
    scrape_timeout: Option<PrometheusDuration>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Where the start of a cumulative series comes from when the page does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartTime {
    /// It is not known.
    #[default]
    Unset,
    /// From `process_start_time_seconds` of the same page.
    #[serde(rename = "process_start_time")]
    Process,
    /// The first scrape, and every reset after it; values stay as they are.
    TrueReset,
    /// The first scrape, whose value is subtracted from all that follow; it is not sent itself.
    SubtractInitial,
}

/// The configuration, valid.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) jobs: Vec<Job>,
    pub(crate) start_time: StartTime,
}

impl TryFrom<Config> for Settings {
    type Error = ConfigError;

    fn try_from(config: Config) -> Result<Self, ConfigError> {
        let (place, scrape_configs, global) = match config.config {
            None => ("", config.scrape_configs, config.global),
            Some(pasted) => {
                if !config.scrape_configs.is_empty() || !config.global.is_empty() {
                    return Err(ConfigError::new("/config", "there are jobs inside and outside of `config`; keep one"));
                }
                unsupported::refuse("/config", &pasted.rest)?;
                ("/config", pasted.scrape_configs, pasted.global)
            }
        };
        unsupported::refuse(&format!("{place}/global"), &global.rest)?;
        if scrape_configs.is_empty() {
            return Err(ConfigError::new(
                format!("{place}/scrape_configs"),
                "there is no job; add one with its targets",
            ));
        }
        let mut jobs = Vec::new();
        let mut names = BTreeSet::new();
        for (index, job) in scrape_configs.into_iter().enumerate() {
            let place = format!("{place}/scrape_configs/{index}");
            let job = Job::read(&place, job, &global)?;
            if !names.insert(job.name.clone()) {
                return Err(ConfigError::new(place, format!("there are two jobs called `{}`; rename one", job.name)));
            }
            jobs.push(job);
        }
        let targets: usize = jobs.iter().map(|job| job.targets.len()).sum();
        if targets > MAX_TARGETS {
            let message = format!("{targets} targets are more than the {MAX_TARGETS} one instance takes; make several");
            return Err(ConfigError::new(format!("{place}/scrape_configs"), message));
        }
        Ok(Self { jobs, start_time: config.start_time })
    }
}

impl Global {
    fn is_empty(&self) -> bool {
        self.scrape_interval.is_none() && self.scrape_timeout.is_none() && self.rest.is_empty()
    }
}
