//! What could not be read: reported with the collection, and counted in `databricks.scraper.errors`.
//!
//! The counts are cumulative and kept in state. A collection that fails as a whole leaves no state behind, so what it
//! counted waits in memory for the next one that succeeds.

use std::collections::BTreeMap;

use kiln_plugin::{CollectError, Host, PartialFailure, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::api::ApiError;
use crate::memory::load;
use crate::telemetry;
use crate::watch::Part;

const STATE: &str = "errors";

/// What went wrong, by part and class.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    new: BTreeMap<(&'static str, String), i64>,
    failures: Vec<PartialFailure>,
    /// The error that says best why nothing could be read, if nothing could.
    first: Option<ApiError>,
}

impl Errors {
    /// Reports and counts an error.
    pub(crate) fn note(&mut self, part: Part, error: ApiError) {
        self.count(part, &error);
        self.report(PartialFailure::new(part.name, error.to_string()));
        // Credentials are to blame only if nothing failed for another reason.
        if self.first.as_ref().is_none_or(|first| first.is_unauthorized() && !error.is_unauthorized()) {
            self.first = Some(error);
        }
    }

    /// Counts an error.
    pub(crate) fn count(&mut self, part: Part, error: &ApiError) {
        let count = self.new.entry((part.name, error.kind().into_owned())).or_default();
        *count = count.saturating_add(1);
    }

    /// Reports an error.
    pub(crate) fn report(&mut self, failure: PartialFailure) {
        self.failures.push(failure);
    }

    /// Why nothing could be read.
    pub(crate) fn take_first(&mut self) -> Option<CollectError> {
        let first = self.first.take()?;
        self.failures.clear();
        Some(first.into())
    }

    /// What is to be reported with the collection.
    pub(crate) fn take_failures(&mut self) -> Vec<PartialFailure> {
        self.first = None;
        core::mem::take(&mut self.failures)
    }

    /// Adds what was counted to what is remembered, and gives the sum.
    pub(crate) fn settle(&mut self, host: &Host, now: UnixNanos) -> Result<Tally, CollectError> {
        let mut tally: Tally = load(host, STATE)?.unwrap_or_else(|| Tally { start: now, counts: BTreeMap::new() });
        for ((part, kind), new) in core::mem::take(&mut self.new) {
            let count = tally.counts.entry(part.to_owned()).or_default().entry(kind).or_default();
            *count = count.saturating_add(new);
        }
        host.state().set(STATE, &tally)?;
        Ok(tally)
    }
}

/// Counts since the start time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    start: UnixNanos,
    counts: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Tally {
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for (collector, counts) in &self.counts {
            for (error_type, count) in counts {
                let attributes = telemetry::DatabricksScraperErrors { collector, error_type };
                metrics.databricks_scraper_errors(self.start, &attributes, *count);
            }
        }
    }
}
