//! What the receiver promises about pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::http::Request;
use kiln_plugin::telemetry::{AttributeValue, Severity};
use kiln_plugin::testing::{Collected, Reply};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::scripted::{self, Histories, MINUTE, Scripted, Service, Step, attribute, records};

const LIST: &str = "/api/2.0/pipelines";
const PIPELINES: &str = "databricks.pipelines.count";
const UPDATES: &str = "databricks.pipeline_updates.count";
const IDS: [&str; 4] = ["p-0", "p-1", "p-2", "p-3"];

/// Times are milliseconds.
#[derive(Clone, Debug)]
struct Update {
    id: String,
    created: u64,
    end: u64,
    state: &'static str,
}

#[derive(Default)]
struct World {
    pipelines: BTreeMap<String, Vec<Update>>,
    /// How many updates the list shows of a pipeline, and how many items a page of one has.
    shown: usize,
    page: usize,
    /// Pipelines of which nothing but the list may be read.
    refused: BTreeSet<String>,
    /// From when on the event log shows something after it happened.
    log_lags: u64,
    service: Service,
}

type Simulation = scripted::Simulation<World>;

impl Simulation {
    fn add(&self, pipeline: &str, created: u64, end: u64, state: &'static str) -> String {
        let mut world = self.world.borrow_mut();
        let updates = world.pipelines.entry(pipeline.to_owned()).or_default();
        let id = format!("{pipeline}-u{}", updates.len());
        updates.push(Update { id: id.clone(), created, end, state });
        id
    }
}

impl Update {
    fn state(&self, now: u64) -> &'static str {
        if self.end <= now { self.state } else { "RUNNING" }
    }
}

fn iso(millis: u64) -> String {
    // The tests begin with 2026 and take less than a month.
    let since = millis.checked_sub(1_767_225_600_000);
    let (day, rest) = match since {
        Some(since) => (format!("2026-01-{:02}", 1 + since / 86_400_000), since % 86_400_000),
        None => ("2025-12-31".to_owned(), millis - (1_767_225_600_000 - 86_400_000)),
    };
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1_000)
}

impl Scripted for World {
    const COLLECTOR: &'static str = "pipelines";
    const BUDGET: u32 = 60;

    fn new() -> Self {
        Self { shown: 5, page: 100, ..Self::default() }
    }

    fn paths() -> Vec<String> {
        let of = |id| [format!("{LIST}/{id}/updates"), format!("{LIST}/{id}/events")];
        core::iter::once(LIST.to_owned()).chain(IDS.into_iter().flat_map(of)).collect()
    }

    fn answer(&mut self, path: &str, request: &Request) -> Reply {
        if let Some(failure) = self.service.failure() {
            return failure;
        }
        let query = request.url.split_once('?').map_or("", |(_, query)| query);
        let get = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        assert!((1..=100).contains(&get("max_results").unwrap().parse::<u32>().unwrap()));
        let rest = path.strip_prefix(LIST).unwrap();
        let Some((id, what)) = rest.strip_prefix('/').and_then(|rest| rest.split_once('/')) else {
            let all: Vec<Value> = self.pipelines.iter().map(|(id, updates)| self.pipeline(id, updates)).collect();
            return self.reply("statuses", &all, get("page_token"));
        };
        if self.refused.contains(id) {
            return Reply::status(403, "{}");
        }
        let updates = self.created(&self.pipelines[id]);
        if what == "updates" {
            let all: Vec<Value> = updates
                .map(|update| json!({ "update_id": update.id, "state": update.state(self.service.now), "creation_time": update.created }))
                .collect();
            return self.reply("updates", &all, get("page_token"));
        }
        assert_eq!(get("filter").is_some(), get("page_token").is_none());
        assert!(get("filter").is_none_or(|filter| filter == "level%3D%27ERROR%27"));
        let failed =
            updates.filter(|update| update.state == "FAILED" && update.end + self.log_lags <= self.service.now);
        let all: Vec<Value> = failed
            .map(|update| {
                json!({ "id": format!("e-{}", update.id), "level": "ERROR", "event_type": "flow_progress",
                    "message": "Flow 'orders' has failed.", "timestamp": iso(update.end),
                    "origin": { "update_id": update.id, "flow_name": "orders" },
                    "error": { "exceptions": [{ "class_name": "org.Boom", "message": "boom" }] } })
            })
            .collect();
        self.reply("events", &all, get("page_token"))
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}

impl World {
    fn created<'u>(&'u self, updates: &'u [Update]) -> impl Iterator<Item = &'u Update> {
        let mut created: Vec<&Update> = updates.iter().filter(|update| update.created <= self.service.now).collect();
        created.sort_by_key(|update| core::cmp::Reverse(update.created));
        created.into_iter()
    }

