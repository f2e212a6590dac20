//! Sets attributes from a table: the value of one attribute is looked up, and the row says what the others are.
//!
//! Where the attribute is found, there the others are set: on the resource, or on the point, span or log record. The
//! table is a granted file. It is read before the first batch, so that an instance whose table is broken does not run;
//! and again when it changes, when one that is broken leaves the last good one in place.

mod config;
mod csv;
mod json;
mod source;
mod table;

use kiln_plugin::processor::{Edit, ProcessError, View};
use kiln_plugin::telemetry::AttributeValue;
use kiln_plugin::{ConfigError, Processor, ProcessorHost};

pub use crate::config::Config;
use crate::config::Target;
use crate::source::Source;
use crate::table::{Table, key_text};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Lookup);

/// The processor.
#[derive(Debug)]
pub struct Lookup {
    from_attribute: String,
    source: Source,
}

impl Processor for Lookup {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let from_attribute = config.from_attribute.clone();
        Ok(Self { from_attribute, source: Source::new(config)? })
    }

    fn start(&mut self, host: &mut ProcessorHost) -> Result<(), ConfigError> {
        self.source.load(host)
    }

    fn process(&mut self, host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        self.source.refresh(host);
        let Some(table) = self.source.table() else {
            return Err(ProcessError::Failed("has no table".to_owned()));
        };
        let key = self.from_attribute.as_str();
        let mut edits = Vec::new();
        for resource in view.each_resource() {
            if let Some(value) = resource.get(key) {
                let changes = changes(table, value, |key| resource.get(key));
                edits.extend(changes.map(|(target, value)| resource.set(&target.key, value.clone())));
            }
        }
        for point in view.each_point() {
            if let Some(value) = point.get(key) {
                let changes = changes(table, value, |key| point.get(key));
                edits.extend(changes.map(|(target, value)| point.set(&target.key, value.clone())));
            }
        }
        Ok(edits)
    }
}

/// What has to be set where an attribute has this value. `current` is what is there.
fn changes<'t, 'v>(
    table: &'t Table,
    value: &AttributeValue,
    current: impl Fn(&str) -> Option<&'v AttributeValue>,
) -> impl Iterator<Item = (&'t Target, &'t AttributeValue)> {
    let row = key_text(value).and_then(|key| table.row(&key));
    table.targets().filter_map(move |(column, target)| {
        let found = row.and_then(|row| row.get(column)?.as_ref()).or(target.default.as_ref())?;
        let concerned = match current(&target.key) {
            Some(current) => target.action.sets_present() && current != found,
            None => target.action.sets_absent(),
        };
        concerned.then_some((target, found))
    })
}
