//! What the receiver promises about costs from the billing tables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alone;

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use alone::{configure, errors, host, next, only};
use kiln_plugin::testing::{Collected, Reply, TestHost};
use kiln_plugin::{Level, UnixNanos};
use proptest::prelude::*;
use serde_json::{Value, json};

const STATEMENTS: &str = "/api/2.0/sql/statements";
const POOLS: &str = "/api/2.0/instance-pools/list";
const COST: &str = "databricks.job.cost";
const HOUR: Duration = Duration::from_secs(3_600);
/// 2026-01-01T00:00:00Z, where the clock of a test begins.
const NEW_YEAR: u64 = 20_454;

/// A warehouse: what it was asked, and what it answers.
#[derive(Default)]
struct Warehouse {
    asked: Vec<Value>,
    rows: Vec<Value>,
    /// What becomes of the statements, in their order; the last one stays.
    outcomes: Vec<Value>,
}

fn succeeded() -> Value {
    json!({ "state": "SUCCEEDED" })
}

/// A workspace with a warehouse and nothing else; the list of pools says which workspace it is.
fn warehouse(host: &TestHost, rows: &[Value]) -> Rc<RefCell<Warehouse>> {
    host.on_get(POOLS, Reply::json(&json!({})).with_header("x-databricks-org-id", "4711"));
    let warehouse = Warehouse { rows: rows.to_vec(), outcomes: vec![succeeded()], ..Warehouse::default() };
    let warehouse = Rc::new(RefCell::new(warehouse));
    let asked = Rc::clone(&warehouse);
    host.on_path(STATEMENTS, move |request| {
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
        let id = format!("s{}", asked.borrow().asked.len() + 1);
        asked.borrow_mut().asked.push(body);
        Reply::json(&json!({ "statement_id": id, "status": { "state": "PENDING" } }))
    });
    for n in 1..200 {
        let known = Rc::clone(&warehouse);
        host.on_path(&format!("{STATEMENTS}/s{n}"), move |_| {
            let mut known = known.borrow_mut();
            let outcome = if known.outcomes.len() > 1 { known.outcomes.remove(0) } else { known.outcomes[0].clone() };
            let result = json!({ "data_array": known.rows });
            Reply::json(&json!({ "statement_id": format!("s{n}"), "status": outcome, "result": result }))
        });
    }
    warehouse
}

fn config() -> Value {
    let mut config = only("pools", json!({}));
    config["cost"] = json!({ "source": "billing", "billing_warehouse_id": "abc" });
    config
}

fn row(job_id: &str, name: &str, folded: f64, recent: f64) -> Value {
    json!([job_id, name, "USD", folded.to_string(), recent.to_string()])
}

fn cost(collected: &Collected, job_name: &str) -> Option<f64> {
    let points = collected.metrics.points(COST);
    points.iter().find(|point| point.attributes["job_name"] == job_name).map(|point| point.value)
}

#[test]
fn costs_are_asked_for_with_named_parameters_and_reported_by_job() {
    let host = host();
    let warehouse = warehouse(&host, &[row("7", "etl", 0.0, 12.5), row("8", "report", 0.0, 0.25)]);
    let mut instance = configure(&host, config());
    assert_eq!(next(&host, &mut instance).metrics.points(COST), []);
    let collected = next(&host, &mut instance);
    let point = collected.metrics.point(COST, &[("job_name", "etl"), ("databricks.job.id", "7")]);
    assert_eq!((point.value, point.attributes["databricks.cost.source"].as_str()), (12.5, "billing"));
    // Midnight of the day before, which is where a lookback of 24 hours leads.
    assert_eq!(point.start, UnixNanos::from_millis((NEW_YEAR - 1) * 86_400_000));
    assert_eq!(cost(&collected, "report"), Some(0.25));
    let body = &warehouse.borrow().asked[0];
    assert_eq!((&body["warehouse_id"], &body["wait_timeout"]), (&json!("abc"), &json!("0s")));
    assert_eq!((&body["disposition"], &body["format"]), (&json!("INLINE"), &json!("JSON_ARRAY")));
    let parameters = json!([
        { "name": "workspace_id", "value": "4711", "type": "STRING" },
        { "name": "from", "value": "2025-12-31", "type": "DATE" },
        { "name": "fold", "value": "2025-12-31", "type": "DATE" },
    ]);
    assert_eq!(body["parameters"], parameters);
    assert!(!body["statement"].as_str().unwrap().contains("4711"));
}

