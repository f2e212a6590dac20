//! What the operator writes, as the manifest's schema describes it: defaults are the schema's and stand nowhere else.

use std::collections::BTreeMap;

use kiln_plugin::ConfigError;
use serde::Deserialize;

/// What the operator writes as `endpoint` to have the clusters of a workspace read.
const WORKSPACE: &str = "databricks";

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub(crate) endpoint: String,
    databricks: Option<Databricks>,
    application_names: Vec<String>,
    pub(crate) source: DriverSource,
    pub(crate) executors: Executors,
    pub(crate) streaming: Streaming,
    pub(crate) rest: Rest,
}

/// A workspace whose clusters are read through its proxy. How the host signs in there is not for the plugin to know.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Databricks {
    host: String,
    pub(crate) port: u16,
    pub(crate) clusters: Clusters,
}

/// Which clusters are read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Clusters {
    pub(crate) names: Names,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) sources: Vec<String>,
    pub(crate) states: Vec<String>,
    pub(crate) limit: usize,
}

/// Names of which one must match, and none.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Names {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Databricks {
    /// Scheme, host and port. People paste the address of a page of the workspace.
    ///
    /// # Errors
    /// It is no URL.
    pub(crate) fn origin(&self) -> Result<String, ConfigError> {
        let origin = self.host.split_once("://").and_then(|(scheme, rest)| {
            let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
            Some(format!("{scheme}://{authority}"))
        });
        origin.ok_or_else(|| {
            ConfigError::new("/databricks/host", "is no URL such as https://example.cloud.databricks.com")
        })
    }
}

impl Names {
    /// Whether a cluster of this name is read.
    pub(crate) fn allow(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
        any(&self.include) && !any(&self.exclude)
    }
}

/// Whether a text is as a pattern says, where `*` stands for any number of characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
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
    /// The workspace whose clusters are read, if it is a workspace.
    ///
    /// # Errors
    /// Only half of it is configured.
    pub(crate) fn workspace(&self) -> Result<Option<Databricks>, ConfigError> {
        match (&self.databricks, self.endpoint == WORKSPACE) {
            (Some(databricks), true) => Ok(Some(databricks.clone())),
            (None, false) => Ok(None),
            (None, true) => Err(ConfigError::new(
                "/databricks",
                "is needed by `endpoint: databricks`: give the host of the workspace and a credential",
            )),
            (Some(_), false) => Err(ConfigError::new(
                "/endpoint",
                "must be `databricks` for what is configured under `databricks` to be read",
            )),
        }
    }

    /// Whether an application of this name is observed.
    pub(crate) fn observes(&self, name: &str) -> bool {
        self.application_names.is_empty() || self.application_names.iter().any(|wanted| wanted == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [("*", ""), ("etl", "etl"), ("etl-*", "etl-1"), ("*-a", "b-a"), ("a*b*b", "abb")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("etl", "etl2"), ("etl-*", "xetl-"), ("a*b*b", "ab"), ("", "x"), ("a*a", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
