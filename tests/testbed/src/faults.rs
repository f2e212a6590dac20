//! Misbehaviour, scripted: which requests shall meet which fault.
//!
//! Invariant: rules are tried in the order they were added and the first that applies wins; a rule with a
//! count disappears when it is used up, so "the next three requests fail" needs no clean-up.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fault for the requests to a path, for a number of times or until it is cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule<F> {
    /// Requests whose path starts with this; absent: every request.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests shall meet the fault; absent: all, until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(flatten)]
    pub fault: F,
}

/// The faults that lie ahead of a server. Clones are handles to the same faults.
#[derive(Debug)]
pub struct Faults<F> {
    rules: Arc<Mutex<Vec<Rule<F>>>>,
}

// Derived, these would ask for `F: Default` and `F: Clone`.
impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self { rules: Arc::default() }
    }
}

impl<F> Clone for Faults<F> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone() }
    }
}

impl<F: Clone> Faults<F> {
    /// The next `times` requests meet this fault, whatever their path.
    pub fn next(&self, times: u32, fault: F) {
        self.add(Rule { path: None, times: Some(times), fault });
    }

    /// Every request to a path that starts with `path` meets this fault, until the faults are cleared.
    pub fn at(&self, path: &str, fault: F) {
        self.add(Rule { path: Some(path.to_owned()), times: None, fault });
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, rule: Rule<F>) {
        if rule.times != Some(0) {
            self.lock().push(rule);
        }
    }

    /// Behaves again.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What lies ahead.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule<F>> {
        self.lock().clone()
    }

    /// The fault that a request to `path` meets, if any; counts it.
    pub(crate) fn take(&self, path: &str) -> Option<F> {
        let mut rules = self.lock();
        let applies = |rule: &Rule<F>| rule.path.as_deref().is_none_or(|prefix| path.starts_with(prefix));
        let index = rules.iter().position(applies)?;
        let rule = rules.get_mut(index)?;
        let fault = rule.fault.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                rules.remove(index);
            }
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule<F>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/-/faults`: the same control over HTTP, for callers that cannot hold the library's handle.
///
/// `POST` adds a rule (`{"path": "/api/2.0/sql", "times": 3, "fault": "rate_limited", "retry_after": 1}`), `GET`
/// shows the rules that lie ahead, `DELETE` clears them.
pub(crate) fn routes<F>(faults: Faults<F>) -> Router
where
    F: Clone + Serialize + DeserializeOwned + Send + 'static,
{
    Router::new().route("/-/faults", get(show::<F>).post(add::<F>).delete(clear::<F>)).with_state(faults)
}

async fn show<F: Clone + Serialize>(State(faults): State<Faults<F>>) -> Response {
    json(&faults.rules())
}

async fn add<F: Clone + Serialize + DeserializeOwned>(State(faults): State<Faults<F>>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(rule) => {
            faults.add(rule);
            json(&faults.rules())
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("the fault rule cannot be read: {error}\n")).into_response(),
    }
}

async fn clear<F: Clone + Serialize>(State(faults): State<Faults<F>>) -> Response {
    faults.clear();
    json(&faults.rules())
}

/// An answer of the `/-/` pages.
pub(crate) fn json(body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: Option<&str>, times: Option<u32>, fault: &str) -> Rule<String> {
        Rule { path: path.map(str::to_owned), times, fault: fault.to_owned() }
    }

    #[test]
    fn a_counted_fault_is_met_exactly_that_often() {
        let faults = Faults::default();
        faults.add(rule(None, Some(2), "limit"));
        assert_eq!(faults.take("/a").as_deref(), Some("limit"));
        assert_eq!(faults.take("/b").as_deref(), Some("limit"));
        assert_eq!(faults.take("/c"), None);
    }

    #[test]
    fn a_fault_of_one_path_leaves_other_paths_alone() {
        let faults = Faults::default();
        faults.add(rule(Some("/denied"), None, "forbidden"));
        assert_eq!(faults.take("/allowed"), None);
        assert_eq!(faults.take("/denied/x").as_deref(), Some("forbidden"));
        assert_eq!(faults.take("/denied").as_deref(), Some("forbidden"));
        faults.clear();
        assert_eq!(faults.take("/denied"), None);
    }

    #[test]
    fn a_fault_that_shall_happen_no_time_never_happens() {
        let faults = Faults::default();
        faults.add(rule(None, Some(0), "never"));
        assert_eq!(faults.take("/"), None);
    }
}