#[test]
fn the_tables_are_read_once_in_an_interval_and_costs_repeated_in_between() {
    let host = host();
    let warehouse = warehouse(&host, &[row("7", "etl", 0.0, 1.0)]);
    let mut instance = configure(&host, config());
    for _ in 0..60 {
        let _ = next(&host, &mut instance);
    }
    assert_eq!(warehouse.borrow().asked.len(), 1);
    assert_eq!(cost(&next(&host, &mut instance), "etl"), Some(1.0));
    let _ = next(&host, &mut instance);
    assert_eq!(warehouse.borrow().asked.len(), 2);
}

#[test]
fn nothing_is_asked_of_the_warehouse_without_the_source_or_before_the_workspace_is_known() {
    let host = host();
    let known = warehouse(&host, &[]);
    let _ = next(&host, &mut configure(&host, only("pools", json!({}))));
    assert_eq!(known.borrow().asked.len(), 0);
    host.on_get(POOLS, Reply::json(&json!({})));
    let mut instance = configure(&host, config());
    let _ = next(&host, &mut instance);
    assert_eq!(known.borrow().asked.len(), 0);
    host.on_get(POOLS, Reply::json(&json!({})).with_header("x-databricks-org-id", "4711"));
    host.advance(Duration::from_secs(300));
    let _ = next(&host, &mut instance);
    assert_eq!(known.borrow().asked.len(), 1);
}

#[test]
fn a_restart_goes_on_with_the_statement_and_starts_no_other() {
    let host = host();
    let warehouse = warehouse(&host, &[row("7", "etl", 0.0, 1.0)]);
    warehouse.borrow_mut().outcomes = vec![json!({ "state": "PENDING" }), json!({ "state": "RUNNING" }), succeeded()];
    for expected in [None, None, None, Some(1.0), Some(1.0)] {
        let collected = next(&host, &mut configure(&host, config()));
        assert_eq!(cost(&collected, "etl"), expected);
        assert_eq!(collected.failed_sources(), Vec::<&str>::new());
    }
    assert_eq!(warehouse.borrow().asked.len(), 1);
}

#[test]
fn a_statement_that_fails_is_reported_with_its_reason_and_tried_again_at_the_next_interval() {
    let host = host();
    let warehouse = warehouse(&host, &[row("7", "etl", 0.0, 1.0)]);
    let failed = json!({ "state": "FAILED", "error": { "message": "TABLE_OR_VIEW_NOT_FOUND" } });
    warehouse.borrow_mut().outcomes = vec![failed, succeeded()];
    let mut instance = configure(&host, config());
    let _ = next(&host, &mut instance);
    let collected = next(&host, &mut instance);
    assert_eq!(collected.failed_sources(), ["billing"]);
    let message = &collected.outcome.failures[0].message;
    assert!(message.contains("s1 failed: FAILED: TABLE_OR_VIEW_NOT_FOUND"), "{message}");
    assert_eq!(next(&host, &mut instance).failed_sources(), Vec::<&str>::new());
    assert_eq!(warehouse.borrow().asked.len(), 1);
    host.advance(HOUR);
    let _ = next(&host, &mut instance);
    assert_eq!(cost(&next(&host, &mut instance), "etl"), Some(1.0));
}

#[test]
fn a_statement_without_a_result_is_given_up_after_half_an_hour_and_not_before() {
    let host = host();
    let warehouse = warehouse(&host, &[]);
    warehouse.borrow_mut().outcomes = vec![json!({ "state": "PENDING" })];
    let mut instance = configure(&host, config());
    let failures: Vec<usize> = (0..40).map(|_| next(&host, &mut instance).outcome.failures.len()).collect();
    assert_eq!(failures.iter().sum::<usize>(), 1);
    assert_eq!(failures.iter().position(|failures| *failures == 1), Some(31));
}

#[test]
fn a_warehouse_that_may_not_be_used_is_named_and_asked_again_in_an_hour() {
    let host = host();
    let warehouse = warehouse(&host, &[]);
    host.on(kiln_plugin::http::Method::Post, STATEMENTS, Reply::status(403, "no"));
    let mut instance = configure(&host, config());
    let collected = next(&host, &mut instance);
    let message = &collected.outcome.failures[0].message;
    assert!(message.contains("SELECT on system.billing"), "{message}");
    let _ = host.take_requests();
    let _ = next(&host, &mut instance);
    assert!(host.take_requests().iter().all(|request| !request.contains("statements")));
    assert_eq!(errors(&collected, "billing"), 1.0);
    assert_eq!(warehouse.borrow().asked.len(), 0);
    // Once it may be used, costs are reported.
    let script = Reply::json(&json!({ "statement_id": "s1", "status": { "state": "PENDING" } }));
    host.on(kiln_plugin::http::Method::Post, STATEMENTS, script);
    warehouse.borrow_mut().rows = vec![row("7", "etl", 0.0, 1.0)];
    host.advance(HOUR);
    let _ = next(&host, &mut instance);
    assert_eq!(cost(&next(&host, &mut instance), "etl"), Some(1.0));
}

