//! The driver of a Databricks cluster: `databricks.*`, and of its machine `host.type` and `cloud.provider`.
//!
//! Types are those of the workspace tier, so that the two join: ids of jobs are texts, ids of runs are numbers.

use kiln_plugin::env::Env;

use crate::findings::Findings;

pub(crate) fn detect(env: Env<'_>, findings: &mut Findings) {
    findings.add_if_there("databricks.cluster.id", env.get("DB_CLUSTER_ID"), "DB_CLUSTER_ID");
    if let Some(name) = env.get("DB_CLUSTER_NAME") {
        if let Some((job, run)) = job_run(&name) {
            findings.add("databricks.job.id", job.to_string(), "DB_CLUSTER_NAME");
            findings.add("databricks.run.id", run, "DB_CLUSTER_NAME");
        }
        // As it is, spaces at its ends included.
        findings.add("databricks.cluster.name", name, "DB_CLUSTER_NAME");
    }
    let runtime = env.get("DATABRICKS_RUNTIME_VERSION");
    findings.add_if_there("databricks.runtime.version", runtime, "DATABRICKS_RUNTIME_VERSION");
    if let Some(node_type) = env.get("DB_INSTANCE_TYPE") {
        if let Some(provider) = provider(node_type.trim()) {
            findings.add("cloud.provider", provider, "DB_INSTANCE_TYPE");
        }
        findings.add_if_there("host.type", Some(node_type), "DB_INSTANCE_TYPE");
    }
    if let Some(host) = env.get("DATABRICKS_HOST") {
        let host = host.trim().trim_end_matches('/');
        let name = host.strip_prefix("https://").unwrap_or(host);
        if name.is_empty() || name.contains(['/', '@', '?', '#']) {
            findings.complain("DATABRICKS_HOST is no https://host; it is left out".to_owned());
            return;
        }
        findings.add("databricks.host", format!("https://{name}"), "DATABRICKS_HOST");
        if let Some(id) = workspace_id(name) {
            findings.add("databricks.workspace.id", id, "DATABRICKS_HOST");
        }
    }
}

/// Job and run of a cluster that was made for a run: its name is `job-JOB-run-RUN`, with the cluster's key after a hyphen.
fn job_run(name: &str) -> Option<(i64, i64)> {
    let (job, rest) = name.strip_prefix("job-")?.split_once("-run-")?;
    Some((id(job)?, id(rest.split('-').next()?)?))
}

fn id(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_plain && *id > 0)
}

/// Whose kind of machine it is: `Standard_DS3_v2` of Azure, `i3.xlarge` of AWS, `n2-highmem-4` of Google.
fn provider(node_type: &str) -> Option<&'static str> {
    let is_google = || {
        let mut parts = node_type.split('-');
        let (family, kind, size) = (parts.next()?, parts.next()?, parts.next()?);
        let is_family = family.len() <= 4 && family.bytes().any(|byte| byte.is_ascii_digit());
        (is_family && !kind.is_empty() && size.bytes().next()?.is_ascii_digit()).then_some("gcp")
    };
    if node_type.starts_with("Standard_") {
        return Some("azure");
    }
    match node_type.split_once('.') {
        Some((family, size)) if !family.is_empty() && !size.is_empty() && !size.contains('.') => Some("aws"),
        Some(_) => None,
        None => is_google(),
    }
}

/// The id in a workspace's name on Azure, `adb-ID.N.azuredatabricks.net`.
fn workspace_id(name: &str) -> Option<&str> {
    let (workspace, rest) = name.strip_prefix("adb-")?.split_once('.')?;
    (id(workspace).is_some() && rest.contains(".azuredatabricks.")).then_some(workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_and_run_are_in_the_name_of_a_jobs_cluster_and_in_no_other() {
        assert_eq!(job_run("job-123-run-456"), Some((123, 456)));
        assert_eq!(job_run("job-123-run-456-main_\"🔥\" cluster"), Some((123, 456)));
        for name in [
            "",
            "job-",
            "job-1",
            "job-1-run-",
            "job-x-run-1",
            "job-1-run-2x",
            "job--1-run-2",
            "my job-1-run-2",
            "job-0-run-0",
            "job-1-run-99999999999999999999",
            "job-+1-run-2",
        ] {
            assert_eq!(job_run(name), None, "{name}");
        }
    }

    #[test]
    fn the_cloud_is_told_by_the_kind_of_machine() {
        for (node_type, expected) in [
            ("Standard_DS3_v2", Some("azure")),
            ("Standard_NC4as_T4_v3", Some("azure")),
            ("i3.xlarge", Some("aws")),
            ("m5d.24xlarge", Some("aws")),
            ("rd-fleet.xlarge", Some("aws")),
            ("n2-highmem-4", Some("gcp")),
            ("e2-standard-8", Some("gcp")),
            ("a2-highgpu-1g", Some("gcp")),
            ("", None),
            ("memory optimised", None),
            (".xlarge", None),
            ("dev-tier-node", None),
        ] {
            assert_eq!(provider(node_type), expected, "{node_type}");
        }
    }

    #[test]
    fn azure_has_the_workspace_in_its_name() {
        assert_eq!(workspace_id("adb-1234567890123456.7.azuredatabricks.net"), Some("1234567890123456"));
        for name in ["dbc-a1b2.cloud.databricks.com", "adb-x.7.azuredatabricks.net", "adb-1.example.com", "adb-1"] {
            assert_eq!(workspace_id(name), None, "{name}");
        }
    }
}
