//! Workers, which are left alone unless asked for, and what a Kiln may use up on any node.

use std::fs;

use kiln_cluster::{Nodes, Options};

use crate::support::{Driver, eventually};

fn on_all_nodes() -> Driver {
    let mut driver = Driver::new();
    driver.options = Options { nodes: Nodes::All, ..Options::default() };
    driver
}

/// Scenario: the script is rendered for all nodes and runs on a worker.
/// Guarantees: Kiln starts with the workers' configuration, is started again when it ends, and stops when told.
#[test]
fn a_worker_runs_kiln_when_asked_for() {
    let mut worker = on_all_nodes();
    worker.set("DB_IS_DRIVER", Some("FALSE"));
    worker.run().succeeded();
    let start = worker.await_start(1);
    let config = worker.path("root/opt/kiln/current/kiln-worker.yaml");
    assert_eq!(start.environment["TEST_ARGUMENTS"], format!("run --config {}", config.display()));
    worker.await_log(&format!("verdict: kiln runs as process {}", start.pid.as_raw_nonzero()));
    worker.order_exit(&start, 3);
    worker.await_start(2);
    worker.stop();
}

/// Scenario: the same script on the driver, and where nobody says what it is.
/// Guarantees: the driver runs what it always runs; anything but the two values Databricks gives is left alone.
#[test]
fn the_driver_is_still_the_driver_and_a_stranger_still_a_stranger() {
    let driver = on_all_nodes();
    driver.run().succeeded();
    assert!(driver.await_start(1).environment["TEST_ARGUMENTS"].ends_with("/current/kiln.yaml"));
    driver.stop();

    for is_driver in [Some("false"), Some(""), Some("TRUE FALSE"), None] {
        let mut stranger = on_all_nodes();
        stranger.set("DB_IS_DRIVER", is_driver);
        stranger.run().succeeded();
        assert!(stranger.processes().is_empty());
        assert!(!stranger.path("root/opt").exists() && !stranger.path("root/var").exists());
    }
}

/// Scenario: a limit of memory that is not the default.
/// Guarantees: Kiln is bound by it, in KiB as the shell has it; and it has two threads to compute with, however many
/// cores the machine has.
#[test]
fn what_kiln_may_use_up_is_bounded() {
    let mut driver = Driver::new();
    driver.options.memory_limit = 200 * 1024 * 1024;
    driver.run().succeeded();
    let start = driver.await_start(1);
    assert_eq!(start.environment["TEST_DATA_LIMIT"], "204800");
    assert_eq!(start.environment["TOKIO_WORKER_THREADS"], "2");
    assert_eq!(start.environment["MALLOC_ARENA_MAX"], "1");
    let ours = niceness("self");
    let its = niceness(&start.pid.as_raw_nonzero().to_string());
    assert!(its >= (ours + 5).min(19), "nice: {its}, beside {ours}");
    driver.stop();
}

fn niceness(process: &str) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    after_name[16].parse().unwrap()
}

/// Scenario: Kiln stays, ends at once, or is stopped while its bundle is awaited.
/// Guarantees: each run of the script leaves exactly one line of verdict, which says which.
#[test]
fn there_is_one_verdict_for_each_run() {
    let verdicts = |driver: &Driver| -> Vec<String> {
        let log = driver.log();
        log.lines().filter_map(|line| line.split_once(" verdict: ").map(|(_, verdict)| verdict.to_owned())).collect()
    };
    let driver = Driver::new();
    driver.run().succeeded();
    let start = driver.await_start(1);
    driver.order_exit(&start, 4);
    let second = driver.await_start(2);
    eventually("the verdict", || (verdicts(&driver).len() == 1).then_some(()));
    driver.order_exit(&second, 4);
    driver.await_start(3);
    driver.stop();
    assert_eq!(verdicts(&driver), ["kiln does not stay: it ended with status 4"]);

    fs::rename(driver.path("source"), driver.path("elsewhere")).unwrap();
    driver.run().succeeded();
    driver.await_log("trying again in 1 s");
    driver.stop();
    assert_eq!(verdicts(&driver)[1..], ["stopped before Kiln was up"]);
}
