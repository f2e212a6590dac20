//! The script that takes Kiln off again.

use std::fs;
use std::process::Command;

use crate::support::{Driver, eventually};

/// Scenario: Kiln runs, with settings written for Spark beside those of others; then the removing script runs, twice.
/// Guarantees: Kiln is stopped in an orderly way, what was installed and written is gone, what others wrote is as it was,
/// the log stays and says so; the second run finds nothing to do.
#[test]
fn what_was_installed_is_removed() {
    let mut driver = Driver::new();
    driver.options.writes_spark_settings = true;
    let metrics = driver.path("root/databricks/spark/conf/metrics.properties");
    let conf = driver.path("root/databricks/driver/conf/00-kiln.conf");
    for path in [&metrics, &conf] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    fs::write(&metrics, "*.sink.csv.period=10\n").unwrap();
    driver.run().succeeded();
    driver.await_start(1);
    assert!(conf.exists());

    driver.run_uninstall().succeeded();
    driver.await_nothing_left();
    driver.await_log("verdict: removed");
    assert!(driver.log().contains("told to stop"), "{}", driver.log());
    assert!(!driver.path("root/opt/kiln").exists() && !conf.exists());
    assert_eq!(fs::read_to_string(&metrics).unwrap(), "*.sink.csv.period=10\n");

    driver.run_uninstall().succeeded();
    driver.await_nothing_left();
    driver.await_log("verdict: nothing to remove");
}

/// Scenario: the supervisor was killed outright, and its number belongs to somebody else by now.
/// Guarantees: the Kiln it left is stopped; the stranger is not.
#[test]
fn an_orphan_is_stopped_and_a_stranger_is_not() {
    let driver = Driver::new();
    driver.run().succeeded();
    let orphan = driver.await_start(1);
    let pid_file = driver.path("root/opt/kiln/supervisor.pid");
    let supervisor = fs::read_to_string(&pid_file).unwrap();
    assert!(Command::new("kill").args(["-KILL", supervisor.trim()]).status().unwrap().success());
    eventually("the orphan to be alone", || (driver.processes() == [orphan.pid]).then_some(()));
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(&pid_file, stranger.id().to_string()).unwrap();

    driver.run_uninstall().succeeded();
    driver.await_nothing_left();
    assert!(!driver.path("root/opt/kiln").exists());
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was stopped");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// Scenario: a node that never had Kiln, and one whose root cannot be written to.
/// Guarantees: the script succeeds.
#[test]
fn removing_nothing_is_no_failure() {
    let driver = Driver::new();
    driver.run_uninstall().succeeded();
    driver.await_nothing_left();
    let mut driver = Driver::new();
    driver.set_root("/proc/kiln".as_ref());
    driver.run_uninstall().succeeded();
    driver.await_nothing_left();
}
