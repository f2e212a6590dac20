//! Reads jobs, job runs and SQL warehouses of a Databricks workspace.
//!
//! Every list is read to its end or not used: a count of half a list is worse than none. What one endpoint refuses
//! does not keep the others from being delivered.

mod api;
mod duration;
mod ledger;

use core::time::Duration;
use std::collections::BTreeMap;

use api::{
    JOBS, JOBS_PER_PAGE, Jobs, ListError, RUN, RUNS, RUNS_PER_PAGE, Run, Runs, WAREHOUSES, Warehouses, Workspace,
};
use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver, UnixNanos};
use ledger::{Ledger, Lists, Window};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Databricks);

/// The key of the state. Another meaning of what is stored under it needs another key.
const STATE: &str = "runs";
/// Runs asked for by id in one collection; the rest waits for the next.
const LOOKUPS: usize = 50;
/// Every state a warehouse can be in, so that a state nothing is in shows as zero.
const WAREHOUSE_STATES: [&str; 6] = ["STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETING", "DELETED"];

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    host: String,
    lookback: String,
}

/// The receiver.
#[derive(Debug)]
pub struct Databricks {
    /// Scheme, host and port.
    origin: String,
    lookback: Duration,
    workspace_id: Option<String>,
    /// Series of active runs in the last collection: they go to zero before they end.
    last_active: BTreeMap<ActiveKey, i64>,
}

type ActiveKey = (api::JobKey, String);

impl Receiver for Databricks {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let origin = origin(&config.host)
            .ok_or_else(|| ConfigError::new("/host", "is no URL such as https://example.cloud.databricks.com"))?;
        let lookback = duration::parse(&config.lookback)
            .ok_or_else(|| ConfigError::new("/lookback", "is no duration such as 90m, 24h or 7d"))?;
        Ok(Self { origin, lookback, workspace_id: None, last_active: BTreeMap::new() })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let now = host.now();
        let stored = load(host)?;
        let window = match &stored {
            Some(ledger) => ledger.window(now, self.lookback),
            None => Window::whole(now, self.lookback),
        };
        let mut workspace = Workspace { http: host.http(), origin: &self.origin, id: self.workspace_id.clone() };
        let mut errors = Errors::default();

        let Reading { jobs, runs: lists, warehouses } = read(&mut workspace, window, &mut errors)?;
        let ledger = follow_runs(&mut workspace, &mut errors, stored, now, self.lookback, window, &lists);
        if let Some(ledger) = &ledger {
            host.state().set(STATE, ledger)?;
        }

        self.workspace_id = workspace.id;
        let resource = telemetry::Resource {
            service_name: "databricks",
            databricks_host: &self.origin,
            databricks_workspace_id: self.workspace_id.as_deref(),
        };
        let mut metrics = telemetry::Metrics::new(&resource);
        if let Some(jobs) = jobs {
            metrics.databricks_jobs_total(jobs);
        }
        if let Some(ledger) = &ledger {
            add_finished(&mut metrics, ledger);
        }
        if lists.active_is_complete {
            let active = count_active(&lists.active);
            add_active(&mut metrics, &self.last_active, &active);
            self.last_active = active;
        }
        if let Some(warehouses) = warehouses {
            for (state, count) in &warehouses {
                metrics.databricks_warehouses_count(
                    &telemetry::DatabricksWarehousesCount { warehouse_state: state },
                    *count,
                );
            }
        }
        for (endpoint, count) in errors.counts() {
            metrics.databricks_scraper_errors(&telemetry::DatabricksScraperErrors { endpoint }, count);
        }
        host.emit_metrics([metrics])?;
        Ok(Outcome::with_failures(errors.failures))
    }
}

/// Everything before the path. People paste the address of a page of the workspace.
fn origin(host: &str) -> Option<String> {
    let (scheme, rest) = host.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    Some(format!("{scheme}://{authority}"))
}

/// What was stored by the last collection. State this version cannot read is begun anew, with a new start time: counts
/// restart where everyone can see it, instead of never being collected again.
fn load(host: &Host) -> Result<Option<Ledger>, CollectError> {
    match host.state().get(STATE) {
        Err(StateError::Unreadable { error, .. }) => {
            let reason = Attribute::new("error", error.to_string());
            host.log(Level::Warn, "counting of runs starts anew: what was stored cannot be read", &[reason]);
            Ok(None)
        }
        stored => Ok(stored?),
    }
}

/// What the lists amount to. `None` where a list could not be read to its end.
struct Reading {
    jobs: Option<i64>,
    runs: Lists,
    warehouses: Option<BTreeMap<String, i64>>,
}

