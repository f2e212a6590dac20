//! Reads an Apache Spark application from its own UI: the pages of metrics, and the REST API.
//!
//! Names of metrics are those of the OpenTelemetry Collector's receiver for Spark where it has one, and never hold the
//! id of an application, an executor or a query. What is on one page is delivered when another is missing, and while
//! there is no application nothing is but that.

mod application;
mod config;
mod driver;
mod endpoint;
mod executor;
mod lifecycle;
mod lines;
mod page;
mod rest;
mod tally;
mod ui;
mod workspace;

use std::rc::Rc;

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};

pub use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::ui::Ui;
use crate::workspace::Workspace;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Spark);

/// The receiver.
#[derive(Debug)]
pub struct Spark(Source);

/// What is read.
#[derive(Debug)]
enum Source {
    /// One UI.
    Ui(Box<(Endpoint, Ui)>),
    /// Those of the clusters of a workspace.
    Workspace(Box<Workspace>),
}

impl Receiver for Spark {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let config = Rc::new(config);
        Ok(Self(match config.workspace()? {
            Some(settings) => Source::Workspace(Box::new(Workspace::new(&config, settings)?)),
            None => {
                let endpoint = Endpoint::new(&config.endpoint)?;
                Source::Ui(Box::new((endpoint, Ui::new(config))))
            }
        }))
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let (endpoint, ui) = match &mut self.0 {
            Source::Workspace(workspace) => return workspace.collect(host),
            Source::Ui(ui) => (&mut ui.0, &mut ui.1),
        };
        let mut failures = Vec::new();
        let more = match ui.catch_up(host, &mut failures)? {
            Some(more) => more,
            None => {
                let address = endpoint.locate(host, ui.config(), ui.is_attached());
                ui.collect(host, &address, &mut failures)?
            }
        };
        Ok(Outcome { failures, more })
    }
}
