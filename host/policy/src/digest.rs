//! Content identity.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a plugin file, printed as `sha256:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Lower-case hexadecimal without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As printed; the digits may also be in upper case.
impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").ok_or(InvalidDigest)?.as_bytes();
        let mut digest = [0_u8; 32];
        if digits.len() != 2 * digest.len() {
            return Err(InvalidDigest);
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let nibbles: Vec<u32> = pair.iter().filter_map(|digit| char::from(*digit).to_digit(16)).collect();
            let [high, low] = nibbles.as_slice() else { return Err(InvalidDigest) };
            *byte = u8::try_from(high << 4 | low).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(digest))
    }
}

/// Not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `sha256:` and 64 hexadecimal digits, as `kiln plugin inspect` prints it")]
pub struct InvalidDigest;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_printed() {
        let digest = Digest::of(b"plugin");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(format!("sha256:{}", digest.hex().to_uppercase()).parse(), Ok(digest));
    }

    #[test]
    fn what_is_no_sha256_is_refused() {
        let hex = Digest::of(b"plugin").hex();
        let short: String = hex.chars().skip(1).collect();
        for text in [
            "",
            "sha256:",
            hex.as_str(),
            &format!("sha512:{hex}"),
            &format!("sha256:{short}"),
            &format!("sha256:{short}g"),
            &format!("sha256:{hex}0"),
            &format!("sha256: {short}"),
            &format!("sha256:+{short}"),
            &format!("sha256:{}é", short.chars().skip(1).collect::<String>()),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(InvalidDigest), "{text}");
        }
    }
}
