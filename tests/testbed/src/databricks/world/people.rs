//! Who may use the workspace, and with which tokens.
//!
//! Sources: `databricks/sdk/service/iam.py` (`User`, `Group`, `ServicePrincipal`) and `settings.py`
//! (`TokenInfo`) of databricks-sdk 0.156.0.

use super::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Unique in the workspace.
    pub id: String,
    /// `userName`, an e-mail address.
    pub name: String,
    /// Whether the user may log in.
    pub active: bool,
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique in the workspace.
    pub id: String,
    /// `displayName`.
    pub name: String,
    /// Ids of its members.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A user that is a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePrincipal {
    /// Unique in the workspace.
    pub id: String,
    /// `applicationId`.
    pub application_id: String,
    /// `displayName`.
    pub name: String,
    /// Whether it may log in.
    pub active: bool,
}

/// A personal access token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// `token_id`, which is not the secret.
    pub token_id: String,
    /// What it is for.
    #[serde(default)]
    pub comment: String,
    /// `created_by_username`.
    pub created_by: String,
    /// `creation_time`.
    pub created: UnixMillis,
    /// `expiry_time`; absent: never, which the API writes as -1.
    #[serde(default)]
    pub expires: Option<UnixMillis>,
}

impl User {
    /// An active user.
    #[must_use]
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), active: true }
    }

    /// The same, not allowed to log in any more.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.active = false;
        self
    }
}

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), members: Vec::new() }
    }
}

impl Token {
    /// A token; `expires` absent: it never does.
    #[must_use]
    pub fn new(token_id: &str, created: UnixMillis, expires: Option<UnixMillis>) -> Self {
        Self {
            token_id: token_id.to_owned(),
            comment: format!("token {token_id}"),
            created_by: "data-platform@example.com".to_owned(),
            created,
            expires,
        }
    }

    pub(crate) fn is_active(&self, now: UnixMillis) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
