#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
//! Kiln beside real Sparks: two lines of Spark, each in one process and with executors of their own.
//!
//! The application does everything there is a metric for (`application.py`), then nothing any more, so that what arrived
//! can be compared with what Spark itself says at that moment.

mod application;
mod ending;
mod kiln;
mod seen;
mod series;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use application::Application;
use kiln::{EVERY_TWO_SECONDS, Kiln};
use kiln_testbed::sink::{Sink, Telemetry};
use serde_json::Value as Json;
use series::{Latest, assert_nothing_falls, assert_one_tree};
use truth::Truth;

/// Far more than a busy machine needs; reached only by what never comes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Two Sparks at once would slow each other down to where neither is what it is.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What is run.
pub(crate) struct Run {
    name: &'static str,
    /// The variable that names the Python which has this Spark.
    python: &'static str,
    master: &'static str,
    catalogue: &'static str,
}

impl Run {
    fn is_cluster(&self) -> bool {
        self.master.starts_with("local-cluster")
    }
}

/// How often Spark may change while it is quiet.
const QUIET_TRIES: usize = 5;

/// Scenario: an application on Spark 3.5 in one process computes, spills, fails, is cancelled, streams, and has a Hive
/// metastore; Kiln is there before it.
/// Guarantees: what [`observe`] guarantees.
#[test]
fn spark_3_5_in_one_process_is_told_as_it_is() {
    let (python, catalogue) = ("KILN_PYSPARK_3_PYTHON", "hive");
    observe(&Run { name: "3.5.9-local", python, master: "local[2]", catalogue });
}

/// Scenario: the same with two executors in processes of their own, one of which is killed and replaced.
/// Guarantees: what [`observe`] guarantees.
#[test]
fn spark_3_5_with_executors_is_told_as_it_is() {
    let (python, catalogue) = ("KILN_PYSPARK_3_PYTHON", "in-memory");
    observe(&Run { name: "3.5.9-local-cluster", python, master: "local-cluster[2,1,1024]", catalogue });
}

/// Scenario: the present Spark in one process.
/// Guarantees: what [`observe`] guarantees.
#[test]
fn the_present_spark_in_one_process_is_told_as_it_is() {
    let (python, catalogue) = ("KILN_PYSPARK_PYTHON", "in-memory");
    observe(&Run { name: "4.3.0-local", python, master: "local[2]", catalogue });
}

/// Scenario: the present Spark with two executors in processes of their own, one of which is killed and replaced.
/// Guarantees: what [`observe`] guarantees.
#[test]
fn the_present_spark_with_executors_is_told_as_it_is() {
    let (python, catalogue) = ("KILN_PYSPARK_PYTHON", "in-memory");
    observe(&Run { name: "4.3.0-local-cluster", python, master: "local-cluster[2,1,1024]", catalogue });
}

/// Guarantees: no metric is named after an application, a query or an executor; no counter falls; once nothing runs any
/// more, executors, jobs and stages are as Spark's REST API has them; every stage that ended is told once; the spans are
/// one tree; every documented metric arrives, or there is a reason here why this Spark has none.
fn observe(run: &Run) {
    let Some([binary, plugins, python]) = needed(["KILN_BIN", "KILN_PLUGINS", run.python]) else { return };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut spark = Application::start(&python, run.master, run.catalogue, port, folder.path());
    let mut kiln = Kiln::start(&binary, &plugins, folder.path(), &url, &sink.url(), EVERY_TWO_SECONDS);

    spark.await_ui();
    spark.tell("work");
    await_collections(&sink, &kiln);
    spark.tell("work");
    await_collections(&sink, &kiln);
    spark.tell("quiet");
    let (truth, quiet) = compare_when_quiet(&url, || await_collections(&sink, &kiln));
    kiln.stop();
    let telemetry = sink.telemetry();
    drop(spark);

    let missing = seen::report(run, &seen::documented(&binary, &plugins.join("spark.wasm")), &telemetry);
    assert_names(&telemetry, &truth);
    assert_nothing_falls(&telemetry);
    let latest = Latest::after(&telemetry, quiet);
    assert_executors(&latest, &truth);
    assert_jobs_and_stages(&latest, &truth);
    assert_stages_told_once(&telemetry, &truth);
    assert_one_tree(&telemetry.spans);
    assert!(missing.is_empty(), "documented and neither seen nor excused: {missing:#?}\nkiln says:\n{}", kiln.log());
}

