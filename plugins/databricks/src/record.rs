//! What log records and stored ids are made of, for the collectors that tell what happened.

use kiln_plugin::telemetry::Attribute;
use sha2::{Digest as _, Sha256};

/// Attributes of which some are not known.
#[derive(Debug, Default)]
pub(crate) struct Attributes(pub(crate) Vec<Attribute>);

impl Attributes {
    pub(crate) fn text(&mut self, key: &str, value: Option<&str>) {
        self.0.extend(value.filter(|value| !value.is_empty()).map(|value| Attribute::new(key, value)));
    }

    pub(crate) fn integer(&mut self, key: &str, value: Option<i64>) {
        self.0.extend(value.map(|value| Attribute::new(key, value)));
    }
}

/// The beginning of a text: `most` bytes of it at the most, an ellipsis included where something is left out.
pub(crate) fn clip(text: &str, most: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    format!("{}{ELLIPSIS}", text.get(..end).unwrap_or_default())
}

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
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "lo…");
        assert_eq!(clip("äöüß", 6), "ä…");
        assert_eq!(clip("ä", 1), "…");
    }

    #[test]
    fn ids_that_differ_have_digests_that_differ() {
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
    }
}
