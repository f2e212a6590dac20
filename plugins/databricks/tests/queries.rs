//! What the receiver promises about SQL queries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use core::time::Duration;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use kiln_plugin::http::Request;
use kiln_plugin::testing::{Collected, Reply};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::scripted::{self, Histories, MINUTE, Scripted, Service, Step};

const PATH: &str = "/api/2.0/sql/history/queries";
const COUNT: &str = "databricks.queries.count";
const RUNNING: &str = "databricks.queries.running";

/// Times are milliseconds.
#[derive(Clone, Debug)]
struct Query {
    id: usize,
    start: u64,
    end: u64,
    /// The history shows it from then on.
    visible: u64,
}

impl Query {
    const fn new(id: usize, start: u64, end: u64) -> Self {
        Self { id, start, end, visible: start }
    }

    fn body(&self, now: u64) -> Value {
        let has_ended = self.end <= now;
        let status = if has_ended { ["FINISHED", "FAILED", "CANCELED"][self.id % 3] } else { "RUNNING" };
        json!({
            "query_id": format!("query-{}", self.id),
            "status": status,
            "warehouse_id": format!("w{}", self.id % 2),
            "statement_type": "SELECT",
            "query_start_time_ms": self.start,
            "query_end_time_ms": if has_ended { Value::from(self.end) } else { Value::Null },
            "duration": if has_ended { self.end - self.start } else { now - self.start },
            "query_text": "select 1",
            "metrics": { "read_bytes": 100, "spill_to_disk_bytes": 1 },
        })
    }
}

#[derive(Default)]
struct World {
    queries: Vec<Query>,
    /// The server may give fewer than it is asked for.
    page: usize,
    forgotten: Vec<usize>,
    service: Service,
}

type Simulation = scripted::Simulation<World>;

impl Simulation {
    fn add(&self, queries: impl IntoIterator<Item = Query>) {
        self.world.borrow_mut().queries.extend(queries);
    }
}

impl Scripted for World {
    const COLLECTOR: &'static str = "queries";
    const BUDGET: u32 = 10;

    fn new() -> Self {
        Self { page: 200, ..Self::default() }
    }

    fn paths() -> Vec<String> {
        vec![PATH.to_owned()]
    }

    fn answer(&mut self, _: &str, request: &Request) -> Reply {
        if let Some(failure) = self.service.failure() {
            return failure;
        }
        let query = request.url.split_once('?').map_or("", |(_, query)| query);
        let all = |name: &str| -> Vec<String> {
            let values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.map(str::to_owned).collect()
        };
        let one = |name: &str| all(name).first().map(|text| text.parse::<u64>().unwrap());
        assert_eq!(all("include_metrics"), ["true"]);
        assert!((1..1_000).contains(&one("max_results").unwrap()));
        let ids: Vec<String> = all("filter_by.statement_ids").iter().map(|id| id.replace("%2D", "-")).collect();
        let from = one("filter_by.query_start_time_range.start_time_ms").unwrap_or_default();
        let to = one("filter_by.query_start_time_range.end_time_ms").unwrap_or(u64::MAX);
        assert!(ids.len() <= 50 && (ids.is_empty() != (from == 0)));
        let is_wanted = |query: &&Query| match ids.is_empty() {
            true => from <= query.start && query.start < to,
            false => ids.contains(&format!("query-{}", query.id)),
        };
        let known =
            self.queries.iter().filter(|query| query.visible <= self.service.now && query.start <= self.service.now);
        let mut listed: Vec<&Query> =
            known.filter(|query| !self.forgotten.contains(&query.id)).filter(is_wanted).collect();
        listed.sort_by_key(|query| core::cmp::Reverse((query.start, query.id)));
        let skip: usize = all("page_token").first().map_or(0, |token| token.replace("%2B", "").parse().unwrap());
        let shown: Vec<Value> =
            listed.iter().skip(skip).take(self.page).map(|query| query.body(self.service.now)).collect();
        let next = skip + self.page;
        let has_next = next < listed.len();
        let mut body = json!({ "has_next_page": has_next, "res": shown });
        if has_next {
            body["next_page_token"] = format!("+{next}").into();
        }
        Reply::json(&body)
    }

    fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}