/// What Spark says of itself before and after collections, and from when on it did: what it clears away by itself, such as
/// blocks nobody needs any more, may be cleared away in between, and then they are compared with the next ones.
fn compare_when_quiet(url: &str, collect: impl Fn()) -> (Truth, u64) {
    for _ in 0..QUIET_TRIES {
        let (truth, quiet) = (Truth::ask(url), now());
        collect();
        if Truth::ask(url) == truth {
            return (truth, quiet);
        }
    }
    panic!("Spark is not quiet");
}

/// Two collections have arrived that ended after now, so that one has begun after now.
fn await_collections(sink: &Sink, kiln: &Kiln) {
    let since = now();
    let arrived = sink.wait_for(PATIENCE, |telemetry| {
        // The first may have read its pages before.
        let is_fresh = |metric: &str| {
            let times = telemetry.points_of(metric).map(|point| point.time_nanos);
            times.filter(|time| *time > since).collect::<BTreeSet<_>>().len() >= 2
        };
        // One of each page: a collection goes on without a page that is slow.
        is_fresh("spark.executor.task.count") && is_fresh("spark.driver.dag_scheduler.job.count")
    });
    if let Err(error) = arrived {
        panic!("{error}\nkiln says:\n{}", kiln.log());
    }
}

/// No name changes with the application, its name, its queries, its executors; none of them is a secret place either.
fn assert_names(telemetry: &Telemetry, truth: &Truth) {
    let id = truth.id.to_lowercase();
    let spellings = [id.replace('-', "_"), id.replace('-', "."), id, "nightly".into(), "orders".into()];
    let metrics: BTreeSet<&str> = telemetry.points.iter().map(|point| point.metric.as_str()).collect();
    for metric in metrics {
        let lower = metric.to_lowercase();
        let named_after = spellings.iter().find(|spelling| lower.contains(spelling.as_str()));
        assert_eq!(named_after, None, "{metric} is named after one application");
        // What an unnamed query is called: 32 digits in five groups.
        let digits = lower.split(['.', '_', '-']).filter(|part| part.len() == 12 || part.len() == 8);
        let mut uuids =
            digits.filter(|part| part.chars().all(|c| c.is_ascii_hexdigit()) && part.contains(char::is_numeric));
        assert_eq!(uuids.next(), None, "{metric} is named after a query");
    }
    let everything = serde_json::to_string(telemetry).unwrap();
    assert!(!everything.contains("must not leave"), "a setting was told that nobody asked for");
}

