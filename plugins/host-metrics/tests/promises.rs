//! What the plugin promises of what kernels write.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_plugin::testing::{Collected, TestHost};
use kiln_plugin::{CollectError, UnixNanos};
use kiln_plugin_host_metrics::{HostMetrics, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

fn captured(kernel: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured").join(kernel)
}

fn host(root: &Path) -> TestHost {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_directory("/proc", root.join("proc"));
    host.on_directory("/sys", root.join("sys"));
    host
}

fn try_collect(root: &Path, config: Value) -> Result<Collected, CollectError> {
    host(root).configure::<HostMetrics>(config).unwrap().collect()
}

fn collect(kernel: &str, config: Value) -> Collected {
    let collected = try_collect(&captured(kernel), config).unwrap();
    assert_eq!(collected.failed_sources(), Vec::<&str>::new(), "{kernel}");
    collected
}

fn all_groups() -> Value {
    json!({ "groups": ["cpu", "load", "memory", "paging", "disk", "network", "processes", "process"] })
}

/// A copy of a captured tree, to be spoiled.
fn copy(kernel: &str) -> tempfile::TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                into(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    into(&captured(kernel), directory.path());
    directory
}

#[test]
fn cpu_time_is_told_by_mode_and_in_seconds() {
    let metrics = collect("3.10", json!({})).metrics;
    let mode = |mode: &str| metrics.value("system.cpu.time", &[("cpu.mode", mode), ("cpu.logical_number", "0")]);
    assert_eq!(["user", "nice", "system", "idle", "iowait", "steal"].map(mode), [42.0, 0.4, 16.0, 4990.0, 3.0, 0.0]);
    assert_eq!(mode("interrupt"), 0.2);
    let point = metrics.point("system.cpu.time", &[("cpu.mode", "user"), ("cpu.logical_number", "1")]);
    assert_eq!(point.start, UnixNanos::from_millis(1_500_000_000_000));
    assert_eq!(metrics.value("system.cpu.logical.count", &[]), 2.0);
    assert_eq!(metrics.value("system.cpu.physical.count", &[]), 1.0);
    let added = collect("3.10", json!({ "per_cpu": false })).metrics;
    assert_eq!(added.points("system.cpu.time").len(), 7);
    assert_eq!(added.value("system.cpu.time", &[("cpu.mode", "user")]), 84.12);
}

#[test]
fn used_and_available_memory_are_the_whole() {
    for (kernel, available) in [("6.18", None), ("3.10", Some((412_345 + 2108 + 1_223_344) * 1024)), ("sandbox", None)]
    {
        let metrics = collect(kernel, json!({})).metrics;
        let state = |state: &str| metrics.value("system.memory.usage", &[("system.memory.state", state)]);
        assert_eq!(state("used") + state("available"), metrics.value("system.memory.limit", &[]), "{kernel}");
        assert_eq!(state("available"), metrics.value("system.memory.linux.available", &[]), "{kernel}");
        if let Some(available) = available {
            assert_eq!(state("available"), f64::from(available), "{kernel}");
        }
        let share = |state: &str| metrics.value("system.memory.utilization", &[("system.memory.state", state)]);
        assert!((share("used") + share("available") - 1.0).abs() < 1e-9, "{kernel}");
    }
}

#[test]
fn disks_are_counted_once_and_in_bytes() {
    let metrics = collect("3.10", json!({})).metrics;
    let mut names: Vec<_> = metrics
        .points("system.disk.io_time")
        .into_iter()
        .map(|point| point.attributes["system.device.name"].clone())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["cciss/c0d0", "dm-0", "sda"]);
    let sda = |name: &str, direction: &str| {
        metrics.value(name, &[("system.device.name", "sda"), ("disk.io.direction", direction)])
    };
    assert_eq!(sda("system.disk.io", "read"), f64::from(812_346 * 512));
    assert_eq!(sda("system.disk.io", "write"), f64::from(912_344 * 512));
    assert_eq!(sda("system.disk.operations", "read"), 12034.0);
    assert_eq!(sda("system.disk.merged", "write"), 3312.0);
    assert_eq!(sda("system.disk.operation_time", "write"), 41.233);
    assert_eq!(metrics.value("system.disk.io_time", &[("system.device.name", "sda")]), 12.044);
    let excluding = collect("3.10", json!({ "disks": { "exclude": ["dm-*", "cciss*"] } })).metrics;
    assert_eq!(excluding.points("system.disk.io_time").len(), 1);
}

#[test]
fn interfaces_are_told_apart_whatever_their_names() {
    let metrics = collect("3.10", json!({})).metrics;
    let io = |name: &str, direction: &str| {
        metrics.value("system.network.io", &[("network.interface.name", name), ("network.io.direction", direction)])
    };
    assert_eq!((io("eth0", "receive"), io("eth0", "transmit")), (918_234_455.0, 81_233_445.0));
    assert_eq!(io("bond0.100", "receive"), 512.0);
    let eth0 = [("network.interface.name", "eth0"), ("network.io.direction", "receive")];
    assert_eq!(metrics.value("system.network.errors", &eth0), 2.0);
    assert_eq!(metrics.value("system.network.packet.dropped", &eth0), 17.0);
    let packets = [("system.device.name", "eth0"), ("network.io.direction", "transmit")];
    assert_eq!(metrics.value("system.network.packet.count", &packets), 712_334.0);
    let excluding = collect("3.10", json!({ "interfaces": { "exclude": ["lo", "bond*"] } })).metrics;
    assert_eq!(excluding.points("system.network.io").len(), 2);
}