fn total(collected: &Collected) -> f64 {
    support::total(collected, COUNT)
}

#[test]
fn queries_that_ended_are_counted_with_what_they_took() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add([
        Query::new(0, now + 1, now + 2_001),
        Query::new(2, now + 1, now + 61),
        Query::new(4, now + 1, now + 5),
    ]);
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    let finished = [("databricks.warehouse.id", "w0"), ("query_status", "FINISHED"), ("statement_type", "SELECT")];
    assert_eq!(collected.metrics.value(COUNT, &finished), 1.0);
    assert_eq!(collected.metrics.histogram("databricks.query.duration", &finished[..2]).sum, Some(2.0));
    let warehouse = &finished[..1];
    assert_eq!(collected.metrics.value("databricks.query.read_bytes", warehouse), 300.0);
    assert_eq!(collected.metrics.value("databricks.query.spilled_bytes", warehouse), 3.0);
    assert_eq!(total(&collected), 3.0);
}

#[test]
fn what_ended_before_the_first_collection_is_not_counted_and_what_ran_then_is() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add([Query::new(1, now - 2 * MINUTE, now - 1), Query::new(2, now - 2 * MINUTE, now + 1)]);
    assert_eq!(total(&simulation.collect(&mut instance)), 0.0);
    simulation.advance(1);
    assert_eq!(total(&simulation.collect(&mut instance)), 1.0);
}

#[test]
fn a_query_that_outlives_the_list_is_asked_for_by_its_id() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add([Query::new(1, now, now + 40 * MINUTE)]);
    for minutes in 0..41 {
        let start = now + minutes * MINUTE;
        simulation.add([Query::new(100 + usize::try_from(minutes).unwrap(), start, start + 1)]);
        let collected = simulation.collect(&mut instance);
        let running = [("databricks.warehouse.id", "w1"), ("query_status", "RUNNING")];
        let expected = if minutes < 40 { 1.0 } else { 0.0 };
        let of_w1 = collected.metrics.points(RUNNING).into_iter().find(|point| {
            running.iter().all(|(key, value)| point.attributes.get(*key).is_some_and(|found| found == value))
        });
        // Every other minute's query runs there too.
        let of_minute = f64::from(u8::from(minutes % 2 == 1));
        assert_eq!(of_w1.map(|point| point.value), Some(expected + of_minute), "minute {minutes}");
        simulation.advance(1);
    }
    assert_eq!(total(&simulation.collect(&mut instance)), 42.0);
    let asked = simulation.host.take_requests();
    assert!(asked.iter().any(|request| request.contains("filter_by.statement_ids=query%2D1")));
}

#[test]
fn a_query_the_api_no_longer_knows_is_forgotten() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let now = simulation.now();
    simulation.add([Query::new(1, now, now + 600 * MINUTE)]);
    simulation.collect(&mut instance);
    simulation.world.borrow_mut().forgotten.push(1);
    simulation.add([Query::new(2, now + 20 * MINUTE, now + 20 * MINUTE)]);
    simulation.advance(20);
    let collected = simulation.collect(&mut instance);
    assert_eq!(collected.metrics.value(RUNNING, &[]), 0.0);
    simulation.advance(1);
    let collected = simulation.collect(&mut instance);
    assert_eq!(collected.metrics.points(RUNNING), []);
    assert_eq!(collected.failed_sources(), Vec::<&str>::new());
}

#[test]
fn series_that_vanish_go_to_zero_once_also_over_a_restart() {
    let simulation = Simulation::new();
    let now = simulation.now();
    simulation.add([Query::new(1, now, now + MINUTE)]);
    let collected = simulation.collect(&mut simulation.configure());
    assert_eq!(collected.metrics.value(RUNNING, &[("query_status", "RUNNING")]), 1.0);
    simulation.advance(1);
    let collected = simulation.collect(&mut simulation.configure());
    assert_eq!(collected.metrics.value(RUNNING, &[("query_status", "RUNNING")]), 0.0);
    let collected = simulation.collect(&mut simulation.configure());
    assert_eq!(collected.metrics.points(RUNNING), []);
}

