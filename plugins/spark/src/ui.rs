//! One UI and the application behind it: what is read of it in a collection, and what is known of it from then on.
//!
//! It does not matter here whether the UI is on this machine or behind a workspace's proxy, but for one thing: a proxy
//! answers too, and what it says is about the way there and not about Spark.

use std::rc::Rc;

use kiln_plugin::http::{FetchError, Problem};
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, Host, Level, PartialFailure, UnixNanos};

use crate::application::{APPLICATIONS, Application, Listed};
use crate::config::{Config, DriverSource};
use crate::driver::{self, Content, DriverPage, Namespace, Reading, Terms, json, prometheus};
use crate::endpoint::Address;
use crate::executor::{Kept, Roster, Totals};
use crate::lifecycle::{Lifecycle, Sight};
use crate::page::{self, Location, Source, Trouble};
use crate::rest::{Cluster, Facts, Rest};
use crate::tally::Tally;
use crate::telemetry;

/// Under what the state keeps the sums of executors.
const EXECUTORS: &str = "executors";

/// A collection that follows another one within so many nanoseconds was asked for by it.
pub(crate) const AT_ONCE: u64 = 5_000_000_000;

/// Pages that took longer than this, in nanoseconds, leave no time for the REST API in the same collection.
const LONG: u64 = 10_000_000_000;

/// A UI.
#[derive(Debug)]
pub(crate) struct Ui {
    config: Rc<Config>,
    /// What keys of the state begin with: nothing if there is one UI only.
    scope: String,
    /// Of which cluster it is, as far as that is known from outside.
    cluster: Cluster,
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
    /// Whether whoever answered last wants to be asked less.
    asks_to_wait: bool,
}

/// Whether somebody answered that there is nothing.
fn is_gone(error: &FetchError) -> bool {
    matches!(error.problem(), Problem::Status { status: 400 | 404, .. })
}

/// The executors' page.
fn executors_page(host: &Host, address: &Address) -> Result<Roster, Trouble> {
    let location = Location::new(Source::Executors, address);
    let mut roster = Roster::default();
    location.read(host, |line| roster.take_line(line))?;
    if roster.tally.is_empty() { Err(location.empty()) } else { Ok(roster) }
}

impl Ui {
    /// The only one.
    pub(crate) fn new(config: Rc<Config>) -> Self {
        Self::of_cluster(config, String::new(), Cluster::default())
    }

    /// That of a cluster, whose state is kept under keys of this `scope`.
    pub(crate) fn of_cluster(config: Rc<Config>, scope: String, cluster: Cluster) -> Self {
        let mut ui = Self {
            rest: Rest::new(&config, &scope),
            config,
            scope,
            cluster,
            lifecycle: Lifecycle::default(),
            application: Application::default(),
            confirmed: false,
            namespace: None,
            totals: None,
            skipped: [0; 2],
            backlog: None,
            asks_to_wait: false,
        };
        ui.application = ui.nobody();
        ui
    }

    /// What the operator wants.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What is known from outside of the cluster may change: its name, above all.
    pub(crate) fn set_cluster(&mut self, cluster: Cluster) {
        self.cluster = cluster;
    }

    /// Whether there is an application, though it may not answer just now.
    pub(crate) const fn is_attached(&self) -> bool {
        self.lifecycle.is_attached()
    }

    /// Whether whoever answered last wants to be asked less.
    pub(crate) const fn asks_to_wait(&self) -> bool {
        self.asks_to_wait
    }

