//! Pipelines: how many in which state and health, each update that ends exactly once, and why updates failed.
//!
//! `GET /api/2.0/pipelines` (databricks-sdk, `PipelinesAPI.list_pipelines`) shows the latest updates of each pipeline;
//! where more may have run than that, `/api/2.0/pipelines/{id}/updates` shows the rest. [`updates`] says why nothing is
//! missed and nothing counted twice, and what bounds what is remembered. What is not in the list costs requests that
//! nothing else needs.

mod failures;
mod series;
mod updates;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::telemetry::LogRecord;
use kiln_plugin::{CollectError, Host};
use serde::{Deserialize, Serialize};

use crate::api::{Api, ApiError, Cursor, encode, lenient, listing};
use crate::attributes::clip;
use crate::config;
use crate::errors::Errors;
use crate::ids::is_id;
use crate::memory::{keep, load};
use crate::part::Part;
use crate::telemetry;
use crate::watch::Due;

use failures::{Failed, Failures};
use series::Book;
use updates::{Update, Updates};

pub(crate) const PART: Part =
    Part { name: "pipelines", permission: "Can view on the pipelines, or to be a workspace admin" };

/// The key of the state. Another meaning of what is stored under it needs another key.
const STATE: &str = "pipelines";

const LIST: &str = "/api/2.0/pipelines";
/// 100 is the documented maximum of pipelines, and enough updates.
const PER_PAGE: u32 = 100;
/// Pages of updates of one pipeline. What a gap hides beyond them is given up.
const MAX_PAGES: usize = 20;
/// Bytes of a name at the most, where it is remembered.
const MAX_NAME: usize = 256;
/// Stands for a state nobody knows.
const UNKNOWN: &str = "UNKNOWN";

listing! {
    /// A page of pipelines.
    Page { statuses: Pipeline }
}

listing! {
    /// A page of updates, the newest first.
    UpdatesPage { updates: Update }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pipeline {
    #[serde(default, deserialize_with = "lenient::text")]
    pipeline_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    health: Option<String>,
    #[serde(default)]
    latest_updates: lenient::Items<Update>,
}

/// What is remembered from one collection to the next.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    updates: Updates,
    book: Book,
    failures: Failures,
}

/// How many pipelines there are, by state and health.
type Counts = BTreeMap<(String, Option<String>), i64>;

/// The collector.
#[derive(Debug)]
pub(crate) struct Pipelines {
    is_enabled: bool,
    due: Due,
    /// As last read; nothing if that failed.
    counts: Option<Counts>,
}

/// What a collection came to.
pub(crate) struct Reading {
    memory: Memory,
    pub(crate) logs: Vec<LogRecord>,
}

impl Pipelines {
    pub(crate) const fn new(config: &config::Read) -> Self {
        Self { is_enabled: config.enabled, due: Due::new(PART, config.enabled, config.interval), counts: None }
    }

    /// Reads the pipelines, if that is due.
    pub(crate) fn read(
        &mut self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
    ) -> Result<Option<Reading>, CollectError> {
        if !self.is_enabled {
            return Ok(None);
        }
        let stored = load::<Memory>(host, STATE)?;
        let now = api.monotonic();
        // What was lost with its batch is begun again at once.
        let is_due = self.due.is_due(now) || (stored.is_none() && !self.due.is_forbidden());
        if !is_due {
            return Ok(stored.map(|memory| Reading { memory, logs: Vec::new() }));
        }
        let result = list(api);
        let listed = self.due.note(now, result, errors);
        self.counts = listed.as_deref().map(count);
        let Some(pipelines) = listed else {
            return Ok(stored.map(|memory| Reading { memory, logs: Vec::new() }));
        };
        let is_first = stored.is_none();
        let memory = stored.unwrap_or_else(|| Memory::begin(api.now()));
        let mut collection = Collection { api, memory, trouble: Vec::new() };
        collection.enter(&pipelines, is_first);
        collection.close_gaps(&pipelines);
        let Collection { mut memory, mut trouble, .. } = collection;
        let logs = memory.failures.read(api, &mut trouble);
        trouble.extend(api.take_odd());
        trouble.into_iter().for_each(|error| errors.note(PART, error));
        memory.updates.settle(api.now());
        Ok(keep(host, STATE, &memory, PART, errors)?.then_some(Reading { memory, logs }))
    }

    /// Adds how many there are.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for ((pipeline_state, pipeline_health), count) in self.counts.iter().flatten() {
            let attributes =
                telemetry::DatabricksPipelinesCount { pipeline_state, pipeline_health: pipeline_health.as_deref() };
            metrics.databricks_pipelines_count(&attributes, *count);
        }
    }
}

impl Reading {
    /// Adds the updates that have ended.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        self.memory.book.add_to(metrics);
    }
}

impl Memory {
    fn begin(now: u64) -> Self {
        Self { updates: Updates::begin(now), book: Book::new(now), failures: Failures::default() }
    }
}

