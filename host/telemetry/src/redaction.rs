//! Secrets that Kiln knows, taken out of whatever it says.
//!
//! Nothing in Kiln prints a secret on purpose: types that hold one show `[REDACTED]`. This is the second line, for what
//! others print: a server that repeats a token in its error, a library that logs a header, a panic. Whoever holds a
//! secret has it protected; the log's writer and the telemetry endpoint pass everything they write through here.
//!
//! A value is looked for as it is and as it looks quoted, in a URL and in a form. What this does not find: a value that was
//! changed in another way, cut in two, or is shorter than [`MIN_BYTES`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Values shorter than this, in bytes, are not looked for: they would blot out ordinary words, and a secret so short is
/// none.
pub const MIN_BYTES: usize = 6;

/// Values longer than twice this, in bytes, are looked for in pieces.
const PIECE: usize = 256;

/// What stands in a secret's place.
pub const REDACTED: &str = "[REDACTED]";

/// The secrets that are looked for. Clones share them.
#[derive(Clone, Default)]
pub struct Redaction(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    /// Each value and how many protect it.
    values: BTreeMap<String, usize>,
    matcher: Option<Arc<AhoCorasick>>,
}

/// Keeps a value protected until it is dropped.
#[must_use = "the value is not protected any more when this is dropped"]
pub struct Protected {
    redaction: Redaction,
    value: String,
}

impl Redaction {
    /// Has a value looked for from now on, until what is returned is dropped.
    pub fn protect(&self, value: &str) -> Protected {
        let value = value.trim();
        self.change(|values| *values.entry(value.to_owned()).or_default() += 1);
        Protected { redaction: self.clone(), value: value.to_owned() }
    }

    /// Has a value looked for from now on, for as long as the process runs.
    pub fn protect_for_good(&self, value: &str) {
        std::mem::forget(self.protect(value));
    }

    /// The text without secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.matcher().filter(|matcher| matcher.is_match(text)) {
            None => Cow::Borrowed(text),
            Some(matcher) => {
                let mut redacted = String::with_capacity(text.len());
                matcher.replace_all_with(text, &mut redacted, |_, _, redacted| {
                    redacted.push_str(REDACTED);
                    true
                });
                Cow::Owned(redacted)
            }
        }
    }

    /// The bytes without secrets.
    #[must_use]
    pub fn bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        match self.matcher().filter(|matcher| matcher.is_match(bytes)) {
            None => Cow::Borrowed(bytes),
            Some(matcher) => {
                let mut redacted = Vec::with_capacity(bytes.len());
                matcher.replace_all_with_bytes(bytes, &mut redacted, |_, _, redacted| {
                    redacted.extend_from_slice(REDACTED.as_bytes());
                    true
                });
                Cow::Owned(redacted)
            }
        }
    }

    fn matcher(&self) -> Option<Arc<AhoCorasick>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).matcher.clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, usize>)) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.values.len();
        change(&mut known.values);
        if known.values.len() != before {
            known.matcher = matcher(&known.values);
        }
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        self.redaction.change(|values| {
            if let Some(holders) = values.get_mut(&self.value) {
                *holders -= 1;
                if *holders == 0 {
                    values.remove(&self.value);
                }
            }
        });
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redaction")
    }
}

impl fmt::Debug for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

fn matcher(values: &BTreeMap<String, usize>) -> Option<Arc<AhoCorasick>> {
    let long_enough = values.keys().filter(|value| value.len() >= MIN_BYTES).flat_map(|value| pieces(value));
    let mut patterns: Vec<String> = long_enough.flat_map(forms).filter(|form| !form.is_empty()).collect();
    patterns.sort_unstable();
    patterns.dedup();
    if patterns.is_empty() {
        return None;
    }
    // Of two secrets that begin alike the longer one: the rest of it must not remain.
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::LeftmostLongest)
        .build(&patterns)
        .ok()
        .map(Arc::new)
}

