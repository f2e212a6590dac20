//! The part of the Databricks REST API this plugin reads: paths, pages and the fields it needs.
//!
//! Fields and limits are those of databricks-sdk 0.156.0 (`service/jobs.py`, `service/sql.py`). Every field may be
//! missing, and words the API may add are kept as they are. A list that does not end is an error, not a loop.

use core::fmt;

use kiln_plugin::CollectError;
use kiln_plugin::http::{FetchError, Http, Page, Problem};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub(crate) const JOBS: &str = "/api/2.2/jobs/list";
pub(crate) const RUNS: &str = "/api/2.2/jobs/runs/list";
pub(crate) const RUN: &str = "/api/2.2/jobs/runs/get";
pub(crate) const WAREHOUSES: &str = "/api/2.0/sql/warehouses";

/// The documented maximum for jobs.
pub(crate) const JOBS_PER_PAGE: u32 = 100;
/// The documented maximum for runs: "greater than 0 and less than 25".
pub(crate) const RUNS_PER_PAGE: u32 = 24;

/// No workspace has a list this long; a server that keeps sending page tokens does.
const MAX_PAGES: u32 = 5_000;

/// A page of a list.
pub(crate) trait Listing: DeserializeOwned {
    /// Leads to the next page.
    fn next_page_token(&self) -> Option<&str>;
}

macro_rules! listing {
    ($(#[$doc:meta])* $name:ident { $items:ident: $item:ty }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        pub(crate) struct $name {
            #[serde(default)]
            pub(crate) $items: Vec<$item>,
            next_page_token: Option<String>,
        }

        impl Listing for $name {
            fn next_page_token(&self) -> Option<&str> {
                self.next_page_token.as_deref().filter(|token| !token.is_empty())
            }
        }
    };
}

listing! {
    /// Jobs are only counted.
    Jobs { jobs: IgnoredAny }
}

listing! {
    /// Runs, the latest start first.
    Runs { runs: Run }
}

listing! {
    /// SQL warehouses.
    Warehouses { warehouses: Warehouse }
}

impl Runs {
    /// The runs by their ids: a list that changes while it is read may show one twice.
    pub(crate) fn by_id(self) -> impl Iterator<Item = (i64, Run)> {
        self.runs.into_iter().map(|run| (run.run_id, run))
    }
}

/// A SQL warehouse.
#[derive(Debug, Deserialize)]
pub(crate) struct Warehouse {
    pub(crate) state: Option<String>,
}

/// A job run.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Run {
    pub(crate) run_id: i64,
    job_id: Option<i64>,
    run_name: Option<String>,
    run_type: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    run_duration: Option<i64>,
    state: Option<State>,
    status: Option<Status>,
}

/// The deprecated account of a run, and the only one that has `result_state`.
#[derive(Clone, Debug, Deserialize)]
struct State {
    life_cycle_state: Option<String>,
    result_state: Option<String>,
}

/// The current account of a run.
#[derive(Clone, Debug, Deserialize)]
struct Status {
    state: Option<String>,
    termination_details: Option<Termination>,
}

#[derive(Clone, Debug, Deserialize)]
struct Termination {
    code: Option<String>,
}

/// Stands where the API says nothing.
const UNKNOWN: &str = "UNKNOWN";

impl Run {
    /// When it started: milliseconds since the epoch.
    pub(crate) fn start_millis(&self) -> Option<u64> {
        positive(self.start_time)
    }

    /// When it ended: milliseconds since the epoch. The API says 0 while it runs.
    pub(crate) fn end_millis(&self) -> Option<u64> {
        positive(self.end_time)
    }

    /// Whether it will not go on by itself.
    pub(crate) fn has_ended(&self) -> bool {
        let life_cycle = self.state.as_ref().and_then(|state| state.life_cycle_state.as_deref());
        let state = self.status.as_ref().and_then(|status| status.state.as_deref());
        self.end_millis().is_some()
            || state == Some("TERMINATED")
            || matches!(life_cycle, Some("TERMINATED" | "SKIPPED" | "INTERNAL_ERROR"))
    }

    /// How long it took, in seconds. Runs that never began have no duration.
    pub(crate) fn duration_seconds(&self) -> Option<f64> {
        let between = || Some(self.end_millis()?.saturating_sub(self.start_millis()?)).filter(|millis| *millis > 0);
        // Precise to the millisecond up to 285,000 years.
        #[allow(clippy::cast_precision_loss)]
        positive(self.run_duration).or_else(between).map(|millis| millis as f64 / 1_000.0)
    }