#[test]
fn a_list_larger_than_the_budget_is_read_over_several_collections() {
    // Over an hour that nothing could be read in, and within a second.
    for (apart, collections) in [(MINUTE * 6 / 10, 6), (10, 40)] {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        simulation.collect(&mut instance);
        simulation.world.borrow_mut().page = 3;
        let now = simulation.now();
        simulation.add((0..100).map(|id| {
            let start = now + u64::try_from(id).unwrap() * apart;
            Query::new(id, start, start + 500)
        }));
        simulation.advance(apart / 600 + 1);
        let mut totals = Vec::new();
        for _ in 0..collections {
            let _ = simulation.host.take_requests();
            let collected = simulation.collect(&mut instance);
            totals.push(total(&collected));
            assert!(simulation.host.take_requests().len() <= 10);
            let is_known = collected.metrics.names().contains(&RUNNING);
            assert!(!is_known, "half a list is not a count, and nothing runs");
            simulation.advance(1);
        }
        assert!(totals.windows(2).all(|pair| pair[0] <= pair[1]), "{totals:?}");
        assert_eq!((totals[0], totals.last()), (30.0, Some(&100.0)), "{totals:?}");
    }
}

#[test]
fn counts_stay_and_start_when_counting_began_while_nothing_can_be_read() {
    let simulation = Simulation::new();
    let began = simulation.host.now();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add([Query::new(1, now + 1, now + 2), Query::new(2, now + 1, now + 600 * MINUTE)]);
    simulation.advance(1);
    assert_eq!(total(&simulation.collect(&mut instance)), 1.0);
    simulation.host.on_path(PATH, |_| Reply::status(503, "{}"));
    simulation.advance(1);
    // Nothing else is read here: it fails as a whole.
    assert!(instance.collect().is_err());
    simulation.host.on_path(PATH, |_| Reply::status(403, "{}"));
    for _ in 0..3 {
        let collected = instance.collect().unwrap();
        assert_eq!(total(&collected), 1.0);
        assert_eq!(collected.metrics.points(COUNT)[0].start, began);
        assert_eq!(collected.metrics.points(RUNNING), [], "nobody knows how many run");
        simulation.advance(1);
    }
}

#[test]
fn a_collector_that_is_off_asks_and_says_nothing() {
    let simulation = Simulation::new();
    let collected = simulation.collect(&mut simulation.configure_with(json!({ "enabled": false }), 10));
    assert_eq!(simulation.host.take_requests(), Vec::<String>::new());
    assert_eq!(total(&collected), 0.0);
}

#[test]
fn bad_items_cost_only_themselves() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.host.on_path(PATH, move |_| {
        let good = json!({ "query_id": "good", "status": "FINISHED", "query_start_time_ms": now + 5,
            "query_end_time_ms": now + 9 });
        Reply::json(&json!({ "has_next_page": null, "res": [null, 7, {}, good, good,
            { "query_id": "timeless", "status": "FAILED", "query_start_time_ms": -7, "query_end_time_ms": null },
            { "query_id": "ancient", "status": "FINISHED", "query_start_time_ms": 1, "query_end_time_ms": now + 9 },
            { "query_id": "remote", "status": "FINISHED", "query_start_time_ms": now * 2, "query_end_time_ms": now * 2 },
            { "query_id": 5, "status": "FINISHED" },
        ] }))
    });
    // `remote` is not believed, `ancient` was not asked for, and what has no id cannot be told apart.
    for _ in 0..30 {
        simulation.advance(7);
        let collected = instance.collect().unwrap();
        assert_eq!(total(&collected), 2.0);
        assert_eq!(collected.failed_sources(), ["queries"]);
    }
}

#[test]
fn a_list_that_does_not_end_is_an_error_and_skips_nothing() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance);
    let now = simulation.now();
    simulation.add((0..20).map(|id| Query::new(id, now + 1_000 + u64::try_from(id).unwrap(), now + 2_000)));
    let endless = Cell::new(0);
    simulation.host.on_path(PATH, move |_| {
        endless.set(endless.get() + 1);
        Reply::json(&json!({ "next_page_token": "again", "res": [
            { "query_id": "query-19", "status": "FAILED", "query_start_time_ms": now + 1_019, "query_end_time_ms": now + 2_000 },
        ] }))
    });
    simulation.advance(1);
    let collected = instance.collect().unwrap();
    assert_eq!(total(&collected), 1.0);
    assert!(collected.outcome.failures[0].message.contains("does not end"));
    simulation.answers(PATH);
    simulation.advance(1);
    assert_eq!(total(&simulation.collect(&mut instance)), 20.0);
}

