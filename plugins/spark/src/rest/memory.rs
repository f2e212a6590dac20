//! What is remembered of an application from one collection to the next, through the host's transactional state.
//!
//! What cannot be remembered must not be reported: the next collection would report it again.

use std::collections::BTreeSet;

use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, Host, Level, PartialFailure, UnixNanos};
use serde::{Deserialize, Serialize};

use super::Facts;
use super::cursor::note;
use super::databricks::Cluster;
use super::executors::Executors;
use super::jobs::Jobs;
use super::sql::Sql;
use super::stages::Stages;
use super::totals::Totals;
use crate::application::Application;

/// Where the memories are, behind the scope of the UI: one for every application.
const PREFIX: &str = "rest/";

/// The memory of an application.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    seen: Seen,
    pub(crate) jobs: Jobs,
    pub(crate) stages: Stages,
    pub(crate) sql: Sql,
    pub(crate) executors: Executors,
    pub(crate) totals: Totals,
}

/// Which application it was, when.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    id: String,
    attempt: Option<String>,
    name: Option<String>,
    version: Option<String>,
    cluster: Cluster,
    /// Since when totals are counted.
    start: UnixNanos,
    last: UnixNanos,
}

/// Where the memory of an application is, if it has an id. An attempt that starts anew begins its ids anew.
pub(crate) fn key(scope: &str, application: &Application) -> Option<String> {
    let attempt = application.attempt.as_deref().unwrap_or_default();
    Some(format!("{scope}{PREFIX}{}/{attempt}", application.id.as_deref()?))
}

/// What is known of all applications of a UI. What cannot be read is passed over.
pub(crate) fn all(host: &Host, scope: &str) -> Result<Vec<Memory>, CollectError> {
    let keys = host.state().keys(&format!("{scope}{PREFIX}"))?;
    Ok(keys.iter().filter_map(|key| host.state().get(key).ok().flatten()).collect())
}

/// Forgets all applications of a UI but these, and says what was known of them.
pub(crate) fn take_others(host: &Host, scope: &str, current: &BTreeSet<String>) -> Result<Vec<Memory>, CollectError> {
    let mut others = Vec::new();
    for key in host.state().keys(&format!("{scope}{PREFIX}"))?.iter().filter(|key| !current.contains(*key)) {
        others.extend(host.state().get(key).ok().flatten());
        host.state().delete(key)?;
    }
    Ok(others)
}

impl Memory {
    /// What is stored. What this version cannot read is begun anew, with a new start: counts restart where everyone can
    /// see it.
    pub(crate) fn load(host: &Host, key: &str, application: &Application) -> Result<Self, CollectError> {
        let mut memory: Self = match host.state().get(key) {
            Ok(Some(memory)) => memory,
            Ok(None) => Self { seen: Seen { start: application.start, ..Seen::default() }, ..Self::default() },
            Err(StateError::Unreadable { key, error }) => {
                let attributes = [Attribute::new("state", key), Attribute::new("error", error.to_string())];
                host.log(Level::Warn, "counting starts anew: what was stored cannot be read", &attributes);
                Self { seen: Seen { start: host.now(), ..Seen::default() }, ..Self::default() }
            }
            Err(error) => return Err(error.into()),
        };
        memory.seen = Seen {
            id: application.id.clone().unwrap_or_default(),
            attempt: application.attempt.clone(),
            name: application.name.clone(),
            version: application.version.clone(),
            cluster: application.facts.cluster.clone(),
            start: memory.seen.start,
            last: host.now(),
        };
        Ok(memory)
    }

    /// Remembers it. Whether there was room.
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

    /// Since when totals are counted.
    pub(crate) const fn start(&self) -> UnixNanos {
        self.seen.start
    }

    /// Which application it was, and when it was last seen.
    pub(crate) fn last_seen(&self) -> Option<(Application, UnixNanos)> {
        let Seen { id, attempt, name, version, cluster, start, last } = &self.seen;
        let application = Application {
            id: Some(id.clone()).filter(|id| !id.is_empty()),
            name: name.clone(),
            attempt: attempt.clone(),
            version: version.clone(),
            start: *start,
            facts: Facts { cluster: cluster.clone(), ..Facts::default() },
        };
        application.id.is_some().then_some((application, *last))
    }

    /// Whether something waits to be read that budget was too small for.
    pub(crate) fn has_more(&self) -> bool {
        !self.jobs.is_complete() || !self.sql.is_complete() || self.stages.backlog() > 0
    }
}
