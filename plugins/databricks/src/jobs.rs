//! The jobs the identity can see: how many, and what they are called.
//!
//! `GET /api/2.2/jobs/list` (databricks-sdk, `JobsAPI.list`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient, listing};
use crate::part::Part;
use crate::telemetry;

pub(crate) const PART: Part = Part { name: "jobs", permission: "Can view on the jobs, or to be a workspace admin" };

/// 100 is the documented maximum.
const PATH: &str = "/api/2.2/jobs/list?limit=100";

/// The jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Names by id. A job without a name has none here.
    names: BTreeMap<i64, String>,
    total: i64,
}

listing! {
    /// A page of jobs.
    Page { jobs: Job }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    #[serde(default, deserialize_with = "lenient::number")]
    job_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    settings: Option<Settings>,
}

#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
}

impl Jobs {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let mut jobs = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut nameless = 0_usize;
        api.list(PATH, |page: Page| {
            for job in page.jobs.items {
                // A job that is made while the list is read moves the others on: one may show twice.
                match job.job_id {
                    Some(id) if !seen.insert(id) => continue,
                    Some(id) => {
                        if let Some(name) = job.settings.and_then(|settings| settings.name) {
                            jobs.names.insert(id, name);
                        }
                    }
                    None => nameless = nameless.saturating_add(1),
                }
            }
        })?;
        jobs.total = crate::api::count(seen.len().saturating_add(nameless));
        Ok(jobs)
    }

    /// The name of a listed job.
    pub(crate) fn name(&self, job_id: i64) -> Option<&str> {
        self.names.get(&job_id).map(String::as_str)
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        metrics.databricks_jobs_total(self.total);
    }
}
