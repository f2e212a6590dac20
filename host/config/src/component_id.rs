//! Names of instances: `type` or `type/name`, as in the OpenTelemetry Collector.

use std::fmt;
use std::str::FromStr;

/// The longest type, as in the Collector.
const MAX_TYPE: usize = 63;

/// The longest name in characters, as in the Collector.
const MAX_NAME: usize = 1024;

/// Identifies a receiver, processor or exporter among its own kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    kind: String,
    name: Option<String>,
}

impl ComponentId {
    /// What stands before the `/`: a plugin, or a built-in exporter.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What stands after the `/`, which tells instances of one type apart.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

impl FromStr for ComponentId {
    type Err = InvalidComponentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        if !is_type(kind) {
            return Err(InvalidComponentId::Type);
        }
        if !name.is_none_or(is_name) {
            return Err(InvalidComponentId::Name);
        }
        Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) })
    }
}

/// The Collector's rule and `-`, which the names of plugins may hold.
fn is_type(text: &str) -> bool {
    text.len() <= MAX_TYPE
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The Collector's rule, which excludes spaces, controls and symbols; of the punctuation outside ASCII nothing is
/// allowed.
fn is_name(text: &str) -> bool {
    let symbol = |c| matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    !text.is_empty()
        && text.chars().count() <= MAX_NAME
        && text.chars().all(|c| c.is_alphanumeric() || (c.is_ascii_punctuation() && !symbol(c)))
}

/// Why a text does not name a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidComponentId {
    /// What stands before the `/`.
    #[error("the part before `/` must start with a letter and hold letters, digits, `_` and `-` only, at most 63")]
    Type,
    /// What stands after the `/`.
    #[error("the part after `/` must be letters, digits and punctuation such as `_`, `-` and `.`, without spaces")]
    Name,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_collector_reads_them() {
        for (text, kind, name) in [
            ("databricks", "databricks", None),
            ("databricks/prod", "databricks", Some("prod")),
            ("otlp_http/2", "otlp_http", Some("2")),
            ("host-metrics", "host-metrics", None),
            ("databricks/prod/eu", "databricks", Some("prod/eu")),
            (" databricks / prod ", "databricks", Some("prod")),
            ("spark/größe.v1", "spark", Some("größe.v1")),
        ] {
            let id: ComponentId = text.parse().unwrap();
            assert_eq!((id.kind(), id.name()), (kind, name), "{text}");
            assert_eq!(id.to_string().parse::<ComponentId>().unwrap(), id);
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (text, why) in [
            ("", InvalidComponentId::Type),
            ("/prod", InvalidComponentId::Type),
            ("1databricks", InvalidComponentId::Type),
            ("data bricks", InvalidComponentId::Type),
            ("größe", InvalidComponentId::Type),
            (&"a".repeat(64), InvalidComponentId::Type),
            ("databricks/", InvalidComponentId::Name),
            ("databricks/a b", InvalidComponentId::Name),
            ("databricks/a\u{7}", InvalidComponentId::Name),
            ("databricks/a=b", InvalidComponentId::Name),
            ("databricks/a\u{202e}b", InvalidComponentId::Name),
        ] {
            assert_eq!(text.parse::<ComponentId>(), Err(why), "{text}");
        }
    }
}
