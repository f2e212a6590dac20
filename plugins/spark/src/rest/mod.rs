//! The REST API of Spark's UI: what the pages of metrics do not say.
//!
//! What has finished is reported once: what is remembered is committed with what is emitted, per application and attempt,
//! because ids begin again with each. What a collection costs follows what is new and what runs, never what has been.

mod api;
mod cursor;
mod databricks;
mod distribution;
mod environment;
mod ids;
mod job;
mod jobs;
mod memory;
mod points;
mod stage;
mod stages;
mod totals;

use std::collections::BTreeMap;

use kiln_plugin::{CollectError, Host, PartialFailure, UnixNanos};

use crate::application::Application;
use crate::config::{Config, Rest as Settings};
use crate::telemetry as t;
use api::Api;
use cursor::note;
pub(crate) use environment::Facts;
use job::Job;
use memory::Memory;
use stage::Stage;

/// Everything that is read from `/api/v1`, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Rest {
    settings: Settings,
    /// Of applications that have said where they run. They do not change while they do.
    facts: BTreeMap<String, Facts>,
}

/// What one application told in one collection.
#[derive(Debug, Default)]
struct Report {
    jobs: jobs::Found,
    stages: stages::Reading,
}

impl Rest {
    pub(crate) fn new(config: &Config) -> Self {
        Self { settings: config.rest.clone(), facts: BTreeMap::new() }
    }

    /// Where and with what an application runs. It is asked once.
    pub(crate) fn facts(
        &mut self,
        host: &Host,
        endpoint: &str,
        application: &Application,
        failures: &mut Vec<PartialFailure>,
    ) -> Facts {
        let Some(key) = memory::key(application).filter(|_| self.settings.environment.enabled) else {
            return Facts::default();
        };
        if let Some(facts) = self.facts.get(&key) {
            return facts.clone();
        }
        let Some(mut api) = self.api(host, endpoint, application) else { return Facts::default() };
        match api.get::<environment::Environment>("/environment") {
            Ok(environment) => {
                let facts = environment.unwrap_or_default().facts();
                // Whoever was here before is gone.
                self.facts = BTreeMap::from([(key, facts.clone())]);
                facts
            }
            Err(unread) => {
                note(failures, unread.failure);
                Facts::default()
            }
        }
    }

    /// Reads and emits what is due for these applications, whose names the operator wants. `endpoint` is scheme, host
    /// and port. What fails by itself is added to `failures`. Whether there is more to read at once.
    pub(crate) fn collect(
        &mut self,
        host: &Host,
        endpoint: &str,
        applications: &[Application],
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        let mut more = false;
        for application in applications {
            let (Some(key), Some(mut api)) = (memory::key(application), self.api(host, endpoint, application)) else {
                continue;
            };
            let mut memory = Memory::load(host, &key, application)?;
            let failed = failures.len();
            let report = self.read(&mut api, &mut memory, failures);
            if !memory.keep(host, &key, failures)? {
                continue;
            }
            more |= api.is_spent() && failures.len() == failed && memory.has_more();
            let mut metrics = t::Metrics::new(&application.resource());
            self.add_to(&report, &memory, &mut metrics);
            host.emit_metrics([metrics])?;
        }
        Ok(more)
    }

    /// The REST API of an application, if its id is one that can stand in a path.
    fn api<'a>(&self, host: &'a Host, endpoint: &str, application: &Application) -> Option<Api<'a>> {
        let is_plain = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) && !text.starts_with('.')
        };
        let id = application.id.as_deref().filter(|id| is_plain(id))?;
        let attempt = application.attempt.as_deref().filter(|attempt| is_plain(attempt));
        let attempt = attempt.map(|attempt| format!("/{attempt}")).unwrap_or_default();
        let base = format!("{endpoint}/api/v1/applications/{id}{attempt}");
        Some(Api::new(host, base, self.settings.requests_per_collection))
    }

    fn read(&self, api: &mut Api<'_>, memory: &mut Memory, failures: &mut Vec<PartialFailure>) -> Report {
        let mut report = Report::default();
        if !self.settings.jobs.enabled && !self.settings.stages.enabled {
            return report;
        }
        match memory.jobs.read(api, failures) {
            Ok(found) => report.jobs = found,
            Err(unread) => {
                note(failures, unread.failure);
                return report;
            }
        }
        report.jobs.finished.values().for_each(|job| memory.totals.add_job(job));
        if self.settings.stages.enabled {
            let quantiles = self.settings.stages.quantiles;
            match memory.stages.read(api, &memory.jobs, &report.jobs, quantiles, failures) {
                Ok(reading) => report.stages = reading,
                Err(unread) => note(failures, unread.failure),
            }
            report.stages.finished.iter().for_each(|(stage, _)| memory.totals.add_stage(stage));
        }
        memory.totals.lose(report.jobs.lost.len(), report.stages.lost);
        report
    }

    fn add_to(&self, report: &Report, memory: &Memory, metrics: &mut t::Metrics) {
        let start = memory.start;
        if self.settings.jobs.enabled {
            self.add_jobs_to(report, start, metrics);
            memory.totals.add_jobs_to(start, metrics);
        }
        if self.settings.stages.enabled {
            self.add_stages_to(report, start, metrics);
            memory.totals.add_stages_to(start, metrics);
            metrics.spark_stages_backlog(whole(memory.stages.backlog()));
        }
    }

    /// The latest first: they are what somebody looks for.
    fn add_jobs_to(&self, report: &Report, start: UnixNanos, metrics: &mut t::Metrics) {
        let (running, finished) = (&report.jobs.running, &report.jobs.finished);
        metrics.spark_jobs_active(whole(running.len()));
        let mut all: Vec<(&u64, &Job)> = running.iter().chain(finished).collect();
        all.sort_by(|(one, _), (other, _)| other.cmp(one));
        let shown = all.len().min(self.settings.jobs.limit);
        metrics.spark_jobs_omitted(whole(all.len().saturating_sub(shown)));
        for (id, job) in all.into_iter().take(shown) {
            points::add_job(*id, job, start, metrics);
        }
    }

    fn add_stages_to(&self, report: &Report, start: UnixNanos, metrics: &mut t::Metrics) {
        let (active, finished) = (&report.stages.active, &report.stages.finished);
        metrics.spark_stages_active(whole(active.len()));
        // What ended while it was read is in both; its end says more.
        let mut all: BTreeMap<(u64, u64), &Stage> = BTreeMap::new();
        for stage in active.iter().chain(finished.iter().map(|(stage, _)| stage)) {
            if let Some(key) = stage.key() {
                all.insert(key, stage);
            }
        }
        let shown = all.len().min(self.settings.stages.limit);
        metrics.spark_stages_omitted(whole(all.len().saturating_sub(shown)));
        for stage in all.into_values().rev().take(shown) {
            points::add_stage(stage, start, metrics);
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