/// A value in pieces that are quick to look for: one after the other they are found as the whole would be.
fn pieces(value: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while rest.len() > 2 * PIECE {
        let at = (PIECE..rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// A value as it is, quoted, in a URL and in a form.
fn forms(value: &str) -> [String; 6] {
    let inner = |quoted: &str| quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let json = |text: &str| inner(&serde_json::to_string(text).unwrap_or_default());
    let debug = inner(&format!("{value:?}"));
    // Quoted by whoever logs it, and once more by a log in JSON.
    let twice = json(&debug);
    [value.to_owned(), json(value), debug, twice, encoded(value, b"-._~", "%20"), encoded(value, b"*-._", "+")]
}

fn encoded(value: &str, kept: &[u8], space: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' => encoded.push_str(space),
            byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_protected_value_is_replaced_in_all_the_forms_it_is_printed_in() {
        let redaction = Redaction::default();
        let secret = "a+b/\"c\\ d\u{e9}\n!";
        let _protected = redaction.protect(secret);
        let json = serde_json::json!({ "said": secret }).to_string();
        for text in [
            secret.to_owned(),
            json,
            format!("{secret:?}"),
            "x=a%2Bb%2F%22c%5C+d%C3%A9%0A%21&y".to_owned(),
            "/a%2Bb%2F%22c%5C%20d%C3%A9%0A%21/".to_owned(),
        ] {
            let redacted = redaction.text(&text).into_owned();
            assert!(redacted.contains(REDACTED), "{text}");
            assert!(!redacted.contains("a%2Bb") && !redacted.contains("a+b"), "{redacted}");
        }
    }

    #[test]
    fn a_value_is_looked_for_until_the_last_who_protects_it_is_gone() {
        let redaction = Redaction::default();
        let first = redaction.protect("s3cret-token");
        let second = redaction.protect("s3cret-token\n");
        drop(first);
        assert_eq!(redaction.text("got s3cret-token!"), "got [REDACTED]!");
        drop(second);
        assert_eq!(redaction.text("got s3cret-token!"), "got s3cret-token!");
        redaction.protect_for_good("s3cret-token");
        assert_eq!(redaction.bytes(b"\xffs3cret-token"), &b"\xff[REDACTED]"[..]);
    }

    #[test]
    fn of_two_that_begin_alike_nothing_remains() {
        let redaction = Redaction::default();
        let _short = redaction.protect("s3cret");
        let _long = redaction.protect("s3cret-and-more");
        assert_eq!(redaction.text("s3cret-and-more s3cret"), "[REDACTED] [REDACTED]");
    }

    /// Scenario: a token as long as a token can be.
    /// Guarantees: nothing of it is left, wherever it stands.
    #[test]
    fn a_long_value_is_found_in_pieces() {
        let redaction = Redaction::default();
        let token: String = (0..8192_u32).map(|number| format!("{number:x}é")).collect();
        let _protected = redaction.protect(&token);
        let redacted = redaction.text(&format!("got {token}!")).replace(REDACTED, "");
        assert_eq!(redacted, "got !");
    }

    #[test]
    fn short_values_are_left_alone() {
        let redaction = Redaction::default();
        let _protected = (redaction.protect("info"), redaction.protect(""));
        assert_eq!(redaction.text("info: a line"), "info: a line");
    }

    proptest! {
        /// Guarantees: whatever the secrets and wherever they stand, none of them is left.
        #[test]
        fn no_protected_value_is_left(
            secrets in prop::collection::vec("[ -~]{6,20}", 1..6),
            around in prop::collection::vec("[ -~é\n]{0,20}", 1..6),
        ) {
            let redaction = Redaction::default();
            let protected: Vec<_> = secrets.iter().map(|secret| redaction.protect(secret)).collect();
            let text: String = around.iter().zip(secrets.iter().cycle()).map(|(a, b)| format!("{a}{b}")).collect();
            let redacted = redaction.text(&text).replace(REDACTED, "\u{0}");
            for secret in &protected {
                prop_assert!(secret.value.len() < MIN_BYTES || !redacted.contains(&secret.value));
            }
        }
    }
}
