//! A job: what a workspace runs again and again.

use super::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The definition of a job, as far as the API tells it in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Unique in the workspace.
    pub job_id: i64,
    /// `settings.name`.
    pub name: String,
    /// `created_time`; the list is ordered by it, the most recent first.
    pub created: UnixMillis,
    /// `creator_user_name`.
    #[serde(default = "owner")]
    pub creator: String,
    /// `settings.tags`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// `settings.schedule.quartz_cron_expression` (in UTC), for jobs that have a schedule.
    #[serde(default)]
    pub cron: Option<String>,
    /// `settings.schedule.pause_status` is `PAUSED`.
    #[serde(default)]
    pub paused: bool,
    /// `settings.max_concurrent_runs`.
    #[serde(default = "one")]
    pub max_concurrent_runs: u32,
    /// Keys of its tasks, shown with `expand_tasks`.
    #[serde(default)]
    pub tasks: Vec<String>,
}

fn owner() -> String {
    "data-platform@example.com".to_owned()
}

fn one() -> u32 {
    1
}

impl Job {
    /// A job without a schedule.
    #[must_use]
    pub fn new(job_id: i64, name: &str, created: UnixMillis) -> Self {
        Self {
            job_id,
            name: name.to_owned(),
            created,
            creator: owner(),
            tags: BTreeMap::new(),
            cron: None,
            paused: false,
            max_concurrent_runs: one(),
            tasks: Vec::new(),
        }
    }
}
