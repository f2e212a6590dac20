//! "Did you mean": the nearest known word, or all of them.

use std::fmt;

/// Longer keys are cut in messages: the place is what leads to them.
const SHOWN_CHARACTERS: usize = 64;

/// Known words that are listed.
const LISTED: usize = 20;

/// What to propose instead of a word nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nearest {
    /// One known word is so close that it must be the one.
    Word(String),
    /// None is; these are all there are.
    Known(Vec<String>),
}

impl Nearest {
    /// Looks for `word` among `known`.
    ///
    /// The distance allowed is a third of the word's length, as in rustc, but never all of it; case and the choice of
    /// `-` or `_` do not count.
    pub(crate) fn find<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        known.dedup();
        let comparable = |text: &str| text.to_lowercase().replace('-', "_");
        let sought: String = comparable(word).chars().take(SHOWN_CHARACTERS).collect();
        let length = sought.chars().count();
        let allowed = (length.max(3) / 3).min(length.saturating_sub(1));
        let nearest = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(&sought, &comparable(candidate)), *candidate))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= allowed);
        match nearest {
            Some((_, candidate)) => Self::Word(candidate.to_owned()),
            None => Self::Known(known.into_iter().map(str::to_owned).collect()),
        }
    }
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "; did you mean {}?", quoted(word, '`')),
            Self::Known(words) if words.is_empty() => f.write_str("; none is known here"),
            Self::Known(words) => {
                let mut listed: Vec<String> = words.iter().take(LISTED).map(|word| quoted(word, '`')).collect();
                match words.len().saturating_sub(LISTED) {
                    0 => {}
                    more => listed.push(format!("one of {more} more")),
                }
                write!(f, "; use {}", alternatives(&listed))
            }
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

/// Text from a file between quotes, on one line and of bounded length whatever it holds.
pub(crate) fn quoted(text: &str, quote: char) -> String {
    let cut: String = text.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
    let ellipsis = if text.chars().nth(SHOWN_CHARACTERS).is_some() { "…" } else { "" };
    format!("{quote}{cut}{ellipsis}{quote}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["collection_interval", "host", "timeout", "token"];

    #[test]
    fn a_near_miss_is_named() {
        for (word, meant) in [
            ("hots", "host"),
            ("Host", "host"),
            ("tokn", "token"),
            ("collection-interval", "collection_interval"),
            ("colection_intervall", "collection_interval"),
        ] {
            assert_eq!(Nearest::find(word, KNOWN), Nearest::Word(meant.to_owned()), "{word}");
        }
    }

    #[test]
    fn a_far_word_lists_what_is_known() {
        for word in ["", "x", "workspace", "日本語"] {
            assert!(matches!(Nearest::find(word, KNOWN), Nearest::Known(known) if known.len() == 4), "{word}");
        }
        assert_eq!(Nearest::find("x", ["b", "a"]).to_string(), "; use `a` or `b`");
        assert_eq!(Nearest::find("xb", ["b", "a"]).to_string(), "; did you mean `b`?");
        assert_eq!(Nearest::find("zzz", ["bbb", "aaa", "ccc"]).to_string(), "; use `aaa`, `bbb` or `ccc`");
        assert_eq!(Nearest::find("zzz", []).to_string(), "; none is known here");
    }

    #[test]
    fn quoting_keeps_a_message_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}", '`'), "`a\\nb\\u{1b}`");
        assert_eq!(quoted(&"x".repeat(100), '`').chars().count(), SHOWN_CHARACTERS + 3);
    }
}
