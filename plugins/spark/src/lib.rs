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

use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver, UnixNanos};

use crate::application::{APPLICATIONS, Application, Listed};
pub use crate::config::Config;
use crate::config::DriverSource;
use crate::driver::{Content, DriverPage, Namespace, Reading, Terms, json, prometheus};
use crate::endpoint::Endpoint;
use crate::executor::{Kept, Roster, Totals};
use crate::lifecycle::{Lifecycle, Sight};
use crate::page::{Location, Source, Trouble};
use crate::rest::Rest;
use crate::tally::Tally;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Spark);

/// Under what the state keeps the sums of executors.
const EXECUTORS: &str = "executors";

/// A collection that follows another one within so many nanoseconds was asked for by it.
const AT_ONCE: u64 = 5_000_000_000;

/// The receiver.
#[derive(Debug)]
pub struct Spark {
    config: Config,
    endpoint: Endpoint,
    lifecycle: Lifecycle,
    /// What was read from last time, and whether Spark itself said so.
    application: Application,
    confirmed: bool,
    /// What the names of the driver's metrics had in front of them last time.
    namespace: Option<String>,
    /// Sums over executors, once there are any.
    totals: Option<Totals>,
    /// How many lines were skipped last time, so that a page that stays bad is not reported again and again.
    skipped: [usize; 2],
    rest: Rest,
    /// Where the REST API had more to say, and when.
    backlog: Option<(String, u64)>,
}

impl Receiver for Spark {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoint: Endpoint::new(&config.endpoint)?,
            lifecycle: Lifecycle::default(),
            application: Application::default(),
            confirmed: false,
            namespace: None,
            totals: None,
            skipped: [0; 2],
            rest: Rest::new(&config),
            backlog: None,
            config,
        })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        // The pages have just been read; what is left is what the REST API had too much of.
        let backlog = self.backlog.take().filter(|(_, at)| host.monotonic().saturating_sub(*at) < AT_ONCE);
        if let Some((endpoint, _)) = backlog {
            let mut failures = Vec::new();
            let more = self.collect_rest(host, &endpoint, &mut failures)?;
            return Ok(Outcome { failures, more });
        }
        let endpoint = self.endpoint.locate(host, &self.config, self.lifecycle.is_attached());
        let driver = self.driver_page(host, &endpoint);
        let executors = executors_page(host, &endpoint);
        if let (Err(driver), Err(executors)) = (&driver, &executors) {
            match page::neither(driver, executors) {
                CollectError::Unavailable(_) => {}
                error => return Err(error),
            }
        }

        let mut failures = Vec::new();
        let mut sight = self.identify(host, &endpoint, &driver, &executors, &mut failures);
        if let Some(name) = self.application.name.as_deref().filter(|_| sight == Sight::Application)
            && !self.config.observes(name)
        {
            let message = format!("the application at {endpoint} is called `{name}`, which is not in the list");
            failures.push(PartialFailure::new("application_names", message));
            self.application = Application::default();
            sight = Sight::Nothing;
        }
        if self.lifecycle.note(sight, &endpoint, host) {
            self.rest.tell_end(host)?;
        }
        if sight == Sight::Application {
            self.application.facts = self.rest.facts(host, &endpoint, &self.application, &mut failures);
        }

        // What comes up next may be another application.
        let known = self.lifecycle.is_of_the_last();
        let application = if known { self.application.clone() } else { Application::default() };
        let mut metrics = telemetry::Metrics::new(&application.resource());
        self.lifecycle.add_to(&mut metrics);
        if sight == Sight::Application {
            match driver.and_then(|page| self.add_driver(host, page, &mut metrics)) {
                Ok(()) => {}
                Err(trouble) => failures.push(trouble.into()),
            }
            match executors {
                Ok(roster) => self.add_executors(host, roster, &mut metrics)?,
                Err(trouble) => failures.push(trouble.into()),
            }
        } else {
            failures.extend(driver.err().into_iter().chain(executors.err()).map(Into::into));
        }
        host.emit_metrics([metrics])?;
        let more = sight == Sight::Application && self.collect_rest(host, &endpoint, &mut failures)?;
        Ok(Outcome { failures, more })
    }
}

/// The executors' page.
fn executors_page(host: &Host, endpoint: &str) -> Result<Roster, Trouble> {
    let location = Location::new(Source::Executors, endpoint);
    let mut roster = Roster::default();
    location.read(host, |line| roster.take_line(line))?;
    if roster.tally.is_empty() { Err(location.empty()) } else { Ok(roster) }
}

impl Spark {
    /// What the REST API says of the application. Returns whether it has more to say at once.
    fn collect_rest(
        &mut self,
        host: &Host,
        endpoint: &str,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        if self.application.id.is_none() {
            return Ok(false);
        }
        let more = self.rest.collect(host, endpoint, core::slice::from_ref(&self.application), failures)?;
        self.backlog = more.then(|| (endpoint.to_owned(), host.monotonic()));
        Ok(more)
    }

    /// The driver's page, from the source the operator wants.
    fn driver_page(&self, host: &Host, endpoint: &str) -> Result<DriverPage, Trouble> {
        match self.config.source {
            DriverSource::Prometheus => DriverPage::prometheus(host, endpoint),
            DriverSource::Json => DriverPage::json(host, endpoint),
            DriverSource::Auto => match DriverPage::json(host, endpoint) {
                // A page that hangs takes as long as the other one may have.
                Err(trouble) if trouble.sight == Sight::Answers && !trouble.is_starting => {
                    DriverPage::prometheus(host, endpoint)
                }
                page => page,
            },
        }
    }

