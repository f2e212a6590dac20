//! A plugin that makes points and hands them over: as records of the contract, or as OTLP it has encoded itself.
//!
//! Protobuf goes through the only import that takes bytes as they are, the state, and is forgotten at once: what is compared
//! is the way across the border and not what lies behind it.

mod otlp;

use kiln_plugin::bindings::state;
use kiln_plugin::telemetry::{
    Attribute, AttributeValue, Metric, MetricData, Number, NumberPoint, Resource, ResourceMetrics, Scope,
};
use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use prost::Message as _;
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Records);

const KEY: &str = "batch";

/// What the benchmark writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    form: Form,
    points: u32,
    attributes: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    None,
    Records,
    Protobuf,
}

/// The plugin.
#[derive(Debug)]
pub struct Records(Config);

impl Receiver for Records {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let batch = std::hint::black_box(self.batch());
        match self.0.form {
            Form::None => {}
            Form::Records => host.emit_metrics([batch])?,
            Form::Protobuf => {
                let bytes = otlp::Request::from(batch).encode_to_vec();
                let told = state::set(KEY, &bytes).and_then(|()| state::delete(KEY));
                told.map_err(|error| CollectError::Failed(format!("{error:?}")))?;
            }
        }
        Ok(Outcome::complete())
    }
}

impl Records {
    fn batch(&self) -> ResourceMetrics {
        let attribute =
            |point: u32, at: u32| Attribute::new(format!("attribute.{at}"), format!("value {at} of {point}"));
        let point = |number: u32| NumberPoint {
            attributes: (0..self.0.attributes).map(|at| attribute(number, at)).collect(),
            start_time: 0,
            time: 1_700_000_000_000_000_000,
            value: Some(Number::Float(f64::from(number))),
            exemplars: Vec::new(),
        };
        let metric = Metric {
            name: "kiln.records.value".to_owned(),
            description: String::new(),
            unit: "1".to_owned(),
            metadata: Vec::new(),
            data: MetricData::Gauge((0..self.0.points).map(point).collect()),
        };
        let service = Attribute::new("service.name", AttributeValue::Text("records".to_owned()));
        ResourceMetrics {
            resource: Resource { attributes: vec![service] },
            scope: Scope { name: "records".to_owned(), version: String::new(), attributes: Vec::new() },
            metrics: vec![metric],
        }
    }
}
