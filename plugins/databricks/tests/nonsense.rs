//! What the receiver promises about queries, pipelines and the events of clusters whatever the API answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use core::time::Duration;
use std::cell::Cell;

use kiln_plugin::telemetry::AttributeValue;
use kiln_plugin::testing::{Reply, TestHost};
use kiln_plugin_databricks::{Databricks, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

const PATHS: [&str; 6] = [
    "/api/2.0/sql/history/queries",
    "/api/2.1/clusters/list",
    "/api/2.1/clusters/events",
    "/api/2.0/pipelines",
    "/api/2.0/pipelines/id/updates",
    "/api/2.0/pipelines/id/events",
];

/// 2026-01-01T00:00:00Z, when the clock of the tests begins.
const NOW: i64 = 1_767_225_600_000;

/// JSON with the keys and the values of the API, each where it belongs or anywhere else.
fn any_json() -> impl Strategy<Value = Value> {
    let number =
        prop_oneof![any::<i64>(), NOW - 100_000..NOW + 4_000_000, Just(0), Just(-1), Just(i64::MIN), Just(i64::MAX),];
    let text = prop::sample::select(vec![
        "id",
        "id",
        "",
        "FINISHED",
        "RUNNING",
        "FAILED",
        "COMPLETED",
        "TERMINATING",
        "RESIZING",
        "PENDING",
        "ERROR",
        "2026-01-01T00:00:30Z",
        "AUTOSCALING_STATS_REPORT",
        "INIT_SCRIPTS_FINISHED",
        "../../x?y#z",
        "again",
        "é",
    ]);
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number.prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => text.prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "res",
        "query_id",
        "status",
        "is_final",
        "query_start_time_ms",
        "query_end_time_ms",
        "duration",
        "metrics",
        "read_bytes",
        "spill_to_disk_bytes",
        "warehouse_id",
        "statement_type",
        "has_next_page",
        "next_page_token",
        "next_page",
        "offset",
        "page_token",
        "clusters",
        "cluster_id",
        "cluster_name",
        "state",
        "num_workers",
        "start_time",
        "events",
        "timestamp",
        "type",
        "details",
        "reason",
        "parameters",
        "init_scripts",
        "cluster",
        "statuses",
        "pipeline_id",
        "name",
        "health",
        "latest_updates",
        "updates",
        "update_id",
        "creation_time",
        "origin",
        "error",
        "exceptions",
        "class_name",
        "message",
        "level",
    ]);
    leaf.prop_recursive(5, 200, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..12)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// An object with these fields, each of which may be missing or nonsense.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let field = |(key, value): (&'static str, BoxedStrategy<Value>)| {
        prop_oneof![12 => value.prop_map(Some), 1 => any_json().prop_map(Some), 1 => Just(None)]
            .prop_map(move |value| value.map(|value| (key.to_owned(), value)))
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    fields.prop_map(|fields| fields.into_iter().flatten().collect()).boxed()
}

/// An answer with a list of these items under this key.
fn list(key: &'static str, item: &BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let item = prop_oneof![12 => item.clone(), 1 => any_json()];
    let items = prop::collection::vec(item, 0..8).prop_map(Value::from).boxed();
    let token = prop_oneof![4 => Just(Value::Null), 1 => Just(json!("again"))].boxed();
    prop_oneof![8 => object(vec![(key, items), ("next_page_token", token)]), 1 => any_json()].boxed()
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(texts).prop_map(Value::from).boxed()
}

fn time() -> BoxedStrategy<Value> {
    (NOW - 100_000..NOW + 600_000).prop_map(Value::from).boxed()
}

