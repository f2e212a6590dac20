//! Whether an action is for a resource.

use kiln_plugin::ConfigError;
use kiln_plugin::telemetry::AttributeValue;
use serde::Deserialize;

use crate::Attributes;
use crate::pattern::Pattern;

/// As it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct RawCondition {
    key: String,
    equals: Option<serde_json::Value>,
    matches: Option<String>,
    present: Option<bool>,
}

/// What an attribute has to be like.
#[derive(Debug)]
pub(crate) struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equals(AttributeValue),
    Matches(Pattern),
    Present(bool),
}

impl Condition {
    pub(crate) fn read(raw: RawCondition, place: &str) -> Result<Self, ConfigError> {
        let RawCondition { key, equals, matches, present } = raw;
        let invalid = |field: &str, message: &str| ConfigError::new(format!("{place}{field}"), message);
        let test = match (equals, matches, present) {
            (Some(wanted), None, None) => {
                Test::Equals(AttributeValue::try_from(&wanted).map_err(|message| invalid("/equals", message))?)
            }
            (None, Some(pattern), None) => {
                Test::Matches(Pattern::new(&pattern).map_err(|message| invalid("/matches", &message))?)
            }
            (None, None, Some(present)) => Test::Present(present),
            _ => return Err(invalid("", "needs one of equals, matches and present, and only one")),
        };
        Ok(Self { key, test })
    }

    pub(crate) fn holds(&self, attributes: &Attributes) -> bool {
        match (&self.test, attributes.get(&self.key)) {
            (Test::Equals(wanted), current) => current == Some(wanted),
            (Test::Matches(pattern), Some(AttributeValue::Text(text))) => pattern.is_in(text),
            (Test::Matches(_), _) => false,
            (Test::Present(wanted), current) => current.is_some() == *wanted,
        }
    }
}
