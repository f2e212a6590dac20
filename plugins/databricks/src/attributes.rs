//! Attributes of spans and log records, of which the API tells some and leaves out others.

use kiln_plugin::telemetry::Attribute;

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
}
