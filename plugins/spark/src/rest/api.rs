//! Requests to the REST API of one application, within a budget and within time.
//!
//! Invariants: no more requests than the operator allows, and nothing new is begun once [`PATIENCE`] is over. What Spark
//! does not know is no error: it forgets what is old.

use kiln_plugin::http::{FetchError, HttpError, Page, Problem, Request};
use kiln_plugin::lenient::Items;
use kiln_plugin::{Host, PartialFailure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// For how long a collection begins new requests, in nanoseconds. The host ends one after `timeout`, 30 s by default, and
/// what it had read would be read again.
const PATIENCE: u64 = 15_000_000_000;

/// Requests handed to the host at the same time.
pub(crate) const AT_ONCE: usize = 16;

/// Why an answer is no use.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) failure: PartialFailure,
    /// Whether it was an answer, and a wrong one: asking again may never help.
    pub(crate) is_nonsense: bool,
}

/// The REST API of one application.
pub(crate) struct Api<'a> {
    host: &'a Host,
    base: String,
    left: usize,
    until: u64,
}

impl<'a> Api<'a> {
    /// `base` is the URL of the application, which ends with `/api/v1/applications/ID`.
    pub(crate) fn new(host: &'a Host, base: String, requests: usize) -> Self {
        Self { host, base, left: requests, until: host.monotonic().saturating_add(PATIENCE) }
    }

    /// Whether there is budget and time for another request.
    pub(crate) fn may_send(&self) -> bool {
        self.left > 0 && self.has_time()
    }

    fn has_time(&self) -> bool {
        self.host.monotonic() < self.until
    }

    /// Whether budget or time is used up.
    pub(crate) fn is_spent(&self) -> bool {
        !self.may_send()
    }

    /// What is at a path of the application, for example `/jobs/3`. Without an answer if Spark does not know it.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>, Unread> {
        if !self.has_time() {
            let failure = PartialFailure::new(shown(path), "not asked for: what was asked before took too long");
            return Err(Unread { failure, is_nonsense: false });
        }
        let page = self.host.http().fetch(&self.request(path));
        read(page)
    }

    /// A list that is there as long as the application is.
    pub(crate) fn list<T: for<'de> Deserialize<'de>>(&mut self, path: &str) -> Result<Vec<T>, Unread> {
        match self.get::<Items<T>>(path)? {
            Some(list) => Ok(list.items),
            None => Err(Unread {
                failure: PartialFailure::new(shown(path), "Spark does not know the application, or not any more"),
                is_nonsense: false,
            }),
        }
    }

    /// What is at as many of the paths as there is budget for, in their order, all asked for at once.
    pub(crate) fn get_all<T: DeserializeOwned>(&mut self, paths: &[String]) -> Vec<Result<Option<T>, Unread>> {
        let paths = paths.get(..paths.len().min(self.left)).unwrap_or_default();
        let urls: Vec<String> = paths.iter().map(|path| self.request(path).url).collect();
        self.host.http().get_all(&urls).into_iter().map(read).collect()
    }

    fn request(&mut self, path: &str) -> Request {
        self.left = self.left.saturating_sub(1);
        Request::get(format!("{}{path}", self.base))
    }
}

fn read<T: DeserializeOwned>(page: Result<Page, FetchError>) -> Result<Option<T>, Unread> {
    match page.and_then(|page| page.json()) {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.problem() {
            // A workspace that does not know the cluster any more says it in the terms of its own API.
            Problem::Status { status: 404, body } if !body.contains("\"error_code\"") => Ok(None),
            problem => Err(Unread {
                is_nonsense: matches!(
                    problem,
                    Problem::Json(_)
                        | Problem::ContentType { .. }
                        | Problem::NotUtf8
                        | Problem::Http(HttpError::TooLarge(_))
                ),
                failure: PartialFailure::new(error.path(), error.reason()),
            }),
        },
    }
}

/// A path without its query.
fn shown(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
