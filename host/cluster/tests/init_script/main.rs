//! What a cluster may rely on when it runs the init script: promise 4, and what follows once the script has returned.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod archives;
mod cloud;
mod nodes;
mod spark_settings;
mod support;
mod systemd;
mod uninstall;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kiln_cluster::Digest;
use rustix::process::{Signal, kill_process};

use support::web::{Reply, Server};
use support::{Driver, architectures, eventually, which, write_program};

/// The foreground part takes about 0.05 s, and 1 s when the source hangs; the rest is room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(15);

/// Scenario: a driver starts, and there is no Spark on it yet.
/// Guarantees: Kiln starts, with everything it needs to know in its environment: who it is and where Databricks will say
/// where Spark is.
#[test]
fn kiln_starts_with_what_it_needs_to_know() {
    let mut driver = Driver::new();
    driver.set("DB_CLUSTER_NAME", Some("job-4711-run-1234-main"));
    driver.run().succeeded();
    let start = driver.await_start(1);
    let environment = |name: &str| start.environment.get(name).map(String::as_str);
    assert_eq!(environment("KILN_DRIVER_ENV"), driver.path("root/tmp/driver-env.sh").to_str());
    assert_eq!(environment("DB_DRIVER_IP"), Some("127.0.0.1"));
    assert_eq!(environment("DB_CLUSTER_ID"), Some("1122-101010-abcdefgh"));
    assert_eq!(environment("DB_CLUSTER_NAME"), Some("job-4711-run-1234-main"));
    let home = driver.path("root/opt/kiln");
    assert_eq!(
        environment("TEST_ARGUMENTS"),
        Some(format!("run --config {0}/current/kiln.yaml", home.display()).as_str())
    );
    assert_eq!(environment("kiln_program"), None);
    driver.stop();
}

/// Scenario: the same script on a worker, and on a machine that does not say what it is.
/// Guarantees: no file, no process, no output. (`[ $DB_IS_DRIVER ]`, as older scripts have it, is true for "FALSE".)
#[test]
fn only_the_driver_is_touched() {
    for is_driver in [Some("FALSE"), Some("false"), Some(""), None] {
        let mut driver = Driver::new();
        driver.set("DB_IS_DRIVER", is_driver);
        let run = driver.run();
        run.succeeded();
        assert_eq!(String::from_utf8_lossy(&run.output.stdout), "");
        assert!(driver.processes().is_empty());
        assert!(!driver.path("root/opt").exists() && !driver.path("root/var").exists());
        assert!(driver.requests().is_empty());
    }
}

/// Scenario: one byte of a file differs from what the script was rendered for; then its length; then nothing does.
/// Guarantees: Kiln is not started from a changed file, the log says which and why, and nothing is left running.
#[test]
fn a_changed_file_is_refused() {
    for (text, reason) in [
        ("b plugin", "its sha256 should be"),
        ("a plugin, longer", "it should have 8 bytes and has more"),
        ("a plug", "it should have 8 bytes and has 6"),
    ] {
        let driver = Driver::new();
        let plugin = driver.path("source/plugins/spark.wasm");
        fs::write(&plugin, text).unwrap();
        driver.run().succeeded();
        driver.await_log(&format!("refused {}: {reason}", plugin.display()));
        driver.await_log("render it again");
        driver.await_nothing_left();
        assert!(driver.starts().is_empty());
        assert!(!driver.path("root/opt/kiln/current").exists() && !driver.path("root/opt/kiln/incoming").exists());

        fs::write(&plugin, "a plugin").unwrap();
        driver.run().succeeded();
        driver.await_start(1);
        driver.stop();
    }
}

