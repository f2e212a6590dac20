//! Inserts, updates and deletes attributes of the resource.
//!
//! Configurations mean what they mean to the Collector's resource processor: actions run in their order, each on what
//! the one before left. What is asked of the host is only the difference between the first and the last state of an
//! attribute, so a batch that is already right is not touched.

use kiln_plugin::processor::{Edit, ProcessError, View};
use kiln_plugin::telemetry::{Attribute, AttributeValue};
use kiln_plugin::{ConfigError, Processor, ProcessorHost};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Resource);

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    attributes: Vec<RawAction>,
}

#[derive(Debug, Deserialize)]
struct RawAction {
    key: String,
    value: Option<serde_json::Value>,
    action: Verb,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Insert,
    Update,
    Upsert,
    Delete,
}

/// One action; the ones that set have a value.
#[derive(Debug)]
enum Action {
    Insert(AttributeValue),
    Update(AttributeValue),
    Upsert(AttributeValue),
    Delete,
}

impl Action {
    /// `None` where there is nothing to set: the empty text is what a variable without a value leaves behind.
    fn new(raw: &RawAction, index: usize) -> Result<Option<Self>, ConfigError> {
        let invalid = |message: &str| Err(ConfigError::new(format!("/attributes/{index}/value"), message));
        let value = match (&raw.value, raw.action) {
            (None, Verb::Delete) => return Ok(Some(Self::Delete)),
            (Some(_), Verb::Delete) => return invalid("delete takes no value: leave it out"),
            (None, _) => return invalid("is missing: every action but delete needs one"),
            (Some(value), _) => value,
        };
        let value = match value {
            serde_json::Value::String(text) if text.is_empty() => return Ok(None),
            serde_json::Value::String(text) => AttributeValue::from(text.as_str()),
            serde_json::Value::Bool(value) => AttributeValue::from(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => AttributeValue::from(integer),
                (None, Some(float)) if number.is_f64() => AttributeValue::from(float),
                (None, _) => return invalid("is too large for an attribute: 64 bits, signed"),
            },
            _ => return invalid("must be a string, a number or a boolean"),
        };
        Ok(Some(match raw.action {
            Verb::Insert => Self::Insert(value),
            Verb::Update => Self::Update(value),
            Verb::Upsert => Self::Upsert(value),
            Verb::Delete => Self::Delete,
        }))
    }

    fn apply<'a>(&'a self, current: Option<&'a AttributeValue>) -> Option<&'a AttributeValue> {
        match (self, current) {
            (Self::Insert(_), Some(current)) => Some(current),
            (Self::Insert(value) | Self::Upsert(value), _) | (Self::Update(value), Some(_)) => Some(value),
            (Self::Update(_), None) | (Self::Delete, _) => None,
        }
    }
}

/// The processor: for each key, in the order they were first named, what happens to it.
#[derive(Debug)]
pub struct Resource {
    keys: Vec<(String, Vec<Action>)>,
}

impl Processor for Resource {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let mut keys: Vec<(String, Vec<Action>)> = Vec::new();
        for (index, raw) in config.attributes.iter().enumerate() {
            if raw.key.is_empty() {
                return Err(ConfigError::new(format!("/attributes/{index}/key"), "is empty"));
            }
            let Some(action) = Action::new(raw, index)? else { continue };
            match keys.iter_mut().find(|(key, _)| *key == raw.key) {
                Some((_, actions)) => actions.push(action),
                None => keys.push((raw.key.clone(), vec![action])),
            }
        }
        Ok(Self { keys })
    }

    fn process(&mut self, _host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        let mut edits = Vec::new();
        for (index, resource) in (0_u32..).zip(&view.resources) {
            edits.extend(self.keys.iter().filter_map(|(key, actions)| edit(index, key, actions, &resource.attributes)));
        }
        Ok(edits)
    }
}

fn edit(resource: u32, key: &str, actions: &[Action], attributes: &[Attribute]) -> Option<Edit> {
    let before = attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value);
    let after = actions.iter().fold(before, |current, action| action.apply(current));
    match after {
        _ if before == after => None,
        Some(value) => Some(Edit::set_resource_attribute(resource, key, value.clone())),
        None => Some(Edit::remove_resource_attribute(resource, key)),
    }
}