    /// Reads what the REST API had too much of, if the pages have just been read. Whether there is still more.
    pub(crate) fn catch_up(
        &mut self,
        host: &Host,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<Option<bool>, CollectError> {
        let backlog = self.backlog.take().filter(|(_, at)| host.monotonic().saturating_sub(*at) < AT_ONCE);
        backlog.map(|(url, _)| self.collect_rest(host, &url, failures)).transpose()
    }

    /// Reads and emits what is to be known now. Whether there is more to read at once.
    pub(crate) fn collect(
        &mut self,
        host: &Host,
        address: &Address,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        let began = host.monotonic();
        self.asks_to_wait = false;
        let driver = match self.driver_page(host, address) {
            Err(trouble) if address.is_proxied && trouble.is_of_the_way => {
                return self.stop_on_the_way(host, address, trouble, failures);
            }
            page => page,
        };
        let executors = executors_page(host, address);
        if let (Err(driver), Err(executors)) = (&driver, &executors) {
            match page::neither(driver, executors) {
                CollectError::Unavailable(_) => {}
                error if address.is_proxied => {
                    failures.push(PartialFailure::new(&address.name, page::sentence(&error)));
                    return Ok(false);
                }
                error => return Err(error),
            }
        }

        let mut sight = self.identify(host, address, &driver, &executors, failures);
        if let Some(name) = self.application.name.as_deref().filter(|_| sight == Sight::Application)
            && !self.config.observes(name)
        {
            let message = format!("the application at {} is called `{name}`, which is not in the list", address.url);
            failures.push(PartialFailure::new("application_names", message));
            self.application = self.nobody();
            sight = Sight::Nothing;
        }
        let was_there = !self.lifecycle.has_seen_nothing();
        if self.lifecycle.note(sight, &address.url, host) {
            self.rest.tell_end(host)?;
        }
        if sight == Sight::Application {
            let facts = self.rest.facts(host, &address.url, &self.application, failures);
            self.application.facts = Facts { cluster: facts.cluster.or(&self.cluster), ..facts };
        }

        let mut metrics = telemetry::Metrics::new(&self.whose_state().resource());
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
        } else if sight == Sight::Nothing && address.is_proxied {
            // A cluster that has ended is missing once and then not listed any more.
            if !was_there {
                failures.push(PartialFailure::new(&address.name, address.nothing_there()));
            }
        } else {
            failures.extend(driver.err().into_iter().chain(executors.err()).map(Into::into));
        }
        host.emit_metrics([metrics])?;
        if sight != Sight::Application {
            return Ok(false);
        }
        if address.is_proxied && host.monotonic().saturating_sub(began) > LONG {
            self.backlog = Some((address.url.clone(), host.monotonic()));
            return Ok(true);
        }
        self.collect_rest(host, &address.url, failures)
    }

    /// Tells of the state as it was last seen, without looking.
    pub(crate) fn tell_state(&self, host: &Host) -> Result<(), CollectError> {
        let mut metrics = telemetry::Metrics::new(&self.whose_state().resource());
        self.lifecycle.add_to(&mut metrics);
        Ok(host.emit_metrics([metrics])?)
    }

    /// Tells that there is nothing any more.
    pub(crate) fn end(mut self, host: &Host, address: &Address) -> Result<(), CollectError> {
        self.lifecycle.note(Sight::Nothing, &address.url, host);
        self.rest.tell_end(host)?;
        self.tell_state(host)
    }

    /// Somebody before Spark has answered, or nobody has.
    fn stop_on_the_way(
        &mut self,
        host: &Host,
        address: &Address,
        trouble: Trouble,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        self.asks_to_wait = trouble.asks_to_wait;
        // Who is not let through has seen nothing of Spark.
        if trouble.sight == Sight::Silence {
            self.lifecycle.note(Sight::Silence, &address.url, host);
        }
        failures.push(PartialFailure::new(&address.name, trouble.sentence()));
        self.tell_state(host)?;
        Ok(false)
    }

    /// No application, on a cluster that is known all the same.
    fn nobody(&self) -> Application {
        Application { facts: Facts { cluster: self.cluster.clone(), ..Facts::default() }, ..Application::default() }
    }

    /// Whose state it is: what comes up next may be another application.
    fn whose_state(&self) -> Application {
        if self.lifecycle.is_of_the_last() { self.application.clone() } else { self.nobody() }
    }

    /// Under what the state keeps the sums of executors.
    fn executors_key(&self) -> String {
        format!("{}{EXECUTORS}", self.scope)
    }

    /// What the REST API says of the application. Returns whether it has more to say at once.
    fn collect_rest(
        &mut self,
        host: &Host,
        url: &str,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<bool, CollectError> {
        if self.application.id.is_none() {
            return Ok(false);
        }
        let more = self.rest.collect(host, url, core::slice::from_ref(&self.application), failures)?;
        self.backlog = more.then(|| (url.to_owned(), host.monotonic()));
        Ok(more)
    }

    /// The driver's page, from the source the operator wants.
    fn driver_page(&self, host: &Host, address: &Address) -> Result<DriverPage, Trouble> {
        match self.config.source {
            DriverSource::Prometheus => DriverPage::prometheus(host, address),
            DriverSource::Json => DriverPage::json(host, address),
            DriverSource::Auto => match DriverPage::json(host, address) {
                // A page that hangs takes as long as the other one may have.
                Err(trouble) if trouble.sight == Sight::Answers && !trouble.is_starting => {
                    DriverPage::prometheus(host, address)
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
        address: &Address,
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
        let listed = host.http().get_json::<Vec<Listed>>(&format!("{}{APPLICATIONS}", address.url));
        let listed = match listed {
            Ok(listed) => listed,
            // Spark has this list in every release, so it is not Spark that has nothing here.
            Err(error) if address.is_proxied && is_gone(&error) => return Sight::Nothing,
            Err(error) => {
                failures.push(PartialFailure::new(APPLICATIONS, error.reason()));
                Vec::new()
            }
        };
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
            facts: Facts::default(),
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
            None => Totals::new(&id, host.state().get::<Kept>(&self.executors_key()).unwrap_or_default()),
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
            host.state().set(&self.executors_key(), totals.kept())?;
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