/// Scenario: the directory of the bundle is not there, and appears later, as a volume may that is mounted late.
/// Guarantees: the script succeeds and says what it cannot read; Kiln is installed when it can be.
#[test]
fn a_missing_bundle_does_not_fail_the_start_and_is_awaited() {
    let driver = Driver::new();
    fs::rename(driver.path("source"), driver.path("elsewhere")).unwrap();
    driver.run().succeeded();
    driver.await_log(&format!("cannot read {}/kiln", driver.path("source").display()));
    driver.await_log("trying again in 1 s");
    assert!(driver.starts().is_empty());

    fs::rename(driver.path("elsewhere"), driver.path("source")).unwrap();
    driver.await_start(1);
    driver.stop();
}

/// Scenario: opening a file of the bundle blocks for ever, as a dead network mount does.
/// Guarantees: the script returns all the same, and what it left behind stops when told.
#[test]
fn a_bundle_that_hangs_does_not_delay_the_start() {
    let driver = Driver::new();
    let hanging = driver.path("source/kiln.yaml");
    fs::remove_file(&hanging).unwrap();
    assert!(Command::new("mkfifo").arg(&hanging).status().unwrap().success());
    let run = driver.run();
    run.succeeded();
    assert!(run.took < AT_ONCE, "took {:?}", run.took);
    assert!(driver.starts().is_empty());
    eventually("the supervisor", || driver.path("root/opt/kiln/supervisor.pid").exists().then_some(()));
    driver.stop();
}

/// Scenario: nothing can be created below the root: it is a file, or a file system that refuses even the superuser.
/// Guarantees: the script succeeds at once; the log is found in the temporary directory and says so.
#[test]
fn a_root_that_cannot_be_written_does_not_fail_the_start() {
    for root in ["file", "/proc/kiln"] {
        let mut driver = Driver::new();
        let root = driver.path(root);
        if root.starts_with(driver.path("")) {
            fs::write(&root, "").unwrap();
        }
        driver.set_root(&root);
        let run = driver.run();
        run.succeeded();
        assert!(run.took < AT_ONCE, "took {:?}", run.took);
        driver.await_log(&format!("not started: cannot write to {}/opt/kiln", root.display()));
        driver.await_nothing_left();
    }
}

/// Scenario: every write beyond 4 KiB fails, as on a full disk, and so does every write to the log.
/// Guarantees: the script succeeds, nothing half-written is started, and what it left behind stops when told.
#[test]
fn a_full_disk_does_not_fail_the_start() {
    let mut driver = Driver::new();
    fs::write(driver.path("source/kiln.yaml"), "# long\n".repeat(10_000)).unwrap();
    driver.pin(architectures().0);
    // Ignored, the signal becomes an error of the write, which is what a full disk gives.
    write_program(&driver.path("bin/on-a-full-disk"), "#!/bin/bash\ntrap '' XFSZ\nulimit -f 4\nexec bash \"$@\"\n");
    driver.run_with("on-a-full-disk").succeeded();
    driver.await_log("kiln.yaml, or cannot write it to");
    assert!(!driver.path("root/opt/kiln/current").exists());
    driver.stop();
    assert!(driver.starts().is_empty());

    let driver = Driver::new();
    fs::create_dir_all(driver.path("root/var/log/kiln")).unwrap();
    std::os::unix::fs::symlink("/dev/full", driver.path("root/var/log/kiln/init.log")).unwrap();
    driver.run().succeeded();
    driver.await_start(1);
    driver.stop();
}

/// Scenario: one tool the script needs is not installed.
/// Guarantees: the script succeeds and names the tool; nothing is started.
#[test]
fn a_missing_tool_is_named_and_does_not_fail_the_start() {
    for absent in ["setsid", "flock", "curl"] {
        let mut driver = Driver::new();
        if absent == "curl" {
            driver.set_source("https://artifacts.example.com/kiln");
        }
        let tools = driver.path("tools");
        fs::create_dir(&tools).unwrap();
        let needed = "bash chmod curl flock head mkdir mktemp mv nice readlink rm setsid sha256sum sleep stat tail timeout tr uname";
        for tool in needed.split(' ').filter(|tool| *tool != absent) {
            std::os::unix::fs::symlink(which(tool).expect(tool), tools.join(tool)).unwrap();
        }
        driver.set("PATH", tools.to_str());
        let run = driver.run();
        run.succeeded();
        let said = String::from_utf8_lossy(&run.output.stdout).into_owned();
        if absent == "setsid" {
            assert!(said.contains("setsid is missing"), "{said}");
        } else {
            driver.await_log(&format!("not started: missing on this image: {absent}"));
        }
        driver.await_nothing_left();
    }
}

