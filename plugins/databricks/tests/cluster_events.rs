//! What the receiver promises about the events of clusters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use core::time::Duration;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kiln_plugin::http::{Method, Request};
use kiln_plugin::telemetry::{AttributeValue, LogRecord, Severity};
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin_databricks::{Databricks, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

const LIST: &str = "/api/2.1/clusters/list";
const PATH: &str = "/api/2.1/clusters/events";
const MINUTE: u64 = 60_000;

/// From a start to an end; times are milliseconds.
#[derive(Clone, Debug)]
struct Life {
    start: u64,
    end: u64,
    resizes: Vec<u64>,
}

impl Life {
    fn events(&self) -> Vec<(u64, &'static str)> {
        let mut events = vec![(self.start, "STARTING"), (self.start + 1_000, "RUNNING")];
        for resize in &self.resizes {
            events.extend([(*resize, "RESIZING"), (*resize, "AUTOSCALING_STATS_REPORT")]);
        }
        events.push((self.end, "TERMINATING"));
        events.sort_unstable();
        events
    }
}

#[derive(Default)]
struct World {
    clusters: BTreeMap<String, Vec<Life>>,
    page: usize,
    /// Whether pages are told apart as older versions of the API do it.
    is_old: bool,
    /// Requests for events that fail, counted from the next one, and with what.
    failing: BTreeMap<usize, u16>,
    refused: BTreeMap<String, u16>,
    asked: usize,
    /// Of the events of which clusters.
    asked_for: Vec<String>,
    now: u64,
}

struct Simulation {
    host: TestHost,
    world: Rc<RefCell<World>>,
}

impl Simulation {
    fn new() -> Self {
        let host = TestHost::new(telemetry::MANIFEST);
        let world = Rc::new(RefCell::new(World { page: 500, ..World::default() }));
        let listing = Rc::clone(&world);
        host.on_path(LIST, move |_| listing.borrow().list());
        let answering = Rc::clone(&world);
        host.on_path(PATH, move |request| answering.borrow_mut().answer(request));
        Self { host, world }
    }

    fn configure(&self) -> Instance<Databricks> {
        self.configure_with(&json!({ "interval": "1m" }), 60)
    }

    fn configure_with(&self, clusters: &Value, budget: u32) -> Instance<Databricks> {
        let off = json!({ "enabled": false });
        let mut collectors = json!({ "clusters": clusters });
        for other in ["jobs", "runs", "queries", "warehouses", "pipelines", "serving", "pools", "inventory", "identity"]
        {
            collectors[other] = off.clone();
        }
        let config = json!({ "host": "https://example.cloud.databricks.com", "token": "secret",
            "requests_per_cycle": budget, "collectors": collectors });
        self.host.configure(config).unwrap()
    }

    fn now(&self) -> u64 {
        self.host.now().as_millis()
    }

    fn add(&self, id: &str, start: u64, end: u64, resizes: &[u64]) {
        let life = Life { start, end, resizes: resizes.to_vec() };
        self.world.borrow_mut().clusters.entry(id.to_owned()).or_default().push(life);
    }

    fn advance(&self, minutes: u64) {
        self.host.advance(Duration::from_millis(minutes * MINUTE));
    }

    fn collect(&self, instance: &mut Instance<Databricks>) -> Collected {
        self.world.borrow_mut().now = self.now();
        instance.collect().unwrap()
    }

    fn take_asked_for(&self) -> Vec<String> {
        std::mem::take(&mut self.world.borrow_mut().asked_for)
    }
}

impl World {
    fn list(&self) -> Reply {
        let body = |(id, lives): (&String, &Vec<Life>)| {
            let life = lives.iter().find(|life| life.start <= self.now && self.now < life.end + 30_000)?;
            let state = if self.now < life.end { "RUNNING" } else { "TERMINATING" };
            let resized = life.resizes.iter().filter(|time| **time <= self.now).count();
            Some(json!({ "cluster_id": id, "cluster_name": format!("name of {id}"), "state": state,
                "num_workers": 1 + resized % 3, "start_time": life.start }))
        };
        Reply::json(&json!({ "clusters": self.clusters.iter().filter_map(body).collect::<Vec<_>>() }))
    }

    fn answer(&mut self, request: &Request) -> Reply {
        assert_eq!(request.method, Method::Post);
        self.asked += 1;
        let ask: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        let id = ask["cluster_id"].as_str().unwrap();
        self.asked_for.push(id.to_owned());
        let status = self.failing.get(&self.asked).or_else(|| self.refused.get(id));
        if let Some(status) = status {
            return Reply::status(
                *status,
                r#"{"error_code":"SIMULATED","message":"Cluster does not exist, as asked"}"#,
            );
        }
        assert_eq!(ask["order"], "ASC");
        let from = ask["start_time"].as_u64().unwrap();
        let lives = &self.clusters[id];
        let all: Vec<_> =
            lives.iter().flat_map(Life::events).filter(|(time, _)| from <= *time && *time <= self.now).collect();
        let skip = match (&ask["page_token"], &ask["offset"]) {
            (Value::String(token), _) => token.parse().unwrap(),
            (_, offset) => offset.as_u64().map_or(0, |offset| usize::try_from(offset).unwrap()),
        };
        let shown = all.iter().skip(skip).take(self.page);
        let events: Vec<Value> = shown
            .map(|(time, kind)| json!({ "cluster_id": id, "timestamp": time, "type": kind, "details": {} }))
            .collect();
        let mut body = json!({ "events": events, "total_count": all.len() });
        let next = skip + self.page;
        if next < all.len() {
            match self.is_old {
                true => body["next_page"] = json!({ "cluster_id": id, "offset": next, "limit": self.page }),
                false => body["next_page_token"] = next.to_string().into(),
            }
        }
        Reply::json(&body)
    }
}

fn records(collected: &Collected) -> Vec<&LogRecord> {
    collected.logs.iter().flat_map(|logs| &logs.records).collect()
}

fn attribute(record: &LogRecord, key: &str) -> String {
    let found = record.attributes.iter().find(|attribute| attribute.key == key);
    match &found.unwrap_or_else(|| panic!("{key} is missing: {record:?}")).value {
        AttributeValue::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Cluster, time and type.
fn told(collected: &Collected) -> Vec<(String, u64, String)> {
    let told = records(collected).into_iter().map(|record| {
        let time = record.time / 1_000_000;
        (attribute(record, "databricks.cluster.id"), time, record.severity_text.clone())
    });
    told.collect()
}

fn kinds(collected: &Collected) -> Vec<String> {
    told(collected).into_iter().map(|(_, _, kind)| kind).collect()
}

#[test]
fn what_happens_to_a_cluster_is_told_as_it_happens() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add("a", now + 1, now + 5 * MINUTE, &[now + 2 * MINUTE]);
    let mut all = Vec::new();
    for _ in 0..8 {
        all.extend(kinds(&simulation.collect(&mut instance)));
        simulation.advance(1);
    }
    assert_eq!(all, ["STARTING", "RUNNING", "RESIZING", "TERMINATING"]);
}

#[test]
fn a_record_carries_what_it_is_about() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add("a", now + 1, now + 600 * MINUTE, &[]);
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    let record = records(&collected)[0];
    assert_eq!(record.event_name, "databricks.cluster.event");
    assert_eq!(record.severity, Severity::Info);
    assert_eq!(record.body, AttributeValue::Text("cluster name of a is starting".to_owned()));
    assert_eq!(attribute(record, "databricks.cluster.name"), "name of a");
    assert_eq!(attribute(record, "databricks.cluster.event.type"), "STARTING");
    assert_eq!(record.time, (now + 1) * 1_000_000);
}

#[test]
fn what_happened_before_the_first_collection_is_not_told() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add("a", now - 60 * MINUTE, now + 600 * MINUTE, &[now - 1, now + 1]);
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(told(&simulation.collect(&mut instance)));
        simulation.advance(10);
    }
    assert_eq!(all, [("a".to_owned(), now + 1, "RESIZING".to_owned())]);
}