    /// Finds out which application it is, and whether there is one. An application that is known is not asked for
    /// again.
    fn identify(
        &mut self,
        host: &Host,
        endpoint: &str,
        driver: &Result<DriverPage, Trouble>,
        executors: &Result<Roster, Trouble>,
        failures: &mut Vec<PartialFailure>,
    ) -> Sight {
        let owner = executors.as_ref().ok().and_then(|roster| roster.application.as_ref());
        let version = executors.as_ref().ok().and_then(|roster| roster.version.clone());
        let id = owner.map(|(id, _)| id.as_str());
        if self.confirmed && id.is_some() && id == self.application.id.as_deref() {
            return Sight::Application;
        }
        let neither = match (driver, executors) {
            (Err(driver), Err(executors)) => Some(driver.sight.max(executors.sight)),
            _ => None,
        };
        let is_starting =
            [driver.as_ref().err(), executors.as_ref().err()].into_iter().flatten().any(|t| t.is_starting);
        if let Some(sight) = neither.filter(|sight| *sight != Sight::Answers || is_starting) {
            return sight;
        }
        let listed = host.http().get_json::<Vec<Listed>>(&format!("{endpoint}{APPLICATIONS}"));
        let listed = listed.unwrap_or_else(|error| {
            failures.push(PartialFailure::new(APPLICATIONS, error.reason()));
            Vec::new()
        });
        let chosen = Listed::choose(listed, id);
        if let (None, Some(sight)) = (&chosen, neither) {
            return sight;
        }
        self.confirmed = chosen.is_some();
        let application = chosen.map(|chosen| chosen.application(host.now())).unwrap_or_else(|| Application {
            id: id.map(str::to_owned),
            name: owner.map(|(_, name)| name.clone()).filter(|name| !name.is_empty()),
            attempt: None,
            version: None,
            start: host.now(),
            facts: rest::Facts::default(),
        });
        // The start of what is being counted cannot change in the middle.
        let start = if self.application.id == application.id && self.application.start != UnixNanos::default() {
            self.application.start
        } else {
            application.start
        };
        self.application = Application { start, version: version.or(application.version), ..application };
        Sight::Application
    }

    fn add_driver(&mut self, host: &Host, page: DriverPage, metrics: &mut telemetry::Metrics) -> Result<(), Trouble> {
        let mut tally = Tally::default();
        let id = self.application.id.clone();
        let location = page.location;
        match page.content {
            Content::Prometheus(body) => {
                let text = String::from_utf8_lossy(&body);
                let whole = page::whole_lines(&text);
                if !text.get(whole.len()..).unwrap_or_default().trim_ascii().is_empty() {
                    tally.skip("the page ends within a line");
                }
                let (namespace, readings) =
                    prometheus::readings(whole, id.as_deref(), &mut tally).ok_or_else(|| location.empty())?;
                self.add_readings(host, &location, &namespace, &readings, &mut tally, metrics)?;
            }
            Content::Json(registry) => {
                let page = json::Page::new(registry, id.as_deref(), &mut tally).ok_or_else(|| location.empty())?;
                self.add_readings(host, &location, &page.namespace, &page.readings(), &mut tally, metrics)?;
            }
        }
        self.report(host, 0, location.source, &tally);
        Ok(())
    }

    fn add_readings(
        &mut self,
        host: &Host,
        location: &Location,
        namespace: &Namespace,
        readings: &[Reading<'_>],
        tally: &mut Tally,
        metrics: &mut telemetry::Metrics,
    ) -> Result<(), Trouble> {
        if namespace.is_of_another() {
            return Err(location.of_another());
        }
        // Of an application nobody knows, this is all that says that it is another one.
        let before = self.namespace.replace(namespace.prefix().to_owned());
        if self.application.id.is_none() && before.is_some_and(|before| before != namespace.prefix()) {
            self.application.start = host.now();
        }
        let terms = Terms { start: self.application.start, query_limit: self.config.streaming.query_limit };
        driver::add(readings, namespace, terms, tally, metrics);
        Ok(())
    }

    fn add_executors(
        &mut self,
        host: &Host,
        mut roster: Roster,
        metrics: &mut telemetry::Metrics,
    ) -> Result<(), CollectError> {
        let id = self.application.id.clone().unwrap_or_default();
        let mut totals = match self.totals.take() {
            Some(totals) if totals.application() == id => totals,
            Some(_) => Totals::new(&id, None),
            None => Totals::new(&id, host.state().get::<Kept>(EXECUTORS).unwrap_or_default()),
        };
        let mut tally = core::mem::take(&mut roster.tally);
        let application = &self.application;
        let emit = |full: &mut telemetry::Metrics| {
            let next = telemetry::Metrics::new(&application.resource());
            host.emit_metrics([core::mem::replace(full, next)])
        };
        let start = application.start;
        let apart = roster.add(self.config.executors, start, &mut totals, &mut tally, metrics, emit)?;
        if !apart {
            host.state().set(EXECUTORS, totals.kept())?;
        }
        self.totals = Some(totals);
        self.report(host, 1, Source::Executors, &tally);
        Ok(())
    }

    fn report(&mut self, host: &Host, page: usize, source: Source, tally: &Tally) {
        let Some(before) = self.skipped.get_mut(page) else { return };
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