/// Scenario: the caller's shell is strict, is not bash at all, follows POSIX, or has closed its output.
/// Guarantees: the script succeeds whoever runs it, and still does its work.
#[test]
fn the_caller_does_not_matter() {
    for interpreter in
        ["bash -euo pipefail", "sh", "bash --posix", "env SHELLOPTS=errexit:noclobber:noglob:nounset bash"]
    {
        let driver = Driver::new();
        for start in 1..=2 {
            driver.run_with(interpreter).succeeded();
            driver.await_start(start);
            driver.stop();
        }
    }
    let driver = Driver::new();
    write_program(&driver.path("bin/silenced"), "#!/bin/bash\nexec bash \"$@\" >&- 2>&-\n");
    driver.run_with("silenced").succeeded();
}

/// Scenario: the script runs twice at once and once more, as when it is both in a policy and on the cluster.
/// Guarantees: there is one Kiln, and the log says why there is no second.
#[test]
fn a_second_run_does_not_start_a_second_kiln() {
    let driver = Driver::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| driver.run().succeeded());
        }
    });
    let first = driver.await_start(1);
    driver.run().succeeded();
    eventually("both to give way", || {
        (driver.log().matches("nothing to do: Kiln is already looked after by process").count() == 2).then_some(())
    });
    assert_eq!(driver.await_start(1).pid, first.pid);
    driver.stop();

    driver.run().succeeded();
    driver.await_start(2);
    driver.stop();
}

/// Scenario: the supervisor is killed outright, so that Kiln is left alone; then the script runs again.
/// Guarantees: a second Kiln does not join the first; once that one has ended, a run starts Kiln again.
#[test]
fn an_orphaned_kiln_is_not_doubled() {
    let driver = Driver::new();
    driver.run().succeeded();
    let orphan = driver.await_start(1);
    let supervisor = fs::read_to_string(driver.path("root/opt/kiln/supervisor.pid")).unwrap();
    assert!(Command::new("kill").args(["-KILL", supervisor.trim()]).status().unwrap().success());
    eventually("the orphan to be alone", || (driver.processes() == [orphan.pid]).then_some(()));

    driver.run().succeeded();
    driver.await_log("nothing to do");
    assert_eq!(driver.await_start(1).pid, orphan.pid);

    driver.order_exit(&orphan, 0);
    driver.await_nothing_left();
    driver.run().succeeded();
    driver.await_start(2);
    driver.stop();
}

/// Scenario: Kiln ends by itself, then is killed, then is stopped the documented way.
/// Guarantees: it is started again after the first two and not after the last; the log says what happened.
#[test]
fn a_kiln_that_ends_is_started_again_until_it_is_stopped() {
    let driver = Driver::new();
    driver.run().succeeded();
    driver.order_exit(&driver.await_start(1), 7);
    driver.await_log("kiln ended with status 7");
    let second = driver.await_start(2);
    kill_process(second.pid, Signal::KILL).unwrap();
    driver.await_log("kiln ended with status 137");
    driver.await_log("starting it again in 2 s");
    driver.await_start(3);
    driver.stop();
    assert_eq!(driver.starts().len(), 3);
    assert!(driver.log().contains("told to stop"));
    // bash would add a page about a job that was killed.
    assert!(driver.log().lines().all(|line| line.starts_with("20")), "{}", driver.log());
    assert!(!driver.path("root/opt/kiln/supervisor.pid").exists());
}

