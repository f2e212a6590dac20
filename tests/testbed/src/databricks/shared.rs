//! What the handle of a workspace and its HTTP side share.

use super::faults::Fault;
use super::stage::Seen;
use super::world::{SqlRule, UnixMillis, World};
use crate::faults::Faults;
use crate::observed::Observed;
use crate::request::remember;
use axum::http::HeaderValue;

pub(super) struct Shared {
    token: String,
    org_id: u64,
    pub(super) faults: Faults<Fault>,
    pub(super) state: Observed<State>,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) requests: Vec<Seen>,
    pub(super) statements: Vec<Statement>,
}

/// A SQL statement that was submitted.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) parameters: Vec<(String, Option<String>)>,
    pub(super) warehouse_id: String,
    pub(super) submitted: UnixMillis,
    pub(super) rule: SqlRule,
    /// The state it has for good.
    pub(super) settled: Option<&'static str>,
}

impl Shared {
    pub(super) fn new(world: World, token: String, org_id: u64) -> Self {
        let state = State { world, requests: Vec::new(), statements: Vec::new() };
        Self { token, org_id, faults: Faults::default(), state: Observed::new(state) }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn org_id(&self) -> u64 {
        self.org_id
    }

    pub(super) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        self.state.read(read)
    }

    pub(super) fn update<R>(&self, update: impl FnOnce(&mut State) -> R) -> R {
        self.state.update(update)
    }

    pub(super) fn authorizes(&self, header: Option<&HeaderValue>) -> bool {
        header.is_some_and(|value| value.as_bytes() == format!("Bearer {}", self.token).as_bytes())
    }

    pub(super) fn record(&self, seen: Seen) {
        self.update(|state| remember(&mut state.requests, seen));
    }
}