/// All pipelines, each once.
fn list(api: &mut Api<'_>) -> Result<Vec<Pipeline>, ApiError> {
    let mut pipelines: Vec<Pipeline> = Vec::new();
    api.list(&format!("{LIST}?max_results={PER_PAGE}"), |page: Page| pipelines.extend(page.statuses.items))?;
    let mut seen = BTreeSet::new();
    pipelines.retain(|pipeline| pipeline.pipeline_id.as_ref().is_none_or(|id| seen.insert(id.clone())));
    let odd = pipelines.iter().map(|pipeline| pipeline.latest_updates.odd).fold(0, usize::saturating_add);
    api.pass_over(LIST, odd);
    Ok(pipelines)
}

fn count(pipelines: &[Pipeline]) -> Counts {
    let mut counts = Counts::new();
    for pipeline in pipelines {
        let state = pipeline.state.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        let count = counts.entry((state, pipeline.health.clone())).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// An id as it stands in a path: as it is, if it is of the kind the API makes.
fn segment(id: &str) -> Cow<'_, str> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_plain { Cow::Borrowed(id) } else { Cow::Owned(encode(id)) }
}

/// One collection under way.
struct Collection<'c, 'a> {
    api: &'c mut Api<'a>,
    memory: Memory,
    /// What could not be read.
    trouble: Vec<ApiError>,
}

impl Collection<'_, '_> {
    /// Enters what the list shows.
    fn enter(&mut self, pipelines: &[Pipeline], is_first: bool) {
        let now = self.api.now();
        for pipeline in pipelines {
            let Some(id) = pipeline.id() else { continue };
            self.memory.book.name(id, pipeline.name.as_deref());
            for update in self.memory.updates.enter(now, id, &pipeline.latest_updates.items, is_first) {
                self.count(now, id, pipeline, &update);
            }
        }
    }

    /// Reads the updates the list does not show, of as many pipelines as the budget allows.
    fn close_gaps(&mut self, pipelines: &[Pipeline]) {
        let mut waiting: Vec<(&Pipeline, &str)> = Vec::new();
        for pipeline in pipelines {
            waiting.extend(pipeline.id().filter(|id| self.memory.updates.gap(id).is_some()).map(|id| (pipeline, id)));
        }
        // One that cannot be read must not always come first.
        let turn = usize::try_from(self.api.now() / 60_000).unwrap_or_default();
        let turn = turn.checked_rem(waiting.len()).unwrap_or_default();
        waiting.rotate_left(turn);
        for (pipeline, id) in waiting {
            if self.api.spare() == 0 {
                return;
            }
            match self.close_gap(pipeline, id) {
                Ok(()) => {}
                Err(error) if error.is_gone() || error.is_forbidden() => {
                    self.memory.updates.close(id, &BTreeSet::new());
                    self.trouble.push(error);
                }
                Err(error) => {
                    self.trouble.push(error);
                    return;
                }
            }
        }
    }

    /// Reads updates back to where nothing is missing. What the budget does not reach is left for the next time.
    fn close_gap(&mut self, pipeline: &Pipeline, id: &str) -> Result<(), ApiError> {
        let Some(since) = self.memory.updates.gap(id) else { return Ok(()) };
        let mut cursor = Cursor::new(format!("{LIST}/{}/updates?max_results={PER_PAGE}", segment(id)));
        let mut found = BTreeSet::new();
        for _ in 0..MAX_PAGES {
            let Some(next) = cursor.next().map(str::to_owned) else { break };
            if self.api.spare() == 0 {
                return Ok(());
            }
            let page = self.api.get(&next)?;
            let page: UpdatesPage = cursor.turn(self.api, &page)?;
            let now = self.api.now();
            for update in &page.updates.items {
                found.extend(update.id().map(str::to_owned));
                if self.memory.updates.fill(id, update) {
                    self.count(now, id, pipeline, update);
                }
            }
            let oldest = page.updates.items.iter().rev().find_map(|update| update.created);
            if oldest.is_some_and(|created| created < since) {
                break;
            }
        }
        self.memory.updates.close(id, &found);
        Ok(())
    }

    fn count(&mut self, now: u64, id: &str, pipeline: &Pipeline, update: &Update) {
        let (Some(end), Some(update)) = (update.end(), update.id()) else { return };
        let Memory { updates, book, failures } = &mut self.memory;
        book.count(now, id, pipeline.name.as_deref(), end, |id| updates.remembers(id));
        if end == "FAILED" {
            let name = pipeline.name.as_deref().map(|name| clip(name, MAX_NAME));
            failures.add(Failed::new(id.to_owned(), name, update.to_owned()));
        }
    }
}

impl Pipeline {
    fn id(&self) -> Option<&str> {
        self.pipeline_id.as_deref().filter(|id| is_id(id))
    }
}