/// Scenario: a cluster name made to break quoting, logs and YAML.
/// Guarantees: Kiln gets it byte for byte, and nothing in it is executed or logged.
#[test]
fn a_hostile_cluster_name_is_only_a_name() {
    let mut driver = Driver::new();
    let trace = driver.path("executed");
    let name = format!(
        "job-1-run-x: # \"'$(touch {0})`touch {0}`\nexit 1\n2026-01-01T00:00:00Z forged \u{1b}[31m\\ é $HOME",
        trace.display()
    );
    driver.set("DB_CLUSTER_NAME", Some(&name));
    driver.run().succeeded();
    let start = driver.await_start(1);
    assert_eq!(start.environment["DB_CLUSTER_NAME"], name);
    driver.stop();
    assert!(!trace.exists());
    assert!(!driver.log().contains("forged"), "{}", driver.log());
}

/// Scenario: secrets come from a file beside the bundle, one of them also from the cluster; other lines are malformed
/// or would change how a program is loaded.
/// Guarantees: Kiln gets the good ones literally, the cluster wins, the others are named by line number; no value is
/// in the script, the log or another file.
#[test]
fn secrets_come_from_beside_the_bundle_and_stay_out_of_sight() {
    let mut driver = Driver::new();
    driver.set("OTEL_EXPORTER_OTLP_ENDPOINT", Some("https://cluster.example.com"));
    let secret = "s3cret $(reboot) `reboot` 'x' \"y\" #=";
    let lines = [
        "# the token of the backend",
        &format!("OTLP_TOKEN={secret}\r"),
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://file.example.com",
        "",
        "LD_PRELOAD=/tmp/s3cret.so",
        "PATH=/tmp/s3cret",
        "export OTLP_A=s3cret",
        "OTLP_B=\"s3cret\"",
        "OTLP_C",
        "DATABRICKS_EMPTY=",
    ];
    fs::write(driver.path("source/kiln.env"), lines.join("\n")).unwrap();
    driver.run().succeeded();
    let start = driver.await_start(1);
    assert_eq!(start.environment["OTLP_TOKEN"], secret);
    assert_eq!(start.environment["DATABRICKS_EMPTY"], "");
    assert_eq!(start.environment["OTEL_EXPORTER_OTLP_ENDPOINT"], "https://cluster.example.com");
    for name in ["LD_PRELOAD", "OTLP_A", "OTLP_B", "OTLP_C"] {
        assert_eq!(start.environment.get(name), None, "{name}");
    }
    assert!(!start.environment["PATH"].contains("s3cret"));
    driver.stop();
    let log = driver.log();
    for line in 5..=9 {
        assert!(log.contains(&format!("kiln.env line {line} left out")), "{log}");
    }
    assert!(!log.contains("s3cret") && !driver.rendered().contains("s3cret"));
    assert!(!driver.path("root/opt/kiln/current/kiln.env").exists());
}

/// Scenario: a Graviton driver with a bundle for Intel, or the other way round.
/// Guarantees: Kiln is not started, and the log says which program to add; with the right one it is.
#[test]
fn a_bundle_for_other_machines_is_refused() {
    let (here, elsewhere) = architectures();
    let mut driver = Driver::new();
    driver.pin(elsewhere);
    driver.run().succeeded();
    driver.await_log(&format!("has kiln for {elsewhere} only: add a kiln-{here} to the bundle"));
    driver.await_nothing_left();
    assert!(driver.starts().is_empty());

    driver.pin(here);
    driver.run().succeeded();
    driver.await_start(1);
    driver.stop();
}