#[test]
fn counting_begins_by_the_clock_of_the_workspace() {
    for ahead in [-7_200_i64, 7_200] {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        let there = move |host: u64| host.saturating_add_signed(ahead * 1_000);
        let began = there(simulation.now());
        let world = Rc::clone(&simulation.world);
        simulation.host.on_path(PATH, move |request| {
            let now = world.borrow().service.now / 1_000;
            let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(now));
            world.borrow_mut().answer(PATH, request).with_header("date", &date)
        });
        simulation.add([Query::new(1, began - MINUTE, began - 5_000), Query::new(2, began - MINUTE, began + 5_000)]);
        for expected in [0.0, 1.0, 1.0] {
            simulation.world.borrow_mut().service.now = there(simulation.now());
            assert_eq!(total(&instance.collect().unwrap()), expected, "{ahead}");
            simulation.advance(1);
        }
    }
}

const HISTORIES: Histories = Histories { steps: 1..25, fails_at: 1..12, soon: 4, arriving: 6 };

fn history() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let length = prop_oneof![6 => 0_u64..2 * MINUTE, 1 => MINUTE..300 * MINUTE];
    // Bursts, so that lists are longer than the budget.
    let start = prop_oneof![2 => 0_u64..200 * MINUTE, 1 => 60 * MINUTE..61 * MINUTE];
    prop::collection::vec((start, length, 0_u64..2 * MINUTE), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_query_is_counted_exactly_once(history in history(), steps in HISTORIES.steps(), page in 1_usize..8) {
        let simulation = Simulation::new();
        simulation.world.borrow_mut().page = page;
        // The history begins before the first collection.
        let epoch = simulation.now() - 20 * MINUTE;
        simulation.add(history.iter().enumerate().map(|(id, (start, length, late))| {
            let start = epoch + start;
            Query { id, start, end: start + length, visible: start + late }
        }));
        let (mut began, mut largest, mut collected) = (None, 0.0, None);
        let last = Step::undisturbed(10 * MINUTE);
        simulation.play(10, steps.iter().chain(core::iter::repeat_n(&last, 80)), |now, result| {
            prop_assert!(total(&result) >= largest);
            largest = total(&result);
            collected = Some(result);
            // Counting begins with the first answer that is not lost.
            if began.is_none() && simulation.host.state("queries").is_some() {
                began = Some(now);
            }
            Ok(())
        })?;
        let began = began.unwrap();
        let expected = simulation.world.borrow().queries.iter()
            .filter(|query| query.end >= began && query.start >= began - 10 * MINUTE && query.start <= simulation.now())
            .map(|query| (query.id % 3, query.id % 2))
            .fold(BTreeMap::new(), |mut counts, key| { *counts.entry(key).or_insert(0.0) += 1.0; counts });
        let collected = collected.unwrap();
        let mut counts = BTreeMap::new();
        for point in collected.metrics.points(COUNT) {
            let status = ["FINISHED", "FAILED", "CANCELED"].iter()
                .position(|status| *status == point.attributes["query_status"]).unwrap();
            let warehouse = usize::from(point.attributes["databricks.warehouse.id"] == "w1");
            *counts.entry((status, warehouse)).or_insert(0.0) += point.value;
        }
        prop_assert_eq!(counts, expected);
        let measured: u64 = collected.metrics.metric("databricks.query.duration").map_or(0, |metric| match &metric.data {
            kiln_plugin::telemetry::MetricData::Histogram(histogram) => histogram.points.iter().map(|point| point.count).sum(),
            _ => 0,
        });
        prop_assert_eq!(measured as f64, total(&collected));
        prop_assert_eq!(simulation.host.state("queries").unwrap()["ledger"]["unfinished"].as_object().unwrap().len(), 0);
        prop_assert_eq!(simulation.host.state("queries").unwrap()["ledger"]["backlog"].as_array().unwrap().len(), 0);
    }
}
