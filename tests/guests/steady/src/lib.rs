//! A plugin that counts its collections and does nothing else: the neighbour of whatever misbehaves.

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Steady);

/// There is nothing to configure.
#[derive(Debug, Deserialize)]
pub struct Config {}

/// The plugin.
#[derive(Debug, Default)]
pub struct Steady {
    collections: i64,
}

impl Receiver for Steady {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self::default())
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        self.collections = self.collections.saturating_add(1);
        let mut metrics = telemetry::Metrics::new();
        metrics.kiln_steady(self.collections);
        host.emit_metrics([metrics])?;
        Ok(Outcome::complete())
    }
}
