//! Job runs: what is active, and each one that ends exactly once — as counts and durations, as a trace, and as a log
//! record if it failed.
//!
//! `GET /api/2.2/jobs/runs/{list, get, get-output}` (databricks-sdk, `JobsAPI`). In every collection: the active runs to
//! the end, then the fresh list of finished ones, then by id what vanished from both, then as much of the backlog as the
//! budget allows. [`ledger`] says why nothing is missed and nothing counted twice.

mod active;
mod cost;
mod failure;
mod ledger;
mod run;
mod series;
mod success;
mod trace;

use std::collections::BTreeMap;

use kiln_plugin::telemetry::{LogRecord, Span};
use kiln_plugin::{CollectError, Host};
use serde::{Deserialize, Serialize};

use crate::api::{AT_ONCE, Api, ApiError, Cursor, lenient, listing};
use crate::config::{Config, CostSource};
use crate::errors::Errors;
use crate::fleet::Fleet;
use crate::jobs::Jobs;
use crate::memory::{keep, load};
use crate::part::Part;
use crate::telemetry;
use crate::watch::Due;

use active::Active;
use cost::Tariff;
use ledger::{Ledger, Stretch, Verdict};
use run::Run;
use series::{Book, Finished, JobKey};
use success::Successes;
use trace::{ErrorOutput, Trace};

pub(crate) const PART: Part = Part { name: "runs", permission: "Can view on the jobs, or to be a workspace admin" };

/// The key of the state. Another meaning of what is stored under it needs another key.
const STATE: &str = "runs";

const LIST: &str = "/api/2.2/jobs/runs/list";
const GET: &str = "/api/2.2/jobs/runs/get";
const OUTPUT: &str = "/api/2.2/jobs/runs/get-output";
/// The documented maximum: "greater than 0 and less than 25".
const PER_PAGE: u32 = 24;
/// Runs asked for by id in one collection; the rest waits for the next.
const LOOKUPS: usize = 50;
/// Error outputs asked for in one collection.
const OUTPUTS: usize = 20;
/// Spans one collection makes; what is left of the lists waits for the next. Bounds the memory of the plugin.
const MAX_SPANS: usize = 10_000;
/// Pages of tasks of one run: no run has more than 1,000 tasks.
const MAX_TASK_PAGES: usize = 20;

listing! {
    /// A page of runs, the latest start first.
    Page { runs: Run }
}

#[derive(Debug, Deserialize)]
struct Output {
    #[serde(default, deserialize_with = "lenient::text")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    error_trace: Option<String>,
}

/// What is remembered from one collection to the next.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    ledger: Ledger,
    book: Book,
    successes: Successes,
}

/// The collector.
#[derive(Debug)]
pub(crate) struct Runs {
    due: Due,
    active: Active,
}

/// What a collection came to.
pub(crate) struct Reading {
    memory: Memory,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
}

/// What the rest of the plugin knows that runs are told with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) origin: &'a str,
    pub(crate) jobs: Option<&'a Jobs>,
    pub(crate) fleet: &'a Fleet,
}

impl Runs {
    pub(crate) fn new(config: &Config) -> Self {
        let due = Due::new(PART, config.collectors.runs.enabled, core::time::Duration::ZERO);
        Self { due, active: Active::default() }
    }

