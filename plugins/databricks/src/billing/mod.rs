//! What jobs cost at list price, from the system tables `system.billing.usage` and `system.billing.list_prices`.
//!
//! Reading them starts a SQL warehouse, so it happens once in an `interval`, in steps that fit into collections: a
//! statement is started, asked for in later collections until it has ended, and its result read. The statement's id is
//! in state, so that a restart neither loses it nor starts another one; when the next one is due is in state for the
//! same reason.
//!
//! How long the tables are read back is bounded by folding old days (see [`costs`]), so that no statement grows with
//! time. A restatement of a day that is older than [`FOLDED_AFTER`] days is not seen.

mod costs;
mod day;
mod statement;

use core::time::Duration;
use std::collections::BTreeSet;

use kiln_plugin::{CollectError, Host, PartialFailure};
use serde::{Deserialize, Serialize};

use crate::api::{Api, ApiError};
use crate::config::{Config, CostSource};
use crate::errors::Errors;
use crate::jobs::Jobs;
use crate::memory::{keep, load};
use crate::part::Part;
use crate::telemetry;
use crate::watch::Due;
use costs::{Costs, Key};
use day::Day;
use statement::{Answer, JobCost, Progress, Span};

pub(crate) const PART: Part = Part {
    name: "billing",
    permission: "Can use on the SQL warehouse of `cost.billing_warehouse_id`, and USE CATALOG, USE SCHEMA and SELECT on \
                 system.billing",
};

const STATE: &str = "billing";

/// Days after which a day's costs are final.
const FOLDED_AFTER: u64 = 30;
/// For how long a statement may take, in milliseconds: a warehouse starts in minutes.
const GIVEN_UP_AFTER: u64 = 30 * 60 * 1_000;
/// How long after a statement could not be started another one is, if the interval is not shorter.
const RETRY: Duration = Duration::from_secs(10 * 60);

const CURRENCY: &str = "USD";

/// The collector.
#[derive(Debug)]
pub(crate) struct Billing {
    due: Due,
    interval: Duration,
    /// No statement is started before this, on the host's monotonic clock.
    not_before: u64,
    last: Option<Costs>,
}

/// What is remembered.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    costs: Costs,
    /// When the last statement was started, in milliseconds of the workspace's clock.
    started: Option<u64>,
    statement: Option<Statement>,
    /// Whether costs in another currency were reported.
    #[serde(default)]
    is_other_currency_reported: bool,
}

/// A statement that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Statement {
    id: String,
    span: Span,
}

/// What the rest of the plugin knows that costs are told with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) jobs: Option<&'a Jobs>,
}

impl Billing {
    pub(crate) fn new(config: &Config) -> Self {
        let is_enabled = config.cost.source == CostSource::Billing;
        let interval = config.collectors.billing.interval;
        Self { due: Due::new(PART, is_enabled, Duration::ZERO), interval, not_before: 0, last: None }
    }

    /// Takes the next step.
    pub(crate) fn read(
        &mut self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
        context: Context<'_>,
    ) -> Result<(), CollectError> {
        let monotonic = api.monotonic();
        if !self.due.is_due(monotonic) {
            self.last = None;
            return Ok(());
        }
        let now = api.now();
        let mut memory = match load::<Memory>(host, STATE)? {
            Some(memory) => memory,
            None => {
                let lookback = millis(context.config.initial_lookback);
                let costs = Costs::begin(Day::of(now.saturating_sub(lookback)));
                Memory { costs, started: None, statement: None, is_other_currency_reported: false }
            }
        };
        let result = match memory.statement.clone() {
            Some(statement) => {
                let answer = statement::poll(api, &statement.id);
                follow(&mut memory, statement, answer, api, errors, context)
            }
            None if self.may_start(&memory, now, monotonic) => self.start(&mut memory, api, errors, context),
            None => Ok(()),
        };
        self.due.note(monotonic, result, errors);
        if let Some(odd) = api.take_odd() {
            errors.note(PART, odd);
        }
        let is_kept = keep(host, STATE, &memory, PART, errors)?;
        self.last = Some(memory.costs).filter(|_| is_kept && !self.due.is_forbidden());
        Ok(())
    }

    /// Whether the interval is over. A clock that was ahead must not put it off for longer.
    fn may_start(&self, memory: &Memory, now: u64, monotonic: u64) -> bool {
        let interval = millis(self.interval);
        let is_over = |started: u64| now < started || now.saturating_sub(started) >= interval;
        monotonic >= self.not_before && memory.started.is_none_or(is_over)
    }

