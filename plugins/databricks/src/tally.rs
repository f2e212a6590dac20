//! `databricks.scraper.errors`: what could not be read since the start time, kept in state.

use std::collections::BTreeMap;

use kiln_plugin::state::StateError;
use kiln_plugin::{CollectError, Host, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::errors::Errors;
use crate::memory::load;
use crate::telemetry;

const STATE: &str = "errors";

/// Counts by part and class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    start: UnixNanos,
    counts: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Tally {
    /// Adds what was counted to what is remembered. What there is no room for waits.
    pub(crate) fn settle(host: &Host, errors: &mut Errors, now: UnixNanos) -> Result<Self, CollectError> {
        let known = load(host, STATE)?.unwrap_or_else(|| Self { start: now, counts: BTreeMap::new() });
        let counts = errors.take_counts();
        let mut tally = known.clone();
        for ((part, kind), new) in &counts {
            let count = tally.counts.entry((*part).to_owned()).or_default().entry(kind.clone()).or_default();
            *count = count.saturating_add(*new);
        }
        match host.state().set(STATE, &tally) {
            Err(StateError::Full { .. }) => {
                errors.put_back(counts);
                Ok(known)
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(tally),
        }
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for (collector, counts) in &self.counts {
            for (error_type, count) in counts {
                let attributes = telemetry::DatabricksScraperErrors { collector, error_type };
                metrics.databricks_scraper_errors(self.start, &attributes, *count);
            }
        }
    }
}
