//! The runs that have not ended.

use std::collections::BTreeMap;

use super::series::JobKey;
use super::{Context, LIST, PER_PAGE, Page, job_key};
use crate::api::{Api, ApiError};
use crate::telemetry;

/// The runs that have not ended, and which series they were reported in.
#[derive(Debug, Default)]
pub(crate) struct Active {
    /// Their starts by their ids; 0 if nobody knows.
    starts: BTreeMap<i64, u64>,
    counts: BTreeMap<Key, i64>,
    /// Series of the last report: they go to zero before they end.
    reported: Vec<Key>,
    is_known: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    job: JobKey,
    run_type: Option<String>,
    run_state: String,
}

impl Active {
    /// Reads them, to the end.
    pub(crate) fn read(&mut self, api: &mut Api<'_>, context: Context<'_>) -> Result<(), ApiError> {
        self.forget();
        let path = format!("{LIST}?active_only=true&limit={PER_PAGE}");
        let (mut starts, mut counts) = (BTreeMap::new(), BTreeMap::new());
        let mut nameless = 0_usize;
        api.list(&path, |page: Page| {
            for run in page.runs.items {
                let Some(id) = run.run_id else {
                    nameless = nameless.saturating_add(1);
                    continue;
                };
                let start = run.course().start.unwrap_or_default();
                let job = job_key(&run, context.jobs);
                let is_observed = context.config.job_names.allow(job.name.as_deref().unwrap_or_default());
                // A list that changes while it is read may show a run twice.
                if starts.insert(id, start).is_none() && is_observed {
                    let run_state = run.course().run_state().to_owned();
                    let count: &mut i64 = counts.entry(Key { job, run_type: run.run_type, run_state }).or_default();
                    *count = count.saturating_add(1);
                }
            }
        })?;
        api.pass_over(LIST, nameless);
        (self.starts, self.counts, self.is_known) = (starts, counts, true);
        Ok(())
    }

    /// Nothing is known of them for now.
    pub(crate) fn forget(&mut self) {
        (self.starts, self.counts, self.is_known) = (BTreeMap::new(), BTreeMap::new(), false);
    }

    /// Their starts by their ids, in milliseconds; 0 if nobody knows.
    pub(crate) const fn starts(&self) -> &BTreeMap<i64, u64> {
        &self.starts
    }

    pub(crate) fn latest_start(&self) -> u64 {
        self.starts.values().max().copied().unwrap_or_default()
    }

    /// Adds how many there are, for at most `max_jobs` jobs one by one.
    pub(crate) fn add_to(&mut self, metrics: &mut telemetry::Metrics, max_jobs: usize) {
        if !self.is_known {
            return;
        }
        let mut counts: BTreeMap<Key, i64> = BTreeMap::new();
        let (mut jobs, mut last) = (0_usize, None);
        for (key, count) in &self.counts {
            if last != Some(&key.job) {
                (jobs, last) = (jobs.saturating_add(1), Some(&key.job));
            }
            let job = if jobs > max_jobs { JobKey::other() } else { key.job.clone() };
            let sum = counts.entry(Key { job, ..key.clone() }).or_default();
            *sum = sum.saturating_add(*count);
        }
        let ended: Vec<Key> = self.reported.iter().filter(|key| !counts.contains_key(*key)).cloned().collect();
        self.reported = counts.keys().cloned().collect();
        counts.extend(ended.into_iter().map(|key| (key, 0)));
        for (Key { job, run_type, run_state }, count) in &counts {
            let attributes = telemetry::DatabricksJobRunsActive {
                job_name: job.name.as_deref(),
                databricks_job_id: job.id.as_deref(),
                run_type: run_type.as_deref(),
                run_state,
            };
            metrics.databricks_job_runs_active(&attributes, *count);
        }
    }
}
