//! Changes attributes of the resource.
//!
//! Configurations mean what they mean to the Collector's resource processor: actions run in their order, each on what
//! the one before left. What is asked of the host is only the difference between the first and the last state of the
//! attributes, so a batch that is already right is not touched.

mod action;
mod condition;
mod pattern;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::processor::{Edit, ProcessError, View};
use kiln_plugin::telemetry::{Attribute, AttributeValue};
use kiln_plugin::{ConfigError, Processor, ProcessorHost};
use serde::Deserialize;

use crate::action::{Action, RawAction};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Resource);

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    attributes: Vec<RawAction>,
}

/// The attributes of a resource while actions run.
type Attributes = BTreeMap<String, AttributeValue>;

/// The processor: what happens to each resource, in this order.
#[derive(Debug)]
pub struct Resource {
    actions: Vec<Action>,
}

impl Processor for Resource {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let read = |(index, raw)| Action::read(raw, &format!("/attributes/{index}"));
        let actions = config.attributes.into_iter().enumerate().filter_map(|numbered| read(numbered).transpose());
        Ok(Self { actions: actions.collect::<Result<_, _>>()? })
    }

    fn process(&mut self, _host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        let resources = (0_u32..).zip(&view.resources);
        Ok(resources.flat_map(|(index, resource)| self.edits(index, &resource.attributes)).collect())
    }
}

impl Resource {
    fn edits(&self, index: u32, attributes: &[Attribute]) -> Vec<Edit> {
        // A key that is there twice, against the rules, is what it is first, and is set once.
        let mut before = Attributes::new();
        for Attribute { key, value } in attributes {
            before.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let mut after = before.clone();
        self.actions.iter().for_each(|action| action.run(&mut after));
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let edit = |key: &String| match after.get(key) {
            now if value::is_same(before.get(key), now) => None,
            Some(value) => Some(Edit::set_resource_attribute(index, key, value.clone())),
            None => Some(Edit::remove_resource_attribute(index, key)),
        };
        keys.into_iter().filter_map(edit).collect()
    }
}
