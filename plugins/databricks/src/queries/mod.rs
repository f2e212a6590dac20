//! SQL queries: how many run, and each one that ends exactly once — as counts, durations and bytes.
//!
//! `GET /api/2.0/sql/history/queries` (databricks-sdk, `QueryHistoryAPI.list`). In every reading: the fresh list, then by
//! id what had not ended and is no longer in it, then as much of the backlog as the budget allows. [`ledger`] says why
//! nothing is missed and nothing counted twice, and what bounds what is remembered.
//!
//! The counts are reported in every collection, also in those that read nothing; how many run is reported only while it
//! is known, which it is not after a list that failed or broke off.

mod ledger;
mod query;
mod series;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::{CollectError, Host};
use serde::{Deserialize, Serialize};

use crate::api::{Api, ApiError, Cursor, Listing, encode, lenient};
use crate::config;
use crate::errors::Errors;
use crate::memory::{keep, load};
use crate::part::Part;
use crate::telemetry;
use crate::watch::Due;

use ledger::{Ledger, Stretch};
use query::Query;
use series::Book;

pub(crate) const PART: Part =
    Part { name: "queries", permission: "Can monitor on the SQL warehouses, or to be a workspace admin" };

/// The key of the state. Another meaning of what is stored under it needs another key.
const STATE: &str = "queries";

const LIST: &str = "/api/2.0/sql/history/queries";
/// The limit is 999, the default 100; every query carries its whole text, and with metrics the API asks for small pages.
const PER_PAGE: u32 = 200;
/// Queries asked for by id in one reading, and in one request: each adds 60 characters to its address.
const LOOKUPS: usize = 100;
const PER_LOOKUP: usize = 50;
/// Series of queries that have not ended; further ones are reported together.
const MAX_RUNNING: usize = 1_000;
/// Stands for the statuses of what exceeds the bound.
const OTHER: &str = "other";

/// A page of queries, the latest start first.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    res: lenient::Items<Query>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_token: Option<String>,
    #[serde(default)]
    has_next_page: Said,
}

/// Whether something was said not to be so.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Said {
    Whether(bool),
    #[default]
    Nothing,
    Nonsense(serde::de::IgnoredAny),
}

impl Listing for Page {
    fn next_page_token(&self) -> Option<&str> {
        let is_last = matches!(self.has_next_page, Said::Whether(false));
        self.next_page_token.as_deref().filter(|token| !token.is_empty() && !is_last)
    }

    fn odd(&self) -> usize {
        self.res.odd
    }
}

/// How many queries of a warehouse have a status they do not end with.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    #[serde(rename = "w")]
    warehouse: Option<String>,
    #[serde(rename = "s")]
    status: String,
    #[serde(rename = "n")]
    count: i64,
}

/// What is remembered from one collection to the next.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    ledger: Ledger,
    book: Book,
    /// As last reported: series go to zero before they end.
    running: Vec<Running>,
    /// Whether that is how it is.
    is_running_known: bool,
}

/// The collector.
#[derive(Debug)]
pub(crate) struct Queries {
    is_enabled: bool,
    due: Due,
}

/// What is known of the queries after a collection.
pub(crate) struct Reading(Memory);

impl Queries {
    pub(crate) const fn new(config: &config::Read) -> Self {
        Self { is_enabled: config.enabled, due: Due::new(PART, config.enabled, config.interval) }
    }

    /// Reads what has ended, if it is due.
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
            return Ok(stored.map(Reading));
        }
        let is_new = stored.is_none();
        let memory = stored.unwrap_or_else(|| Memory::begin(api.now()));
        let mut collection = Collection { api, errors, memory, shown: BTreeSet::new() };
        let result = collection.read_fresh(is_new);
        let listed = self.due.note(now, result, collection.errors);
        if listed.is_none() && is_new {
            // Counting begins with the first answer.
            return Ok(None);
        }
        let mut is_known = false;
        if let Some(is_complete) = listed {
            is_known = collection.look_up() && is_complete;
            collection.read_backlog();
        }
        if let Some(odd) = collection.api.take_odd() {
            collection.errors.note(PART, odd);
        }
        let mut memory = collection.memory;
        memory.ledger.settle(api.now());
        memory.note_running(is_known);
        Ok(keep(host, STATE, &memory, PART, errors)?.then_some(Reading(memory)))
    }
}

impl Reading {
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let Self(memory) = self;
        memory.book.add_to(metrics);
        for Running { warehouse, status, count } in memory.running.iter().filter(|_| memory.is_running_known) {
            let attributes = telemetry::DatabricksQueriesRunning {
                databricks_warehouse_id: warehouse.as_deref(),
                query_status: status,
            };
            metrics.databricks_queries_running(&attributes, *count);
        }
    }
}

impl Memory {
    fn begin(now: u64) -> Self {
        let ledger = Ledger::begin(now);
        let book = Book::new(ledger.began());
        Self { ledger, book, running: Vec::new(), is_running_known: false }
    }

    /// Counts what has not ended, if it `is_known`: a part of it would be less than it is.
    fn note_running(&mut self, is_known: bool) {
        self.is_running_known = is_known && !self.ledger.has_backlog();
        if !self.is_running_known {
            return;
        }
        let mut counts: BTreeMap<(Option<&str>, &str), i64> = BTreeMap::new();
        for key in self.ledger.running() {
            let has_room = counts.len() < MAX_RUNNING || counts.contains_key(&key);
            let count = counts.entry(if has_room { key } else { (None, OTHER) }).or_default();
            *count = count.saturating_add(1);
        }
        for Running { warehouse, status, .. } in self.running.iter().filter(|running| running.count > 0) {
            counts.entry((warehouse.as_deref(), status)).or_default();
        }
        let running = counts.into_iter().map(|((warehouse, status), count)| Running {
            warehouse: warehouse.map(str::to_owned),
            status: status.to_owned(),
            count,
        });
        self.running = running.collect();
    }
}

