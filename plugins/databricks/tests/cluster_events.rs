//! What the receiver promises about the events of clusters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::http::{Method, Request};
use kiln_plugin::telemetry::{AttributeValue, Severity};
use kiln_plugin::testing::{Collected, Reply};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::scripted::{self, Histories, MINUTE, Scripted, Service, Step, attribute, records};

const LIST: &str = "/api/2.1/clusters/list";
const PATH: &str = "/api/2.1/clusters/events";

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
    refused: BTreeMap<String, u16>,
    /// Of the events of which clusters.
    asked_for: Vec<String>,
    service: Service,
}

type Simulation = scripted::Simulation<World>;

impl Simulation {
    fn add(&self, id: &str, start: u64, end: u64, resizes: &[u64]) {
        let life = Life { start, end, resizes: resizes.to_vec() };
        self.world.borrow_mut().clusters.entry(id.to_owned()).or_default().push(life);
    }

    fn take_asked_for(&self) -> Vec<String> {
        std::mem::take(&mut self.world.borrow_mut().asked_for)
    }
}

impl Scripted for World {
    const COLLECTOR: &'static str = "clusters";
    const BUDGET: u32 = 60;

    fn new() -> Self {
        Self { page: 500, ..Self::default() }
    }

    fn paths() -> Vec<String> {
        [LIST, PATH].map(str::to_owned).to_vec()
    }

    fn answer(&mut self, path: &str, request: &Request) -> Reply {
        match path {
            LIST => self.list(),
            _ => self.events(request),
        }
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}

impl World {
    fn list(&self) -> Reply {
        let body = |(id, lives): (&String, &Vec<Life>)| {
            let life =
                lives.iter().find(|life| life.start <= self.service.now && self.service.now < life.end + 30_000)?;
            let state = if self.service.now < life.end { "RUNNING" } else { "TERMINATING" };
            let resized = life.resizes.iter().filter(|time| **time <= self.service.now).count();
            Some(json!({ "cluster_id": id, "cluster_name": format!("name of {id}"), "state": state,
                "num_workers": 1 + resized % 3, "start_time": life.start }))
        };
        Reply::json(&json!({ "clusters": self.clusters.iter().filter_map(body).collect::<Vec<_>>() }))
    }

    /// Of these requests some fail; those for the list do not.
    fn events(&mut self, request: &Request) -> Reply {
        assert_eq!(request.method, Method::Post);
        let ask: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        let id = ask["cluster_id"].as_str().unwrap();
        self.asked_for.push(id.to_owned());
        if let Some(failure) = self.service.failure() {
            return failure;
        }
        if let Some(status) = self.refused.get(id) {
            return Reply::status(
                *status,
                r#"{"error_code":"SIMULATED","message":"Cluster does not exist, as asked"}"#,
            );
        }
        assert_eq!(ask["order"], "ASC");
        let from = ask["start_time"].as_u64().unwrap();
        let lives = &self.clusters[id];
        let all: Vec<_> = lives
            .iter()
            .flat_map(Life::events)
            .filter(|(time, _)| from <= *time && *time <= self.service.now)
            .collect();
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
    let mut instance = simulation.configure_with(json!({}), 10);
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
    let mut instance = simulation.configure_with(json!({ "events": false }), 60);
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

const HISTORIES: Histories = Histories { steps: 1..60, fails_at: 1..8, soon: 6, arriving: 8 };

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
        steps in HISTORIES.steps(),
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
        let (mut began, mut all, mut seen) = (None, Vec::new(), BTreeSet::new());
        let last = Step::undisturbed(3 * MINUTE);
        simulation.play(60, steps.iter().chain(core::iter::repeat_n(&last, 300)), |now, collected| {
            began.get_or_insert(now);
            all.extend(told(&collected));
            // The list may be older than the collection, by less than its interval.
            for (id, lives) in &simulation.world.borrow().clusters {
                let is_listed = |life: &&Life| life.start + MINUTE <= now && now < life.end;
                seen.extend(lives.iter().filter(is_listed).map(|life| (id.clone(), life.start)));
            }
            Ok(())
        })?;
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
