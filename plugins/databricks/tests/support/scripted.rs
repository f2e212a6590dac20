//! One collector, the world it reads, which a test scripts, and histories of collections that fail, are lost or come
//! after a restart. Times are milliseconds.

use core::ops::Range;
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use kiln_plugin::http::Request;
use kiln_plugin::telemetry::{AttributeValue, LogRecord};
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin_databricks::{Databricks, telemetry};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use super::{only, with};

pub(crate) const MINUTE: u64 = 60_000;

/// What a collector reads.
pub(crate) trait Scripted: Sized + 'static {
    /// The collector that is on.
    const COLLECTOR: &'static str;
    /// How many requests a collection has unless a test says otherwise.
    const BUDGET: u32;

    /// A world in which nothing has happened.
    fn new() -> Self;

    /// The paths it answers.
    fn paths() -> Vec<String>;

    fn answer(&mut self, path: &str, request: &Request) -> Reply;

    fn service(&mut self) -> &mut Service;
}

/// When a world answers, and which request it fails.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) now: u64,
    asked: usize,
    failing: Option<usize>,
}

impl Service {
    /// Counts a request, and answers it if it is to fail.
    pub(crate) fn failure(&mut self) -> Option<Reply> {
        self.asked += 1;
        let fails = self.failing == Some(self.asked);
        fails.then(|| Reply::status(500, r#"{"error_code":"SIMULATED","message":"as asked"}"#))
    }
}

/// A host, and the world that answers it.
pub(crate) struct Simulation<W> {
    pub(crate) host: TestHost,
    pub(crate) world: Rc<RefCell<W>>,
}

impl<W: Scripted> Simulation<W> {
    pub(crate) fn new() -> Self {
        let simulation = Self { host: TestHost::new(telemetry::MANIFEST), world: Rc::new(RefCell::new(W::new())) };
        W::paths().iter().for_each(|path| simulation.answers(path));
        simulation
    }

    /// Lets the world answer a path, also one that something else has answered in its place.
    pub(crate) fn answers(&self, path: &str) {
        let (world, asked) = (Rc::clone(&self.world), path.to_owned());
        self.host.on_path(path, move |request| world.borrow_mut().answer(&asked, request));
    }

    pub(crate) fn configure(&self) -> Instance<Databricks> {
        self.configure_with(json!({}), W::BUDGET)
    }

    /// With these options of the collector, which is on and reads every minute unless they say otherwise.
    pub(crate) fn configure_with(&self, options: Value, budget: u32) -> Instance<Databricks> {
        let mut config = only(&[]);
        config["collectors"][W::COLLECTOR] = with(json!({ "enabled": true, "interval": "1m" }), options);
        let more = json!({ "host": "https://example.cloud.databricks.com", "token": "secret",
            "requests_per_cycle": budget });
        self.host.configure(with(config, more)).unwrap()
    }

    pub(crate) fn now(&self) -> u64 {
        self.host.now().as_millis()
    }

    pub(crate) fn advance(&self, minutes: u64) {
        self.host.advance(Duration::from_millis(minutes * MINUTE));
    }

    pub(crate) fn collect(&self, instance: &mut Instance<Databricks>) -> Collected {
        self.world.borrow_mut().service().now = self.now();
        instance.collect().unwrap()
    }

    /// Plays a history with this budget, and shows every collection whose batch is not lost, and when it was.
    pub(crate) fn play<'s>(
        &self,
        budget: u32,
        steps: impl Iterator<Item = &'s Step>,
        mut accept: impl FnMut(u64, Collected) -> Result<(), TestCaseError>,
    ) -> Result<(), TestCaseError> {
        let mut instance = self.configure_with(json!({}), budget);
        for step in steps {
            let Step::Collect { after, fails_at, is_lost } = step else {
                instance = self.configure_with(json!({}), budget);
                continue;
            };
            let (before, now) = (self.host.save_state(), self.now());
            {
                let mut world = self.world.borrow_mut();
                let service = world.service();
                service.now = now;
                service.failing = fails_at.map(|at| service.asked + at);
            }
            match instance.collect() {
                _ if *is_lost => self.host.restore_state(&before),
                Ok(collected) => accept(now, collected)?,
                // It fails as a whole if all it asked for did.
                Err(error) => prop_assert!(fails_at.is_some(), "{error:?}"),
            }
            self.host.advance(Duration::from_millis(*after));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Collect {
        /// How long it is until the next step.
        after: u64,
        /// Which of its requests fails.
        fails_at: Option<usize>,
        /// Whether its batch, and so what it remembers, does not arrive.
        is_lost: bool,
    },
    Restart,
}

impl Step {
    /// A collection that nothing disturbs.
    pub(crate) const fn undisturbed(after: u64) -> Self {
        Self::Collect { after, fails_at: None, is_lost: false }
    }
}

/// How histories are made.
pub(crate) struct Histories {
    pub(crate) steps: Range<usize>,
    /// Which request of a collection may fail.
    pub(crate) fails_at: Range<usize>,
    /// How many collections come soon after the last for one that may come late.
    pub(crate) soon: u32,
    /// How many collections arrive for one that is lost and one restart.
    pub(crate) arriving: u32,
}

impl Histories {
    pub(crate) fn steps(self) -> impl Strategy<Value = Vec<Step>> {
        let Self { steps, fails_at, soon, arriving } = self;
        let collect =
            |is_lost| {
                let after = prop_oneof![soon => 30_000_u64..3 * MINUTE, 1 => MINUTE..90 * MINUTE];
                (after, prop::option::weighted(0.3, fails_at.clone()))
                    .prop_map(move |(after, fails_at)| Step::Collect { after, fails_at, is_lost })
            };
        let step = prop_oneof![arriving => collect(false), 1 => collect(true), 1 => Just(Step::Restart)];
        prop::collection::vec(step, steps)
    }
}

pub(crate) fn records(collected: &Collected) -> Vec<&LogRecord> {
    collected.logs.iter().flat_map(|logs| &logs.records).collect()
}

/// An attribute that a record has, and that is text.
pub(crate) fn attribute(record: &LogRecord, key: &str) -> String {
    let found = record.attributes.iter().find(|attribute| attribute.key == key);
    match &found.unwrap_or_else(|| panic!("{key} is missing: {record:?}")).value {
        AttributeValue::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}
