//! Paths a rule covers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path in which `*` stands for any text, slashes included: `/api/2.2/jobs/*`.
///
/// It is matched against the path of a parsed URL, in which `..` and its encodings are already resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPattern(String);

impl PathPattern {
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

impl TryFrom<String> for PathPattern {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with('/') && !text.contains(['?', '#']) { Ok(Self(text)) } else { Err(InvalidPath(text)) }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a path.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: it starts with `/` and has no query or fragment; `*` stands for any text")]
pub struct InvalidPath(String);

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
}
