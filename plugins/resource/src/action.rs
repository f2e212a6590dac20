//! One action, read from the configuration once and run on every resource.

use kiln_plugin::ConfigError;
use kiln_plugin::telemetry::AttributeValue;
use serde::Deserialize;

use crate::Attributes;
use crate::condition::{Condition, RawCondition};
use crate::pattern::Pattern;
use crate::value::{self, Type};

/// As it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct RawAction {
    key: String,
    action: Verb,
    value: Option<serde_json::Value>,
    from_attribute: Option<String>,
    pattern: Option<String>,
    converted_type: Option<Type>,
    when: Option<RawCondition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Insert,
    Update,
    Upsert,
    Delete,
    Hash,
    Extract,
    Convert,
}

/// An action and what it is done to.
#[derive(Debug)]
pub(crate) struct Action {
    key: String,
    what: What,
    when: Option<Condition>,
}

#[derive(Debug)]
enum What {
    Set { absent: bool, present: bool, from: From },
    Delete,
    Hash,
    Extract(Pattern),
    Convert(Type),
}

#[derive(Debug)]
enum From {
    Value(AttributeValue),
    Attribute(String),
}

impl Action {
    /// `None` where there is nothing to set: the empty text is what a variable without a value leaves behind. `place` is
    /// where the action stands.
    pub(crate) fn read(raw: RawAction, place: &str) -> Result<Option<Self>, ConfigError> {
        let RawAction { key, action, value, from_attribute, pattern, converted_type, when } = raw;
        let invalid = |field: &str, message: &str| ConfigError::new(format!("{place}/{field}"), message);
        if key.is_empty() {
            return Err(invalid("key", "is empty"));
        }
        let sets = matches!(action, Verb::Insert | Verb::Update | Verb::Upsert);
        for (field, is_there, belongs) in [
            ("value", value.is_some(), sets),
            ("from_attribute", from_attribute.is_some(), sets),
            ("pattern", pattern.is_some(), action == Verb::Extract),
            ("converted_type", converted_type.is_some(), action == Verb::Convert),
        ] {
            if is_there && !belongs {
                return Err(invalid(field, &format!("does not go with {}: leave it out", action.name())));
            }
        }
        let set = |absent, present| match (value, from_attribute) {
            (Some(_), Some(_)) => Err(invalid("from_attribute", "stands beside a value: leave one of them out")),
            (None, None) => Err(invalid("value", "is missing: insert, update and upsert need it, or from_attribute")),
            (None, Some(key)) => Ok(Some(What::Set { absent, present, from: From::Attribute(key) })),
            (Some(serde_json::Value::String(text)), None) if text.is_empty() => Ok(None),
            (Some(value), None) => {
                let value = AttributeValue::try_from(&value).map_err(|message| invalid("value", message))?;
                Ok(Some(What::Set { absent, present, from: From::Value(value) }))
            }
        };
        let what = match action {
            Verb::Insert => set(true, false)?,
            Verb::Update => set(false, true)?,
            Verb::Upsert => set(true, true)?,
            Verb::Delete => Some(What::Delete),
            Verb::Hash => Some(What::Hash),
            Verb::Extract => match pattern {
                Some(pattern) => {
                    let pattern = Pattern::with_groups(&pattern);
                    Some(What::Extract(pattern.map_err(|error| invalid("pattern", &error))?))
                }
                None => return Err(invalid("pattern", "is missing: extract needs it")),
            },
            Verb::Convert => match converted_type {
                Some(to) => Some(What::Convert(to)),
                None => return Err(invalid("converted_type", "is missing: convert needs it")),
            },
        };
        let when = when.map(|when| Condition::read(when, &format!("{place}/when"))).transpose()?;
        Ok(what.map(|what| Self { key, what, when }))
    }

    /// Does it to the attributes of one resource.
    pub(crate) fn run(&self, attributes: &mut Attributes) {
        if self.when.as_ref().is_some_and(|when| !when.holds(attributes)) {
            return;
        }
        let current = attributes.get(&self.key);
        match &self.what {
            What::Set { absent, present, from } => {
                let concerned = if current.is_some() { *present } else { *absent };
                let value = match from {
                    From::Value(value) => Some(value),
                    From::Attribute(key) => attributes.get(key),
                };
                if let (true, Some(value)) = (concerned, value.cloned()) {
                    attributes.insert(self.key.clone(), value);
                }
            }
            What::Delete => drop(attributes.remove(&self.key)),
            What::Hash => {
                if let Some(hash) = current.and_then(value::hash) {
                    attributes.insert(self.key.clone(), hash);
                }
            }
            What::Extract(pattern) => {
                let Some(AttributeValue::Text(text)) = current else { return };
                attributes.extend(pattern.groups_in(text));
            }
            What::Convert(to) => {
                if let Some(converted) = current.and_then(|current| value::convert(current, *to)) {
                    attributes.insert(self.key.clone(), converted);
                }
            }
        }
    }
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Hash => "hash",
            Self::Extract => "extract",
            Self::Convert => "convert",
        }
    }
}
