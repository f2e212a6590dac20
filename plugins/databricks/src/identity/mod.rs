//! Who may use the workspace, and how: tokens, users, groups and cluster policies.
//!
//! The four are read by themselves, because each needs a permission of its own: an identity that may not list tokens can
//! still count users. To the operator they are one part, `identity`, whose messages name the path and what is missing.
//!
//! What is kept is the last answer of each, in memory; users and groups are counts, and every list has a bound of its
//! own.

mod directory;
mod policies;
mod tokens;

use crate::api::Api;
use crate::config;
use crate::errors::Errors;
use crate::part::Part;
use crate::telemetry;
use crate::watch::Watch;
use directory::{Groups, Users};
use policies::Policies;
use tokens::Tokens;

const TOKENS: Part = part("to be a workspace admin, to list the tokens of everybody");
const USERS: Part = part("to be a workspace user with access to SCIM, to count users");
const GROUPS: Part = part("to be a workspace user with access to SCIM, to count groups");
const POLICIES: Part = part("Can use on the cluster policies, or to be a workspace admin, to count policies");

const fn part(permission: &'static str) -> Part {
    Part { name: "identity", permission }
}

/// The collector.
#[derive(Debug)]
pub(crate) struct Identity {
    token_comments: bool,
    group_members: bool,
    policy_types: bool,
    tokens: Watch<Tokens>,
    users: Watch<Users>,
    groups: Watch<Groups>,
    policies: Watch<Policies>,
}

impl Identity {
    pub(crate) const fn new(config: &config::Identity) -> Self {
        let (enabled, interval) = (config.enabled, config.interval);
        Self {
            token_comments: config.token_comments,
            group_members: config.group_members,
            policy_types: config.policy_types,
            tokens: Watch::new(TOKENS, enabled, interval),
            users: Watch::new(USERS, enabled, interval),
            groups: Watch::new(GROUPS, enabled, interval),
            policies: Watch::new(POLICIES, enabled, interval),
        }
    }

    /// Reads whichever of the four is due.
    pub(crate) fn read(&mut self, api: &mut Api<'_>, errors: &mut Errors) {
        self.tokens.read(api, errors, |api, _| Tokens::read(api));
        self.users.read(api, errors, |api, _| Users::read(api));
        let with_members = self.group_members;
        self.groups.read(api, errors, |api, _| Groups::read(api, with_members));
        self.policies.read(api, errors, |api, _| Policies::read(api));
    }

    /// Adds what was read last. `now` is the time in the workspace, in milliseconds: what expires does so between
    /// readings too.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics, now: u64) {
        if let Some(tokens) = self.tokens.last() {
            tokens.add_to(metrics, now, self.token_comments);
        }
        if let Some(users) = self.users.last() {
            users.add_to(metrics);
        }
        if let Some(groups) = self.groups.last() {
            groups.add_to(metrics);
        }
        if let Some(policies) = self.policies.last() {
            policies.add_to(metrics, self.policy_types);
        }
    }
}