/// One collection under way.
struct Collection<'c, 'a> {
    api: &'c mut Api<'a>,
    errors: &'c mut Errors,
    memory: Memory,
    /// The queries that were shown.
    shown: BTreeSet<String>,
}

impl Collection<'_, '_> {
    /// Whether requests may still be begun, but for some that are kept for what comes later.
    fn may_go_on(&self, kept: usize) -> bool {
        self.api.spare() > kept && self.memory.ledger.has_room()
    }

    /// Lists what started since a little before the latest start known, and says whether to the end. An error after the
    /// first page is as good as the end of the budget.
    fn read_fresh(&mut self, is_new: bool) -> Result<bool, ApiError> {
        let fresh = self.memory.ledger.fresh(self.api.now());
        let mut cursor = Cursor::new(started(fresh));
        let mut page = self.turn(&mut cursor)?;
        if is_new {
            // Only the answer tells what time it is there. A list that began later than that has to be asked for again.
            let now = self.api.now();
            self.memory = Memory::begin(now);
            if self.memory.ledger.fresh(now).from < fresh.from {
                return Ok(false);
            }
        }
        // Or else what is listed again and again for the sake of what appears late would keep the rest waiting for ever.
        let kept = if self.memory.ledger.has_backlog() { self.api.spare() / 2 } else { 0 };
        let (mut latest, mut reached) = (0, None);
        let is_complete = loop {
            let starts = self.enter_all(page, Some(fresh));
            latest = starts.iter().copied().fold(latest, u64::max);
            reached = starts.last().copied().or(reached);
            if cursor.next().is_none() {
                break true;
            }
            if !self.may_go_on(kept) {
                break false;
            }
            page = match self.turn(&mut cursor) {
                Ok(page) => page,
                Err(error) => {
                    self.errors.note(PART, error);
                    break false;
                }
            };
        };
        if is_complete || reached.is_some() {
            self.memory.ledger.move_on(self.api.now(), latest, reached.filter(|_| !is_complete));
        }
        Ok(is_complete)
    }

    /// Asks for what had not ended and is in no list. Says whether that was possible.
    fn look_up(&mut self) -> bool {
        let requests = LOOKUPS.div_ceil(PER_LOOKUP).min(self.api.spare().max(1));
        let ids = self.memory.ledger.missing(&self.shown, requests.saturating_mul(PER_LOOKUP));
        for ids in ids.chunks(PER_LOOKUP) {
            let now = self.api.now();
            self.memory.ledger.asked(now, ids);
            let filters: String = ids.iter().map(|id| format!("&filter_by.statement_ids={}", encode(id))).collect();
            let mut pages = Vec::new();
            let path = format!("{LIST}?include_metrics=true&max_results={PER_PAGE}{filters}");
            let listed = self.api.list(&path, |page: Page| pages.push(page));
            for page in pages {
                self.enter_all(page, None);
            }
            match listed {
                Ok(()) => {
                    let unknown = ids.iter().filter(|id| !self.shown.contains(*id));
                    unknown.for_each(|id| self.memory.ledger.give_up(id));
                }
                Err(error) => {
                    self.errors.note(PART, error);
                    return false;
                }
            }
        }
        true
    }

    /// Lists what earlier lists did not get to, the latest first.
    fn read_backlog(&mut self) {
        while self.may_go_on(0) {
            let Some(stretch) = self.memory.ledger.next_stretch(self.api.now()) else { return };
            let mut cursor = Cursor::new(started(stretch));
            let mut reached = None;
            while cursor.next().is_some() && self.may_go_on(0) {
                match self.turn(&mut cursor) {
                    Ok(page) => reached = self.enter_all(page, Some(stretch)).last().copied().or(reached),
                    Err(error) => {
                        self.errors.note(PART, error);
                        if reached.is_some() {
                            self.memory.ledger.listed(stretch, reached);
                        }
                        return;
                    }
                }
            }
            let is_listed = cursor.next().is_none();
            if is_listed || reached.is_some() {
                self.memory.ledger.listed(stretch, reached.filter(|_| !is_listed));
            }
        }
    }

    fn turn(&mut self, cursor: &mut Cursor) -> Result<Page, ApiError> {
        let path = cursor.next().unwrap_or(LIST).to_owned();
        let page = self.api.get(&path)?;
        cursor.turn(self.api, &page)
    }

    /// Enters the queries of a page. Gives the starts that belong to the list, in its order.
    fn enter_all(&mut self, page: Page, stretch: Option<Stretch>) -> Vec<u64> {
        let now = self.api.now();
        let (mut starts, mut nameless) = (Vec::new(), 0_usize);
        for query in page.res.items {
            let belongs = |start: &u64| stretch.is_some_and(|stretch| stretch.holds(*start));
            starts.extend(query.start().filter(belongs));
            let Some(id) = query.id() else {
                nameless = nameless.saturating_add(1);
                continue;
            };
            if self.memory.ledger.enter(now, &query, id, stretch) {
                self.memory.book.count(&query);
            }
            self.shown.insert(id.to_owned());
        }
        self.api.pass_over(LIST, nameless);
        starts
    }
}

/// The path of a list of what started in a stretch.
fn started(stretch: Stretch) -> String {
    const RANGE: &str = "&filter_by.query_start_time_range";
    let Stretch { from, to } = stretch;
    let to = Some(to).filter(|to| *to < u64::MAX).map(|to| format!("{RANGE}.end_time_ms={to}")).unwrap_or_default();
    format!("{LIST}?include_metrics=true&max_results={PER_PAGE}{RANGE}.start_time_ms={from}{to}")
}
