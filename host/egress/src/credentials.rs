//! The secrets attached to requests, ready to be sent and unable to be printed.
//!
//! A secret becomes a header value here, before anything runs, so that an unusable one is the operator's error at start
//! and not the plugin's at the first request.

use std::collections::BTreeMap;

use reqwest::header::HeaderValue;

/// The values of an instance's secret configuration fields, by dotted path: what
/// [`ConfigField::path`](kiln_policy::ConfigField::path) returns.
///
/// Printing it shows which fields have a value and no value.
#[derive(Clone, Debug, Default)]
pub struct Credentials(BTreeMap<String, HeaderValue>);

impl Credentials {
    /// Keeps `token` for the rules whose credential is `field`, to be sent as `Authorization: Bearer`.
    ///
    /// # Errors
    /// The token is empty or holds characters that cannot stand in a header.
    pub fn insert_bearer(&mut self, field: impl Into<String>, token: &str) -> Result<(), CredentialError> {
        let field = field.into();
        if token.is_empty() {
            return Err(CredentialError::Empty { field });
        }
        // A token is one word: anything else is a file with a trailing newline or a value pasted with its quotes.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialError::NotAToken { field });
        }
        let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) else {
            return Err(CredentialError::NotAToken { field });
        };
        value.set_sensitive(true);
        self.0.insert(field, value);
        Ok(())
    }

    pub(crate) fn authorization(&self, field: &str) -> Option<&HeaderValue> {
        self.0.get(field)
    }
}

/// Why a secret cannot be used as a credential. Never contains it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Nothing to send.
    #[error("`{field}` is empty: give it a token, or leave it out where the server needs none")]
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_and_never_printed() {
        let mut credentials = Credentials::default();
        credentials.insert_bearer("token", "dapi0123").unwrap();
        assert_eq!(credentials.authorization("token").unwrap(), "Bearer dapi0123");
        assert!(credentials.authorization("other").is_none());
        let printed = format!("{credentials:?}");
        assert!(printed.contains("token") && !printed.contains("dapi0123"), "{printed}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_being_repeated() {
        for token in ["", "dapi0123\n", "dapi 0123", "dapi\r\nx-admin: 1", "dapi\u{fc}", "\u{0}dapi"] {
            let mut credentials = Credentials::default();
            let error = credentials.insert_bearer("auth.token", token).unwrap_err().to_string();
            assert!(error.contains("`auth.token`") && !error.contains("dapi"), "{error}");
            assert!(credentials.authorization("auth.token").is_none());
        }
    }
}
