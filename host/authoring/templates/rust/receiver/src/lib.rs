//! Says how long queues are.

// Half the size of a plugin with `std`. Where a crate needs that, which is the error `duplicate lang item: panic_impl`, remove this
// line, and `default-features = false` from Cargo.toml.
#![cfg_attr(target_arch = "wasm32", no_std)]

use kiln_plugin::prelude::*;
use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use serde::Deserialize;

// Makes a method of every metric in plugin.toml, and only of those.
kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Queues);

/// What the operator writes, without the token: the host keeps that and signs in itself.
#[derive(Debug, Deserialize)]
pub struct Config {
    host: String,
}

/// The receiver.
#[derive(Debug)]
pub struct Queues {
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    queues: Vec<Queue>,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    length: i64,
}

impl Receiver for Queues {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { url: format!("{}/api/queues", config.host.trim_end_matches('/')) })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let answer: Answer = host.http().get_json(&self.url)?;
        let mut metrics = telemetry::Metrics::new();
        for queue in &answer.queues {
            metrics.{{ident}}_queue_length(&telemetry::{{type}}QueueLength { queue: &queue.name }, queue.length);
        }
        host.emit_metrics([metrics])?;
        Ok(Outcome::complete())
    }
}
