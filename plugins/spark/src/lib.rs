//! Reads an Apache Spark application from the Prometheus endpoints of its own UI.
//!
//! Names of metrics are those of the OpenTelemetry Collector's receiver for Spark where it has one, and never hold the
//! id of an application, an executor or a query. What is on one of the two pages is delivered when the other is missing.

mod application;
mod config;
mod driver;
mod driver_metrics;
mod executor;
mod names;
mod page;
mod quantity;
mod reading;
mod rest;
mod streaming;
mod tally;

use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver, UnixNanos};

use crate::application::{Application, Listed};
pub use crate::config::Config;
use crate::executor::Owner;
use crate::page::Source;
use crate::rest::Rest;
use crate::tally::Tally;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Spark);

const APPLICATIONS: &str = "/api/v1/applications";

/// The receiver.
#[derive(Debug)]
pub struct Spark {
    config: Config,
    endpoint: String,
    /// What was read from last time, and whether Spark itself said so.
    application: Application,
    confirmed: bool,
    /// How many lines were skipped last time, so that a page that stays bad is not reported again and again.
    skipped: [usize; 2],
    rest: Rest,
}

impl Receiver for Spark {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoint: config.endpoint()?,
            application: Application::default(),
            confirmed: false,
            skipped: [0; 2],
            rest: Rest::new(&config),
            config,
        })
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
        let mut metrics = telemetry::Metrics::new(&application.resource());
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
        self.rest.collect(host, &self.endpoint, core::slice::from_ref(&self.application), &mut failures)?;
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
            attempt: None,
            version: None,
            start: host.now(),
        });
        // The start of what is being counted cannot change in the middle.
        let start = if self.application.id == application.id && self.application.start != UnixNanos::default() {
            self.application.start
        } else {
            application.start
        };
        let version = owner.version.map(str::to_owned).or(application.version);
        self.application = Application { start, version, ..application };
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
