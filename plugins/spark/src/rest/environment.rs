//! Where and with what an application runs.
//!
//! `/environment` holds every property of Spark, Hadoop and the JVM, passwords among them (Spark redacts those it knows).
//! Nothing is taken from it but what is named here.

use std::collections::BTreeMap;

use kiln_plugin::lenient;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::databricks::Cluster;

/// Properties that may be read. Whatever else there is never leaves this module.
const ALLOWED: [&str; 6] = [
    "spark.master",
    "spark.submit.deployMode",
    "spark.databricks.clusterUsageTags.clusterId",
    "spark.databricks.clusterUsageTags.clusterName",
    "spark.databricks.clusterUsageTags.clusterOwnerOrgId",
    "spark.databricks.clusterUsageTags.sparkVersion",
];

/// A longer value is no fact but a text.
const MOST_BYTES: usize = 256;

/// Facts that hold for as long as the application runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) master: Option<String>,
    pub(crate) deploy_mode: Option<String>,
    pub(crate) java_version: Option<String>,
    pub(crate) scala_version: Option<String>,
    pub(crate) cluster: Cluster,
}

/// The part of `/environment` that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Environment {
    #[serde(deserialize_with = "lenient::object")]
    runtime: Option<Runtime>,
    spark_properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Runtime {
    #[serde(deserialize_with = "lenient::text")]
    java_version: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    scala_version: Option<String>,
}

/// Properties that are allowed, by name.
#[derive(Debug, Default)]
struct Properties(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum List {
            Entries(Vec<Entry>),
            Other(IgnoredAny),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Entry {
            Property(String, String),
            Other(IgnoredAny),
        }
        let List::Entries(entries) = List::deserialize(deserializer)? else { return Ok(Self::default()) };
        let allowed = entries.into_iter().filter_map(|entry| match entry {
            Entry::Property(name, value) if ALLOWED.contains(&name.as_str()) && value.len() <= MOST_BYTES => {
                Some((name, value))
            }
            Entry::Property(..) | Entry::Other(_) => None,
        });
        Ok(Self(allowed.collect()))
    }
}

impl Environment {
    pub(crate) fn facts(mut self) -> Facts {
        let cluster = Cluster::find(&self.spark_properties.0);
        let mut property = |name| self.spark_properties.0.remove(name).filter(|value| !value.is_empty());
        let (master, deploy_mode) = (property("spark.master"), property("spark.submit.deployMode"));
        let runtime = self.runtime.unwrap_or_default();
        let scala = runtime.scala_version.map(|version| version.trim_start_matches("version ").to_owned());
        Facts { master, deploy_mode, java_version: runtime.java_version, scala_version: scala, cluster }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts(json: &str) -> Facts {
        serde_json::from_str::<Environment>(json).unwrap().facts()
    }

    #[test]
    fn facts_are_taken_and_secrets_are_not() {
        let found = facts(
            r#"{"runtime": {"javaVersion": "17.0.15 (Debian)", "javaHome": "/usr", "scalaVersion": "version 2.13.17"},
                "sparkProperties": [["spark.master", "local[2]"], ["spark.hadoop.fs.s3a.secret.key", "hunter2"], 5, ["x"],
                    ["spark.submit.deployMode", ""], ["spark.databricks.clusterUsageTags.clusterName", "job-7-run-9-main"]],
                "systemProperties": [["user.name", "root"]], "hadoopProperties": 3}"#,
        );
        assert_eq!(found.scala_version.as_deref(), Some("2.13.17"));
        assert_eq!((found.master.as_deref(), found.deploy_mode.as_deref()), (Some("local[2]"), None));
        assert_eq!((found.cluster.job_id.as_deref(), found.cluster.run_id), (Some("7"), Some(9)));
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn an_odd_environment_is_no_environment() {
        for odd in
            ["{}", r#"{"runtime": 5, "sparkProperties": {"spark.master": "local"}}"#, r#"{"sparkProperties": null}"#]
        {
            assert_eq!(facts(odd), Facts::default(), "{odd}");
        }
    }
}
