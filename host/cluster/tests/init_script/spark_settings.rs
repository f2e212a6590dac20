//! Spark's settings: never written unless asked for, and then beside what others have written.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_cluster::spark_settings::{hocon, metrics_properties};

use crate::support::Driver;

const CONF: &str = "root/databricks/driver/conf/00-kiln.conf";
const METRICS: &str = "root/databricks/spark/conf/metrics.properties";

/// A driver with the directories a Databricks image has.
fn image(writes_spark_settings: bool) -> Driver {
    let mut driver = Driver::new();
    driver.options.writes_spark_settings = writes_spark_settings;
    for path in [CONF, METRICS] {
        fs::create_dir_all(driver.path(path).parent().unwrap()).unwrap();
    }
    driver
}

fn names(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
}

/// Scenario: a script that was not asked to write settings.
/// Guarantees: what Spark reads is as it was.
#[test]
fn nothing_is_written_where_spark_reads_unless_asked() {
    let driver = image(false);
    fs::write(driver.path(METRICS), "*.sink.csv.period=10\n").unwrap();
    driver.run().succeeded();
    driver.await_start(1);
    driver.stop();
    assert_eq!(fs::read_to_string(driver.path(METRICS)).unwrap(), "*.sink.csv.period=10\n");
    assert!(names(driver.path(CONF).parent().unwrap()).is_empty());
}

/// Scenario: the script is asked to, on an image that has metrics configured already, in a file whose last line is not
/// ended; and runs twice, as on a driver that is started again.
/// Guarantees: both files are there when the script returns, readable by Spark; what others wrote is kept, ours is
/// there once, nothing else is left.
#[test]
fn settings_are_written_before_the_script_returns() {
    let driver = image(true);
    fs::write(driver.path(METRICS), "*.sink.csv.period=10\r\n# theirs").unwrap();
    for start in 1..=2 {
        driver.run().succeeded();
        assert_eq!(fs::read_to_string(driver.path(CONF)).unwrap(), hocon());
        let metrics = fs::read_to_string(driver.path(METRICS)).unwrap();
        assert_eq!(metrics, format!("*.sink.csv.period=10\r\n# theirs\n{}", metrics_properties()));
        driver.await_start(start);
        driver.stop();
    }
    for path in [CONF, METRICS] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(driver.path(path)).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(names(driver.path(path).parent().unwrap()).len(), 1);
    }
}

/// Scenario: an image without those directories; then one where they cannot be written to; then a worker.
/// Guarantees: the script succeeds and says so, and does its work all the same; a worker is not touched.
#[test]
fn what_cannot_be_written_is_said_and_does_no_harm() {
    let driver = image(true);
    fs::remove_dir_all(driver.path("root/databricks")).unwrap();
    let run = driver.run();
    run.succeeded();
    let said = String::from_utf8_lossy(&run.output.stdout).into_owned();
    assert!(said.contains("Spark's settings are not written: this image has no"), "{said}");
    driver.await_start(1);
    driver.stop();

    fs::create_dir_all(driver.path("root/databricks/spark/conf")).unwrap();
    std::os::unix::fs::symlink("/proc", driver.path("root/databricks/driver")).unwrap();
    fs::create_dir(driver.path("root/databricks/spark/conf/metrics.properties")).unwrap();
    driver.run_with("bash").succeeded();
    driver.await_start(2);
    driver.stop();

    let mut worker = image(true);
    worker.set("DB_IS_DRIVER", Some("FALSE"));
    worker.run().succeeded();
    assert!(!worker.path(CONF).exists() && !worker.path(METRICS).exists());
}