/// Reads all lists, the first pages at once.
fn read(workspace: &mut Workspace<'_>, window: Window, errors: &mut Errors) -> Result<Reading, CollectError> {
    let paths = [
        format!("{JOBS}?limit={JOBS_PER_PAGE}"),
        format!("{RUNS}?active_only=true&limit={RUNS_PER_PAGE}"),
        format!("{RUNS}?completed_only=true&start_time_from={}&limit={RUNS_PER_PAGE}", window.from),
        format!("{WAREHOUSES}?page_size=100"),
    ];
    let Ok([jobs_page, active_page, completed_page, warehouses_page]) = <[_; 4]>::try_from(workspace.get_all(&paths))
    else {
        return Err(CollectError::Failed("the host did not answer every request".to_owned()));
    };
    let [jobs_path, active_path, completed_path, warehouses_path] = &paths;

    let mut jobs = 0_i64;
    let jobs_read = workspace.read(jobs_path, jobs_page, |page: Jobs| jobs = jobs.saturating_add(length(&page.jobs)));
    let mut lists = Lists::default();
    let active_read = workspace.read(active_path, active_page, |page: Runs| lists.active.extend(page.by_id()));
    let completed_read =
        workspace.read(completed_path, completed_page, |page: Runs| lists.completed.extend(page.by_id()));
    let mut warehouses: BTreeMap<String, i64> = WAREHOUSE_STATES.map(|state| (state.to_owned(), 0)).into();
    let warehouses_read = workspace.read(warehouses_path, warehouses_page, |page: Warehouses| {
        for state in page.warehouses.into_iter().filter_map(|warehouse| warehouse.state) {
            let count = warehouses.entry(state).or_default();
            *count = count.saturating_add(1);
        }
    });

    let results = [jobs_read, active_read, completed_read, warehouses_read];
    let results = if results.iter().all(Result::is_err) { return Err(nothing_read(results)) } else { results };
    let [jobs_read, active_read, completed_read, warehouses_read] = results;
    lists.active_is_complete = errors.note(RUNS, active_read);
    lists.completed_is_complete = errors.note(RUNS, completed_read);
    Ok(Reading {
        jobs: errors.note(JOBS, jobs_read).then_some(jobs),
        runs: lists,
        warehouses: errors.note(WAREHOUSES, warehouses_read).then_some(warehouses),
    })
}

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Credentials are to blame only if nothing failed for another reason.
fn nothing_read(results: [Result<(), ListError>; 4]) -> CollectError {
    let mut errors: Vec<ListError> = results.into_iter().filter_map(Result::err).collect();
    let place = errors.iter().position(|error| !error.is_unauthorized()).unwrap_or_default();
    if place < errors.len() { errors.swap_remove(place).into() } else { CollectError::Failed(String::new()) }
}

/// Brings the ledger up to date, or begins one.
fn follow_runs(
    workspace: &mut Workspace<'_>,
    errors: &mut Errors,
    stored: Option<Ledger>,
    now: UnixNanos,
    lookback: Duration,
    window: Window,
    lists: &Lists,
) -> Option<Ledger> {
    let Some(mut ledger) = stored else {
        // Without the whole list nobody could tell later which runs had ended before counting began.
        return lists.completed_is_complete.then(|| Ledger::begin(now, lookback, window, lists));
    };
    let vanished = ledger.enter(now, lists);
    let asked: Vec<i64> = vanished.into_iter().take(LOOKUPS).collect();
    let paths: Vec<String> = asked.iter().map(|run_id| format!("{RUN}?run_id={run_id}")).collect();
    let answers = if paths.is_empty() { Vec::new() } else { workspace.get_all(&paths) };
    for (run_id, answer) in asked.into_iter().zip(answers) {
        match answer.and_then(|page| page.json::<Run>()) {
            Ok(run) => ledger.finish(now, &run),
            Err(error) if api::is_gone(&error) => ledger.give_up(run_id),
            Err(error) => {
                errors.note(RUN, Err(error.into()));
            }
        }
    }
    ledger.settle(now, lookback, window, lists);
    Some(ledger)
}

fn add_finished(metrics: &mut telemetry::Metrics, ledger: &Ledger) {
    for series in ledger.series() {
        let (job_name, databricks_job_id) = (series.job.name.as_deref(), series.job.id.as_deref());
        let result_state = series.result_state.as_str();
        metrics.databricks_job_runs_count(
            series.start,
            &telemetry::DatabricksJobRunsCount { job_name, databricks_job_id, result_state },
            series.count,
        );
        metrics.databricks_job_duration_run(
            series.start,
            &telemetry::DatabricksJobDurationRun { job_name, databricks_job_id, result_state },
            &series.durations,
        );
    }
}

fn count_active(runs: &BTreeMap<i64, Run>) -> BTreeMap<ActiveKey, i64> {
    let mut counts = BTreeMap::new();
    for run in runs.values() {
        let count: &mut i64 = counts.entry((run.job(), run.run_state().to_owned())).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

fn add_active(metrics: &mut telemetry::Metrics, last: &BTreeMap<ActiveKey, i64>, current: &BTreeMap<ActiveKey, i64>) {
    let ended = last.keys().filter(|key| !current.contains_key(*key)).map(|key| (key, 0));
    for ((job, run_state), count) in current.iter().map(|(key, count)| (key, *count)).chain(ended) {
        let (job_name, databricks_job_id) = (job.name.as_deref(), job.id.as_deref());
        metrics.databricks_job_runs_active(
            &telemetry::DatabricksJobRunsActive { job_name, databricks_job_id, run_state },
            count,
        );
    }
}

/// What went wrong in this collection.
#[derive(Debug, Default)]
struct Errors {
    failures: Vec<PartialFailure>,
}

impl Errors {
    /// Notes the failure of a request, if it is one; says whether it was none.
    fn note(&mut self, endpoint: &'static str, result: Result<(), ListError>) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                self.failures.push(PartialFailure::new(endpoint, error.to_string()));
                false
            }
        }
    }

    /// How often each endpoint failed, those that did not included.
    fn counts(&self) -> [(&'static str, i64); 4] {
        [JOBS, RUNS, RUN, WAREHOUSES].map(|endpoint| {
            let failures = self.failures.iter().filter(|failure| failure.source == endpoint);
            (endpoint, i64::try_from(failures.count()).unwrap_or(i64::MAX))
        })
    }
}