    fn start(
        &mut self,
        memory: &mut Memory,
        api: &mut Api<'_>,
        errors: &mut Errors,
        context: Context<'_>,
    ) -> Result<(), ApiError> {
        // The tables are the whole account's. Which workspace this is, the next answer of any part will say.
        let Some(workspace_id) = api.workspace_id().map(str::to_owned) else { return Ok(()) };
        let Some(warehouse_id) = context.config.cost.billing_warehouse_id.as_deref() else { return Ok(()) };
        let (now, from) = (api.now(), memory.costs.from());
        let span = Span { from, fold: Day::of(now).before(FOLDED_AFTER).max(from) };
        let answer = match statement::execute(api, warehouse_id, &workspace_id, span) {
            Ok(answer) => answer,
            Err(error) => {
                let wait = u64::try_from(RETRY.min(self.interval).as_nanos()).unwrap_or(u64::MAX);
                self.not_before = api.monotonic().saturating_add(wait);
                return Err(error);
            }
        };
        memory.started = Some(now);
        match answer.statement_id.clone().filter(|id| !id.is_empty()) {
            Some(id) => follow(memory, Statement { id, span }, Ok(answer), api, errors, context),
            None => Err(failed("the answer to the statement has no id".to_owned())),
        }
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        if let Some(costs) = &self.last {
            costs.add_to(metrics);
        }
    }
}

/// Does what follows from where a statement has come to: it is kept, or its result is entered, or it is reported and
/// another one is started when the interval is over.
fn follow(
    memory: &mut Memory,
    statement: Statement,
    answer: Result<Answer, ApiError>,
    api: &mut Api<'_>,
    errors: &mut Errors,
    context: Context<'_>,
) -> Result<(), ApiError> {
    memory.statement = None;
    let answer = match answer {
        Ok(answer) => answer,
        // Results are there for an hour, and known for half a day.
        Err(error) if error.is_gone() || error.is_forbidden() => return Err(error),
        Err(error) => return wait_on(memory, statement, api).and(Err(error)),
    };
    match answer.progress() {
        Progress::Running => wait_on(memory, statement, api),
        Progress::Failed(reason) => Err(failed(format!("the statement {} failed: {reason}", statement.id))),
        Progress::Succeeded => match answer.rows(api, &statement.id) {
            Ok(rows) => {
                enter(memory, statement.span, rows, errors, context);
                Ok(())
            }
            Err(error) => wait_on(memory, statement, api).and(Err(error)),
        },
    }
}

/// Leaves a statement for the next collection, unless it has taken too long.
fn wait_on(memory: &mut Memory, statement: Statement, api: &Api<'_>) -> Result<(), ApiError> {
    let started = memory.started.unwrap_or_default();
    if api.now().saturating_sub(started) > GIVEN_UP_AFTER {
        let minutes = GIVEN_UP_AFTER / 60_000;
        return Err(failed(format!("the statement {} has no result after {minutes} minutes: given up", statement.id)));
    }
    memory.statement = Some(statement);
    Ok(())
}

fn enter(memory: &mut Memory, span: Span, mut rows: Vec<JobCost>, errors: &mut Errors, context: Context<'_>) {
    let before = rows.len();
    rows.retain(|row| row.currency == CURRENCY);
    if rows.len() < before && !memory.is_other_currency_reported {
        memory.is_other_currency_reported = true;
        let error = failed(format!("costs in another currency than {CURRENCY} are not counted"));
        errors.count(PART, &error);
        errors.report(PartialFailure::new(PART.name, error.to_string()));
    }
    let (config, known) = (context.config, memory.costs.keys());
    memory.costs.enter(span, rows, config.max_jobs, |row| {
        let (key, name) = identify(row, context.jobs, &known);
        config.job_names.allow(name.as_deref().unwrap_or_default()).then_some((key, name))
    });
}

/// Which job a cost is of, and what it is called. A job that is counted under its id stays there when it is deleted, and
/// what is counted under a name stays there while the list of jobs cannot be read.
fn identify(row: &JobCost, jobs: Option<&Jobs>, known: &BTreeSet<Key>) -> (Key, Option<String>) {
    let (id, own_name) = (Key::Id(row.job_id.clone()), row.job_name.clone().filter(|name| !name.is_empty()));
    let by_name = Key::Name(own_name.clone());
    match row.job_id.parse().ok().and_then(|id| jobs?.name(id)) {
        Some(name) => (id, Some(name.to_owned())),
        None if known.contains(&id) || (jobs.is_none() && !known.contains(&by_name)) => (id, own_name),
        None => (by_name, own_name),
    }
}

fn failed(reason: String) -> ApiError {
    ApiError::Failed { path: statement::PATH.to_owned(), reason }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
