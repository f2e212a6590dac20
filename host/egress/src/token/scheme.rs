//! What becomes of a secret in an `Authorization` header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_policy::ConfigField;
use reqwest::header::HeaderValue;

use crate::credentials::{CredentialError, Credentials};

/// How a secret is sent.
pub(super) enum Scheme {
    /// As it is (RFC 6750).
    Bearer,
    /// With a name, encoded (RFC 7617).
    Basic {
        /// Whose password it is.
        username: String,
    },
}

impl Scheme {
    /// With the name in a field.
    pub(super) fn basic(values: &Credentials, username: &ConfigField) -> Result<Self, CredentialError> {
        let name = values.get(username)?.expose();
        if name.contains(':') || name.chars().any(char::is_control) {
            return Err(CredentialError::NotAName { field: username.path().to_owned() });
        }
        Ok(Self::Basic { username: name.to_owned() })
    }

    /// The header's value, unless the secret is none.
    pub(super) fn value(&self, secret: &str) -> Option<HeaderValue> {
        match self {
            Self::Bearer => bearer(secret),
            Self::Basic { username } => basic(username, secret),
        }
    }
}

/// `Bearer` and the token, unless it is not one word: then it is a file with two lines, or a value pasted with quotes.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Basic` with name and password, unless that is empty or has control characters: then it is a file with two lines.
fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    if password.is_empty() || password.chars().any(char::is_control) {
        return None;
    }
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_printed() {
        let value = bearer("dapi0123").unwrap();
        assert_eq!(value, "Bearer dapi0123");
        assert!(!format!("{value:?}").contains("dapi0123"));
        for token in ["", "dapi0123\n", "dapi 0123", "dapi\r\nx-admin: 1", "dapi\u{fc}", "\u{0}dapi"] {
            assert!(bearer(token).is_none(), "{token:?}");
        }
    }

    #[test]
    fn a_name_and_password_are_encoded_and_never_printed() {
        // The example of RFC 7617 §2, and the one of §2.1 with a pound sign.
        let value = basic("Aladdin", "open sesame").unwrap();
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        assert!(!format!("{value:?}").contains("QWxh"));
        for password in ["", "two\nlines", "a\u{0}"] {
            assert!(basic("me", password).is_none(), "{password:?}");
        }
    }
}
