//! What plugins do, one call and one request after the other, for whoever watches one at work: its author.
//!
//! The handles of [`crate::metrics`] see all of it anyway. A registry made with [`crate::Metrics::watched`] has them keep it
//! here as well, until it is taken; any other keeps nothing, so that a Kiln in operation pays for none of this. It is meant
//! for one instance at a time: what several do would be mixed.
//!
//! What bounds it: so many calls, requests and messages are kept until somebody takes them; the rest is counted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Level;

use crate::metrics::{CallOutcome, EgressOutcome, Function};

/// So many calls are kept.
const MAX_CALLS: usize = 1_000;
/// So many requests are kept: what no page shows at once.
const MAX_REQUESTS: usize = 1_000;
/// So many refusals are kept.
const MAX_REFUSALS: usize = 100;
/// So many messages are kept.
const MAX_MESSAGES: usize = 1_000;

/// Where it is kept. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Mutex<Seen>>);

/// What was seen since the last look.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Calls into the plugin, in order.
    pub calls: Vec<SeenCall>,
    /// Requests of the plugin, in the order they ended.
    pub requests: Vec<SeenRequest>,
    /// How many requests there were, those that were not kept included.
    pub request_count: u64,
    /// What the plugin wrote into the log, its standard output and error included.
    pub messages: Vec<SeenMessage>,
    /// How many messages there were, those that were not kept included.
    pub message_count: u64,
    /// Why something it wanted to emit was refused.
    pub refusals: Vec<String>,
    /// Names of the limits it was held at.
    pub limits: BTreeSet<&'static str>,
    /// What it remembers, in bytes, if it was asked.
    pub state: Option<u64>,
    /// Of the call that is under way.
    cpu: Duration,
    memory: u64,
}

/// A call into the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCall {
    /// What was called.
    pub function: Function,
    /// How it ended.
    pub outcome: CallOutcome,
    /// On the clock on the wall, waiting included.
    pub took: Duration,
    /// Time the plugin computed, and the host for it. Starting the plugin counts for the call that follows.
    pub cpu: Duration,
    /// Linear memory the plugin held afterwards, in bytes.
    pub memory: u64,
}

/// A request of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// `GET`.
    pub method: &'static str,
    /// Where it went, the query included, a user name and password left out.
    pub url: String,
    /// What the server answered, if it did.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: EgressOutcome,
    /// Waiting for its turn and repetitions included.
    pub took: Duration,
    /// Bytes of the answer's body, decompressed.
    pub bytes: u64,
}

/// A message of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    /// How serious it is.
    pub level: Level,
    /// What it says, cut and on one line.
    pub text: String,
    /// What belongs to it, as `key=value`.
    pub attributes: String,
}

impl Activity {
    /// What was seen since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn cpu(&self, spent: Duration) {
        self.note(|seen| seen.cpu = seen.cpu.saturating_add(spent));
    }

    pub(crate) fn memory(&self, bytes: usize) {
        self.note(|seen| seen.memory = u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(crate) fn state(&self, bytes: usize) {
        self.note(|seen| seen.state = Some(u64::try_from(bytes).unwrap_or(u64::MAX)));
    }

    pub(crate) fn called(&self, function: Function, outcome: CallOutcome, took: Duration) {
        self.note(|seen| {
            let (cpu, memory) = (std::mem::take(&mut seen.cpu), seen.memory);
            if seen.calls.len() < MAX_CALLS {
                seen.calls.push(SeenCall { function, outcome, took, cpu, memory });
            }
        });
    }

    pub(crate) fn requested(&self, request: SeenRequest) {
        self.note(|seen| {
            seen.request_count = seen.request_count.saturating_add(1);
            if seen.requests.len() < MAX_REQUESTS {
                seen.requests.push(request);
            }
        });
    }

    pub(crate) fn wrote(&self, message: SeenMessage) {
        self.note(|seen| {
            seen.message_count = seen.message_count.saturating_add(1);
            if seen.messages.len() < MAX_MESSAGES {
                seen.messages.push(message);
            }
        });
    }

    pub(crate) fn refused(&self, text: &str) {
        self.note(|seen| {
            if seen.refusals.len() < MAX_REFUSALS {
                seen.refusals.push(text.to_owned());
            }
        });
    }

    pub(crate) fn limit_hit(&self, limit: &'static str) {
        self.note(|seen| {
            seen.limits.insert(limit);
        });
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::Metrics;

    fn request() -> SeenRequest {
        let took = Duration::from_millis(3);
        SeenRequest { method: "GET", url: String::new(), status: Some(200), outcome: EgressOutcome::Ok, took, bytes: 1 }
    }

    #[test]
    fn what_the_handles_count_is_seen_once() {
        let (metrics, activity) = Metrics::watched("");
        let instance = metrics.instance("a").beside();
        let took = Duration::from_millis(5);
        instance.cpu(took);
        instance.cpu(took);
        instance.memory(7);
        instance.called(Function::Configure, CallOutcome::Ok, took);
        instance.called(Function::Collect, CallOutcome::Trap, took);
        instance.limit_hit("memory");
        instance.wrote(Level::WARN, "text", "a=1");
        metrics.egress("a").seen(request);
        let seen = activity.take();
        let cpu: Vec<_> = seen.calls.iter().map(|call| call.cpu).collect();
        assert_eq!(cpu, [2 * took, Duration::ZERO]);
        assert_eq!((seen.calls[1].memory, seen.calls[1].outcome), (7, CallOutcome::Trap));
        assert_eq!((seen.requests, seen.messages.len()), (vec![request()], 1));
        assert!(seen.limits.contains("memory"));
        assert!(activity.take().calls.is_empty());
    }

    #[test]
    fn a_registry_nobody_watches_makes_nothing_up() {
        let metrics = Metrics::new("");
        metrics.egress("a").seen(|| unreachable!("nobody asked for it"));
        metrics.instance("a").wrote(Level::INFO, "text", "");
    }

    #[test]
    fn more_than_is_kept_is_counted() {
        let (metrics, activity) = Metrics::watched("");
        let (instance, egress) = (metrics.instance("a"), metrics.egress("a"));
        for _ in 0..MAX_REQUESTS + 5 {
            egress.seen(request);
            instance.wrote(Level::INFO, "again", "");
            instance.called(Function::Collect, CallOutcome::Ok, Duration::ZERO);
        }
        let seen = activity.take();
        assert_eq!((seen.requests.len(), seen.request_count), (MAX_REQUESTS, MAX_REQUESTS as u64 + 5));
        assert_eq!((seen.messages.len(), seen.message_count), (MAX_MESSAGES, MAX_MESSAGES as u64 + 5));
        assert_eq!(seen.calls.len(), MAX_CALLS);
    }
}
