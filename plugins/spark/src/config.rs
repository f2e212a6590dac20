//! What the operator writes, as the manifest's schema describes it: defaults are the schema's and stand nowhere else.

use serde::Deserialize;

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub(crate) endpoint: String,
    application_names: Vec<String>,
    pub(crate) source: DriverSource,
    pub(crate) executors: Executors,
    pub(crate) streaming: Streaming,
    pub(crate) rest: Rest,
}

/// Which of its pages the driver's metrics are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DriverSource {
    /// `/metrics/prometheus/`, which has to be configured in Spark.
    Prometheus,
    /// `/metrics/json/`, which every driver has.
    Json,
    /// The JSON page if there is one, the Prometheus page otherwise.
    Auto,
}

/// How executors are told apart.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Executors {
    pub(crate) per_executor: PerExecutor,
    pub(crate) limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PerExecutor {
    /// As long as there are no more of them than the limit.
    Auto,
    Always,
    Never,
}

/// How streaming queries are told apart.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Streaming {
    pub(crate) query_limit: usize,
}

/// What is read from `/api/v1`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rest {
    pub(crate) jobs: Limited,
    pub(crate) stages: Stages,
    pub(crate) sql: Sql,
    pub(crate) storage: Limited,
    pub(crate) executors: Switch,
    pub(crate) dstreams: Switch,
    pub(crate) environment: Switch,
    pub(crate) traces: Switch,
    pub(crate) requests_per_collection: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Switch {
    pub(crate) enabled: bool,
}

impl Rest {
    /// Whether any part is read that changes while an application runs.
    pub(crate) const fn reads_anything(&self) -> bool {
        self.jobs.enabled
            || self.stages.enabled
            || self.sql.enabled
            || self.storage.enabled
            || self.executors.enabled
            || self.dstreams.enabled
    }
}

/// What is read, and how many of it have series of their own.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Limited {
    pub(crate) enabled: bool,
    pub(crate) limit: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Stages {
    pub(crate) enabled: bool,
    pub(crate) limit: usize,
    pub(crate) quantiles: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Sql {
    pub(crate) enabled: bool,
    pub(crate) plan_metrics: bool,
}

impl Config {
    /// Whether an application of this name is observed.
    pub(crate) fn observes(&self, name: &str) -> bool {
        self.application_names.is_empty() || self.application_names.iter().any(|wanted| wanted == name)
    }
}
