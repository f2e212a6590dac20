//! Requests that count only if the operator wants what they are for.
//!
//! All that is requested has to be granted. A plugin with several sources of which an operator chooses some would so have
//! to be granted all of them. A condition ties a request to a choice: where it does not hold, nothing is requested and
//! nothing can be granted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::setting::Setting;

/// `{ config = "detectors", has = "system" }`: the request counts if this field of the configuration is, or has among
/// its items, this text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The field, by its dotted path.
    pub config: String,
    /// The text.
    pub has: String,
}

impl Condition {
    /// Whether it holds under a configuration, defaults of the schema included. `setting` looks up a field by its dotted path.
    pub fn holds<'a>(&self, setting: impl Fn(&str) -> Option<Setting<'a>>) -> bool {
        setting(&self.config).is_some_and(|setting| {
            setting.text == Some(&self.has) || setting.elements.iter().any(|element| element.text == self.has)
        })
    }

    /// Whether the schema of a configuration has the field at all.
    pub(crate) fn is_about(&self, schema: &serde_json::Value) -> bool {
        let mut names = self.config.split('.');
        let found = names.try_fold(schema, |schema, name| schema.get("properties")?.get(name));
        found.is_some() && !self.has.is_empty()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "if `{}` has `{}`", self.config, self.has)
    }
}

/// Whether a request counts.
pub(crate) fn holds<'a>(condition: Option<&Condition>, setting: impl Fn(&str) -> Option<Setting<'a>>) -> bool {
    condition.is_none_or(|condition| condition.holds(setting))
}
