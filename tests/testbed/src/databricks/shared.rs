//! What the handle of a workspace and its HTTP side share.

use super::faults::Fault;
use super::stage::Seen;
use super::world::{SqlRule, UnixMillis, World};
use super::{Client, Options};
use crate::faults::Faults;
use crate::observed::Observed;
use crate::request::remember;
use axum::http::HeaderValue;
use std::collections::HashMap;

pub(super) struct Shared {
    token: String,
    client: Client,
    org_id: u64,
    pub(super) faults: Faults<Fault>,
    pub(super) state: Observed<State>,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) requests: Vec<Seen>,
    pub(super) statements: Vec<Statement>,
    pub(super) issued: Issued,
    /// Where the web servers of drivers are, by cluster and the port they have there.
    pub(super) drivers: HashMap<(String, u16), String>,
}

/// Tokens that were given to the client.
#[derive(Default)]
pub(super) struct Issued {
    count: u64,
    /// And when each expires.
    tokens: HashMap<String, UnixMillis>,
}

impl Issued {
    pub(super) fn revoke(&mut self) {
        self.tokens.clear();
    }
}

/// A SQL statement that was submitted.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// Counts from 0; part of the id.
    pub(super) number: u64,
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
    pub(super) fn new(options: Options) -> Self {
        let Options { world, token, org_id, client, .. } = options;
        let state = State {
            world,
            requests: Vec::new(),
            statements: Vec::new(),
            issued: Issued::default(),
            drivers: HashMap::new(),
        };
        Self { token, client, org_id, faults: Faults::default(), state: Observed::new(state) }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
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

    /// Whether a request may enter: with the workspace's token, or with an issued one that is still good.
    pub(super) fn authorizes(&self, header: Option<&HeaderValue>) -> bool {
        let Some(token) = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")) else {
            return false;
        };
        token == self.token.as_bytes()
            || self.read(|state| {
                let expires = std::str::from_utf8(token).ok().and_then(|token| state.issued.tokens.get(token));
                expires.is_some_and(|expires| state.world.now() < *expires)
            })
    }

    pub(super) fn knows_client(&self, id: &str, secret: &str) -> bool {
        id == self.client.id && secret == self.client.secret
    }

    /// A new token, and for how many seconds it is good.
    pub(super) fn issue_token(&self) -> (String, u64) {
        let lifetime = self.client.token_lifetime;
        self.update(|state| {
            let now = state.world.now();
            state.issued.tokens.retain(|_, expires| now < *expires);
            state.issued.count += 1;
            let token = format!("eyJraW5kIjoic2ltdWxhdGVkIn0.{:08}.signature", state.issued.count);
            state.issued.tokens.insert(token.clone(), now.plus(lifetime));
            (token, lifetime.as_secs())
        })
    }

    pub(super) fn record(&self, seen: Seen) {
        self.update(|state| remember(&mut state.requests, seen));
    }
}
