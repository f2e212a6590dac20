//! Which application it is, and since when.
//!
//! The executors' page says id and name in every line, but does not quote what an application is called; the REST API
//! does, and knows the start.

use kiln_plugin::UnixNanos;
use serde::Deserialize;

use crate::rest::Facts;
use crate::telemetry as t;

/// The list of applications, of which a driver has one.
pub(crate) const APPLICATIONS: &str = "/api/v1/applications";

/// An application as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Application {
    /// Spark's id for it.
    pub(crate) id: Option<String>,
    /// What its author called it.
    pub(crate) name: Option<String>,
    /// Id of the attempt that runs, where the cluster manager has attempts: `1`, `2`.
    pub(crate) attempt: Option<String>,
    /// Version of Spark.
    pub(crate) version: Option<String>,
    /// Since when what is cumulative has been counted: its start, or when it was first seen.
    pub(crate) start: UnixNanos,
    /// Where and with what it runs, as far as it was asked.
    pub(crate) facts: Facts,
}

impl Application {
    /// What its telemetry is about.
    pub(crate) fn resource(&self) -> t::Resource<'_> {
        t::Resource {
            service_name: self.name.as_deref().unwrap_or("spark"),
            spark_application_id: self.id.as_deref(),
            spark_application_name: self.name.as_deref(),
            spark_version: self.version.as_deref(),
            spark_master: self.facts.master.as_deref(),
            spark_deploy_mode: self.facts.deploy_mode.as_deref(),
            spark_java_version: self.facts.java_version.as_deref(),
            spark_scala_version: self.facts.scala_version.as_deref(),
            databricks_host: self.facts.cluster.host.as_deref(),
            databricks_workspace_id: self.facts.cluster.workspace_id.as_deref(),
            databricks_cluster_id: self.facts.cluster.id.as_deref(),
            databricks_cluster_name: self.facts.cluster.name.as_deref(),
            databricks_runtime_version: self.facts.cluster.runtime_version.as_deref(),
            databricks_job_id: self.facts.cluster.job_id.as_deref(),
            databricks_run_id: self.facts.cluster.run_id,
        }
    }
}

/// An entry of `/api/v1/applications`, of whose fields these are read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listed {
    id: String,
    name: String,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    attempt_id: Option<String>,
    app_spark_version: Option<String>,
    start_time_epoch: Option<i64>,
}

impl Listed {
    /// The list, if that is what it is.
    pub(crate) fn read(body: &[u8]) -> Option<Vec<Self>> {
        serde_json::from_slice(body).ok()
    }

    /// What its author called it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The entry of this id; without an id, the only one there is.
    pub(crate) fn choose(mut listed: Vec<Self>, id: Option<&str>) -> Option<Self> {
        match id {
            Some(id) => listed.into_iter().find(|entry| entry.id == id),
            None if listed.len() == 1 => listed.pop(),
            None => None,
        }
    }

    /// The application, if `first_seen` is to stand in where its start is not said. Of several attempts the last one
    /// runs, and Spark names it first.
    pub(crate) fn application(self, first_seen: UnixNanos) -> Application {
        let latest = self.attempts.into_iter().next().unwrap_or_default();
        let millis = latest.start_time_epoch.and_then(|millis| u64::try_from(millis).ok());
        let start = millis.filter(|millis| *millis > 0).map(UnixNanos::from_millis);
        Application {
            id: Some(self.id),
            name: Some(self.name),
            attempt: latest.attempt_id,
            version: latest.app_spark_version.filter(|version| !version.is_empty()),
            start: start.unwrap_or(first_seen),
            facts: Facts::default(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SEEN: UnixNanos = UnixNanos::from_millis(7);

    fn listed(json: &str) -> Vec<Listed> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_running_attempt_says_the_start() {
        let listed = listed(
            r#"[{"id": "a", "name": "n", "attempts": [{"startTimeEpoch": 20, "completed": false}, {"startTimeEpoch": 10}]}]"#,
        );
        let application = Listed::choose(listed, Some("a")).unwrap().application(SEEN);
        assert_eq!((application.name.as_deref(), application.start), (Some("n"), UnixNanos::from_millis(20)));
    }

    #[test]
    fn without_a_start_it_counts_from_when_it_was_first_seen() {
        for json in
            [r#"[{"id": "a", "name": "n"}]"#, r#"[{"id": "a", "name": "n", "attempts": [{"startTimeEpoch": -1}]}]"#]
        {
            assert_eq!(Listed::choose(listed(json), None).unwrap().application(SEEN).start, SEEN);
        }
    }

    #[test]
    fn another_application_is_not_taken_for_this_one() {
        let two = r#"[{"id": "a", "name": "n"}, {"id": "b", "name": "m"}]"#;
        assert!(Listed::choose(listed(two), Some("c")).is_none());
        assert!(Listed::choose(listed(two), None).is_none());
        assert_eq!(Listed::choose(listed(two), Some("b")).unwrap().name, "m");
    }
}
