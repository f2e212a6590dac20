//! What one application told in one collection, and what is said of it.

use std::collections::BTreeMap;

use kiln_plugin::telemetry::{LogRecord, Span};
use kiln_plugin::{PartialFailure, UnixNanos};

use super::api::{Api, Unread};
use super::cursor::note;
use super::dstreams::{self, Statistics};
use super::executors::Listed;
use super::job::Job;
use super::memory::Memory;
use super::sql::Execution;
use super::stage::{Stage, StageStatus};
use super::storage::Storage;
use super::trace::Trace;
use super::{jobs, points, stages};
use crate::application::Application;
use crate::config::Rest as Settings;
use crate::telemetry as t;

/// The report of one application. What could not be read is not there.
#[derive(Debug, Default)]
pub(crate) struct Report {
    jobs: jobs::Found,
    stages: stages::Reading,
    executions: BTreeMap<u64, Execution>,
    executors: Option<Listed>,
    storage: Option<Storage>,
    dstreams: Option<Statistics>,
    has_gap: bool,
}

impl Report {
    /// Reads what is switched on. What ends here is in the totals of the memory.
    pub(crate) fn read(
        settings: &Settings,
        api: &mut Api<'_>,
        memory: &mut Memory,
        after_gap: bool,
        failures: &mut Vec<PartialFailure>,
    ) -> Self {
        let mut report = Self::default();
        if settings.executors.enabled {
            report.executors = taken(memory.executors.read(api), failures);
        }
        if settings.storage.enabled {
            report.storage = taken(Storage::read(api), failures);
        }
        if settings.dstreams.enabled {
            report.dstreams = taken(dstreams::read(api), failures).flatten();
        }
        let reads_jobs = settings.jobs.enabled || settings.stages.enabled;
        let found = reads_jobs && report.read_jobs(api, memory, after_gap, failures);
        if settings.sql.enabled {
            let read = memory.sql.read(api, after_gap, settings.sql.plan_metrics, failures);
            // How far ids go is known from the list only: what was not reached needs it again.
            report.has_gap |= read.is_err() || !memory.sql.is_complete();
            report.executions = taken(read, failures).unwrap_or_default();
        }
        // The stages of many jobs may take all that is left.
        if found && settings.stages.enabled {
            report.read_stages(settings.stages.quantiles, api, memory, failures);
        }
        report
    }

    /// Whether they could be read.
    fn read_jobs(
        &mut self,
        api: &mut Api<'_>,
        memory: &mut Memory,
        after_gap: bool,
        failures: &mut Vec<PartialFailure>,
    ) -> bool {
        let read = memory.jobs.read(api, after_gap, failures);
        self.has_gap |= read.is_err() || !(memory.jobs.is_complete() || api.is_spent());
        let Some(found) = taken(read, failures) else { return false };
        found.finished.values().for_each(|job| memory.totals.add_job(job));
        let lost = u64::try_from(found.lost.len()).unwrap_or(u64::MAX);
        memory.totals.lose_jobs(lost.saturating_add(found.forgotten));
        self.jobs = found;
        true
    }

    fn read_stages(
        &mut self,
        quantiles: bool,
        api: &mut Api<'_>,
        memory: &mut Memory,
        failures: &mut Vec<PartialFailure>,
    ) {
        let read = memory.stages.read(api, &memory.jobs, &self.jobs, quantiles, failures);
        self.stages = taken(read, failures).unwrap_or_default();
        self.stages.finished.iter().for_each(|(stage, _)| memory.totals.add_stage(stage));
        memory.totals.lose_stages(self.stages.lost);
    }

    /// Whether anything has ended. If budget was used up without, more of it at once is no help.
    pub(crate) fn has_news(&self) -> bool {
        !(self.jobs.finished.is_empty() && self.stages.finished.is_empty() && self.executions.is_empty())
    }

    /// Whether all ids are known up to the last, or will be.
    pub(crate) const fn is_gapless(&self) -> bool {
        !self.has_gap
    }

    /// Adds what is known at `now`, in milliseconds.
    pub(crate) fn add_to(&self, settings: &Settings, memory: &Memory, now: u64, metrics: &mut t::Metrics) {
        let start = memory.start();
        if settings.jobs.enabled {
            self.add_jobs_to(settings.jobs.limit, start, metrics);
            memory.totals.add_jobs_to(start, metrics);
        }
        if settings.stages.enabled {
            self.add_stages_to(settings.stages.limit, start, metrics);
            memory.totals.add_stages_to(start, metrics);
            metrics.spark_stages_backlog(whole(memory.stages.backlog()));
        }
        if settings.sql.enabled {
            memory.sql.add_to(start, metrics);
        }
        if let Some(executors) = &self.executors {
            memory.executors.add_to(executors, start, now, metrics);
        }
        if let Some(storage) = &self.storage {
            storage.add_to(settings.storage.limit, metrics);
        }
        if let Some(dstreams) = &self.dstreams {
            dstreams.add_to(start, metrics);
        }
    }

    /// The latest first: they are what somebody looks for.
    fn add_jobs_to(&self, limit: usize, start: UnixNanos, metrics: &mut t::Metrics) {
        let (running, finished) = (&self.jobs.running, &self.jobs.finished);
        metrics.spark_jobs_active(whole(running.len()));
        let all: BTreeMap<&u64, &Job> = running.iter().chain(finished).collect();
        metrics.spark_jobs_omitted(whole(all.len().saturating_sub(limit)));
        for (id, job) in all.into_iter().rev().take(limit) {
            points::add_job(*id, job, start, metrics);
        }
    }

    fn add_stages_to(&self, limit: usize, start: UnixNanos, metrics: &mut t::Metrics) {
        let (active, finished) = (&self.stages.active, &self.stages.finished);
        metrics.spark_stages_active(whole(active.len()));
        // What ended while it was read is in both; its end says more.
        let all = active.iter().chain(finished.iter().map(|(stage, _)| stage));
        let all: BTreeMap<(u64, u64), &Stage> = all.filter_map(|stage| Some((stage.key()?, stage))).collect();
        metrics.spark_stages_omitted(whole(all.len().saturating_sub(limit)));
        for stage in all.into_values().rev().take(limit) {
            points::add_stage(stage, start, metrics);
        }
    }

    /// What has ended, as spans.
    pub(crate) fn spans(&self, application: &Application, start: UnixNanos) -> Vec<Span> {
        let trace = Trace::of(application, start);
        let mut spans = Vec::new();
        for (id, job) in &self.jobs.finished {
            spans.extend(trace.job(*id, job, self.reason(*id)));
        }
        for (stage, job) in &self.stages.finished {
            spans.extend(trace.stage(stage, *job));
        }
        for (id, execution) in &self.executions {
            spans.extend(trace.execution(*id, execution));
        }
        spans
    }

    /// Why a job failed, which only its stages say.
    fn reason(&self, job: u64) -> Option<&str> {
        let mut failed = self.stages.finished.iter().filter(|(stage, _)| stage.status() == StageStatus::Failed);
        failed.find(|(_, of)| *of == Some(job)).and_then(|(stage, _)| stage.failure_reason.as_deref())
    }

    /// What happened, as log records.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.executors.as_ref().map(|executors| executors.records.clone()).unwrap_or_default()
    }
}

fn taken<T>(read: Result<T, Unread>, failures: &mut Vec<PartialFailure>) -> Option<T> {
    read.map_err(|unread| note(failures, unread.failure)).ok()
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