/// A metric, attributes that choose one series of it, the field of the REST API that says the same, and the factor between.
type Same = (&'static str, &'static [(&'static str, &'static str)], &'static str, f64);

fn assert_executors(latest: &Latest, truth: &Truth) {
    const FIELDS: [Same; 14] = [
        ("spark.executor.task.count", &[], "totalTasks", 1.0),
        ("spark.executor.task.result", &[("result", "completed")], "completedTasks", 1.0),
        ("spark.executor.task.result", &[("result", "failed")], "failedTasks", 1.0),
        ("spark.executor.task.active", &[], "activeTasks", 1.0),
        ("spark.executor.task.limit", &[], "maxTasks", 1.0),
        ("spark.executor.cores", &[], "totalCores", 1.0),
        ("spark.executor.time", &[], "totalDuration", 1e-3),
        ("spark.executor.gc_time", &[], "totalGCTime", 1e-3),
        ("spark.executor.input_size", &[], "totalInputBytes", 1.0),
        ("spark.executor.shuffle.io.size", &[("direction", "in")], "totalShuffleRead", 1.0),
        ("spark.executor.shuffle.io.size", &[("direction", "out")], "totalShuffleWrite", 1.0),
        ("spark.executor.memory.limit", &[], "maxMemory", 1.0),
        ("spark.executor.disk.usage", &[], "diskUsed", 1.0),
        ("spark.executor.rdd.blocks", &[], "rddBlocks", 1.0),
    ];
    for executor in &truth.executors {
        let id = executor["id"].as_str().unwrap();
        for (metric, attributes, field, factor) in FIELDS {
            let wanted: Vec<_> = attributes.iter().copied().chain([("spark.executor.id", id)]).collect();
            let Some(true_value) = executor[field].as_f64().map(|value| value * factor) else { continue };
            let value = latest.number(metric, &wanted).unwrap_or_else(|| panic!("no {metric} of {wanted:?}"));
            assert!(
                (value - true_value).abs() < 1e-6 * true_value.max(1.0),
                "{metric} of {wanted:?}: {value}, not {true_value}"
            );
        }
    }
    let told: BTreeSet<String> = latest.by("spark.executor.task.count", "spark.executor.id").into_keys().collect();
    let alive = truth.executors.iter().map(|executor| executor["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, alive);
    let gone = truth.all_executors.iter().filter(|executor| executor["isActive"] == false).count();
    let told: f64 = latest.by("spark.executors.removed", "spark.executor.removed.cause").values().sum();
    assert_eq!(told, gone as f64, "executors that are gone");
}

fn assert_jobs_and_stages(latest: &Latest, truth: &Truth) {
    assert_eq!(latest.number("spark.driver.dag_scheduler.job.count", &[]), Some(truth.jobs.len() as f64));
    assert_eq!(latest.number("spark.driver.dag_scheduler.job.active", &[]), Some(0.0));
    let jobs = counts(&truth.jobs);
    assert!(jobs.contains_key("failed") && jobs.contains_key("succeeded"), "{jobs:?}");
    assert_eq!(latest.by("spark.jobs.finished", "status"), jobs);
    let stages = counts(&truth.stages);
    assert!(["complete", "failed", "skipped"].iter().all(|status| stages.contains_key(*status)), "{stages:?}");
    let told = latest.by("spark.stages.finished", "status");
    assert_eq!(told, stages);
    let spilled = truth::sum(&truth.stages, "diskBytesSpilled");
    assert!(spilled > 0.0, "nothing was spilled");
    assert_eq!(latest.number("spark.stages.disk.spilled", &[]), Some(spilled));
    let result = |result| latest.number("spark.driver.app_status.stage.result", &[("result", result)]);
    assert_eq!([result("completed"), result("failed")], truth.counted_stages.map(Some));
}

/// By status, in lower case.
fn counts(items: &[Json]) -> BTreeMap<String, f64> {
    let counts = truth::count(items, "status").into_iter();
    counts.map(|(status, count)| (status.to_lowercase(), count as f64)).collect()
}

/// Whatever ended has one point that says how, and the numbers of Spark.
fn assert_stages_told_once(telemetry: &Telemetry, truth: &Truth) {
    let ended = ["complete", "failed", "skipped"];
    let mut told: BTreeMap<(i64, i64), Vec<u64>> = BTreeMap::new();
    for point in telemetry.points_of("spark.stage.status") {
        let id = |key: &str| point.attributes[key].as_i64().unwrap();
        if ended.contains(&point.text("status").unwrap()) && point.number() == Some(1.0) {
            told.entry((id("spark.stage.id"), id("spark.stage.attempt.id"))).or_default().push(point.time_nanos);
        }
    }
    for ((stage, attempt), times) in &told {
        assert_eq!(times.len(), 1, "stage {stage}.{attempt} ended {} times", times.len());
    }
    for stage in &truth.stages {
        let key = (stage["stageId"].as_i64().unwrap(), stage["attemptId"].as_i64().unwrap());
        let Some(time) = told.get(&key).map(|times| times[0]) else { continue };
        let mut run_times = telemetry.points_of("spark.stage.executor.run_time").filter(|point| {
            point.attributes["spark.stage.id"] == key.0
                && point.attributes["spark.stage.attempt.id"] == key.1
                && point.time_nanos == time
        });
        let run_time = run_times.next().and_then(|point| point.number()).unwrap_or_else(|| panic!("{key:?}"));
        let true_value = stage["executorRunTime"].as_f64().unwrap() / 1000.0;
        assert!((run_time - true_value).abs() < 1e-6, "stage {key:?} ran {run_time} s, not {true_value}");
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// One that was free a moment ago: Spark has to be told before it starts, so that Kiln can be there first.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The values of environment variables that say where built things are; if one is missing, says so.
fn needed<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let missing: Vec<&str> = names.into_iter().filter(|name| std::env::var_os(name).is_none()).collect();
    if !missing.is_empty() {
        let test = std::thread::current().name().unwrap_or("spark_live").to_owned();
        // Straight to the process's stderr: the test harness would hide what a passing test prints.
        let why = format!("not set: {}; run `scripts/test cases`", missing.join(", "));
        let _ = writeln!(std::io::stderr(), "skipped: {test} ({why})");
        return None;
    }
    Some(names.map(|name| std::env::var_os(name).map(PathBuf::from).unwrap_or_default()))
}
