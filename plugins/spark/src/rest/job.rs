//! A job as `/jobs` tells it.

use kiln_plugin::lenient;
use kiln_plugin::moment;
use serde::Deserialize;

use super::ids::Ids;

/// A job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Job {
    #[serde(deserialize_with = "lenient::number")]
    job_id: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) description: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) job_group: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "moment::deserialize")]
    pub(crate) submission_time: Option<u64>,
    #[serde(deserialize_with = "moment::deserialize")]
    completion_time: Option<u64>,
    #[serde(deserialize_with = "ids")]
    stage_ids: Ids,
    #[serde(deserialize_with = "lenient::number")]
    num_active_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_completed_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_skipped_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_failed_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_killed_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_active_stages: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_completed_stages: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_skipped_stages: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_failed_stages: Option<i64>,
}

/// How a job or a stage stands or ended. What Spark calls it otherwise is `other`, so that a new word is not a new series
/// for each of its spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobStatus {
    Running,
    Succeeded,
    Failed,
    Unknown,
    Other,
}

impl JobStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Other => "other",
        }
    }
}

impl Job {
    pub(crate) fn id(&self) -> Option<u64> {
        self.job_id.and_then(|id| u64::try_from(id).ok())
    }

    pub(crate) fn status(&self) -> JobStatus {
        match self.status.as_deref() {
            Some("RUNNING") => JobStatus::Running,
            Some("SUCCEEDED") => JobStatus::Succeeded,
            Some("FAILED") => JobStatus::Failed,
            Some("UNKNOWN") | None => JobStatus::Unknown,
            Some(_) => JobStatus::Other,
        }
    }

    /// Whether it will not change any more.
    pub(crate) fn is_finished(&self) -> bool {
        match self.status() {
            JobStatus::Running => false,
            JobStatus::Succeeded | JobStatus::Failed => true,
            JobStatus::Unknown | JobStatus::Other => self.completion_time.is_some(),
        }
    }

    /// When it ended, in milliseconds, and not before it began.
    pub(crate) fn end(&self) -> Option<u64> {
        Some(self.completion_time?.max(self.submission_time?))
    }

    /// In milliseconds, by Spark's own clock.
    pub(crate) fn duration(&self) -> Option<u64> {
        Some(self.end()?.saturating_sub(self.submission_time?))
    }

    /// All of its stages, also those it does not need to run.
    pub(crate) const fn stages(&self) -> &Ids {
        &self.stage_ids
    }

    pub(crate) fn active_tasks(&self) -> i64 {
        count(self.num_active_tasks)
    }

    pub(crate) fn active_stages(&self) -> i64 {
        count(self.num_active_stages)
    }

    /// Tasks that ended, by result.
    pub(crate) fn tasks(&self) -> [(&'static str, i64); 4] {
        [
            ("completed", count(self.num_completed_tasks)),
            ("failed", count(self.num_failed_tasks)),
            ("skipped", count(self.num_skipped_tasks)),
            ("killed", count(self.num_killed_tasks)),
        ]
    }

    /// Stages it had no need to run, because what they compute was there already.
    pub(crate) fn skipped_stages(&self) -> i64 {
        count(self.num_skipped_stages)
    }

    /// Stages that ended, by result.
    pub(crate) fn stage_results(&self) -> [(&'static str, i64); 3] {
        [
            ("completed", count(self.num_completed_stages)),
            ("failed", count(self.num_failed_stages)),
            ("skipped", count(self.num_skipped_stages)),
        ]
    }
}

/// No count is negative; what is not said is none.
pub(crate) fn count(number: Option<i64>) -> i64 {
    number.unwrap_or_default().max(0)
}

/// For `deserialize_with`: a list of ids, of which what is none is left out.
pub(crate) fn ids<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Ids, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Ids(Vec<Id>),
        Other(serde::de::IgnoredAny),
    }
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "lenient::number")] Option<i64>);
    Ok(match Written::deserialize(deserializer)? {
        Written::Ids(ids) => ids.into_iter().filter_map(|Id(id)| u64::try_from(id?).ok()).collect(),
        Written::Other(_) => Ids::default(),
    })
}