    /// Reads what is active and what has ended since.
    pub(crate) fn read(
        &mut self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
        context: Context<'_>,
    ) -> Result<Option<Reading>, CollectError> {
        let now = api.monotonic();
        if !self.due.is_due(now) {
            self.active.forget();
            return Ok(None);
        }
        let result = self.active.read(api, context);
        let is_complete = self.due.note(now, result, errors).is_some();
        let memory = match load::<Memory>(host, STATE)? {
            Some(memory) => memory,
            None if is_complete => begin(api.now(), context.config),
            // Without the active runs nobody could tell later which of them had been active.
            None => return Ok(None),
        };
        let mut collection =
            Collection { api, errors, context, memory, outputs: OUTPUTS, reading: (Vec::new(), Vec::new()) };
        if is_complete {
            collection.memory.ledger.follow(self.active.starts());
        }
        // An identity that may not list active runs may not list others.
        if !self.due.is_forbidden() {
            let listed = collection.read_fresh();
            if let (Some((latest, reached)), true) = (listed, is_complete) {
                let latest = self.active.latest_start().max(latest);
                collection.memory.ledger.move_on(collection.api.now(), latest, reached);
                collection.look_up(self.active.starts());
            }
            collection.read_backlog();
        }
        if let Some(odd) = collection.api.take_odd() {
            collection.errors.note(PART, odd);
        }
        let (mut memory, (spans, logs)) = (collection.memory, collection.reading);
        memory.ledger.settle();
        memory.successes.forget(api.now(), millis(context.config.success_window));
        let is_kept = keep(host, STATE, &memory, PART, errors)?;
        Ok(is_kept.then_some(Reading { memory, spans, logs }))
    }

    /// Adds the runs that are active.
    pub(crate) fn add_active_to(&mut self, metrics: &mut telemetry::Metrics, max_jobs: usize) {
        self.active.add_to(metrics, max_jobs);
    }
}

impl Reading {
    /// Adds the runs that have ended.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics, config: &Config) {
        let source = (config.cost.source == CostSource::Estimate).then_some("estimate");
        self.memory.book.add_to(metrics, source);
        // The rate of a part of the window would be another's.
        if let Some(rate) = self.memory.successes.rate().filter(|_| !self.memory.ledger.has_backlog()) {
            metrics.databricks_job_success_rate(rate);
        }
    }
}

fn begin(now: u64, config: &Config) -> Memory {
    let ledger = Ledger::begin(now, millis(config.initial_lookback));
    let book = Book::new(ledger.began());
    Memory { ledger, book, successes: Successes::default() }
}

/// What identifies the job of a run. Runs that were submitted or started by a notebook carry a job id made for that run
/// alone: as an attribute it would grow without bound.
fn job_key(run: &Run, jobs: Option<&Jobs>) -> JobKey {
    let own_name = || run.run_name.clone().filter(|name| !name.is_empty());
    let listed = run.job_id.and_then(|id| jobs?.name(id));
    let id = run.job_id.map(|id| id.to_string());
    match (listed, run.run_type.as_deref()) {
        (Some(name), _) => JobKey { id, name: Some(name.to_owned()) },
        (None, Some("SUBMIT_RUN" | "WORKFLOW_RUN")) => JobKey { id: None, name: own_name() },
        (None, _) => JobKey { id, name: own_name() },
    }
}

