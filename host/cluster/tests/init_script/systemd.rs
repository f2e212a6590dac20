//! systemd, where it runs: it looks after the process that looks after Kiln.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Driver, eventually, which};

/// Scenario: systemd runs on the driver, whose cluster has a name made to break quoting, and a secret in its environment.
/// Guarantees: Kiln runs under a unit with its bounds, with the environment of the init script byte for byte, in files for
/// root alone and on no command line; a second run of the script changes nothing; stopping the unit stops Kiln in an
/// orderly way.
#[test]
fn systemd_looks_after_kiln_where_it_runs() {
    let mut driver = Driver::new();
    driver.install_systemd(true);
    driver.options.memory_limit = 300 * 1024 * 1024;
    driver.options.cpu_limit = 50;
    let trace = driver.path("executed");
    let name = format!("x \"'$(touch {0})`touch {0}`\n[Service]\nExecStart=/bin/false\n\\ % é 🙂", trace.display());
    driver.set("DB_CLUSTER_NAME", Some(&name));
    driver.set("OTEL_EXPORTER_OTLP_HEADERS", Some("authorization=Bearer%20s3cret"));
    fs::write(driver.path("source/kiln.env"), "OTLP_TOKEN=fr0m 'file'\n").unwrap();
    driver.run().succeeded();
    let start = driver.await_start(1);
    driver.await_log("handed over to systemd as kiln.service");
    driver.await_log(&format!("verdict: kiln runs as process {}", start.pid.as_raw_nonzero()));
    assert_eq!(start.environment["DB_CLUSTER_NAME"], name);
    assert_eq!(start.environment["OTEL_EXPORTER_OTLP_HEADERS"], "authorization=Bearer%20s3cret");
    assert_eq!(start.environment["OTLP_TOKEN"], "fr0m 'file'");
    assert_eq!(start.environment["TEST_DATA_LIMIT"], "307200");

    let unit = fs::read_to_string(driver.path("root/run/systemd/system/kiln.service")).unwrap();
    for line in ["Restart=always", "KillMode=mixed", "MemoryMax=314572800", "CPUQuota=50%", "OOMScoreAdjust=500"] {
        assert!(unit.lines().any(|written| written == line), "{line}: {unit}");
    }
    assert!(!unit.contains("s3cret") && !driver.log().contains("s3cret"));
    for pid in driver.processes() {
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&command).contains("s3cret"));
    }
    let mode = fs::metadata(driver.path("root/opt/kiln/supervise")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    driver.run().succeeded();
    driver.await_log("verdict: nothing to do");
    assert_eq!(driver.await_start(1).pid, start.pid);

    let stopped = Command::new("bash").arg("-c").arg("kill -TERM \"$(<\"$0\")\"").arg(driver.path("main-pid")).status();
    assert!(stopped.unwrap().success());
    driver.await_nothing_left();
    driver.await_log("told to stop");
    assert!(!trace.exists());
    assert_eq!(fs::read_to_string(driver.path("journal")).unwrap(), "");
}

/// Scenario: Kiln ends by itself under systemd.
/// Guarantees: it is started again as without systemd.
#[test]
fn a_kiln_that_ends_under_systemd_is_started_again() {
    let driver = Driver::new();
    driver.install_systemd(true);
    driver.run().succeeded();
    driver.order_exit(&driver.await_start(1), 7);
    driver.await_log("kiln ended with status 7");
    driver.await_start(2);
    driver.stop();
}

/// Scenario: systemd is there and does not start the unit; then it is installed and does not run, as in most containers.
/// Guarantees: Kiln runs all the same, looked after by the script's own process, and no unit is left.
#[test]
fn without_a_working_systemd_the_script_looks_after_kiln_itself() {
    let driver = Driver::new();
    driver.install_systemd(false);
    driver.run().succeeded();
    driver.await_start(1);
    driver.await_log("systemd does not start kiln.service: looking after Kiln without it");
    assert!(!driver.path("root/run/systemd/system/kiln.service").exists());
    driver.stop();

    let driver = Driver::new();
    driver.install_systemd(true);
    fs::remove_dir_all(driver.path("root/run/systemd")).unwrap();
    driver.run().succeeded();
    driver.await_start(1);
    assert!(!driver.path("asked").exists());
    driver.stop();
}

/// Scenario: Kiln runs under systemd; then the removing script runs.
/// Guarantees: the unit is stopped and gone, and so is what was installed.
#[test]
fn the_unit_is_removed_with_the_rest() {
    let driver = Driver::new();
    driver.install_systemd(true);
    driver.run().succeeded();
    driver.await_start(1);
    driver.run_uninstall().succeeded();
    driver.await_log("verdict: removed");
    driver.await_nothing_left();
    assert!(!driver.path("root/run/systemd/system/kiln.service").exists());
    assert!(!driver.path("root/opt/kiln").exists());
    let asked = fs::read_to_string(driver.path("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().filter_map(|line| line.strip_prefix("--no-ask-password ")).collect();
    assert_eq!(asked, ["daemon-reload", "start kiln.service", "stop kiln.service", "daemon-reload"]);
}

/// Scenario: under systemd, the process that looks after Kiln is killed, and systemd starts it again while Kiln is still
/// there.
/// Guarantees: there is no second Kiln; once the first has gone, there is one again.
#[test]
fn a_killed_supervisor_does_not_double_kiln() {
    let driver = Driver::new();
    driver.install_systemd(true);
    driver.run().succeeded();
    let orphan = driver.await_start(1);
    let supervisor: i32 =
        fs::read_to_string(driver.path("root/opt/kiln/supervisor.pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::KILL).unwrap();
    eventually("the orphan to be alone", || (driver.processes() == [orphan.pid]).then_some(()));
    driver.let_systemd_start_it_again();
    driver.await_log("verdict: nothing to do");
    assert_eq!(driver.await_start(1).pid, orphan.pid);
    driver.order_exit(&orphan, 0);
    driver.await_nothing_left();
    driver.let_systemd_start_it_again();
    driver.await_start(2);
    driver.stop();
}

/// Scenario: the unit as systemd itself reads it, where that is installed.
/// Guarantees: it finds no fault.
#[test]
fn the_unit_is_what_systemd_understands() {
    let Some(analyze) = which("systemd-analyze") else { return };
    let driver = Driver::new();
    driver.install_systemd(true);
    driver.run().succeeded();
    driver.await_start(1);
    let unit = driver.path("root/run/systemd/system/kiln.service");
    let output = Command::new(analyze).arg("verify").arg(unit).output().unwrap();
    driver.stop();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
