//! What is known of a file's signature.

use kiln_policy::{
    ClaimedSignature, SignatureError, SignatureFile, SigningKey, ValidSignature, read_signature, verify_signature,
};
use serde::Serialize;

/// From nothing at all to checked and good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignatureState {
    /// There is no signature.
    Absent,
    /// There is one, and no key to check it with. What it says may be a lie.
    Unchecked(ClaimedSignature),
    /// It is good.
    Valid(ValidSignature),
    /// It is not good, and why.
    Invalid {
        /// The sentence.
        reason: String,
    },
}

impl SignatureState {
    /// Looks at the signature of `bytes`, and checks it if there are keys.
    #[must_use]
    pub fn of(file: &SignatureFile, bytes: &[u8], keys: &[SigningKey]) -> Self {
        let invalid = |error: SignatureError| Self::Invalid { reason: error.to_string() };
        match file {
            SignatureFile::Absent => Self::Absent,
            SignatureFile::Unreadable(reason) => Self::Invalid { reason: format!("cannot be read: {reason}") },
            SignatureFile::Text(text) if keys.is_empty() => read_signature(text).map_or_else(invalid, Self::Unchecked),
            SignatureFile::Text(text) => verify_signature(text, bytes, keys).map_or_else(invalid, Self::Valid),
        }
    }

    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Absent => "not signed".to_owned(),
            Self::Unchecked(claimed) => format!(
                "signed, it says by the key {}, which nobody has checked: no key was given (comment: {})",
                claimed.key, claimed.comment
            ),
            Self::Valid(valid) => {
                format!("valid, by the key {} (signed comment: {})", valid.key, valid.trusted_comment)
            }
            Self::Invalid { reason } => format!("INVALID: it {reason}"),
        }
    }
}