fn millis(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One collection under way.
struct Collection<'c, 'a> {
    api: &'c mut Api<'a>,
    errors: &'c mut Errors,
    context: Context<'c>,
    memory: Memory,
    /// Error outputs that may still be asked for.
    outputs: usize,
    reading: (Vec<Span>, Vec<LogRecord>),
}

/// A stretch of the backlog that is being read.
struct UnderWay {
    stretch: Stretch,
    cursor: Cursor,
    /// The earliest start seen: lists show the latest first.
    reached: Option<u64>,
}

impl Collection<'_, '_> {
    /// Requests that may still be begun.
    fn spare(&self) -> usize {
        if self.reading.0.len() < MAX_SPANS { self.api.spare() } else { 0 }
    }

    /// Lists what started since a little before the latest start known. Gives the latest start, and the start down to
    /// which the list was read if not to its end; nothing if it could not be read at all.
    fn read_fresh(&mut self) -> Option<(u64, Option<u64>)> {
        let from = self.memory.ledger.fresh_from();
        let mut cursor = Cursor::new(completed(from, None));
        let (mut latest, mut reached) = (0, None);
        while let Some(next) = cursor.next().map(str::to_owned) {
            if reached.is_some() && self.spare() == 0 {
                return Some((latest, reached));
            }
            let page = self.api.get(&next).and_then(|page| cursor.turn::<Page>(self.api, &page));
            match page {
                Ok(page) => {
                    for run in page.runs.items {
                        let start = run.course().start;
                        latest = latest.max(start.unwrap_or_default());
                        reached = earlier(reached, start);
                        self.enter(run);
                    }
                }
                Err(error) => {
                    self.errors.note(PART, error);
                    return reached.map(|reached| (latest, Some(reached)));
                }
            }
        }
        Some((latest, None))
    }

    /// Asks for runs that are neither active nor listed.
    fn look_up(&mut self, active: &BTreeMap<i64, u64>) {
        let mut ids = self.memory.ledger.missing(active);
        ids.truncate(LOOKUPS.min(self.spare().max(1)));
        let paths: Vec<String> = ids.iter().map(|id| format!("{GET}?run_id={id}")).collect();
        let pages = self.api.get_all(&paths);
        // At least one of them is told as a whole, with the tasks its first page does not show.
        self.api.leave(1);
        let mut trouble = None;
        for (id, page) in ids.into_iter().zip(pages) {
            match page.and_then(|page| Ok(page.json::<Run>()?)) {
                Ok(mut run) => {
                    run.has_more |= run.next_page_token().is_some();
                    run.run_id = Some(id);
                    self.enter(run);
                }
                Err(error) if error.is_gone() => self.memory.ledger.give_up(id),
                Err(error) => {
                    self.memory.ledger.asked_in_vain(id);
                    trouble = Some(error);
                }
            }
        }
        if let Some(error) = trouble {
            self.errors.note(PART, error);
        }
    }

    /// Lists stretches of the backlog, several at the same time.
    fn read_backlog(&mut self) {
        self.api.leave(AT_ONCE);
        let mut under_way: Vec<UnderWay> = Vec::new();
        let mut trouble = None;
        while trouble.is_none() && self.spare() > 0 {
            let waiting = self.memory.ledger.next_stretches(AT_ONCE.saturating_mul(2));
            for stretch in waiting {
                if under_way.len() < AT_ONCE && under_way.iter().all(|known| known.stretch != stretch) {
                    let cursor = Cursor::new(completed(stretch.from, Some(stretch.to)));
                    under_way.push(UnderWay { stretch, cursor, reached: None });
                }
            }
            under_way.truncate(AT_ONCE);
            let paths: Vec<String> =
                under_way.iter().filter_map(|part| part.cursor.next().map(str::to_owned)).collect();
            if paths.is_empty() {
                break;
            }
            let pages = self.api.get_all(&paths);
            for (part, page) in under_way.iter_mut().zip(pages) {
                let page = page.and_then(|page| part.cursor.turn::<Page>(self.api, &page));
                match page {
                    Ok(page) => {
                        for run in page.runs.items {
                            part.reached = earlier(part.reached, run.course().start);
                            self.enter(run);
                        }
                    }
                    Err(error) => trouble = Some(error),
                }
            }
            if trouble.is_none() {
                let ledger = &mut self.memory.ledger;
                under_way.retain(|part| {
                    let has_more = part.cursor.next().is_some();
                    if !has_more {
                        ledger.listed(part.stretch, None);
                    }
                    has_more
                });
            }
        }
        for part in under_way.into_iter().filter(|part| part.reached.is_some()) {
            self.memory.ledger.listed(part.stretch, part.reached);
        }
        if let Some(error) = trouble {
            self.errors.note(PART, error);
        }
    }

    /// Enters a run into everything that counts and tells it, if it has ended and that is news.
    fn enter(&mut self, mut run: Run) {
        let now = self.api.now();
        let Some(run_id) = run.run_id else {
            self.api.pass_over(LIST, 1);
            return;
        };
        let (Some(end), start) = (run.ended(now), run.course().start) else { return };
        let job = job_key(&run, self.context.jobs);
        let is_observed = self.context.config.job_names.allow(job.name.as_deref().unwrap_or_default());
        let lacks_tasks = is_observed && run.has_more && self.memory.ledger.is_news(run_id, end);
        if lacks_tasks {
            if self.spare() == 0 {
                self.memory.ledger.postpone(run_id, start);
                return;
            }
            if let Err(error) = self.complete(run_id, &mut run) {
                self.errors.note(PART, error);
                self.memory.ledger.postpone(run_id, start);
                return;
            }
        }
        match self.memory.ledger.finish(run_id, start, end) {
            Verdict::Count if is_observed => {
                self.count(now, &job, &run, end);
                self.tell(run_id, &job, &run, end, true);
            }
            Verdict::Repaired if is_observed => self.tell(run_id, &job, &run, end, false),
            Verdict::Count | Verdict::Repaired | Verdict::Nothing => {}
        }
    }

    fn count(&mut self, now: u64, job: &JobKey, run: &Run, end: u64) {
        let config = self.context.config;
        let estimate = || cost::estimate(run, end, Some(self.context.fleet), &Tariff(&config.cost));
        let cost = if config.cost.source == CostSource::Estimate { estimate() } else { None };
        let finished = Finished { job, run, cost, with_tasks: config.task_metrics };
        self.memory.book.count(now, config.max_jobs, &finished);
        self.memory.successes.note(end, run.course().result_state() == "SUCCESS");
    }

    /// Makes a trace of the run, and a log record if it failed.
    fn tell(&mut self, run_id: i64, job: &JobKey, run: &Run, end: u64, is_new: bool) {
        let errors = if self.context.config.error_output { self.read_outputs(run) } else { BTreeMap::new() };
        let workspace = self.api.workspace_id().unwrap_or(self.context.origin).to_owned();
        let trace = Trace { workspace: &workspace, run, run_id, job, end, errors: &errors };
        self.reading.0.extend(trace.spans());
        if is_new && run.course().has_failed() {
            self.reading.1.push(failure::record(&trace));
        }
    }

    /// Reads the tasks a list does not show.
    fn complete(&mut self, run_id: i64, run: &mut Run) -> Result<(), ApiError> {
        let mut tasks = lenient::Items::default();
        let mut token = None;
        for _ in 0..MAX_TASK_PAGES {
            let query = token.map(|token: String| format!("&page_token={}", crate::api::encode(&token)));
            let page: Run = self.api.get_json(&format!("{GET}?run_id={run_id}{}", query.unwrap_or_default()))?;
            token = page.next_page_token().map(str::to_owned);
            let page_is_empty = page.tasks.items.is_empty();
            tasks.items.extend(page.tasks.items);
            if token.is_none() || page_is_empty {
                break;
            }
        }
        if token.is_some() {
            return Err(ApiError::Endless(GET.to_owned()));
        }
        run.tasks = tasks;
        Ok(())
    }

    /// What the failed tasks printed, by the run ids of the tasks. What cannot be read is left out.
    fn read_outputs(&mut self, run: &Run) -> BTreeMap<i64, ErrorOutput> {
        let failed = run.tasks.items.iter().filter(|task| task.course().has_failed() && task.duration().is_some());
        let mut ids: Vec<i64> = failed.filter_map(|task| task.run_id).collect();
        ids.truncate(self.outputs.min(self.spare()));
        self.outputs = self.outputs.saturating_sub(ids.len());
        let paths: Vec<String> = ids.iter().map(|id| format!("{OUTPUT}?run_id={id}")).collect();
        let mut outputs = BTreeMap::new();
        for (id, page) in ids.into_iter().zip(self.api.get_all(&paths)) {
            match page.and_then(|page| Ok(page.json::<Output>()?)) {
                Ok(Output { error, error_trace }) => {
                    outputs.insert(id, ErrorOutput::new(error.as_deref(), error_trace.as_deref()));
                }
                Err(error) if error.is_gone() => {}
                Err(error) => self.errors.note(PART, error),
            }
        }
        outputs
    }
}

fn completed(from: u64, to: Option<u64>) -> String {
    let to = to.map(|to| format!("&start_time_to={to}")).unwrap_or_default();
    format!("{LIST}?completed_only=true&expand_tasks=true&limit={PER_PAGE}&start_time_from={from}{to}")
}

fn earlier(reached: Option<u64>, start: Option<u64>) -> Option<u64> {
    match (reached, start) {
        (Some(reached), Some(start)) => Some(reached.min(start)),
        (known, None) | (None, known) => known,
    }
}