    fn pipeline(&self, id: &str, updates: &[Update]) -> Value {
        let shown = self.created(updates).take(self.shown);
        let latest: Vec<Value> = shown
            .map(|update| {
                json!({ "update_id": update.id, "state": update.state(self.service.now), "creation_time": iso(update.created) })
            })
            .collect();
        json!({ "pipeline_id": id, "name": format!("name of {id}"), "state": "IDLE", "health": "HEALTHY",
            "latest_updates": latest })
    }

    fn reply(&self, list: &str, all: &[Value], token: Option<&str>) -> Reply {
        let skip: usize = token.map_or(0, |token| token.parse().unwrap());
        let shown: Vec<&Value> = all.iter().skip(skip).take(self.page).collect();
        let mut body = json!({ list: shown });
        if skip + self.page < all.len() {
            body["next_page_token"] = (skip + self.page).to_string().into();
        }
        Reply::json(&body)
    }
}

fn total(collected: &Collected) -> f64 {
    support::total(collected, UPDATES)
}

/// The updates whose errors were told.
fn told(collected: &Collected) -> Vec<String> {
    records(collected).into_iter().map(|record| attribute(record, "databricks.pipeline.update.id")).collect()
}

#[test]
fn pipelines_are_counted_by_state_and_health_and_every_page_is_read() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    for id in IDS {
        simulation.add(id, simulation.now() - 5, simulation.now() - 1, "COMPLETED");
    }
    simulation.world.borrow_mut().page = 1;
    let collected = simulation.collect(&mut instance);
    let healthy = [("pipeline_state", "IDLE"), ("pipeline_health", "HEALTHY")];
    assert_eq!(collected.metrics.value(PIPELINES, &healthy), 4.0);
    // The last reading is repeated until the next one, and not if that fails.
    assert_eq!(simulation.collect(&mut instance).metrics.value(PIPELINES, &healthy), 4.0);
    simulation.advance(1);
    simulation.host.on_path(LIST, |_| Reply::status(403, "{}"));
    assert_eq!(simulation.collect(&mut instance).metrics.points(PIPELINES), []);
}

#[test]
fn updates_are_counted_when_they_end_and_not_if_they_had_ended_before() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add("p-0", now - 9, now - 5, "COMPLETED");
    simulation.add("p-0", now - 4, now + MINUTE, "COMPLETED");
    simulation.add("p-0", now + MINUTE, now + 2 * MINUTE, "FAILED");
    simulation.add("p-1", now + 1, now + 5, "CANCELED");
    let mut totals = Vec::new();
    for _ in 0..4 {
        totals.push(total(&simulation.collect(&mut instance)));
        simulation.advance(1);
    }
    assert_eq!(totals, [0.0, 2.0, 3.0, 3.0]);
    let collected = simulation.collect(&mut instance);
    let of = |id: &str, state: &str| {
        let name = format!("name of {id}");
        let attributes = [("databricks.pipeline.id", id), ("pipeline_name", name.as_str()), ("update_state", state)];
        collected.metrics.value(UPDATES, &attributes)
    };
    assert_eq!((of("p-0", "COMPLETED"), of("p-0", "FAILED"), of("p-1", "CANCELED")), (1.0, 1.0, 1.0));
}