#[test]
fn clusters_that_look_as_they_did_are_asked_for_in_turn_and_not_in_every_collection() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    for n in 0..30 {
        simulation.add(&format!("c{n:02}"), now - MINUTE, now + 600 * MINUTE, &[]);
    }
    for _ in 0..10 {
        simulation.collect(&mut instance);
        simulation.advance(1);
    }
    assert_eq!(simulation.take_asked_for().len(), 0);
    let mut asked: Vec<String> = Vec::new();
    for _ in 0..4 {
        simulation.collect(&mut instance);
        let in_collection = simulation.take_asked_for();
        assert!(in_collection.len() <= 8);
        asked.extend(in_collection);
        simulation.advance(1);
    }
    assert_eq!((asked.len(), asked.iter().collect::<BTreeSet<_>>().len()), (30, 30));
}

#[test]
fn events_are_read_only_if_nothing_else_needs_the_requests() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure_with(&json!({ "interval": "1m" }), 10);
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.world.borrow_mut().page = 1;
    let resizes: Vec<u64> = (1..20).map(|n| now + 5_000 + n).collect();
    simulation.add("a", now + 1, now + 600 * MINUTE, &resizes);
    let mut all = Vec::new();
    for _ in 0..8 {
        simulation.advance(1);
        all.extend(kinds(&simulation.collect(&mut instance)));
        assert!(simulation.take_asked_for().len() <= 8);
    }
    assert_eq!(all.len(), 21, "{all:?}");
}

