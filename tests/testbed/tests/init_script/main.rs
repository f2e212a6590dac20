#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The init script as it is shipped, with the real Kiln, the deployed configuration and a real Spark application.
//!
//! `host/cluster` holds the script to its promises with stand-ins for Kiln and Spark; here nothing is stood in for but
//! the driver's file system and the backend.

mod application;
mod driver;
mod outage;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use application::Application;
use driver::Driver;
use kiln_testbed::sink::{Origin, Sink, Telemetry};

/// Far more than a start of Kiln, which includes compiling its plugins, and two collections take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The foreground part takes about a second at most; the rest is room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(15);

/// Scenario: the driver of a job's cluster runs the init script while Spark is still starting, and learns the port of
/// Spark's UI later.
/// Guarantees: the cluster start goes on at once; metrics of the driver and its executors and spans of its jobs, all of one
/// trace, arrive under the cluster, job, run and application they belong to, and not under names that differ from
/// application to application; Kiln stops when told, and Spark does not notice.
#[test]
fn a_real_spark_application_is_observed_from_its_cluster_start_on() {
    let Some([kiln, plugins, python]) = needed(["KILN_BIN", "KILN_PLUGINS", "KILN_PYSPARK_PYTHON"]) else { return };
    if !application::java_is_installed() {
        return skipped("no java on PATH or in JAVA_HOME, which Spark needs");
    }
    let sink = Sink::start().unwrap();
    let driver = Driver::new(&kiln, &plugins, &sink.url());
    let mut spark = Application::start(&python, driver.folder());

    let run = driver.run_init_script("TRUE");
    run.succeeded();
    assert!(run.took < AT_ONCE, "took {:?}", run.took);
    driver.await_log("verdict: kiln runs as process");
    assert!(!driver.kiln_log().contains("found the Spark UI"), "before anybody knows the port:\n{}", driver.kiln_log());

    let ui = spark.await_ui();
    let application = spark.id();
    driver.announce_ui(ui);
    driver.await_kiln_log("found the Spark UI");
    let is_of_the_cluster = |origin: &Origin| {
        let resource = |key: &str| origin.resource.get(key).and_then(|value| value.as_str());
        resource("databricks.cluster.id") == Some(driver::CLUSTER_ID)
            && resource("databricks.cluster.name") == Some("job-123-run-456-main")
            && resource("databricks.job.id") == Some("123")
            // A number, as in the workspace tier: a text would not join.
            && origin.resource.get("databricks.run.id").and_then(serde_json::Value::as_i64) == Some(456)
    };
    let belongs = |origin: &Origin| {
        let id = origin.resource.get("spark.application.id");
        is_of_the_cluster(origin) && id.and_then(|id| id.as_str()) == Some(&application)
    };
    let arrived = |telemetry: &Telemetry| {
        ["spark.driver.", "spark.executor."].iter().all(|prefix| {
            telemetry.points.iter().any(|point| point.metric.starts_with(prefix) && belongs(&point.origin))
        }) && telemetry.spans.iter().any(|span| belongs(&span.origin))
    };
    if let Err(error) = sink.wait_for(PATIENCE, arrived) {
        panic!("{error}\ninit.log:\n{}\nkiln.log:\n{}", driver.log(), driver.kiln_log());
    }

    driver.stop();
    assert!(spark.is_running(), "Spark ended with Kiln");
    let telemetry = sink.telemetry();
    let traces: BTreeSet<&str> = telemetry.spans.iter().map(|span| span.trace_id.as_str()).collect();
    assert_eq!(traces.len(), 1, "{traces:?}");
    assert!(telemetry.spans.iter().all(|span| belongs(&span.origin)));
    // Prometheus, which the numbers come through, has no hyphen in a name.
    let spellings = [application.clone(), application.replace('-', "_"), application.replace('-', ".")];
    for point in &telemetry.points {
        // Before there is an application, all there is to tell is that it is awaited.
        let belongs =
            belongs(&point.origin) || point.metric.starts_with("spark.receiver.") && is_of_the_cluster(&point.origin);
        assert!(belongs, "{} of {:?}", point.metric, point.origin.resource);
        let named_after = spellings.iter().find(|spelling| point.metric.contains(*spelling));
        assert_eq!(named_after, None, "{} is named after one application", point.metric);
    }
}

/// Scenario: a worker of the same cluster runs the same script, and even finds a port of a Spark UI.
/// Guarantees: it ends with 0 and leaves nothing behind: no file, no process, no word.
#[test]
fn a_worker_is_left_as_it_was() {
    let Some([kiln, plugins]) = needed(["KILN_BIN", "KILN_PLUGINS"]) else { return };
    let sink = Sink::start().unwrap();
    let driver = Driver::new(&kiln, &plugins, &sink.url());
    // The sink is no Spark, but something that would be asked whether it is one.
    driver.announce_ui(sink.address());
    let before = driver.files();

    let run = driver.run_init_script("FALSE");
    run.succeeded();
    assert_eq!(run.said, "");
    assert_eq!(driver.processes(), Vec::<u32>::new());
    assert!(!driver.root().join("opt/kiln").exists());
    assert_eq!(driver.files(), before);
    assert!(sink.telemetry().requests.is_empty());
}

/// The values of environment variables that say where built things are; if one is missing, says so.
fn needed<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let missing: Vec<&str> = names.into_iter().filter(|name| std::env::var_os(name).is_none()).collect();
    if !missing.is_empty() {
        skipped(&format!("not set: {}; run `scripts/test cases`", missing.join(", ")));
        return None;
    }
    Some(names.map(|name| std::env::var_os(name).map(PathBuf::from).unwrap_or_default()))
}

fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("init_script").to_owned();
    // Straight to the process's stderr: the test harness would hide what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: {test} ({why})");
}