#[test]
fn what_the_list_no_longer_shows_is_read_from_the_pipeline() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add("p-0", now - 4, now + 1, "COMPLETED");
    simulation.collect(&mut instance);
    for n in 0..250 {
        simulation.add("p-0", now + 10 + n, now + 10 + n, "COMPLETED");
    }
    simulation.advance(1);
    let _ = simulation.host.take_requests();
    assert_eq!(total(&simulation.collect(&mut instance)), 251.0);
    assert_eq!(simulation.host.take_requests().len(), 1 + 3);
    simulation.add("p-0", simulation.now(), simulation.now() + 1, "FAILED");
    simulation.advance(1);
    assert_eq!(total(&simulation.collect(&mut instance)), 252.0);
    // The list and the errors: there is no gap any more.
    assert_eq!(simulation.host.take_requests().len(), 2);
}

#[test]
fn a_gap_that_the_budget_does_not_reach_is_closed_later() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure_with(json!({}), 10);
    simulation.world.borrow_mut().page = 4;
    simulation.collect(&mut instance);
    let now = simulation.now();
    for id in IDS {
        (0..12).for_each(|n| drop(simulation.add(id, now + 10 + n, now + 10 + n, "COMPLETED")));
    }
    let mut totals = Vec::new();
    for _ in 0..5 {
        simulation.advance(1);
        let _ = simulation.host.take_requests();
        totals.push(total(&simulation.collect(&mut instance)));
        assert!(simulation.host.take_requests().len() <= 10);
    }
    assert!(totals[0] < 48.0 && totals[4] == 48.0, "{totals:?}");
}

#[test]
fn the_errors_of_a_failed_update_are_told_once() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    let failed = simulation.add("p-0", now + 1, now + 5, "FAILED");
    simulation.add("p-1", now + 1, now + 5, "COMPLETED");
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    assert_eq!(told(&collected), [failed]);
    let record = records(&collected)[0];
    assert_eq!((record.event_name.as_str(), record.severity), ("databricks.pipeline.error", Severity::Error));
    assert_eq!(record.time, (now + 5) * 1_000_000);
    assert_eq!(record.body, AttributeValue::Text("Flow 'orders' has failed.".to_owned()));
    assert_eq!(attribute(record, "pipeline_name"), "name of p-0");
    assert_eq!(attribute(record, "exception.type"), "org.Boom");
    simulation.advance(1);
    assert_eq!(told(&simulation.collect(&mut simulation.configure())), Vec::<String>::new());
    assert_eq!(told(&simulation.collect(&mut instance)), Vec::<String>::new());
}

#[test]
fn errors_that_are_not_in_the_log_yet_are_looked_for_again_but_not_for_ever() {
    for (lags, expected) in [(MINUTE * 3 / 2, 1), (MINUTE * 600, 0)] {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        simulation.collect(&mut instance);
        simulation.world.borrow_mut().log_lags = lags;
        let now = simulation.now();
        simulation.add("p-0", now + 1, now + 5, "FAILED");
        let mut all = Vec::new();
        let _ = simulation.host.take_requests();
        for _ in 0..10 {
            simulation.advance(1);
            all.extend(told(&simulation.collect(&mut instance)));
        }
        assert_eq!(all.len(), expected);
        let asked = simulation.host.take_requests().iter().filter(|request| request.contains("/events")).count();
        assert!(asked <= 3, "{asked}");
    }
}

#[test]
fn a_pipeline_that_is_refused_costs_its_own_details_only() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    simulation.world.borrow_mut().refused.insert("p-0".to_owned());
    let now = simulation.now();
    for id in ["p-0", "p-1"] {
        (0..9).for_each(|n| drop(simulation.add(id, now + 10 + n, now + 10 + n, "FAILED")));
    }
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    assert_eq!(total(&collected), 5.0 + 9.0);
    assert_eq!(told(&collected).len(), 9);
    assert_eq!(collected.failed_sources(), ["pipelines", "pipelines"]);
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    assert_eq!((total(&collected), collected.failed_sources().len()), (14.0, 0));
}

