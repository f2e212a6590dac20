//! Minisign signatures of plugin files, and the keys they are checked with.
//!
//! Only the present form is accepted, in which the signature is of a BLAKE2b hash; a signature is valid only together
//! with its trusted comment.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, PublicKey};
use serde::{Serialize, Serializer};

/// What the name of a signature's file ends in: `databricks.wasm.minisig` is that of `databricks.wasm`.
pub const SIGNATURE_EXTENSION: &str = "minisig";

/// Larger files are no signatures: one is some 300 bytes.
pub const MAX_SIGNATURE_BYTES: u64 = 8 * 1024;

/// What stands beside a plugin file in the place of its signature, not looked at yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SignatureFile {
    /// Nothing.
    #[default]
    Absent,
    /// The content of the file.
    Text(String),
    /// Something that cannot be read, and why.
    Unreadable(String),
}

/// Tells keys apart; minisign prints it as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Of what minisign encodes: two bytes for the algorithm, then the id.
    fn of(encoded: &str) -> Option<Self> {
        let bytes = STANDARD.decode(encoded).ok()?;
        bytes.get(2..10)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A public key that the operator trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    key: PublicKey,
    id: KeyId,
}

impl SigningKey {
    /// Tells it apart from others.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// The key itself, 56 characters that begin with `RW`, or the whole content of a `.pub` file.
impl FromStr for SigningKey {
    type Err = InvalidSigningKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let encoded = match (lines.next(), lines.next(), lines.next()) {
            (Some(key), None, None) => key,
            (Some(comment), Some(key), None) if comment.starts_with("untrusted comment:") => key,
            _ => return Err(InvalidSigningKey),
        };
        let key = PublicKey::from_base64(encoded).map_err(|_| InvalidSigningKey)?;
        let id = KeyId::of(encoded).ok_or(InvalidSigningKey)?;
        Ok(Self { key, id })
    }
}

/// Not a public key of minisign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the second line of a minisign .pub file, or the whole file as in `${{file:/etc/kiln/minisign.pub}}`")]
pub struct InvalidSigningKey;

/// A signature that was checked and found good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValidSignature {
    /// The key that made it.
    pub key: KeyId,
    /// What was signed with the file; by default minisign writes time and name of the file there.
    pub trusted_comment: String,
}

/// What a signature says of itself, which nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimedSignature {
    /// The key it says made it.
    pub key: KeyId,
    /// What it says was signed with the file.
    pub comment: String,
}

/// Reads a signature without checking it.
///
/// # Errors
/// The text is no signature.
pub fn read_signature(text: &str) -> Result<ClaimedSignature, SignatureError> {
    let signature = minisign_verify::Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
    let key = text.lines().nth(1).and_then(KeyId::of).ok_or(SignatureError::Malformed)?;
    Ok(ClaimedSignature { key, comment: signature.trusted_comment().to_owned() })
}

/// Checks the signature of `bytes` with whichever of the keys made it.
///
/// # Errors
/// The text is no signature, is by no key of these, or is of something else.
pub fn verify_signature(text: &str, bytes: &[u8], keys: &[SigningKey]) -> Result<ValidSignature, SignatureError> {
    let claimed = read_signature(text)?;
    let signature = minisign_verify::Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
    // Ids are no more than labels: two keys may have the same.
    let mut error = SignatureError::OtherKey { key: claimed.key };
    for key in keys.iter().filter(|key| key.id == claimed.key) {
        match key.key.verify(bytes, &signature, false) {
            Ok(()) => return Ok(ValidSignature { key: key.id, trusted_comment: claimed.comment }),
            Err(Error::UnexpectedAlgorithm) => error = SignatureError::Legacy,
            Err(_) => error = SignatureError::Mismatch { key: key.id },
        }
    }
    Err(error)
}

/// Why a signature is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not what minisign writes.
    #[error("is no minisign signature")]
    Malformed,
    /// Made by a key nobody trusts here.
    #[error("is by the key {key}, which is not among those trusted here")]
    OtherKey {
        /// The key it says made it.
        key: KeyId,
    },
    /// The old form, which signs the file itself.
    #[error("is of minisign's old form, which is not accepted: sign again with minisign 0.10 or later")]
    Legacy,
    /// Of another file, or with another comment.
    #[error("does not fit: the file or the signature was changed after it was signed by the key {key}")]
    Mismatch {
        /// The key it says made it.
        key: KeyId,
    },
}
