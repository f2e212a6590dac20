//! The REST API of one workspace: requests within a budget, lists read to their end, and what every answer says besides
//! its content — the id of the workspace and what time it is there.
//!
//! Paths, fields and limits are those of databricks-sdk 0.156.0. Invariants: a list that does not end is an error and
//! not a loop; once [`PATIENCE`] is over nothing new is begun; times that are compared with times of the API are the
//! server's, not Kiln's.

mod error;

use std::collections::BTreeSet;

use kiln_plugin::Host;
use kiln_plugin::http::{Page, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use error::ApiError;
pub(crate) use kiln_plugin::lenient;

/// No list is this long: a workspace has 12,000 jobs at most, 100 to a page.
const MAX_PAGES: usize = 500;

/// For how long a collection begins new requests, in nanoseconds. The host ends one after `timeout`, 30 s by default,
/// and what it had read would be read again.
const PATIENCE: u64 = 18_000_000_000;

/// Requests sent at the same time; the host has a limit of its own, `limits.concurrency`.
pub(crate) const AT_ONCE: usize = 4;

/// What is known of the workspace from its answers.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// From the `X-Databricks-Org-Id` header (databricks-sdk, `WorkspaceClient.get_workspace_id`).
    pub(crate) id: Option<String>,
    /// By how many milliseconds its clock is ahead of the host's.
    ahead: i64,
}

/// A page of a list.
pub(crate) trait Listing: DeserializeOwned {
    /// Leads to the next page.
    fn next_page_token(&self) -> Option<&str>;

    /// Items that could not be read.
    fn odd(&self) -> usize;
}

/// A page of a list whose items stand under one key, and the token of the next.
macro_rules! listing {
    ($(#[$doc:meta])* $name:ident { $items:ident: $item:ty }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize)]
        pub(crate) struct $name {
            #[serde(default)]
            pub(crate) $items: $crate::api::lenient::Items<$item>,
            #[serde(default, deserialize_with = "crate::api::lenient::text")]
            next_page_token: Option<String>,
        }

        impl $crate::api::Listing for $name {
            fn next_page_token(&self) -> Option<&str> {
                self.next_page_token.as_deref().filter(|token| !token.is_empty())
            }

            fn odd(&self) -> usize {
                self.$items.odd
            }
        }
    };
}
pub(crate) use listing;

/// The API of one workspace, for the length of one collection.
pub(crate) struct Api<'a> {
    host: &'a Host,
    origin: &'a str,
    workspace: &'a mut Workspace,
    began: u64,
    budget: usize,
    /// Requests sent.
    pub(crate) sent: usize,
    /// Requests that were answered as they should be.
    pub(crate) answered: usize,
    odd: Option<ApiError>,
}

impl<'a> Api<'a> {
    pub(crate) fn new(host: &'a Host, origin: &'a str, workspace: &'a mut Workspace, budget: u32) -> Self {
        let began = host.monotonic();
        let budget = usize::try_from(budget).unwrap_or(usize::MAX);
        Self { host, origin, workspace, began, budget, sent: 0, answered: 0, odd: None }
    }