#[test]
fn bad_items_cost_only_themselves() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.host.on_path(LIST, move |_| {
        let good = json!({ "update_id": "u", "state": "COMPLETED", "creation_time": iso(now + 5) });
        let old = json!({ "update_id": "o", "state": "COMPLETED", "creation_time": iso(now - 5) });
        Reply::json(&json!({ "statuses": [null, 3, {},
            { "pipeline_id": "p-0", "name": null, "state": 7, "latest_updates": [null, 5, {}, good, good, old,
                { "update_id": null, "state": "FAILED" }, { "update_id": "x", "state": null, "creation_time": -5 }] },
            { "pipeline_id": "p-0", "latest_updates": [good] },
            { "pipeline_id": "p-1", "latest_updates": { "update_id": "u" } },
        ] }))
    });
    for _ in 0..3 {
        simulation.advance(1);
        let collected = simulation.collect(&mut instance);
        assert_eq!(total(&collected), 1.0);
        assert_eq!(collected.failed_sources(), ["pipelines"]);
        assert_eq!(collected.metrics.value(PIPELINES, &[("pipeline_state", "UNKNOWN")]), 3.0);
    }
}

#[test]
fn a_collector_that_is_off_asks_and_says_nothing() {
    let simulation = Simulation::new();
    let collected = simulation.collect(&mut simulation.configure_with(json!({ "enabled": false }), 60));
    assert_eq!(simulation.host.take_requests(), Vec::<String>::new());
    assert_eq!(collected.metrics.points(PIPELINES), []);
}

const HISTORIES: Histories = Histories { steps: 1..25, fails_at: 1..10, soon: 4, arriving: 6 };

/// One after the other: time between, length, and how it ends.
fn updates() -> impl Strategy<Value = Vec<(u64, u64, usize)>> {
    let short = || prop_oneof![3 => 1_u64..30_000, 1 => MINUTE..40 * MINUTE];
    prop::collection::vec((short(), short(), 0_usize..3), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_update_is_counted_and_every_failure_told_exactly_once(
        histories in prop::collection::vec(updates(), 4),
        steps in HISTORIES.steps(),
        shown in 1_usize..5,
        page in 5_usize..12,
    ) {
        const ENDS: [&str; 3] = ["COMPLETED", "FAILED", "CANCELED"];
        let simulation = Simulation::new();
        {
            let mut world = simulation.world.borrow_mut();
            (world.shown, world.page) = (shown, page);
            for id in IDS {
                world.pipelines.insert(id.to_owned(), Vec::new());
            }
        }
        for (id, history) in IDS.iter().zip(&histories) {
            let mut time = simulation.now() - 20 * MINUTE;
            for (gap, length, end) in history {
                let created = time + gap;
                time = created + length;
                simulation.add(id, created, time, ENDS[*end]);
            }
        }
        let (mut began, mut all, mut largest, mut collected) = (None, Vec::new(), 0.0, None);
        let last = Step::undisturbed(10 * MINUTE);
        simulation.play(10, steps.iter().chain(core::iter::repeat_n(&last, 150)), |now, result| {
            prop_assert!(total(&result) >= largest);
            largest = total(&result);
            all.extend(told(&result));
            collected = Some(result);
            if began.is_none() && simulation.host.state("pipelines").is_some() {
                began = Some(now);
            }
            Ok(())
        })?;
        let (began, collected) = (began.unwrap(), collected.unwrap());
        let (mut expected, mut failed) = (BTreeMap::new(), BTreeSet::new());
        for (id, updates) in &simulation.world.borrow().pipelines {
            for update in updates.iter().filter(|update| update.created >= began || update.end > began) {
                *expected.entry((id.clone(), update.state.to_owned())).or_insert(0.0) += 1.0;
                if update.state == "FAILED" {
                    failed.insert(update.id.clone());
                }
            }
        }
        let counted: BTreeMap<(String, String), f64> = collected.metrics.points(UPDATES).into_iter()
            .map(|point| ((point.attributes["databricks.pipeline.id"].clone(), point.attributes["update_state"].clone()), point.value))
            .collect();
        prop_assert_eq!(counted, expected);
        let once: BTreeSet<String> = all.iter().cloned().collect();
        prop_assert_eq!((once.len(), once), (all.len(), failed));
    }
}
