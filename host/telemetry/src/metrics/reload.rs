//! What became of reloads of the configuration and the plugins.

use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;

use super::declare::{Declarations, Labelled, SecondsGauge};

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// What is configured runs now.
    Applied,
    /// It did already.
    Unchanged,
    /// It does not, and what ran before goes on.
    Refused,
}

#[derive(Debug)]
pub(super) struct Families {
    reloads: Labelled<Counter, 1>,
    last_success: SecondsGauge,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            reloads: declare.counter(
                "kiln_reloads_total",
                "Reloads of configuration and plugins, by outcome: applied, unchanged or refused",
                ["outcome"],
            ),
            last_success: declare.single_seconds_gauge(
                "kiln_last_successful_load_timestamp_seconds",
                "When what is configured was last found to be what runs, at the start or by a reload, in Unix time",
            ),
        }
    }

    pub(super) fn handles(&self) -> ReloadMetrics {
        ReloadMetrics {
            applied: self.reloads.with(["applied"]),
            unchanged: self.reloads.with(["unchanged"]),
            refused: self.reloads.with(["refused"]),
            last_success: self.last_success.clone(),
        }
    }
}

/// The metrics of reloads.
#[derive(Clone, Debug)]
pub struct ReloadMetrics {
    applied: Counter,
    unchanged: Counter,
    refused: Counter,
    last_success: SecondsGauge,
}

impl ReloadMetrics {
    /// What is configured runs, after the start.
    pub fn started(&self) {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_success.set(since_1970.as_secs_f64());
    }

    /// A reload ended.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        match outcome {
            ReloadOutcome::Applied => self.applied.inc(),
            ReloadOutcome::Unchanged => self.unchanged.inc(),
            ReloadOutcome::Refused => self.refused.inc(),
        };
        if outcome != ReloadOutcome::Refused {
            self.started();
        }
    }
}
