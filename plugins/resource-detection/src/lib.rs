//! Finds out where Kiln runs, once, and says so on every resource.
//!
//! Where it runs does not change while it runs: everything is read before the first batch and never again. What is not
//! there says nothing; what is there and makes no sense is told to the operator and left out, so that no half of a value
//! becomes an attribute. The metadata services of the clouds are out of every plugin's reach, on purpose: they hand out
//! credentials. What a cloud writes into the firmware and what cloud-init was told serve as well.

mod cloud;
mod container;
mod databricks;
mod env;
mod findings;
mod k8s;
mod system;

use kiln_plugin::processor::{Edit, ProcessError, View};
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{ConfigError, Level, Processor, ProcessorHost};
use serde::Deserialize;

use crate::findings::Findings;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(ResourceDetection);

/// What the operator writes; `plugin.toml` says what the fields mean.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    detectors: Vec<Detector>,
    #[serde(rename = "override")]
    replaces: bool,
}

/// What can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Detector {
    Env,
    System,
    Container,
    K8s,
    Cloud,
    Databricks,
}

/// The processor.
#[derive(Debug)]
pub struct ResourceDetection {
    config: Config,
    found: Vec<Attribute>,
}

impl Processor for ResourceDetection {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { config, found: Vec::new() })
    }

    fn start(&mut self, host: &mut ProcessorHost) -> Result<(), ConfigError> {
        let mut findings = Findings::default();
        for detector in &self.config.detectors {
            let before = findings.len();
            match detector {
                Detector::Env => env::detect(host.env(), &mut findings),
                Detector::System => system::detect(host.files(), &mut findings),
                Detector::Container => container::detect(host.files(), &mut findings),
                Detector::K8s => k8s::detect(host.env(), &mut findings),
                Detector::Cloud => cloud::detect(host.env(), host.files(), &mut findings),
                Detector::Databricks => databricks::detect(host.env(), &mut findings),
            }
            if findings.len() == before {
                host.log(Level::Info, "has found nothing new", &[Attribute::new("detector", detector.name())]);
            }
        }
        for complaint in findings.take_complaints() {
            host.log(Level::Warn, &complaint, &[]);
        }
        self.found = findings.into_attributes();
        Ok(())
    }

    fn process(&mut self, _host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        let mut edits = Vec::new();
        for resource in view.each_resource() {
            for Attribute { key, value } in &self.found {
                let concerned = resource.get(key).is_none_or(|current| self.config.replaces && current != value);
                if concerned {
                    edits.push(resource.set(key, value.clone()));
                }
            }
        }
        Ok(edits)
    }
}

impl Detector {
    const fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::System => "system",
            Self::Container => "container",
            Self::K8s => "k8s",
            Self::Cloud => "cloud",
            Self::Databricks => "databricks",
        }
    }
}