#[test]
fn events_can_be_turned_off_and_clusters_stay() {
    let simulation = Simulation::new();
    let now = simulation.now();
    simulation.add("a", now - MINUTE, now + MINUTE, &[]);
    let mut instance = simulation.configure_with(&json!({ "interval": "1m", "events": false }), 60);
    for _ in 0..20 {
        let collected = simulation.collect(&mut instance);
        assert_eq!(collected.logs.len(), 0);
        simulation.advance(1);
    }
    assert_eq!(simulation.take_asked_for(), Vec::<String>::new());
    assert!(simulation.host.take_requests().iter().any(|request| request.contains(LIST)));
}

#[test]
fn a_cluster_that_is_refused_costs_its_own_events_only() {
    for status in [400, 403, 404] {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        simulation.collect(&mut instance);
        let now = simulation.now();
        simulation.add("bad", now + 1, now + 600 * MINUTE, &[]);
        simulation.add("good", now + 1, now + 600 * MINUTE, &[]);
        simulation.world.borrow_mut().refused.insert("bad".to_owned(), status);
        simulation.advance(1);
        let collected = simulation.collect(&mut instance);
        assert_eq!(kinds(&collected), ["STARTING", "RUNNING"], "{status}");
        assert_eq!(collected.failed_sources(), ["cluster_events"]);
        simulation.take_asked_for();
        for _ in 0..5 {
            simulation.advance(1);
            let collected = simulation.collect(&mut instance);
            assert_eq!(collected.failed_sources(), Vec::<&str>::new());
        }
        assert_eq!(simulation.take_asked_for(), Vec::<String>::new());
        simulation.world.borrow_mut().refused.clear();
        simulation.advance(60);
        assert_eq!(kinds(&simulation.collect(&mut instance)), ["STARTING", "RUNNING"], "{status}");
    }
}

#[test]
fn a_cluster_that_is_gone_for_good_is_no_failure() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add("a", now - MINUTE, now + 1, &[]);
    simulation.collect(&mut instance);
    simulation.world.borrow_mut().refused.insert("a".to_owned(), 404);
    for _ in 0..5 {
        simulation.advance(1);
        assert_eq!(simulation.collect(&mut instance).failed_sources(), Vec::<&str>::new());
    }
    assert_eq!(simulation.take_asked_for(), ["a"]);
}

#[test]
fn bad_events_cost_only_themselves() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add("a", now + 1, now + 600 * MINUTE, &[]);
    simulation.host.on_path(PATH, move |_| {
        let good = json!({ "timestamp": now + 5, "type": "NODES_LOST", "details": [1] });
        Reply::json(&json!({ "next_page": 7, "next_page_token": null, "events": [null, 5, {}, good, good,
            { "timestamp": -3, "type": "RESIZING" },
            { "timestamp": now + 6, "type": null },
            { "timestamp": now + 7, "type": "RESIZING", "details": { "current_num_workers": "x", "reason": 5 } },
        ] }))
    });
    let mut all = Vec::new();
    for _ in 0..3 {
        simulation.advance(10);
        let collected = simulation.collect(&mut instance);
        assert_eq!(collected.failed_sources(), ["cluster_events"]);
        all.extend(kinds(&collected));
    }
    assert_eq!(all, ["NODES_LOST", "RESIZING"]);
}

