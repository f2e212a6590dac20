//! Which of the documented metrics a Spark has shown, and why it has not shown the others.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use kiln_testbed::sink::Telemetry;

use crate::Run;

/// Where something cannot be seen.
#[derive(Clone, Copy)]
enum Unseen {
    Anywhere,
    InCluster,
    Locally,
}

/// Names, or beginnings of names that end with a dot, and why no run here shows them.
const REASONS: &[(Unseen, &str, &str)] = &[
    (Unseen::InCluster, "spark.driver.executor.cpu_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.deserialize_cpu_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.deserialize_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.disk.spilled", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.filesystem.", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.io.", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.jvm_gc_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.memory.spilled", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.result_serialization_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.run_time", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.shuffle.", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.task.", ELSEWHERE),
    (Unseen::InCluster, "spark.driver.executor.threadpool.", ELSEWHERE),
    (
        Unseen::Locally,
        "spark.driver.executor_allocation_manager.",
        "nothing is allocated where the driver is all there is",
    ),
    (Unseen::Locally, "spark.executors.removed", "the driver, which is all there is, is not removed"),
    (Unseen::Anywhere, "spark.driver.jvm.non_heap.max", "the JVM has no limit, which it says as -1"),
    (Unseen::Anywhere, "spark.driver.jvm.total.max", "the JVM has no limit, which it says as -1"),
    (
        Unseen::Anywhere,
        "spark.receiver.clusters",
        "one application is read; the clusters of a workspace are read in driver_proxy.rs",
    ),
    (
        Unseen::Anywhere,
        "spark.receiver.streaming.queries.dropped",
        "there are fewer queries than streaming.query_limit",
    ),
];

const ELSEWHERE: &str = "tasks run in processes of their own, and count there";

/// The metrics that the packed plugin declares: what its reference documents.
pub(crate) fn documented(kiln: &Path, plugin: &Path) -> BTreeSet<String> {
    let output = Command::new(kiln).args(["plugin", "inspect", "--json"]).arg(plugin).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plugin: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let metrics = plugin["manifest"]["telemetry"]["metrics"].as_object().unwrap();
    metrics.keys().cloned().collect()
}

/// Writes the list of all documented metrics beside the build, and gives those that are neither seen nor excused.
pub(crate) fn report(run: &Run, documented: &BTreeSet<String>, telemetry: &Telemetry) -> Vec<String> {
    let seen: BTreeSet<&str> = telemetry.points.iter().map(|point| point.metric.as_str()).collect();
    let mut list = String::new();
    let mut missing = Vec::new();
    for name in documented {
        match reason(run, name) {
            _ if seen.contains(name.as_str()) => writeln!(list, "seen    {name}").unwrap(),
            Some(reason) => writeln!(list, "unseen  {name}: {reason}").unwrap(),
            None => {
                writeln!(list, "MISSING {name}").unwrap();
                missing.push(name.clone());
            }
        }
    }
    for name in seen.iter().filter(|name| !documented.contains(**name)) {
        writeln!(list, "passed  {name}").unwrap();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    std::fs::write(target.join(format!("spark-metrics-seen-{}.txt", run.name)), list).unwrap();
    missing
}

fn reason(run: &Run, name: &str) -> Option<&'static str> {
    let applies = |unseen: &Unseen| match unseen {
        Unseen::Anywhere => true,
        Unseen::InCluster => run.is_cluster(),
        Unseen::Locally => !run.is_cluster(),
    };
    let is_meant = |known: &str| known == name || known.ends_with('.') && name.starts_with(known);
    REASONS.iter().find(|(unseen, known, _)| is_meant(known) && applies(unseen)).map(|(_, _, reason)| *reason)
}
