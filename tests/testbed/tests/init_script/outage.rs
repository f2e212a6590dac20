//! A driver in a network of its own, which a test takes from the backend and gives back to it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use kiln_testbed::sink::{Sink, Telemetry};
use kiln_testbed::spark::{Pages, Phase, Spark};

use crate::driver::Driver;
use crate::{AT_ONCE, PATIENCE, needed, skipped};

/// Of a range that is for documentation: no network has it, but the one this test makes.
const BACKEND: &str = "192.0.2.1";

/// So that the test knows itself once it runs in a network of its own.
const INSIDE: &str = "KILN_TEST_NETWORK";

/// Scenario: a driver runs the init script while no route leads to the backend; then there is one, then none for a while
/// again, then there is one.
/// Guarantees: the cluster start goes on at once; what was read while nobody could take it arrives later, every collection
/// of it, and under the time it was read at.
#[test]
fn nothing_is_lost_while_no_route_leads_to_the_backend() {
    let Some([kiln, plugins]) = needed(["KILN_BIN", "KILN_PLUGINS"]) else { return };
    if !in_a_network_of_its_own("outage::nothing_is_lost_while_no_route_leads_to_the_backend") {
        return;
    }
    ip(&["link", "set", "lo", "up"]);
    let sink = Sink::start_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let backend = format!("http://{BACKEND}:{}", sink.address().port());
    let spark =
        Spark::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Pages::captured("4.1.4").unwrap(), Phase::Ready);
    let spark = spark.unwrap();
    let driver = Driver::with_configuration(&kiln, &plugins, &backend, |deployed| {
        deployed.replace("collection_interval: 15s", "collection_interval: 1s")
    });

    let run = driver.run_init_script("TRUE");
    run.succeeded();
    assert!(run.took < AT_ONCE, "took {:?}", run.took);
    driver.announce_ui(spark.address());
    let await_collections = |more: usize| {
        let wanted = collections(&spark) + more;
        let read = spark
            .wait_for_requests(PATIENCE, |requests| requests.iter().filter(|it| is_page(&it.path)).count() >= wanted);
        assert!(read.is_ok(), "{}", driver.kiln_log());
    };
    await_collections(5);
    assert!(sink.telemetry().requests.is_empty(), "the backend was reached without a route");

    for _ in 0..2 {
        ip(&["address", "add", &format!("{BACKEND}/32"), "dev", "lo"]);
        let read = collections(&spark);
        let arrived = sink.wait_for(PATIENCE, |telemetry| times(telemetry).len() >= read);
        assert!(arrived.is_ok(), "{read} were read\n{}", driver.kiln_log());
        ip(&["address", "del", &format!("{BACKEND}/32"), "dev", "lo"]);
        await_collections(5);
    }
    ip(&["address", "add", &format!("{BACKEND}/32"), "dev", "lo"]);
    let read = collections(&spark);
    let arrived = sink.wait_for(PATIENCE, |telemetry| times(telemetry).len() >= read);
    assert!(arrived.is_ok(), "{read} were read\n{}", driver.kiln_log());
    driver.stop();
    assert_eq!(times(&sink.telemetry()).len(), collections(&spark), "{}", driver.kiln_log());
}

/// How often Spark's executors were read.
fn collections(spark: &Spark) -> usize {
    spark.requests().iter().filter(|request| is_page(&request.path)).count()
}

fn is_page(path: &str) -> bool {
    path == "/metrics/executors/prometheus"
}

/// When what has arrived was read; what arrives twice, because nobody could say that it had, counts once.
fn times(telemetry: &Telemetry) -> BTreeSet<u64> {
    telemetry.points_of("spark.executor.task.count").map(|point| point.time_nanos).collect()
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// Whether this is the process for which there is one. Otherwise runs this test in such a process, or says why it cannot.
fn in_a_network_of_its_own(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshared = |command: &[&std::ffi::OsStr]| {
        let mut unshare = Command::new("unshare");
        unshare.arg("--net").args(command).env(INSIDE, "1").stdin(Stdio::null());
        unshare
    };
    let tried = unshared(&["ip".as_ref(), "link".as_ref()]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        skipped("this user may not make a network namespace, or `unshare` or `ip` is missing");
        return false;
    }
    let this = std::env::current_exe().unwrap();
    let output =
        unshared(&[this.as_ref(), test.as_ref(), "--exact".as_ref(), "--nocapture".as_ref()]).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).contains("1 passed"), "{}", said(&output.stdout));
    false
}
