//! What happens to clusters, as log records: autoscaling, init scripts, the health of the driver, the end and its reason.
//!
//! `POST /api/2.1/clusters/events` (databricks-sdk, `ClustersAPI.events`), a request for each cluster. [`memory`] says
//! whose events are read when, [`told`] why none is told twice or lost; at most
//! [`REQUESTS`] requests go out in one collection, and those only if nothing else needs them. A cluster the identity may
//! not ask about, or that the API does not know, costs its own events only.

mod event;
mod memory;
mod told;

use std::collections::BTreeSet;

use kiln_plugin::telemetry::LogRecord;
use kiln_plugin::{CollectError, Host};
use serde::{Deserialize, Serialize};

use crate::api::{Api, ApiError, lenient, non_negative};
use crate::clusters::Clusters;
use crate::config;
use crate::errors::Errors;
use crate::memory::{keep, load};
use crate::part::Part;

use event::Event;
use memory::{Memory, Next};

pub(crate) const PART: Part =
    Part { name: "cluster_events", permission: "Can attach to on the clusters, or to be a workspace admin" };

/// The key of the state. Another meaning of what is stored under it needs another key.
const STATE: &str = "cluster_events";

const PATH: &str = "/api/2.1/clusters/events";
/// The maximum is 500; a page of them with the attributes of edited clusters can be large.
const PER_PAGE: u32 = 200;
/// Requests of one collection.
const REQUESTS: usize = 8;
/// For how long a cluster is left alone, in milliseconds, that the identity may not ask about, or the API does not know.
const FORBIDDEN_FOR: u64 = 60 * 60 * 1_000;
const UNKNOWN_FOR: u64 = 10 * 60 * 1_000;

/// A page of events.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    events: lenient::Items<Event>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_token: Option<String>,
    /// What older versions of the API say instead: the parameters of the next request.
    #[serde(default, deserialize_with = "lenient::object")]
    next_page: Option<NextPage>,
}

#[derive(Debug, Deserialize)]
struct NextPage {
    #[serde(default, deserialize_with = "lenient::text")]
    page_token: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    offset: Option<i64>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Position {
    First,
    Token(String),
    Offset(u64),
}

#[derive(Serialize)]
struct Ask<'a> {
    cluster_id: &'a str,
    start_time: u64,
    order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

impl Page {
    fn next(&self) -> Option<Position> {
        let token = |token: &Option<String>| token.clone().filter(|token| !token.is_empty()).map(Position::Token);
        let older = || {
            let next = self.next_page.as_ref()?;
            token(&next.page_token).or_else(|| non_negative(next.offset).filter(|at| *at > 0).map(Position::Offset))
        };
        token(&self.next_page_token).or_else(older)
    }
}

impl Position {
    fn ask<'a>(&'a self, next: &'a Next) -> Ask<'a> {
        let (token, offset) = match self {
            Self::First => (None, None),
            Self::Token(token) => (Some(token.as_str()), None),
            Self::Offset(offset) => (None, Some(*offset)),
        };
        let (page_size, limit) = if offset.is_some() { (None, Some(PER_PAGE)) } else { (Some(PER_PAGE), None) };
        Ask { cluster_id: &next.id, start_time: next.from, order: "ASC", page_size, page_token: token, offset, limit }
    }
}

/// The collector.
#[derive(Debug)]
pub(crate) struct ClusterEvents {
    is_enabled: bool,
}

impl ClusterEvents {
    pub(crate) const fn new(config: &config::Clusters) -> Self {
        Self { is_enabled: config.enabled && config.events }
    }

    /// Reads what happened to clusters of which there is something to expect. Without their list nobody knows.
    pub(crate) fn read(
        &self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
        clusters: Option<&Clusters>,
    ) -> Result<Vec<LogRecord>, CollectError> {
        let Some(clusters) = clusters.filter(|_| self.is_enabled) else { return Ok(Vec::new()) };
        let now = api.now();
        let mut memory = load(host, STATE)?.unwrap_or_else(|| Memory::begin(now));
        let queue = memory.watch(now, clusters.all());
        let mut collection = Collection { requests: REQUESTS.min(api.spare()), api, memory, records: Vec::new() };
        for next in &queue {
            if collection.requests == 0 {
                break;
            }
            if let Err(error) = collection.read(next) {
                if !collection.refused(next, &error) {
                    collection.memory.failed(now, &next.id);
                    errors.note(PART, error);
                    // The next one would most likely fail too, and cost as much time.
                    break;
                }
                if !error.is_gone() || !collection.memory.is_gone(&next.id) {
                    errors.note(PART, error);
                }
            }
        }
        if let Some(odd) = collection.api.take_odd() {
            errors.note(PART, odd);
        }
        let is_kept = keep(host, STATE, &collection.memory, PART, errors)?;
        Ok(if is_kept { collection.records } else { Vec::new() })
    }
}

/// One collection under way.
struct Collection<'c, 'a> {
    /// That may still be sent.
    requests: usize,
    api: &'c mut Api<'a>,
    memory: Memory,
    records: Vec<LogRecord>,
}

impl Collection<'_, '_> {
    /// Reads the events of a cluster, the oldest first. What was told before an error stays told.
    fn read(&mut self, next: &Next) -> Result<(), ApiError> {
        let mut position = Position::First;
        let mut visited = BTreeSet::new();
        while self.requests > 0 && self.api.spare() > 0 {
            self.requests = self.requests.saturating_sub(1);
            let page: Page = self.api.post_json(PATH, &position.ask(next))?;
            let following = page.next();
            self.enter(&next.id, page);
            let Some(following) = following else {
                self.memory.read(self.api.now(), next);
                return Ok(());
            };
            if !visited.insert(following.clone()) {
                return Err(ApiError::Endless(PATH.to_owned()));
            }
            position = following;
        }
        self.memory.broke_off(&next.id);
        Ok(())
    }

    fn enter(&mut self, id: &str, page: Page) {
        let now = self.api.now();
        let mut odd = page.events.odd;
        for event in page.events.items {
            if event.time().is_none() || event.kind().is_none() {
                odd = odd.saturating_add(1);
            } else if let Some(name) = self.memory.enter(now, id, &event) {
                self.records.push(event.record(id, name));
            }
        }
        self.api.pass_over(PATH, odd);
    }

    /// Whether an error concerns this cluster alone, which is then left alone for a while.
    fn refused(&mut self, next: &Next, error: &ApiError) -> bool {
        let pause = match error {
            _ if error.is_forbidden() => FORBIDDEN_FOR,
            _ if error.is_gone() => UNKNOWN_FOR,
            ApiError::Endless(_) => UNKNOWN_FOR,
            _ => return false,
        };
        self.memory.refused(self.api.now(), &next.id, pause);
        true
    }
}
