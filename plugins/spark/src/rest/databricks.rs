//! What on Databricks an application or a job belongs to.
//!
//! A cluster says so in properties of Spark, a job in its group. Neither format is documented by Databricks: what does not
//! look like it is nothing, and no part of a text is taken for an id that is not one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const TAGS: &str = "spark.databricks.clusterUsageTags.";

/// Ids are numbers, UUIDs and the like; anything longer is something else.
const MOST_BYTES: usize = 128;

/// What a cluster says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    pub(crate) workspace_id: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) run_id: Option<i64>,
    pub(crate) runtime_version: Option<String>,
    /// URL of the workspace, where it is what is asked.
    pub(crate) host: Option<String>,
}

impl Cluster {
    /// From what a workspace says of it.
    pub(crate) fn listed(host: &str, workspace_id: Option<&str>, id: &str, name: Option<&str>) -> Self {
        let run = name.and_then(job_cluster);
        Self {
            workspace_id: workspace_id.map(str::to_owned),
            id: Some(id.to_owned()),
            name: name.map(str::to_owned),
            job_id: run.as_ref().map(|(job, _)| job.clone()),
            run_id: run.map(|(_, run)| run),
            runtime_version: None,
            host: Some(host.to_owned()),
        }
    }

    /// The same, with what it does not say taken from another account of it.
    pub(crate) fn or(self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            workspace_id: self.workspace_id.or(other.workspace_id),
            id: self.id.or(other.id),
            name: self.name.or(other.name),
            job_id: self.job_id.or(other.job_id),
            run_id: self.run_id.or(other.run_id),
            runtime_version: self.runtime_version.or(other.runtime_version),
            host: self.host.or(other.host),
        }
    }

    /// From properties of Spark.
    pub(crate) fn find(properties: &BTreeMap<String, String>) -> Self {
        let tag = |name: &str| {
            let value = properties.get(&format!("{TAGS}{name}"))?;
            (!value.is_empty() && value.len() <= MOST_BYTES).then(|| value.clone())
        };
        let name = tag("clusterName");
        let run = name.as_deref().and_then(job_cluster);
        Self {
            workspace_id: tag("clusterOwnerOrgId"),
            id: tag("clusterId"),
            job_id: run.as_ref().map(|(job, _)| job.clone()),
            run_id: run.map(|(_, run)| run),
            runtime_version: tag("sparkVersion"),
            name,
            host: None,
        }
    }
}

/// Of a cluster that was made for a run: `job-JOB-run-RUN`, and the key of the cluster after a hyphen.
fn job_cluster(name: &str) -> Option<(String, i64)> {
    let (job, rest) = name.strip_prefix("job-")?.split_once("-run-")?;
    let run = rest.split('-').next()?;
    Some((job_id(job)?, number(run)?))
}

/// What the group of a job says it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) job_id: Option<String>,
    pub(crate) task_run_id: Option<i64>,
    pub(crate) pipeline_id: Option<String>,
    pub(crate) update_id: Option<String>,
}

impl Group {
    /// `…_job-JOB-run-TASK_RUN-action-…`, `…_dlt-PIPELINE` or `PIPELINE#FLOW#UPDATE`.
    pub(crate) fn parse(group: &str) -> Option<Self> {
        if let Some((_, rest)) = group.rsplit_once("_job-") {
            let (job, rest) = rest.split_once("-run-")?;
            let (run, _) = rest.split_once("-action-")?;
            return Some(Self { job_id: Some(job_id(job)?), task_run_id: Some(number(run)?), ..Self::default() });
        }
        if let Some((_, pipeline)) = group.rsplit_once("_dlt-") {
            return Some(Self { pipeline_id: Some(uuid(pipeline)?), ..Self::default() });
        }
        let mut parts = group.split('#');
        let (pipeline, _flow, update) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self { pipeline_id: Some(uuid(pipeline)?), update_id: Some(uuid(update)?), ..Self::default() })
    }
}

fn number(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && *number > 0)
}

fn job_id(text: &str) -> Option<String> {
    number(text).map(|number| number.to_string())
}

fn uuid(text: &str) -> Option<String> {
    let is_one = text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIPELINE: &str = "e673ba2f-9149-4212-93eb-5fcd30695966";
    const UPDATE: &str = "b7e41ff4-310d-48df-9bde-24e5d1ad660b";

    fn cluster(name: &str) -> Cluster {
        Cluster::find(&BTreeMap::from([(format!("{TAGS}clusterName"), name.to_owned())]))
    }

    #[test]
    fn a_job_cluster_says_whose_it_is_and_no_other_does() {
        for name in ["job-12-run-345", "job-12-run-345-main", "job-12-run-345-my-key"] {
            let found = cluster(name);
            assert_eq!((found.job_id.as_deref(), found.run_id), (Some("12"), Some(345)), "{name}");
        }
        for name in ["job-12", "job--run-1", "job-x-run-1", "my job-12-run-345", "job-12-run-", "job-12-run-x", ""] {
            let found = cluster(name);
            assert_eq!((found.job_id, found.run_id), (None, None), "{name}");
        }
    }

    #[test]
    fn a_group_says_what_a_job_belongs_to() {
        let of_task = Group { job_id: Some("7".to_owned()), task_run_id: Some(99), ..Group::default() };
        assert_eq!(Group::parse("123_456_job-7-run-99-action-1"), Some(of_task));
        let of_pipeline = Group { pipeline_id: Some(PIPELINE.to_owned()), ..Group::default() };
        assert_eq!(Group::parse(&format!("1_2_dlt-{PIPELINE}")), Some(of_pipeline.clone()));
        let of_update = Group { update_id: Some(UPDATE.to_owned()), ..of_pipeline };
        assert_eq!(Group::parse(&format!("{PIPELINE}#flow#{UPDATE}")), Some(of_update));
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for group in
            ["", "87817b87-0e1d-4947-87be-2d0e027ebaf9", "1_2_job-7-run-99", "1_2_job-x-run-99-action-1", "a#b#c"]
        {
            assert_eq!(Group::parse(group), None, "{group}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([0-9#_-]|job-|-run-|-action-|_dlt-|é){0,20}") {
            let _ = Group::parse(&text);
            let _ = cluster(&text);
        }
    }
}