#[test]
fn a_warehouse_that_cannot_be_reached_is_tried_again_in_ten_minutes() {
    let host = host();
    let warehouse = warehouse(&host, &[]);
    host.on(kiln_plugin::http::Method::Post, STATEMENTS, Reply::status(503, "down"));
    let mut instance = configure(&host, config());
    let tries: usize = (0..25)
        .map(|_| {
            let _ = next(&host, &mut instance);
            host.take_requests().iter().filter(|request| request.starts_with("POST")).count()
        })
        .sum();
    assert_eq!(tries, 3);
    assert_eq!(warehouse.borrow().asked.len(), 0);
}

#[test]
fn a_result_in_chunks_is_read_to_its_end_or_not_used() {
    for (last, expected) in [(json!({ "data_array": [row("8", "report", 0.0, 2.0)] }), Some(2.0)), (json!("no"), None)]
    {
        let host = host();
        warehouse(&host, &[]);
        let first = json!({ "data_array": [row("7", "etl", 0.0, 1.0), null, ["8"]], "next_chunk_index": 1 });
        let status = json!({ "statement_id": "s1", "status": succeeded(), "result": first });
        host.on_get(&format!("{STATEMENTS}/s1"), Reply::json(&status));
        host.on_get(&format!("{STATEMENTS}/s1/result/chunks/1"), Reply::json(&last));
        let mut instance = configure(&host, config());
        let _ = next(&host, &mut instance);
        let collected = next(&host, &mut instance);
        assert_eq!(cost(&collected, "report"), expected);
        assert_eq!(cost(&collected, "etl").is_some(), expected.is_some());
        assert_eq!(collected.failed_sources(), ["billing"]);
    }
}

#[test]
fn chunks_that_lead_in_a_circle_are_an_error() {
    let host = host();
    warehouse(&host, &[]);
    let chunk = json!({ "data_array": [], "next_chunk_index": 1 });
    let status = json!({ "statement_id": "s1", "status": succeeded(), "result": chunk });
    host.on_get(&format!("{STATEMENTS}/s1"), Reply::json(&status));
    host.on_get(&format!("{STATEMENTS}/s1/result/chunks/1"), Reply::json(&chunk));
    let mut instance = configure(&host, config());
    let _ = next(&host, &mut instance);
    let collected = next(&host, &mut instance);
    assert_eq!(collected.metrics.points(COST), []);
    assert_eq!(collected.failed_sources(), ["billing"]);
}

#[test]
fn only_usd_is_counted_and_another_currency_is_reported_once() {
    let host = host();
    warehouse(&host, &[row("7", "etl", 0.0, 1.0), json!(["8", "report", "EUR", "0", "5"])]);
    let mut instance = configure(&host, config());
    let mut failures = Vec::new();
    for _ in 0..200 {
        let collected = next(&host, &mut instance);
        assert_eq!(cost(&collected, "report"), None);
        failures.extend(collected.outcome.failures);
    }
    assert_eq!(failures.len(), 1);
    assert!(failures[0].message.contains("another currency than USD"));
}

#[test]
fn jobs_whose_names_are_not_observed_cost_nothing_and_those_beyond_the_bound_are_counted_together() {
    let host = host();
    warehouse(
        &host,
        &[row("1", "a", 0.0, 9.0), row("2", "b", 0.0, 5.0), row("3", "c", 0.0, 4.0), row("4", "x", 0.0, 3.0)],
    );
    let mut config = config();
    config["max_jobs"] = json!(1);
    config["job_names"] = json!({ "exclude": ["x*"] });
    let mut instance = configure(&host, config);
    let _ = next(&host, &mut instance);
    let collected = next(&host, &mut instance);
    assert_eq!((cost(&collected, "a"), cost(&collected, "other")), (Some(9.0), Some(9.0)));
    assert_eq!(collected.metrics.points(COST).len(), 2);
}