#[test]
fn paging_tells_major_from_minor_faults_and_knows_names_with_blanks() {
    let metrics = collect("3.10", json!({})).metrics;
    let faults = |kind: &str| metrics.value("system.paging.faults", &[("system.paging.fault.type", kind)]);
    assert_eq!((faults("major"), faults("minor")), (2123.0, f64::from(9_123_456 - 2123)));
    let used = |device: &str, state: &str| {
        metrics.value("system.paging.usage", &[("system.device.name", device), ("system.paging.state", state)])
    };
    assert_eq!(used("/dev/dm-1", "used"), 1_048_576.0);
    assert_eq!(used("/mnt/swap file", "free"), f64::from(1_048_572 * 1024));
    let out = [("system.paging.direction", "out"), ("system.paging.fault.type", "major")];
    assert_eq!(metrics.value("system.paging.operations", &out), 288.0);
}

#[test]
fn processes_are_counted_by_state() {
    let metrics = collect("3.10", json!({})).metrics;
    let count = |state: &str| metrics.value("system.process.count", &[("process.state", state)]);
    assert_eq!(["running", "sleeping", "stopped", "defunct"].map(count), [0.0, 1.0, 0.0, 1.0]);
    assert_eq!(metrics.value("system.process.created", &[]), 20482.0);
}

#[test]
fn a_process_is_a_resource_of_its_own() {
    let root = captured("6.18");
    let collected = try_collect(&root, json!({ "groups": ["process"], "process": { "names": ["java"] } })).unwrap();
    let records = collected.metrics.records();
    assert_eq!(records.len(), 2, "the machine, and one process");
    let process = format!("{:?}", records[1].resource);
    assert!(process.contains("4242") && process.contains("java"), "{process}");
    assert_eq!(collect("6.18", all_groups()).metrics.records().len(), 3);
    let limited = try_collect(&root, json!({ "groups": ["process"], "process": { "limit": 1 } })).unwrap();
    assert_eq!(limited.metrics.records().len(), 2);
}

#[test]
fn what_a_kernel_does_not_have_is_left_out() {
    let metrics = collect("sandbox", all_groups()).metrics;
    for absent in ["system.disk.io", "system.paging.faults", "system.cpu.frequency", "system.network.io"] {
        assert!(metrics.metric(absent).is_none(), "{absent}");
    }
    assert_eq!(metrics.resource().get("host.name"), None);
    assert_eq!(metrics.value("system.uptime", &[]), 31.0);
}

#[test]
fn what_it_should_have_and_has_not_is_reported_and_the_rest_delivered() {
    let root = copy("3.10");
    fs::remove_file(root.path().join("proc/meminfo")).unwrap();
    let collected = try_collect(root.path(), json!({})).unwrap();
    assert_eq!(collected.failed_sources(), ["/proc/meminfo"]);
    assert!(collected.metrics.metric("system.cpu.time").is_some());
    fs::remove_file(root.path().join("proc/stat")).unwrap();
    let error = try_collect(root.path(), json!({})).unwrap_err();
    assert!(matches!(&error, CollectError::Unavailable(text) if text == "/proc/stat is not there"), "{error:?}");
}

#[test]
fn a_machine_that_does_not_say_when_it_was_started_is_counted_from_the_first_collection() {
    let root = copy("sandbox");
    fs::write(root.path().join("proc/stat"), "cpu0 1 2 3 4\nprocesses 5\n").unwrap();
    let host = host(root.path());
    let mut instance = host.configure::<HostMetrics>(json!({})).unwrap();
    let first = host.now();
    for _ in 0..2 {
        let metrics = instance.collect().unwrap().metrics;
        assert_eq!(metrics.point("system.process.created", &[]).start, first);
        host.advance(std::time::Duration::from_secs(60));
    }
}

/// Scenario: the tree has a process's environment beside what the plugin reads.
/// Guarantees: the manifest's requests do not reach it, so that no grant can give it to the plugin.
#[test]
fn the_manifest_does_not_reach_what_is_secret() {
    let manifest = kiln_policy::Manifest::parse(telemetry::MANIFEST).unwrap();
    let grants = json!({ "files": [{ "host": "/proc" }, { "host": "/sys" }] });
    let grants = serde_json::from_value(grants).unwrap();
    let policy = kiln_policy::Policy::resolve(&manifest, &grants, false, |_| None).unwrap();
    let proc = policy.files().iter().find(|rule| rule.guest.as_str() == "/proc").unwrap();
    for secret in ["environ", "cmdline", "mem", "maps", "root", "fd", "exe", "cwd"] {
        assert_eq!(proc.reach(&["1", secret]), kiln_policy::Reach::Outside, "{secret}");
    }
    for read in [&["stat"][..], &["1", "stat"], &["1", "status"], &["1", "io"], &["1", "net", "dev"]] {
        assert_eq!(proc.reach(read), kiln_policy::Reach::Covered, "{read:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a page says, it costs at most what it says.
    #[test]
    fn no_page_breaks_the_plugin(page in "[a-z0-9 :()\\n\\t.,/-]{0,200}", which in 0_usize..9) {
        let root = copy("3.10");
        let pages =
            ["meminfo", "loadavg", "uptime", "swaps", "vmstat", "diskstats", "cpuinfo", "1/net/dev", "1/stat"];
        fs::write(root.path().join("proc").join(pages[which]), page).unwrap();
        let collected = try_collect(root.path(), all_groups());
        // Two lines for the same thing are refused as a whole by the host, not by the plugin.
        prop_assert!(matches!(collected, Ok(_) | Err(CollectError::Failed(_))), "{:?}", collected.err());
    }
}
