//! The scope a series names with labels of its own.

use crate::labels::Labels;
use crate::translate::identity::Identity;

const PREFIX: &str = "otel_scope_";

/// Name, version and attributes of a scope; the default is the scope of this receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeId {
    named: Option<(String, String)>,
    attributes: Identity,
}

impl ScopeId {
    /// Takes the labels that name a scope out of those of a series. Without a name or a version they are labels like
    /// any other.
    pub(crate) fn take(labels: &mut Labels<'_>) -> Self {
        let (name, version) = (labels.remove("otel_scope_name"), labels.remove("otel_scope_version"));
        if name.is_none() && version.is_none() {
            return Self::default();
        }
        let text = |value: Option<std::borrow::Cow<'_, str>>| value.unwrap_or_default().into_owned();
        let attributes =
            Identity::new(labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value))));
        if !attributes.is_empty() {
            labels.retain(|name| !name.starts_with(PREFIX));
        }
        Self { named: Some((text(name), text(version))), attributes }
    }

    /// Name and version, if it is not the receiver's own.
    pub(crate) fn named(&self) -> Option<(&str, &str)> {
        self.named.as_ref().map(|(name, version)| (name.as_str(), version.as_str()))
    }

    pub(crate) const fn attributes(&self) -> &Identity {
        &self.attributes
    }

    /// The same scope with more attributes.
    pub(crate) fn with(&self, facts: &[(String, String)]) -> Self {
        let mut pairs: Vec<(&str, &str)> = self.attributes.pairs().collect();
        pairs.extend(facts.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Self { named: self.named.clone(), attributes: Identity::new(pairs) }
    }
}
