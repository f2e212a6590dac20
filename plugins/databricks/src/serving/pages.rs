//! When the metrics of which serving endpoint are read.
//!
//! `GET /api/2.0/serving-endpoints/{name}/metrics` (databricks-sdk, `ServingEndpointsAPI.export_metrics`), a request for
//! each endpoint: within what can be spared those that were read longest ago come first, so that with many endpoints it
//! goes round. What was read last is repeated until it is read again; what could not be read is not.
//!
//! The page does not say since when an endpoint counts. Its counters start when it was first seen, which is in state,
//! and again when one of them falls. Bounded by [`MAX_ENDPOINTS`], and each page by its own bound.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::{CollectError, Host, PartialFailure, UnixNanos};

use super::page::Page;
use super::{PART, PATH};
use crate::api::{AT_ONCE, Api, ApiError};
use crate::errors::Errors;
use crate::memory::{keep, load};
use crate::telemetry;

/// Endpoints whose metrics are read.
const MAX_ENDPOINTS: usize = 1_000;
/// A name is this long at most (databricks-sdk, `serving.EndpointCoreConfigInput` documents 63).
const MAX_NAME_BYTES: usize = 255;
/// For how long an endpoint is left alone that the identity may not query, or that has no metrics.
const HOUR: Duration = Duration::from_secs(60 * 60);

const STATE: &str = "serving";

/// Since when each endpoint counts.
type Starts = BTreeMap<String, UnixNanos>;

/// The pages of all endpoints.
#[derive(Debug)]
pub(super) struct Pages {
    interval: Duration,
    known: BTreeMap<String, Known>,
    starts: Starts,
}

/// An endpoint.
#[derive(Debug, Default)]
struct Known {
    /// When it is to be read next, on the host's monotonic clock.
    at: u64,
    page: Option<Page>,
    is_forbidden: bool,
}

impl Pages {
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, known: BTreeMap::new(), starts: Starts::new() }
    }

    /// Reads what is due and can be spared a request.
    pub(super) fn read<'e>(
        &mut self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
        endpoints: impl Iterator<Item = &'e str>,
    ) -> Result<(), CollectError> {
        let names: BTreeSet<&str> = endpoints.filter(|name| is_plain(name)).take(MAX_ENDPOINTS).collect();
        self.known.retain(|name, _| names.contains(name.as_str()));
        for name in &names {
            self.known.entry((*name).to_owned()).or_default();
        }
        let stored: Starts = load(host, STATE)?.unwrap_or_default();
        // What a collection noted that failed in the end is not in state, and still true.
        for (name, start) in &stored {
            let known = self.starts.entry(name.clone()).or_insert(*start);
            *known = (*known).max(*start);
        }
        let mut trouble = None;
        for batch in self.due(api).chunks(AT_ONCE) {
            if trouble.is_some() || api.spare() < batch.len() {
                break;
            }
            let paths: Vec<String> = batch.iter().map(|name| format!("{PATH}/{name}/metrics")).collect();
            for (name, answer) in batch.iter().zip(api.get_all(&paths)) {
                if let Err(error) = self.note(api, errors, name, answer.and_then(|answer| text(&answer))) {
                    trouble = Some(error);
                }
            }
        }
        if let Some(error) = trouble {
            errors.note(PART, error);
        }
        if let Some(odd) = api.take_odd() {
            errors.note(PART, odd);
        }
        // Endpoints that are gone for now may come back, but not for ever.
        if self.starts.len() > MAX_ENDPOINTS {
            let known = &self.known;
            self.starts.retain(|name, _| known.contains_key(name));
        }
        if self.starts != stored {
            keep(host, STATE, &self.starts, PART, errors)?;
        }
        Ok(())
    }

    /// The endpoints that are due, the one that has waited longest first.
    fn due(&self, api: &Api<'_>) -> Vec<String> {
        let now = api.monotonic().saturating_add(2_000_000_000);
        let mut due: Vec<_> = self.known.iter().filter(|(_, known)| known.at <= now).collect();
        due.sort_by_key(|(_, known)| known.at);
        due.into_iter().take(api.spare()).map(|(name, _)| name.clone()).collect()
    }

    /// Notes what an endpoint answered. Gives the error that is to stop the reading of more.
    fn note(
        &mut self,
        api: &mut Api<'_>,
        errors: &mut Errors,
        name: &str,
        answer: Result<String, ApiError>,
    ) -> Result<(), ApiError> {
        let Some(known) = self.known.get_mut(name) else { return Ok(()) };
        let (now, earlier) = (api.monotonic(), known.page.take());
        let after = |wait: Duration| now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        match answer {
            Ok(text) => {
                let page = Page::read(&text);
                api.pass_over(&format!("{PATH}/{name}/metrics"), page.odd);
                let now = UnixNanos::from_millis(api.now());
                let start = self.starts.entry(name.to_owned()).or_insert(now);
                if earlier.is_some_and(|earlier| page.has_restarted_since(&earlier)) {
                    *start = now;
                }
                (known.at, known.page, known.is_forbidden) = (after(self.interval), Some(page), false);
            }
            // Not every kind of endpoint has metrics.
            Err(error) if matches!(error.status(), Some(400 | 404)) => known.at = after(HOUR),
            Err(error) if error.is_forbidden() => {
                errors.count(PART, &error);
                if !known.is_forbidden {
                    let message = format!(
                        "{error}; tried again in an hour: the identity needs Can query on the serving endpoint"
                    );
                    errors.report(PartialFailure::new(PART.name, message));
                }
                (known.at, known.is_forbidden) = (after(HOUR), true);
            }
            Err(error) => {
                known.at = after(self.interval);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for (name, known) in &self.known {
            if let (Some(page), Some(start)) = (&known.page, self.starts.get(name)) {
                page.add_to(name, *start, metrics);
            }
        }
    }
}

/// Whether a name is what the API documents, letters, digits, dashes and underscores: only then is it put into a path.
fn is_plain(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(is_part)
}

/// The text of a page. The server may call it OpenMetrics, and a page in HTML is none.
fn text(page: &kiln_plugin::http::Page) -> Result<String, ApiError> {
    let response = page.response();
    let is_openmetrics =
        response.header("content-type").is_some_and(|found| found.starts_with("application/openmetrics-text"));
    if is_openmetrics {
        return Ok(String::from_utf8_lossy(&response.body).into_owned());
    }
    Ok(page.clone().text()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_documented_name_is_put_into_a_path() {
        for name in ["a", "My-model_2"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", "..", "a/b", "a?b", "a%2Fb", "é"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(!is_plain(&"a".repeat(256)));
    }
}