/// What is answered to each of the [`PATHS`].
fn answers() -> impl Strategy<Value = Vec<Vec<Value>>> {
    let number = || (0_i64..1_000).prop_map(Value::from).boxed();
    let id = || one_of(&["id", "a", "b", "c", "d", "e", "f"]);
    let query = object(vec![
        ("query_id", id()),
        ("status", one_of(&["FINISHED", "FAILED", "CANCELED", "RUNNING", "QUEUED"])),
        ("warehouse_id", id()),
        ("statement_type", one_of(&["SELECT", "MERGE"])),
        ("query_start_time_ms", time()),
        ("query_end_time_ms", time()),
        ("duration", number()),
        ("metrics", object(vec![("read_bytes", number()), ("spill_to_disk_bytes", number())])),
    ]);
    let cluster = object(vec![
        ("cluster_id", id()),
        ("cluster_name", id()),
        ("state", one_of(&["PENDING", "RUNNING", "TERMINATING"])),
        ("num_workers", number()),
        ("start_time", time()),
    ]);
    let event = object(vec![
        ("timestamp", time()),
        ("type", one_of(&["STARTING", "RESIZING", "TERMINATING", "INIT_SCRIPTS_FINISHED"])),
        ("details", object(vec![("reason", object(vec![("type", one_of(&["SUCCESS", "CLOUD_FAILURE"]))]))])),
    ]);
    let created = prop_oneof![time(), one_of(&["2026-01-01T00:00:30Z", "2026-01-01T00:02:30.5Z"])].boxed();
    let update = object(vec![
        ("update_id", id()),
        ("state", one_of(&["COMPLETED", "FAILED", "CANCELED", "RUNNING"])),
        ("creation_time", created),
    ]);
    let latest = prop::collection::vec(update.clone(), 0..4).prop_map(Value::from).boxed();
    let pipeline = object(vec![
        ("pipeline_id", prop_oneof![Just(json!("id")), id()].boxed()),
        ("name", id()),
        ("state", one_of(&["IDLE", "RUNNING"])),
        ("latest_updates", latest),
    ]);
    let error = object(vec![
        ("level", one_of(&["ERROR", "WARN"])),
        ("message", id()),
        ("origin", object(vec![("update_id", id())])),
    ]);
    let lists = [
        ("res", query),
        ("clusters", cluster),
        ("events", event),
        ("statuses", pipeline),
        ("updates", update),
        ("events", error),
    ];
    let answers: Vec<_> = lists.iter().map(|(key, item)| prop::collection::vec(list(key, item), 1..6)).collect();
    answers
}

fn length(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::Text(text) => text.len(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_survived_and_counters_never_fall(answers in answers()) {
        let host = TestHost::new(telemetry::MANIFEST);
        for (path, answers) in PATHS.iter().zip(answers) {
            let next = Cell::new(0);
            host.on_path(path, move |_| {
                next.set(next.get() + 1);
                Reply::json(&answers[next.get() % answers.len()])
            });
        }
        // Ids that are no ids end up in paths: whatever those are, they stay below the granted ones.
        for id in ["a", "b", "c", "d", "e", "f", "FINISHED", "RUNNING", "FAILED", "COMPLETED", "TERMINATING", "RESIZING", "PENDING", "ERROR", "again",
            "AUTOSCALING_STATS_REPORT", "INIT_SCRIPTS_FINISHED", "2026%2D01%2D01T00%3A00%3A30Z", "%C3%A9",
            "%2E%2E%2F%2E%2E%2Fx%3Fy%23z"] {
            for what in ["updates", "events"] {
                host.on_path(&format!("/api/2.0/pipelines/{id}/{what}"), |_| Reply::json(&json!({})));
            }
        }
        let off = json!({ "enabled": false });
        let mut collectors = json!({});
        for other in ["jobs", "runs", "warehouses", "serving", "pools", "inventory", "identity"] {
            collectors[other] = off.clone();
        }
        let config = json!({ "host": "https://example.cloud.databricks.com", "token": "secret",
            "requests_per_cycle": 20, "collectors": collectors });
        let (mut totals, mut told) = ([0.0; 4], 0);
        let mut instance = host.configure::<Databricks>(config.clone()).unwrap();
        for round in 0..8 {
            // The host refuses points of one series, histograms that do not add up, and undeclared attributes.
            if let Ok(collected) = instance.collect() {
                let counters = ["databricks.queries.count", "databricks.query.read_bytes",
                    "databricks.query.spilled_bytes", "databricks.pipeline_updates.count"];
                for (counter, total) in counters.iter().zip(&mut totals) {
                    let sum = collected.metrics.points(counter).iter().map(|point| point.value).sum();
                    prop_assert!(sum >= *total, "{counter} fell from {total} to {sum}");
                    *total = sum;
                }
                for record in collected.logs.iter().flat_map(|logs| &logs.records) {
                    prop_assert!(length(&record.body) <= 8 * 1024);
                    told += 1;
                }
            }
            host.advance(Duration::from_secs(61));
            if round == 4 {
                instance = host.configure::<Databricks>(config.clone()).unwrap();
            }
        }
        // There are seven ids, or a few more where nonsense stands for one; ids of updates are those of one pipeline.
        prop_assert!(totals[0] <= 60.0 && totals[3] <= 400.0 && told <= 400);
    }
}
