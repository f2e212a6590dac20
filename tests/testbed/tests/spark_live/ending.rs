//! How the end of an application is told: what it did last, and that it is over.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use kiln_testbed::sink::{Sink, Telemetry};

use crate::application::Application;
use crate::kiln::{EVERY_TWO_SECONDS, Kiln};
use crate::series::Latest;
use crate::truth::Truth;
use crate::{
    ONE_AT_A_TIME, PATIENCE, assert_executors, assert_jobs_and_stages, await_collections, compare_when_quiet,
    free_port, needed, now,
};

/// Told to stop beside a UI that is gone, it has nothing to wait for.
const NOTHING_TO_WAIT_FOR: Duration = Duration::from_secs(15);

/// With time for a Spark that answers slowly on a busy machine.
const ONCE_AND_AT_THE_END: &str = "collection_interval: 1h\n    timeout: 5m\n    final_collection: true";

/// Scenario and guarantees: those of [`observe_the_end`], on Spark 3.5.
#[test]
fn the_end_of_spark_3_5_is_told() {
    observe_the_end("KILN_PYSPARK_3_PYTHON");
}

/// Scenario and guarantees: those of [`observe_the_end`], on the present Spark.
#[test]
fn the_end_of_the_present_spark_is_told() {
    observe_the_end("KILN_PYSPARK_PYTHON");
}

/// Scenario: Kiln collects once, with an hour to go to the next collection; Spark works; Kiln is told to stop while Spark is
/// there, as when a cluster's machine shuts down. Another Kiln collects every two seconds; Spark ends by itself, and that Kiln
/// is told to stop after it.
/// Guarantees: what Spark has counted up to then has arrived from the first, with its last collection; from the second, the
/// last numbers that Spark showed have arrived and nothing after them but that it has ended, and it stops at once.
fn observe_the_end(python: &'static str) {
    let Some([binary, plugins, python]) = needed(["KILN_BIN", "KILN_PLUGINS", python]) else { return };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let port = url.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut spark = Application::start(&python, "local[2]", "in-memory", port, folder.path());
    spark.await_ui();

    let sink = Sink::start().unwrap();
    let start = |name: &str, sink: &Sink, schedule: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Kiln::start(&binary, &plugins, &folder, &url, &sink.url(), schedule)
    };
    let mut kiln = start("first", &sink, ONCE_AND_AT_THE_END);
    // Whatever a busy Spark has shown of itself by then: there is no other collection before the last one.
    let has_begun = |telemetry: &Telemetry| telemetry.points_of("spark.receiver.state").next().is_some();
    assert!(sink.wait_for(PATIENCE, has_begun).is_ok(), "{}", kiln.log());
    spark.tell("work");
    spark.tell("quiet");
    let quiet = now();
    kiln.stop();
    let truth = Truth::ask(&url);
    assert_last(&sink.telemetry(), quiet, &truth);

    let sink = Sink::start().unwrap();
    let mut kiln = start("second", &sink, EVERY_TWO_SECONDS);
    await_collections(&sink, &kiln);
    let (truth, quiet) = compare_when_quiet(&url, || await_collections(&sink, &kiln));
    spark.end();
    let is_over = |telemetry: &Telemetry| ended_at(telemetry).is_some();
    assert!(sink.wait_for(PATIENCE, is_over).is_ok(), "{}", kiln.log());
    let told = Instant::now();
    kiln.stop();
    assert!(told.elapsed() < NOTHING_TO_WAIT_FOR, "took {:?}", told.elapsed());
    let telemetry = sink.telemetry();
    assert_last(&telemetry, quiet, &truth);
    let ended = ended_at(&telemetry).unwrap();
    let later = telemetry.points.iter().filter(|point| point.time_nanos > ended);
    let of_spark: Vec<_> = later.filter(|point| !point.metric.starts_with("spark.receiver.")).collect();
    assert!(of_spark.is_empty(), "told after the end: {of_spark:#?}");
}

/// The latest numbers are those Spark itself had to say last.
fn assert_last(telemetry: &Telemetry, quiet: u64, truth: &Truth) {
    let latest = Latest::after(telemetry, quiet);
    assert_executors(&latest, truth);
    assert_jobs_and_stages(&latest, truth);
}

/// When the application is said to have ended.
fn ended_at(telemetry: &Telemetry) -> Option<u64> {
    let states = telemetry.points_of("spark.receiver.state");
    let ended = states.filter(|point| point.text("spark.receiver.state") == Some("ended"));
    ended.filter(|point| point.number() == Some(1.0)).map(|point| point.time_nanos).min()
}
