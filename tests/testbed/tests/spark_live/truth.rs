//! What Spark itself says, through its REST API and, of its own counters, on the driver's page.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::client;

/// The answers that Kiln's telemetry is compared with, taken at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) id: String,
    /// Those that are alive, the driver among them.
    pub(crate) executors: Vec<Json>,
    pub(crate) all_executors: Vec<Json>,
    pub(crate) jobs: Vec<Json>,
    pub(crate) stages: Vec<Json>,
    /// Spark's own counters of stages that completed and failed. Once an executor is lost they need not be what the REST
    /// API's list of stages adds up to.
    pub(crate) counted_stages: [f64; 2],
}

impl Truth {
    pub(crate) fn ask(spark: &str) -> Self {
        let id = application_id(spark);
        let ask = |path: &str| match get(&format!("{spark}/api/v1/applications/{id}/{path}")) {
            Json::Array(items) => items,
            other => panic!("{path}: {other}"),
        };
        Self {
            executors: without_memory(ask("executors")),
            all_executors: without_memory(ask("allexecutors")),
            jobs: ask("jobs"),
            stages: ask("stages"),
            counted_stages: ["completedStages", "failedStages"].map(|counter| counted_stages(spark, counter)),
            id: id.clone(),
        }
    }
}

fn counted_stages(spark: &str, counter: &str) -> f64 {
    let page = get_text(&format!("{spark}/metrics/prometheus/"));
    let name = format!("_driver_appStatus_stages_{counter}_Count{{");
    let line = page.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("no {name}: {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Executors without what moves while nothing runs: a JVM collects its garbage whenever it likes.
fn without_memory(mut executors: Vec<Json>) -> Vec<Json> {
    for executor in executors.iter_mut().filter_map(Json::as_object_mut) {
        for moving in ["memoryUsed", "memoryMetrics", "peakMemoryMetrics"] {
            executor.remove(moving);
        }
        // Spark gives the driver the time since its start, which goes on.
        if executor.get("id").is_some_and(|id| id == "driver") {
            executor.remove("totalDuration");
        }
    }
    executors
}

/// How many of `items` have each value of a field.
pub(crate) fn count(items: &[Json], field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item[field].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

/// A number of a field added up over `items`.
pub(crate) fn sum(items: &[Json], field: &str) -> f64 {
    items.iter().map(|item| item[field].as_f64().unwrap_or_default()).sum()
}

pub(crate) fn application_id(spark: &str) -> String {
    let applications = get(&format!("{spark}/api/v1/applications"));
    applications[0]["id"].as_str().unwrap_or_else(|| panic!("{applications}")).to_owned()
}

fn get(url: &str) -> Json {
    let text = get_text(url);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

fn get_text(url: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async { client().get(url).send().await?.text().await });
    answer.unwrap_or_else(|error| panic!("{url}: {error}"))
}
