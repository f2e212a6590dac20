//! The REST API of Spark's UI: what the pages of metrics do not say.
//!
//! What has finished is reported once: what is remembered is committed with what is emitted, per application and attempt,
//! because ids begin again with each. What a collection costs follows what is new and what runs, never what has been.

mod api;
mod cursor;
mod databricks;
mod distribution;
mod dstreams;
mod environment;
mod executors;
mod ids;
mod job;
mod jobs;
mod memory;
mod plan;
mod points;
mod report;
mod sql;
mod stage;
mod stages;
mod storage;
mod totals;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::telemetry::{ResourceLogs, ResourceSpans};
use kiln_plugin::{CollectError, Host, PartialFailure};

use crate::application::Application;
use crate::config::{Config, Rest as Settings};
use crate::telemetry as t;
use api::Api;
use cursor::note;
pub(crate) use databricks::Cluster;
pub(crate) use environment::Facts;
use memory::Memory;
use report::Report;

/// Everything that is read from `/api/v1`, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Rest {
    settings: Settings,
    /// What keys of the state begin with.
    scope: String,
    /// Of applications that have said where they run. They do not change while they do.
    facts: BTreeMap<String, Facts>,
    /// Applications whose last collection left no gap.
    followed: BTreeSet<String>,
}

impl Rest {
    /// Of one UI, whose state is kept under keys of this `scope`.
    pub(crate) fn new(config: &Config, scope: &str) -> Self {
        Self {
            settings: config.rest.clone(),
            scope: scope.to_owned(),
            facts: BTreeMap::new(),
            followed: BTreeSet::new(),
        }
    }

    /// Where and with what an application runs. It is asked once.
    pub(crate) fn facts(
        &mut self,
        host: &Host,
        endpoint: &str,
        application: &Application,
        failures: &mut Vec<PartialFailure>,
    ) -> Facts {
        let Some(key) = memory::key(&self.scope, application).filter(|_| self.settings.environment.enabled) else {
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

    /// Reads and emits what is due for these applications, whose names the operator wants. `endpoint` is what paths of
    /// the UI are appended to. What fails by itself is added to `failures`. Whether there is more to read at once.
    pub(crate) fn collect(
        &mut self,
        host: &Host,
        endpoint: &str,
        applications: &[Application],
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        if !self.settings.reads_anything() {
            return Ok(false);
        }
        let mut more = false;
        let current: BTreeSet<String> =
            applications.iter().filter_map(|application| memory::key(&self.scope, application)).collect();
        for application in applications {
            let key = memory::key(&self.scope, application);
            let (Some(key), Some(mut api)) = (key, self.api(host, endpoint, application)) else {
                continue;
            };
            let mut memory = Memory::load(host, &key, application)?;
            let failed = failures.len();
            let after_gap = !self.followed.remove(&key);
            let report = Report::read(&self.settings, &mut api, &mut memory, after_gap, failures);
            if !memory.keep(host, &key, failures)? {
                continue;
            }
            more |= api.is_spent() && failures.len() == failed && report.has_news() && memory.has_more();
            if report.is_gapless() {
                self.followed.insert(key);
            }
            self.emit(host, application, &memory, &report)?;
        }
        self.end_others(host, &current)?;
        Ok(more)
    }

    fn emit(
        &self,
        host: &Host,
        application: &Application,
        memory: &Memory,
        report: &Report,
    ) -> Result<(), CollectError> {
        let resource = application.resource();
        let mut metrics = t::Metrics::new(&resource);
        report.add_to(&self.settings, memory, host.now().as_millis(), &mut metrics);
        host.emit_metrics([metrics])?;
        let spans = if self.settings.traces.enabled { report.spans(application, memory.start()) } else { Vec::new() };
        if !spans.is_empty() {
            host.emit_spans(&[ResourceSpans { resource: (&resource).into(), scope: t::scope(), spans }])?;
        }
        let records = report.records();
        if !records.is_empty() {
            host.emit_logs(&[ResourceLogs { resource: (&resource).into(), scope: t::scope(), records }])?;
        }
        Ok(())
    }

    /// What was here before has ended, and nobody will ask for it again: Spark's UI goes with the application. When it
    /// was last seen is the best end there is.
    fn end_others(&self, host: &Host, current: &BTreeSet<String>) -> Result<(), CollectError> {
        if current.is_empty() {
            return Ok(());
        }
        self.emit_ends(host, memory::take_others(host, &self.scope, current)?)
    }

    /// Tells of the application that has just ended. It is remembered all the same: perhaps it is only out of reach, and a
    /// span that is sent again is the same one.
    pub(crate) fn tell_end(&self, host: &Host) -> Result<(), CollectError> {
        self.emit_ends(host, memory::all(host, &self.scope)?)
    }

    fn emit_ends(&self, host: &Host, ended: Vec<Memory>) -> Result<(), CollectError> {
        for memory in ended {
            let Some((application, end)) = memory.last_seen().filter(|_| self.settings.traces.enabled) else {
                continue;
            };
            let span = trace::Trace::of(&application, memory.start()).application(&application, memory.start(), end);
            let resource = (&application.resource()).into();
            host.emit_spans(&[ResourceSpans { resource, scope: t::scope(), spans: vec![span] }])?;
        }
        Ok(())
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
}