#[test]
fn what_runs_under_an_id_of_its_own_each_time_is_counted_by_name() {
    let host = host();
    warehouse(&host, &[row("7", "old name", 0.0, 1.0), row("901", "adhoc", 0.0, 2.0), row("902", "adhoc", 0.0, 3.0)]);
    let jobs = json!({ "jobs": [{ "job_id": 7, "settings": { "name": "etl" } }] });
    let lists = Reply::json(&jobs).then(Reply::json(&json!({}))).then(Reply::status(500, ""));
    host.on_get("/api/2.2/jobs/list?limit=100", lists);
    let mut config = config();
    config["collectors"]["jobs"] = json!({});
    let mut instance = configure(&host, config);
    let _ = next(&host, &mut instance);
    let collected = next(&host, &mut instance);
    assert_eq!((cost(&collected, "etl"), cost(&collected, "adhoc")), (Some(1.0), Some(5.0)));
    let adhoc = collected.metrics.point(COST, &[("job_name", "adhoc")]);
    assert_eq!(adhoc.attributes.get("databricks.job.id"), None);
    // Neither that the job is deleted nor that the list fails makes anything count twice.
    for _ in 0..2 {
        host.advance(HOUR);
        let _ = next(&host, &mut instance);
        let collected = next(&host, &mut instance);
        let points = collected.metrics.points(COST);
        assert_eq!(points.len(), 2);
        assert_eq!(points.iter().map(|point| point.value).sum::<f64>(), 6.0);
    }
}

#[test]
fn state_nobody_can_read_begins_anew_and_says_so() {
    let host = host();
    warehouse(&host, &[row("7", "etl", 0.0, 1.0)]);
    host.set_state("billing", &json!("nonsense"));
    let mut instance = configure(&host, config());
    let _ = next(&host, &mut instance);
    assert_eq!(cost(&next(&host, &mut instance), "etl"), Some(1.0));
    assert!(host.take_log().iter().any(|line| line.level == Level::Warn));
}

/// The usage table: cost in cents by day, changed as days are restated.
type Usage = Rc<RefCell<BTreeMap<u64, i64>>>;

/// A warehouse that answers as the tables would.
fn warehouse_with(host: &TestHost, usage: &Usage) {
    let warehouse = warehouse(host, &[]);
    let usage = Rc::clone(usage);
    for n in 1..200 {
        let (warehouse, usage) = (Rc::clone(&warehouse), Rc::clone(&usage));
        host.on_path(&format!("{STATEMENTS}/s{n}"), move |_| {
            let body = warehouse.borrow().asked[n - 1].clone();
            let day = |index: usize| {
                let date = body["parameters"][index]["value"].as_str().unwrap();
                let http = |day: u64| {
                    let at = std::time::UNIX_EPOCH + Duration::from_secs(day * 86_400);
                    let text = httpdate::fmt_http_date(at);
                    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
                    let month = months.find(&text[8..11]).unwrap() / 3 + 1;
                    format!("{}-{month:02}-{}", &text[12..16], &text[5..7])
                };
                (NEW_YEAR - 400..NEW_YEAR + 400).find(|day| http(*day) == date).unwrap()
            };
            let (from, fold) = (day(1), day(2));
            let usage = usage.borrow();
            let sum = |days: core::ops::Range<u64>| usage.range(days).map(|(_, cents)| *cents as f64 / 100.0).sum();
            let rows = [row("7", "etl", sum(from..fold), sum(fold..u64::MAX))];
            Reply::json(&json!({ "status": succeeded(), "result": { "data_array": rows } }))
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Days are used, restated within the month, and folded after it; the receiver restarts when it likes.
    #[test]
    fn costs_never_fall_and_end_at_the_truth(
        steps in prop::collection::vec((0_i64..500, 0_u64..25, -300_i64..300, prop::bool::ANY), 1..70),
    ) {
        let host = host();
        let usage = Usage::default();
        warehouse_with(&host, &usage);
        let mut instance = configure(&host, config());
        let mut last = 0.0;
        for (step, (cents, back, correction, restart)) in steps.into_iter().enumerate() {
            let today = NEW_YEAR + step as u64;
            *usage.borrow_mut().entry(today).or_default() += cents;
            if let Some(restated) = usage.borrow_mut().get_mut(&(today - back)) {
                *restated = (*restated + correction).max(0);
            }
            if restart {
                instance = configure(&host, config());
            }
            let _ = next(&host, &mut instance);
            let value = cost(&next(&host, &mut instance), "etl").unwrap();
            prop_assert!(value >= last);
            last = value;
            host.advance(Duration::from_secs(86_400 - 120));
        }
        // More than any restatement took away.
        usage.borrow_mut().insert(NEW_YEAR + 69, 1_000_000);
        host.advance(HOUR);
        let _ = next(&host, &mut instance);
        let value = cost(&next(&host, &mut instance), "etl").unwrap();
        let truth: i64 = usage.borrow().values().sum();
        prop_assert!((value - truth as f64 / 100.0).abs() < 1e-6, "{} {}", value, truth);
    }
}