#[test]
fn pages_that_do_not_end_stop_for_a_while() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add("a", now + 1, now + 600 * MINUTE, &[]);
    simulation.host.on_path(PATH, move |_| {
        let event = json!({ "timestamp": now + 5, "type": "NODES_LOST" });
        Reply::json(&json!({ "next_page_token": "again", "events": [event] }))
    });
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    assert_eq!(kinds(&collected), ["NODES_LOST"]);
    assert!(collected.outcome.failures[0].message.contains("does not end"));
    simulation.advance(1);
    let _ = simulation.host.take_requests();
    simulation.collect(&mut instance);
    assert!(simulation.host.take_requests().iter().all(|request| !request.contains(PATH)));
}

#[derive(Clone, Debug)]
enum Step {
    Poll {
        after: u64,
        fails_at: Option<usize>,
    },
    /// A collection whose batch is lost.
    Lose {
        after: u64,
        fails_at: Option<usize>,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fails_at = || prop::option::weighted(0.3, 1_usize..8);
    let after = || prop_oneof![6 => 30_000_u64..3 * MINUTE, 1 => MINUTE..90 * MINUTE];
    let step = prop_oneof![
        8 => (after(), fails_at()).prop_map(|(after, fails_at)| Step::Poll { after, fails_at }),
        1 => (after(), fails_at()).prop_map(|(after, fails_at)| Step::Lose { after, fails_at }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// Lives of a cluster, apart from one another: gap before, length, and when within it is resized.
fn lives() -> impl Strategy<Value = Vec<(u64, u64, Vec<u64>)>> {
    let gap = prop_oneof![MINUTE..20 * MINUTE, 60 * MINUTE..150 * MINUTE];
    prop::collection::vec((gap, 5_000..60 * MINUTE, prop::collection::vec(0_u64..1_000, 0..8)), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_told_exactly_once(
        clusters in prop::collection::vec(lives(), 1..12),
        steps in steps(),
        page in 1_usize..6,
        is_old: bool,
    ) {
        let simulation = Simulation::new();
        {
            let mut world = simulation.world.borrow_mut();
            (world.page, world.is_old) = (page, is_old);
        }
        for (n, lives) in clusters.iter().enumerate() {
            let mut time = simulation.now() - 30 * MINUTE;
            for (gap, length, resizes) in lives {
                let (start, end) = (time + gap, time + gap + length);
                // Two events of one type at one time are one.
                let resizes: BTreeSet<u64> = resizes.iter().map(|part| start + length * part / 1_000).collect();
                simulation.add(&format!("c{n}"), start, end, &resizes.into_iter().collect::<Vec<_>>());
                time = end;
            }
        }
        let mut instance = simulation.configure();
        let (mut began, mut all, mut seen) = (None, Vec::new(), BTreeSet::new());
        let last = Step::Poll { after: 3 * MINUTE, fails_at: None };
        for step in steps.iter().chain(core::iter::repeat_n(&last, 300)) {
            let (Step::Poll { after, fails_at } | Step::Lose { after, fails_at }) = step else {
                instance = simulation.configure();
                continue;
            };
            let before = simulation.host.state("cluster_events");
            {
                let mut world = simulation.world.borrow_mut();
                world.failing = fails_at.iter().map(|at| (world.asked + at, 500)).collect();
            }
            let now = simulation.now();
            simulation.world.borrow_mut().now = now;
            // It fails as a whole if all it asked for did.
            let collected = instance.collect();
            if matches!(step, Step::Lose { .. }) {
                simulation.host.set_state("cluster_events", before.as_ref().unwrap_or(&Value::Null));
            } else if let Ok(collected) = collected {
                began.get_or_insert(now);
                all.extend(told(&collected));
                // The list may be older than the collection, by less than its interval.
                for (id, lives) in &simulation.world.borrow().clusters {
                    let is_listed = |life: &&Life| life.start + MINUTE <= now && now < life.end;
                    seen.extend(lives.iter().filter(is_listed).map(|life| (id.clone(), life.start)));
                }
            }
            simulation.host.advance(Duration::from_millis(*after));
        }
        let began = began.unwrap();
        let once: BTreeSet<_> = all.iter().cloned().collect();
        prop_assert_eq!(once.len(), all.len(), "told twice");
        for (id, lives) in &simulation.world.borrow().clusters {
            for life in lives.iter().filter(|life| seen.contains(&(id.clone(), life.start))) {
                for (time, kind) in life.events() {
                    let expected = time >= began && kind != "AUTOSCALING_STATS_REPORT";
                    prop_assert_eq!(once.contains(&(id.clone(), time, kind.to_owned())), expected, "{} {} {}", id, time - began, kind);
                }
            }
        }
    }
}