/// Scenario: the bundle is on a web server; then a file is changed there; then the server cannot be trusted.
/// Guarantees: files come over verified TLS and are pinned like any other; otherwise nothing is started.
#[test]
fn a_bundle_can_be_downloaded() {
    let mut driver = Driver::new();
    let files = driver.path("source");
    let (server, certificate) = Server::start_tls("artifacts.example.com", move |request| {
        let path = request.path.strip_prefix("/kiln/").unwrap_or_default();
        match fs::read(files.join(path)) {
            Ok(bytes) => Reply::ok("application/octet-stream", bytes),
            Err(_) => Reply { status: "404 Not Found", headers: String::new(), body: Vec::new() },
        }
    });
    driver.let_reach("artifacts.example.com:443", &server.address.to_string());
    driver.set_source("https://artifacts.example.com/kiln/");
    fs::write(driver.path("ca.pem"), &certificate).unwrap();
    driver.run().succeeded();
    driver.await_start(1);
    driver.stop();

    fs::write(driver.path("source/kiln.yaml"), "receivers: []\n").unwrap();
    driver.run().succeeded();
    driver.await_log("refused https://artifacts.example.com/kiln/kiln.yaml: its sha256 should be");
    driver.await_nothing_left();

    let (_stranger, other) = Server::start_tls("artifacts.example.com", |_| Reply::ok("", ""));
    fs::write(driver.path("ca.pem"), other).unwrap();
    driver.run().succeeded();
    driver.await_log("cannot read https://artifacts.example.com/kiln/kiln");
    driver.stop();
    assert_eq!(driver.starts().len(), 1);
}

/// Scenario: a running Kiln.
/// Guarantees: what was installed, and what was logged, is for its owner alone; Kiln's own output is kept apart.
#[test]
fn what_is_installed_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let driver = Driver::new();
    driver.run().succeeded();
    driver.await_start(1);
    let mode = |below: &str| fs::metadata(driver.path("root").join(below)).unwrap().permissions().mode() & 0o777;
    for directory in ["opt/kiln", "opt/kiln/current", "opt/kiln/current/plugins", "opt/kiln/data", "var/log/kiln"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    assert_eq!(mode("opt/kiln/current/kiln"), 0o700);
    for file in ["opt/kiln/current/kiln.yaml", "opt/kiln/current/plugins/spark.wasm", "var/log/kiln/kiln.log"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // The directories above belong to everybody.
    assert_eq!(mode("opt"), 0o755);
    assert!(fs::read_to_string(driver.path("root/var/log/kiln/kiln.log")).unwrap().contains("kiln's own log"));
    assert!(!driver.log().contains("kiln's own log"));
    driver.stop();
}

/// Scenario: Kiln has much to say, and nobody reads it.
/// Guarantees: its log does not fill the disk, the last megabyte is kept, and it goes on being written.
#[test]
fn the_log_is_bounded() {
    let driver = Driver::new();
    driver.run().succeeded();
    let start = driver.await_start(1);
    let log = driver.path("root/var/log/kiln/kiln.log");
    fs::File::options().append(true).open(&log).unwrap().set_len(16 * 1024 * 1024 + 1).unwrap();
    eventually("the log to be emptied", || (fs::metadata(&log).unwrap().len() < 1024).then_some(()));
    assert_eq!(fs::metadata(log.with_extension("log.1")).unwrap().len(), 1024 * 1024);
    driver.order_exit(&start, 1);
    driver.await_start(2);
    assert!(fs::read_to_string(&log).unwrap().starts_with("a line of kiln's own log"));
    driver.stop();
}

/// Scenario: the rendered script under shellcheck, where that is installed.
/// Guarantees: no finding.
#[test]
fn the_script_is_clean_bash() {
    let driver = Driver::new();
    driver.run_with("bash -n").succeeded();
    assert!(driver.rendered().contains(&Digest::of(b"a plugin").to_string()));
    let Some(shellcheck) = which("shellcheck") else {
        eprintln!("shellcheck is not installed: not checked");
        return;
    };
    let output = Command::new(shellcheck).arg(Path::new(&driver.path("kiln-init.sh"))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