    /// What time it is in the workspace: milliseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.host.now().as_millis().saturating_add_signed(self.workspace.ahead)
    }

    /// The id of the workspace, once an answer has said it.
    pub(crate) fn workspace_id(&self) -> Option<&str> {
        self.workspace.id.as_deref()
    }

    /// The host's monotonic clock.
    pub(crate) fn monotonic(&self) -> u64 {
        self.host.monotonic()
    }

    /// Requests that work which can wait may still spend in this collection.
    pub(crate) fn spare(&self) -> usize {
        if self.is_out_of_time() { 0 } else { self.budget.saturating_sub(self.sent) }
    }

    /// Sees to it that work that can wait may spend so many requests, whatever was spent before. What has to be complete
    /// may take the whole budget, in every collection, and then what waits would wait for ever.
    pub(crate) fn leave(&mut self, requests: usize) {
        self.budget = self.budget.max(self.sent.saturating_add(requests));
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.host.monotonic().saturating_sub(self.began) > PATIENCE
    }

    /// Fetches a page with GET.
    pub(crate) fn get(&mut self, path: &str) -> Result<Page, ApiError> {
        self.sent = self.sent.saturating_add(1);
        let result = self.host.http().get(&self.url(path));
        Ok(self.noted(result)?)
    }

    /// Fetches JSON with GET.
    pub(crate) fn get_json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ApiError> {
        Ok(self.get(path)?.json()?)
    }

    /// Fetches pages at the same time, in the order of the paths.
    pub(crate) fn get_all(&mut self, paths: &[String]) -> Vec<Result<Page, ApiError>> {
        if paths.is_empty() {
            return Vec::new();
        }
        self.sent = self.sent.saturating_add(paths.len());
        let urls: Vec<String> = paths.iter().map(|path| self.url(path)).collect();
        let results = self.host.http().get_all(&urls);
        results.into_iter().map(|result| Ok(self.noted(result)?)).collect()
    }

    /// Sends JSON with POST and reads JSON.
    pub(crate) fn post_json<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.sent = self.sent.saturating_add(1);
        let request = Request::post_json(self.url(path), body)
            .map_err(|error| ApiError::Failed { path: path.to_owned(), reason: error.to_string() })?;
        let result = self.host.http().fetch(&request);
        Ok(self.noted(result)?.json()?)
    }

    /// Reads a list to its end; `path` has its parameters. What was visited before an error stays valid.
    pub(crate) fn list<L: Listing>(&mut self, path: &str, mut visit: impl FnMut(L)) -> Result<(), ApiError> {
        let mut cursor = Cursor::new(path.to_owned());
        while let Some(next) = cursor.next() {
            let page = self.get(next)?;
            visit(cursor.turn(self, &page)?);
            if cursor.next().is_some() && self.is_out_of_time() {
                return Err(ApiError::OutOfTime(endpoint(path)));
            }
        }
        Ok(())
    }

    /// Notes that items of an answer could not be read, while the rest could.
    pub(crate) fn pass_over(&mut self, path: &str, items: usize) {
        if items == 0 {
            return;
        }
        let path = endpoint(path);
        match &mut self.odd {
            Some(ApiError::Odd { path: known, items: total }) if *known == path => *total = total.saturating_add(items),
            _ => self.odd = Some(ApiError::Odd { path, items }),
        }
    }

    /// What was passed over since this was last asked.
    pub(crate) fn take_odd(&mut self) -> Option<ApiError> {
        self.odd.take()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn noted<E>(&mut self, result: Result<Page, E>) -> Result<Page, E> {
        let page = result?;
        self.answered = self.answered.saturating_add(1);
        if let Some(id) = page.response().header("x-databricks-org-id").filter(|id| !id.is_empty()) {
            self.workspace.id = Some(id.to_owned());
        }
        if let Some(there) = page.response().header("date").and_then(parse_date) {
            let ahead = |there: u64| i64::try_from(there).ok()?.checked_sub_unsigned(self.host.now().as_millis());
            self.workspace.ahead = ahead(there).map_or(0, believable);
        }
        Ok(page)
    }
}

/// Where the reading of a list has come to.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: String,
    next: Option<String>,
    tokens: BTreeSet<String>,
}

impl Cursor {
    /// The beginning of a list; `path` has its parameters.
    pub(crate) fn new(path: String) -> Self {
        Self { next: Some(path.clone()), path, tokens: BTreeSet::new() }
    }

    /// The path of the next page; nothing at the end.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Reads the page that was fetched from [`Self::next`], and moves on to the one after it.
    pub(crate) fn turn<L: Listing>(&mut self, api: &mut Api<'_>, page: &Page) -> Result<L, ApiError> {
        let listing: L = page.json()?;
        api.pass_over(&self.path, listing.odd());
        self.next = None;
        if let Some(token) = listing.next_page_token() {
            let separator = if self.path.contains('?') { '&' } else { '?' };
            if self.tokens.len() >= MAX_PAGES || !self.tokens.insert(token.to_owned()) {
                return Err(ApiError::Endless(endpoint(&self.path)));
            }
            self.next = Some(format!("{}{separator}page_token={}", self.path, encode(token)));
        }
        Ok(listing)
    }
}

/// The path without its parameters.
fn endpoint(path: &str) -> String {
    path.split('?').next().unwrap_or(path).to_owned()
}

/// A date header has whole seconds and travels for a while: only a difference that is larger than that is one.
fn believable(ahead: i64) -> i64 {
    if ahead.abs() < 2_000 { 0 } else { ahead }
}

/// The time of a `Date` header (RFC 9110 §5.6.7), in milliseconds since the epoch.
fn parse_date(text: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// A text as it may stand in a query or in a segment of a path.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Milliseconds of the API that are a time or a duration: present and not negative.
pub(crate) fn non_negative(millis: Option<i64>) -> Option<u64> {
    millis.and_then(|millis| u64::try_from(millis).ok())
}

/// Milliseconds of the API that are a point in time: 0 says that there is none.
pub(crate) fn positive(millis: Option<i64>) -> Option<u64> {
    non_negative(millis).filter(|millis| *millis > 0)
}

/// Seconds, precise to the millisecond up to 285,000 years.
#[allow(clippy::cast_precision_loss)]
pub(crate) const fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// How many, as metrics have it.
pub(crate) fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
