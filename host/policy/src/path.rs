//! Paths a rule covers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path in which `*` stands for any text, slashes included: `/api/2.2/jobs/*`.
///
/// It is matched against the path of a parsed URL, in which `..` and its encodings are already resolved. What remains
/// that two servers may read differently is for [`ambiguity`] to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// Whether it covers every path there is, so that there is nothing to escape from.
    pub(crate) fn is_everything(&self) -> bool {
        self.0 == "/*"
    }

    /// Whether it is one path, letter for letter.
    pub(crate) fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether `path` is covered.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
        let mut rest = rest;
        let Some(last) = self.0.contains('*').then(|| parts.next_back()).flatten() else { return rest.is_empty() };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

/// What makes two servers read a path differently, if anything does.
///
/// A path that is matched here is sent as it is, and whoever receives it reads it once more: a proxy, then a server, each
/// with its own idea of an encoded slash or an empty segment. Such a path could begin with what is granted and end up
/// elsewhere, so it is refused rather than interpreted.
pub(crate) fn ambiguity(path: &str) -> Option<&'static str> {
    if path.contains("//") {
        return Some("an empty segment");
    }
    if path.contains('\\') {
        return Some("a backslash");
    }
    let (decoded, encoded) = decode(path);
    if decoded.contains(&b';') {
        // Servers that take what follows for parameters see `..` in `..;`.
        return Some("a semicolon");
    }
    if encoded.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        return Some("an encoded slash");
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Some("an encoded control character");
    }
    let text = std::str::from_utf8(&decoded);
    let Ok(text) = text else { return Some("an encoding that is not UTF-8") };
    if text.contains(SEEN_AS_ASCII) {
        return Some("a character that some servers take for a dot or slash");
    }
    if decode(text).1.iter().any(u8::is_ascii) {
        return Some("something encoded twice");
    }
    // The URL's parser resolves `..` and `%2e%2e`; this holds if it should ever not.
    text.split('/').any(|segment| matches!(segment, "." | "..")).then_some("a dot segment")
}

/// Characters that compatibility normalisation turns into dots, slashes and backslashes.
const SEEN_AS_ASCII: [char; 9] =
    ['\u{2024}', '\u{2025}', '\u{2026}', '\u{2044}', '\u{2215}', '\u{29f8}', '\u{ff0e}', '\u{ff0f}', '\u{ff3c}'];

/// The bytes a path stands for, and of those the ones that were encoded.
fn decode(path: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut decoded, mut encoded) = (Vec::with_capacity(path.len()), Vec::new());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
                let byte = (digit(*high).unwrap_or_default() << 4) | digit(*low).unwrap_or_default();
                decoded.push(byte);
                encoded.push(byte);
                rest = after;
            }
            (byte, _) => decoded.push(*byte),
        }
    }
    (decoded, encoded)
}

impl TryFrom<String> for PathPattern {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err(InvalidPath::NotAPath(text));
        }
        match ambiguity(&text).filter(|_| text.contains('*')) {
            Some(found) => Err(InvalidPath::Ambiguous(text, found)),
            None => Ok(Self(text)),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a path that can be granted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Not a path at all.
    #[error("`{0}` is no path: it starts with `/` and has no query or fragment; `*` stands for any text")]
    NotAPath(String),
    /// No request would be let through by it.
    #[error(
        "`{0}` contains {1}, which servers read in different ways: only a path without `*` may, and only where it is \
         the very path that is asked for"
    )]
    Ambiguous(String, &'static str),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::try_from(pattern.to_owned()).unwrap().matches(path)
    }

    #[test]
    fn without_a_star_only_the_very_path() {
        assert!(matches("/metrics", "/metrics"));
        assert!(!matches("/metrics", "/metrics/"));
        assert!(!matches("/metrics", "/metric"));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("/api/*", "/api/v1/applications"));
        assert!(matches("/api/*", "/api/"));
        assert!(!matches("/api/*", "/apis"));
        assert!(matches("/api/*/stages", "/api/v1/applications/a/stages"));
        assert!(!matches("/api/*/stages", "/api/stages"));
        assert!(matches("*".replace('*', "/*").as_str(), "/"));
        assert!(!matches("/a*aa", "/aa"));
    }

    #[test]
    fn what_two_servers_may_read_differently_is_found() {
        for (path, found) in [
            ("/api//admin", "an empty segment"),
            ("/api/..%2fadmin", "an encoded slash"),
            ("/api/..%2Fadmin", "an encoded slash"),
            ("/api/..%5cadmin", "an encoded slash"),
            ("/api/..\\admin", "a backslash"),
            ("/api/..;/admin", "a semicolon"),
            ("/api/..%3B/admin", "a semicolon"),
            ("/api/x%00.json", "an encoded control character"),
            ("/api/x%0d%0aHost:", "an encoded control character"),
            ("/api/%252e%252e/admin", "something encoded twice"),
            ("/api/%25252e", "something encoded twice"),
            ("/api/%c0%ae%c0%ae/admin", "an encoding that is not UTF-8"),
            ("/api/%EF%BC%8E%EF%BC%8E%EF%BC%8Fadmin", "a character that some servers take for a dot or slash"),
            ("/api/../admin", "a dot segment"),
            ("/api/%2e%2E/admin", "a dot segment"),
        ] {
            assert_eq!(ambiguity(path), Some(found), "{path}");
        }
        for path in
            ["/", "/api/v1/a%20b", "/api/100%25", "/api/%C3%A9t%C3%A9", "/a.b/...", "/api/v1/", "/a%2eb", "/%zz"]
        {
            assert_eq!(ambiguity(path), None, "{path}");
        }
    }

    #[test]
    fn a_pattern_that_could_let_nothing_through_is_refused() {
        assert!(PathPattern::try_from("/groups/a%2Fb".to_owned()).is_ok());
        for pattern in ["/groups/a%2Fb/*", "/api//*", "/api/;*", "api", "/api?x", ""] {
            assert!(PathPattern::try_from(pattern.to_owned()).is_err(), "{pattern}");
        }
    }
}
