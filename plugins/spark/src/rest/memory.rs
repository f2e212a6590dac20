//! What is remembered of an application from one collection to the next, through the host's transactional state.
//!
//! What cannot be remembered must not be reported: the next collection would report it again.

use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, Host, Level, PartialFailure, UnixNanos};
use serde::{Deserialize, Serialize};

use super::cursor::note;
use super::jobs::Jobs;
use super::stages::Stages;
use super::totals::Totals;
use crate::application::Application;

/// Where the memories are. Everything below is an application's.
const PREFIX: &str = "rest/";

/// The memory of an application.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Since when totals are counted.
    pub(crate) start: UnixNanos,
    pub(crate) jobs: Jobs,
    pub(crate) stages: Stages,
    pub(crate) totals: Totals,
}

/// Where the memory of an application is, if it has an id. An attempt that starts anew begins its ids anew.
pub(crate) fn key(application: &Application) -> Option<String> {
    let attempt = application.attempt.as_deref().unwrap_or_default();
    Some(format!("{PREFIX}{}/{attempt}", application.id.as_deref()?))
}

impl Memory {
    /// What is stored. What this version cannot read is begun anew, with a new start: counts restart where everyone can
    /// see it.
    pub(crate) fn load(host: &Host, key: &str, application: &Application) -> Result<Self, CollectError> {
        match host.state().get(key) {
            Ok(Some(memory)) => Ok(memory),
            Ok(None) => Ok(Self { start: application.start, ..Self::default() }),
            Err(StateError::Unreadable { key, error }) => {
                let attributes = [Attribute::new("state", key), Attribute::new("error", error.to_string())];
                host.log(Level::Warn, "counting starts anew: what was stored cannot be read", &attributes);
                Ok(Self { start: host.now(), ..Self::default() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers it, and forgets all other applications: a port belongs to one at a time. Whether there was room.
    pub(crate) fn keep(
        &self,
        host: &Host,
        key: &str,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        match host.state().set(key, self) {
            Ok(()) => Ok(true),
            Err(StateError::Full { key, reason }) => {
                note(failures, PartialFailure::new(key, format!("{reason}: raise `limits.state_bytes`")));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether something waits to be read that budget was too small for.
    pub(crate) fn has_more(&self) -> bool {
        !self.jobs.is_complete() || self.stages.backlog() > 0
    }
}
