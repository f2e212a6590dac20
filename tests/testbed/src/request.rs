//! What a server remembers of a request, the same for all three servers.
//!
//! Invariant: recording is bounded ([`MAX_RECORDED`]); the oldest requests are forgotten first, so that a
//! server left running for a demonstration does not grow for ever.

use axum::http::{HeaderMap, Method, Uri};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// The most requests remembered by one server; at least half as many are. Far more than any test makes.
pub(crate) const MAX_RECORDED: usize = 40_000;

/// A request as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// When the head of the request had been read.
    #[serde(skip)]
    pub at: Instant,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path without the query, as sent (not percent-decoded).
    pub path: String,
    /// Query parameters in the order sent, percent-decoded.
    pub query: Vec<(String, String)>,
    /// Headers by lower-case name; the values of repeated headers are joined by `, `.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            named
                .entry(name.as_str().to_owned())
                .and_modify(|known| {
                    known.push_str(", ");
                    known.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        Self {
            at: Instant::now(),
            method: method.as_str().to_owned(),
            path: uri.path().to_owned(),
            query: parse_query(uri),
            headers: named,
        }
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(crate) fn parse_query(uri: &Uri) -> Vec<(String, String)> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Appends to a record, forgetting the oldest entries when it is full.
pub(crate) fn remember<T>(record: &mut Vec<T>, entry: T) {
    // Many at once: to forget one is to move all others.
    if record.len() >= MAX_RECORDED {
        record.drain(..MAX_RECORDED / 2);
    }
    record.push(entry);
}
