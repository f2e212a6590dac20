//! Telemetry that must arrive, field by field.

use std::path::Path;
use std::time::Duration;

use kiln_testbed::sink::{Sink, Telemetry};
use serde::Deserialize;
use serde_json::Value as Json;

/// What must be among what arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arrival {
    points: Vec<Json>,
    spans: Vec<Json>,
    logs: Vec<Json>,
}

impl Arrival {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn wait(&self, sink: &Sink, patience: Duration) -> Result<(), String> {
        let missing = |telemetry: &Telemetry| {
            let arrived = serde_json::to_value(telemetry).unwrap();
            let parts = [("points", &self.points), ("spans", &self.spans), ("logs", &self.logs)];
            parts.into_iter().find_map(|(part, wanted)| {
                let all = arrived[part].as_array().unwrap();
                let missing = wanted.iter().find(|wanted| !all.iter().any(|item| is_like(item, wanted)))?;
                Some(format!("did not arrive: {missing:#}\narrived {part}: {all:#?}"))
            })
        };
        match sink.wait_for(patience, |telemetry| missing(telemetry).is_none()) {
            Ok(_) => Ok(()),
            Err(_) => missing(&sink.telemetry()).map_or(Ok(()), Err),
        }
    }
}

/// Whether `item` says everything that `wanted` says; objects may say more.
fn is_like(item: &Json, wanted: &Json) -> bool {
    match (item, wanted) {
        (Json::Object(item), Json::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| item.get(key).is_some_and(|item| is_like(item, wanted)))
        }
        (Json::Array(item), Json::Array(wanted)) => {
            item.len() == wanted.len() && item.iter().zip(wanted).all(|(item, wanted)| is_like(item, wanted))
        }
        (item, wanted) => item == wanted,
    }
}