    /// How it ended. `result_state` is missing for runs that were skipped or broke before they could have a result.
    pub(crate) fn result_state(&self) -> &str {
        let state = self.state.as_ref();
        let result = state.and_then(|state| state.result_state.as_deref());
        let life_cycle = state.and_then(|state| state.life_cycle_state.as_deref()).filter(|word| *word != "TERMINATED");
        let details = self.status.as_ref().and_then(|status| status.termination_details.as_ref());
        let code = details.and_then(|details| details.code.as_deref());
        result.or(life_cycle).or(code).unwrap_or(UNKNOWN)
    }

    /// Where it is.
    pub(crate) fn run_state(&self) -> &str {
        let state = self.status.as_ref().and_then(|status| status.state.as_deref());
        let life_cycle = self.state.as_ref().and_then(|state| state.life_cycle_state.as_deref());
        state.or(life_cycle).unwrap_or(UNKNOWN)
    }

    /// The job it belongs to. Runs that were submitted (`SUBMIT_RUN`) or started by a notebook (`WORKFLOW_RUN`) carry
    /// a job id and often a name made for that run alone: as attributes they would grow without bound.
    pub(crate) fn job(&self) -> JobKey {
        if matches!(self.run_type.as_deref(), Some("SUBMIT_RUN" | "WORKFLOW_RUN")) {
            return JobKey::default();
        }
        JobKey { id: self.job_id.map(|id| id.to_string()), name: self.run_name.clone().filter(|name| !name.is_empty()) }
    }
}

fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

/// What runs of one job have in common; empty for runs that belong to no job.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, Deserialize)]
pub(crate) struct JobKey {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
}

/// The API of one workspace.
pub(crate) struct Workspace<'a> {
    pub(crate) http: Http<'a>,
    /// Scheme, host and port.
    pub(crate) origin: &'a str,
    /// From the latest answer that said it.
    pub(crate) id: Option<String>,
}

impl Workspace<'_> {
    /// Fetches several pages at once, in the order of the paths.
    pub(crate) fn get_all(&self, paths: &[String]) -> Vec<Result<Page, FetchError>> {
        let urls: Vec<String> = paths.iter().map(|path| format!("{}{path}", self.origin)).collect();
        self.http.get_all(&urls)
    }

    /// Reads a list to its end, from a first page that is already there. What was visited before an error stays valid.
    pub(crate) fn read<L: Listing>(
        &mut self,
        path: &str,
        first: Result<Page, FetchError>,
        mut visit: impl FnMut(L),
    ) -> Result<(), ListError> {
        let mut page = first?;
        let mut last_token = String::new();
        for _ in 0..MAX_PAGES {
            self.learn_id(&page);
            let listing: L = page.json()?;
            let Some(token) = listing.next_page_token().map(str::to_owned) else {
                visit(listing);
                return Ok(());
            };
            visit(listing);
            if token == last_token {
                break;
            }
            let encoded = utf8_percent_encode(&token, NON_ALPHANUMERIC);
            page = self.http.get(&format!("{}{path}&page_token={encoded}", self.origin))?;
            last_token = token;
        }
        Err(ListError::Endless(path.split('?').next().unwrap_or(path).to_owned()))
    }

    pub(crate) fn learn_id(&mut self, page: &Page) {
        if let Some(id) = page.response().header("x-databricks-org-id").filter(|id| !id.is_empty()) {
            self.id = Some(id.to_owned());
        }
    }
}

/// Why a list could not be read to its end.
#[derive(Debug)]
pub(crate) enum ListError {
    /// A page could not be had.
    Fetch(FetchError),
    /// The pages do not end.
    Endless(String),
}

impl ListError {
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.is_unauthorized())
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Endless(path) => {
                write!(f, "{path}: the list does not end: the same page token again, or too many pages")
            }
        }
    }
}

impl From<FetchError> for ListError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<ListError> for CollectError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Fetch(error) => error.into(),
            ListError::Endless(_) => Self::InvalidData(error.to_string()),
        }
    }
}

/// Whether the API says that there is no such run. It answers 400 rather than 404.
pub(crate) const fn is_gone(error: &FetchError) -> bool {
    matches!(error.problem(), Problem::Status { status: 400 | 404, .. })
}
