//! Reads an Apache Spark application from the Prometheus endpoints of its own UI.
//!
//! Names of metrics are those of the OpenTelemetry Collector's receiver for Spark where it has one, and never hold the
//! id of an application, an executor or a query. What is on one of the two pages is delivered when the other is missing.

mod application;
mod driver;
mod driver_metrics;
mod executor;
mod names;
mod page;
mod quantity;
mod reading;
mod streaming;
mod tally;

use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver, UnixNanos};
use serde::Deserialize;

use crate::application::{Application, Listed};
use crate::executor::Owner;
use crate::page::Source;
use crate::tally::Tally;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Spark);

const APPLICATIONS: &str = "/api/v1/applications";

/// What the operator writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    endpoint: String,
}

/// The receiver.
#[derive(Debug)]
pub struct Spark {
    endpoint: String,
    /// What was read from last time, and whether Spark itself said so.
    application: Application,
    confirmed: bool,
    /// How many lines were skipped last time, so that a page that stays bad is not reported again and again.
    skipped: [usize; 2],
}

impl Receiver for Spark {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let endpoint = config.endpoint.trim_end_matches('/');
        let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => Ok(Self {
                endpoint: endpoint.to_owned(),
                application: Application::default(),
                confirmed: false,
                skipped: [0; 2],
            }),
            _ => Err(ConfigError::new(
                "/endpoint",
                "must be scheme, host and port of Spark's UI and nothing else, for example http://localhost:4040",
            )),
        }
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let urls = Source::ALL.map(|source| format!("{}{}", self.endpoint, source.path()));
        let [driver_url, executors_url] = &urls;
        let answers: Result<[_; 2], _> = host.http().get_all(&urls).try_into();
        let Ok([driver, executors]) = answers else {
            return Err(CollectError::Failed("the host did not answer every request".to_owned()));
        };
        let driver = page::text(Source::Driver, driver_url, &driver);
        let executors = page::text(Source::Executors, executors_url, &executors);
        if let (Err(driver), Err(executors)) = (&driver, &executors) {
            return Err(page::neither(driver, executors));
        }

        let owner = executors.as_ref().map(|text| Owner::find(text)).unwrap_or_default();
        let mut failures = Vec::new();
        self.identify(host, owner, &mut failures);
        let application = &self.application;
        let mut metrics = telemetry::Metrics::new(&telemetry::Resource {
            service_name: application.name.as_deref().unwrap_or("spark"),
            spark_application_id: application.id.as_deref(),
            spark_application_name: application.name.as_deref(),
            spark_version: owner.version,
        });
        let start = application.start;
        let driver = driver.map(|text| driver::read(&text, application.id.as_deref(), start, &mut metrics));
        let executors = executors.map(|text| executor::read(&text, start, &mut metrics));
        self.report(host, Source::Driver, &driver);
        self.report(host, Source::Executors, &executors);

        let driver = found(Source::Driver, driver_url, driver);
        let executors = found(Source::Executors, executors_url, executors);
        match (driver, executors) {
            (Err(driver), Err(executors)) => return Err(page::neither(&driver, &executors)),
            (Err(error), Ok(())) => failures.push(PartialFailure::new(Source::Driver.path(), page::sentence(&error))),
            (Ok(()), Err(error)) => {
                failures.push(PartialFailure::new(Source::Executors.path(), page::sentence(&error)));
            }
            (Ok(()), Ok(())) => {}
        }
        host.emit_metrics([metrics])?;
        Ok(Outcome::with_failures(failures))
    }
}

/// A page without a metric is as good as none.
fn found(source: Source, url: &str, read: Result<Tally, CollectError>) -> Result<(), CollectError> {
    match read {
        Ok(tally) if tally.is_empty() => Err(page::empty(source, url)),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Spark {
    /// Finds out which application it is. An application that is known is not asked for again.
    fn identify(&mut self, host: &Host, owner: Owner<'_>, failures: &mut Vec<PartialFailure>) {
        let id = owner.application.map(|(id, _)| id);
        if self.confirmed && id.is_some() && id == self.application.id.as_deref() {
            return;
        }
        let listed = host.http().get_json::<Vec<Listed>>(&format!("{}{APPLICATIONS}", self.endpoint));
        let listed = listed.unwrap_or_else(|error| {
            failures.push(PartialFailure::new(APPLICATIONS, error.reason()));
            Vec::new()
        });
        let chosen = Listed::choose(listed, id);
        self.confirmed = chosen.is_some();
        let application = chosen.map(|chosen| chosen.application(host.now())).unwrap_or_else(|| Application {
            id: id.map(str::to_owned),
            name: owner.application.map(|(_, name)| name.to_owned()).filter(|name| !name.is_empty()),
            start: host.now(),
        });
        // The start of what is being counted cannot change in the middle.
        let start = if self.application.id == application.id && self.application.start != UnixNanos::default() {
            self.application.start
        } else {
            application.start
        };
        self.application = Application { start, ..application };
    }

    fn report(&mut self, host: &Host, source: Source, read: &Result<Tally, CollectError>) {
        let Ok(tally) = read else { return };
        let [driver, executors] = &mut self.skipped;
        let before = match source {
            Source::Driver => driver,
            Source::Executors => executors,
        };
        if tally.skipped() > 0 && tally.skipped() != *before {
            let attributes = [
                Attribute::new("lines", i64::try_from(tally.skipped()).unwrap_or(i64::MAX)),
                Attribute::new("page", source.path()),
                Attribute::new("first", tally.first()),
            ];
            host.log(Level::Warn, "lines of a page of Spark were skipped", &attributes);
        }
        *before = tally.skipped();
    }
}
