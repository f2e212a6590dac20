//! Ids of the API, where they are remembered by the thousand.

use sha2::{Digest as _, Sha256};

/// Whether a text may be an id of the API, which are remembered and sent back: real ones have 40 bytes or fewer.
pub(crate) const fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128
}

/// Stands for an id where thousands are remembered. Two of a million share one with a chance of one to forty million.
pub(crate) fn digest(id: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_have_digests_that_differ() {
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
    }
}
