//! Masks the values of attributes of resources.

// Half the size of a plugin with `std`. Where a crate needs that, which is the error `duplicate lang item: panic_impl`, remove this
// line, and `default-features = false` from Cargo.toml.
#![cfg_attr(target_arch = "wasm32", no_std)]

use kiln_plugin::prelude::*;
use kiln_plugin::processor::{Edit, ProcessError, View};
use kiln_plugin::{ConfigError, Processor, ProcessorHost};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Mask);

const MASK: &str = "***";

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    keys: Vec<String>,
}

/// The processor.
#[derive(Debug)]
pub struct Mask {
    keys: Vec<String>,
}

impl Processor for Mask {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { keys: config.keys })
    }

    fn process(&mut self, _host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        let mut edits = Vec::new();
        for (index, resource) in (0_u32..).zip(&view.resources) {
            let keys = resource.attributes.iter().map(|attribute| &attribute.key);
            for key in keys.filter(|key| self.keys.contains(key)) {
                edits.push(Edit::set_resource_attribute(index, key, MASK));
            }
        }
        Ok(edits)
    }
}
