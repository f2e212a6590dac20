//! What the operator has configured for signing in, until the sources of tokens are made of it.
//!
//! An unusable value is found when those are made, before anything runs, so that it is the operator's error at start and
//! not the plugin's at the first request.

use std::collections::BTreeMap;
use std::fmt;

use kiln_policy::ConfigField;

/// The values of the configuration fields an instance signs in with, by dotted path: what
/// [`ConfigField::path`](kiln_policy::ConfigField::path) returns.
///
/// Printing it shows which fields have a value and no value.
#[derive(Clone, Debug, Default)]
pub struct Credentials(BTreeMap<String, SecretText>);

impl Credentials {
    /// Keeps the value of a field for the rules whose credential names it.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<String>) {
        self.0.insert(field.into(), SecretText(value.into()));
    }

    /// A value that must be there, since the policy has chosen a credential that needs it.
    pub(crate) fn get(&self, field: &ConfigField) -> Result<&SecretText, CredentialError> {
        let field_path = || field.path().to_owned();
        match self.0.get(field.path()) {
            None => Err(CredentialError::Missing { field: field_path() }),
            Some(value) if value.0.is_empty() => Err(CredentialError::Empty { field: field_path() }),
            Some(value) => Ok(value),
        }
    }

    /// A value of characters that may be in a client identifier or secret (RFC 6749, appendix A.1).
    pub(crate) fn visible(&self, field: &ConfigField) -> Result<SecretText, CredentialError> {
        let value = self.get(field)?;
        if value.0.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            Ok(value.clone())
        } else {
            Err(CredentialError::NotVisible { field: field.path().to_owned() })
        }
    }
}

/// A text that shows itself to nobody who does not ask for it.
#[derive(Clone)]
pub(crate) struct SecretText(String);

impl SecretText {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Why a value cannot be used to sign in. Never contains it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The policy signs in with a field that was not handed over.
    #[error("`{field}` has no value")]
    Missing {
        /// Dotted path of the configuration field.
        field: String,
    },
    /// Nothing to send.
    #[error("`{field}` is empty: give it a value, or leave it out where the server needs none")]
    Empty {
        /// Dotted path of the configuration field.
        field: String,
    },
    /// Contains white space, control or non-ASCII characters.
    #[error("`{field}` is no token: it contains white space or other characters that cannot be sent in a header")]
    NotAToken {
        /// Dotted path of the configuration field.
        field: String,
    },
    /// Contains a colon or control characters.
    #[error("`{field}` is no name to sign in with: it contains a colon or a control character")]
    NotAName {
        /// Dotted path of the configuration field.
        field: String,
    },
    /// Contains control or non-ASCII characters.
    #[error("`{field}` contains a line break or another character that is not visible ASCII: take it out")]
    NotVisible {
        /// Dotted path of the configuration field.
        field: String,
    },
}
