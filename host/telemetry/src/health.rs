//! Who works and who does not, for orchestrators and for people.
//!
//! Every component reports its own state through a handle; nobody else can. The process is ready when it has been
//! started and no component is starting, broken for good or stopped. A component that is merely in trouble (a backend
//! that does not answer) does not make the process unready: it is what retries and queues are for, and restarting it
//! would help nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a component is, in the order they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentKind {
    /// Brings telemetry in.
    Receiver,
    /// Changes it on the way.
    Processor,
    /// Sends it out.
    Exporter,
    /// Connects them.
    Pipeline,
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Pipeline => "pipeline",
        })
    }
}

/// How a component is; the words of the Collector's health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not at work yet.
    Starting,
    /// At work.
    Ok,
    /// In trouble that may pass; says which.
    RecoverableError(String),
    /// Broken until somebody does something; says what happened.
    PermanentError(String),
    /// At rest.
    Stopped,
}

impl Status {
    fn is_ready(&self) -> bool {
        match self {
            Self::Ok | Self::RecoverableError(_) => true,
            Self::Starting | Self::PermanentError(_) | Self::Stopped => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ok => f.write_str("ok"),
            Self::RecoverableError(message) => write!(f, "in trouble: {}", OneLine(message)),
            Self::PermanentError(message) => write!(f, "broken: {}", OneLine(message)),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// Messages can quote servers and guests, who must not be able to write lines of their own into a report.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(MAX_MESSAGE) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

const MAX_MESSAGE: usize = 500;

type Key = (ComponentKind, String);

#[derive(Debug, Default)]
struct State {
    /// All pipelines were started and none is being stopped.
    running: bool,
    components: BTreeMap<Key, Status>,
}

/// The state of all components. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    state: Arc<RwLock<State>>,
}

impl Health {
    /// Adds a component, which is starting until its handle says otherwise.
    #[must_use]
    pub fn component(&self, kind: ComponentKind, id: &str) -> Component {
        let key = (kind, id.to_owned());
        self.write().components.insert(key.clone(), Status::Starting);
        Component { health: self.clone(), key }
    }

    /// Forgets a component that a reload has removed.
    pub fn remove(&self, kind: ComponentKind, id: &str) {
        self.write().components.remove(&(kind, id.to_owned()));
    }

    /// Says that every component there is going to be has been added, so that silence means all is well.
    pub fn running(&self) {
        self.write().running = true;
    }

    /// Says that the process is on its way out and should be sent nothing more.
    pub fn stopping(&self) {
        self.write().running = false;
    }

    /// Every component and how it is, receivers first, then by id.
    #[must_use]
    pub fn components(&self) -> Vec<(ComponentKind, String, Status)> {
        self.read().components.iter().map(|((kind, id), status)| (*kind, id.clone(), status.clone())).collect()
    }

    /// `Ok` when the process does its work; otherwise a line for each reason why it does not.
    ///
    /// # Errors
    ///
    /// Never empty: one line per component that is not ready, or one for the process.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        let state = self.read();
        let mut reasons: Vec<_> = state
            .components
            .iter()
            .filter(|(_, status)| !status.is_ready())
            .map(|((kind, id), status)| format!("{kind} {}: {status}", OneLine(id)))
            .collect();
        if !state.running && reasons.is_empty() {
            reasons.push("kiln: not started yet, or stopping".to_owned());
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    // A poisoned lock guards plain values that are replaced whole, so what it holds is still right.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One component's voice in [`Health`].
#[derive(Clone, Debug)]
pub struct Component {
    health: Health,
    key: Key,
}

impl Component {
    /// Reports how the component is now. A component that was removed stays removed.
    pub fn set(&self, status: Status) {
        // Asked first because most reports repeat the last one, and readers need not wait for those.
        if self.health.read().components.get(&self.key).is_none_or(|current| *current == status) {
            return;
        }
        if let Some(current) = self.health.write().components.get_mut(&self.key) {
            *current = status;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_before_the_process_says_that_everything_is_there() {
        let health = Health::default();
        assert_eq!(health.readiness().unwrap_err(), ["kiln: not started yet, or stopping"]);
        health.running();
        assert_eq!(health.readiness(), Ok(()));
        health.stopping();
        assert_eq!(health.readiness().unwrap_err(), ["kiln: not started yet, or stopping"]);
    }

    #[test]
    fn ready_when_every_component_is_at_work_or_may_recover() {
        let health = Health::default();
        let receiver = health.component(ComponentKind::Receiver, "databricks/prod");
        let exporter = health.component(ComponentKind::Exporter, "otlp_http");
        health.running();
        assert_eq!(
            health.readiness().unwrap_err(),
            ["receiver databricks/prod: starting", "exporter otlp_http: starting"]
        );
        receiver.set(Status::Ok);
        exporter.set(Status::RecoverableError("connection refused".to_owned()));
        assert_eq!(health.readiness(), Ok(()));
        receiver.set(Status::PermanentError("quarantined after 5 traps".to_owned()));
        assert_eq!(health.readiness().unwrap_err(), ["receiver databricks/prod: broken: quarantined after 5 traps"]);
        receiver.set(Status::Stopped);
        assert_eq!(health.readiness().unwrap_err(), ["receiver databricks/prod: stopped"]);
    }

    #[test]
    fn a_removed_component_does_not_come_back_by_itself() {
        let health = Health::default();
        let receiver = health.component(ComponentKind::Receiver, "a");
        health.running();
        health.remove(ComponentKind::Receiver, "a");
        receiver.set(Status::PermanentError("late".to_owned()));
        assert_eq!(health.readiness(), Ok(()));
        assert!(health.components().is_empty());
    }

    #[test]
    fn a_message_from_outside_cannot_write_lines_of_its_own() {
        let health = Health::default();
        let receiver = health.component(ComponentKind::Receiver, "a");
        receiver.set(Status::PermanentError(format!("boom\nreceiver b: ok\x1b[2J{}", "x".repeat(10_000))));
        let reasons = health.readiness().unwrap_err();
        assert_eq!(reasons.len(), 1);
        let reason = reasons.concat();
        assert!(reason.starts_with("receiver a: broken: boom\\nreceiver b: ok\\u{1b}[2Jxxx"));
        assert!(reason.len() < 1000);
    }
}
