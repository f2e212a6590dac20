//! The machine this runs on, as the host-metrics plugin tells it and as the test reads it itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::collections::BTreeMap;
use std::fs;

use kiln_testbed::sink::{Point, Sink, Telemetry};
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

fn configure(sink: &Sink, settings: &str, grants: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        r#"
plugins_dir: {plugins}
receivers:
  host-metrics:
    {settings}
    collection_interval: 1s
    initial_delay: 0s
    grants:
      files: {grants}
exporters:
  otlp_http: {{ endpoint: "{sink}" }}
service:
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [host-metrics], exporters: [otlp_http] }}
"#,
        plugins = std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`"),
        sink = sink.url(),
    );
    fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

const EVERYTHING: &str = "[ { host: /proc, guest: /proc }, { host: /sys, guest: /sys } ]";

/// The value of the last point of a metric with these attributes.
fn last(telemetry: &Telemetry, metric: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    let has = |point: &&Point| attributes.iter().all(|(key, value)| text(point, key).as_deref() == Some(*value));
    telemetry.points_of(metric).filter(has).last()?.number()
}

/// An attribute as text, whatever its type.
fn text(point: &Point, key: &str) -> Option<String> {
    let value = point.attributes.get(key)?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Ticks of `/proc/stat`, by CPU and column.
fn ticks() -> BTreeMap<String, Vec<f64>> {
    let page = fs::read_to_string("/proc/stat").unwrap();
    let cpus = page.lines().filter_map(|line| line.strip_prefix("cpu")?.split_once(' '));
    let cpus = cpus.filter(|(number, _)| !number.is_empty());
    cpus.map(|(number, counts)| {
        let counts = counts.split_whitespace().map(|count| count.parse().unwrap()).collect();
        (number.to_owned(), counts)
    })
    .collect()
}

fn meminfo(key: &str) -> f64 {
    let page = fs::read_to_string("/proc/meminfo").unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// Sectors read from each disk.
fn sectors_read() -> BTreeMap<String, f64> {
    let page = fs::read_to_string("/proc/diskstats").unwrap();
    let fields = page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.map(|fields| (fields[2].to_owned(), fields[5].parse().unwrap())).collect()
}

/// Scenario: the plugin collects on this machine, and the test reads `/proc` before and after.
/// Guarantees: what is counted lies between the two readings, what does not change is the same, disks are all there.
#[test]
fn what_it_tells_is_what_proc_says() {
    let sink = Sink::start().unwrap();
    let folder = configure(&sink, "disks: { exclude: [] }", EVERYTHING);
    let (before, sectors_before) = (ticks(), sectors_read());
    let mut kiln = Kiln::start(folder.path());
    let complete = |telemetry: &Telemetry| telemetry.points_of("system.process.count").next().is_some();
    let arrived = sink.wait_for(PATIENCE, complete).is_ok();
    let telemetry = sink.telemetry();
    let (after, sectors_after) = (ticks(), sectors_read());
    kiln.stop();
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(arrived, "{log}");
    assert!(!log.contains("partial"), "{log}");

    for (number, counts) in &before {
        for (mode, column) in [("user", 0), ("system", 2), ("steal", 7)] {
            let attributes = [("cpu.logical_number", number.as_str()), ("cpu.mode", mode)];
            let told = last(&telemetry, "system.cpu.time", &attributes).unwrap() * 100.0;
            let (from, to) = (counts[column], after[number][column]);
            assert!((from - 0.5..=to + 0.5).contains(&told), "cpu{number} {mode}: {from} ≤ {told} ≤ {to}");
        }
    }
    assert_eq!(last(&telemetry, "system.cpu.logical.count", &[]), Some(before.len() as f64));
    assert_eq!(last(&telemetry, "system.memory.limit", &[]), Some(meminfo("MemTotal")));
    let state = |state| last(&telemetry, "system.memory.usage", &[("system.memory.state", state)]).unwrap();
    assert_eq!(state("used") + state("available"), meminfo("MemTotal"));
    assert!((state("available") - meminfo("MemAvailable")).abs() < 0.2 * meminfo("MemTotal"));

    for (disk, from) in &sectors_before {
        let attributes = [("system.device.name", disk.as_str()), ("disk.io.direction", "read")];
        let told = last(&telemetry, "system.disk.io", &attributes);
        if std::path::Path::new("/sys/block").join(disk).exists() {
            let (told, to) = (told.unwrap() / 512.0, sectors_after[disk]);
            assert!((*from..=to).contains(&told), "{disk}: {from} ≤ {told} ≤ {to}");
        } else {
            assert_eq!(told, None, "{disk} is a partition");
        }
    }
    let btime = fs::read_to_string("/proc/stat").unwrap();
    let btime: u64 = btime.lines().find_map(|line| line.strip_prefix("btime ")).unwrap().parse().unwrap();
    let started = telemetry.points_of("system.cpu.time").next().unwrap().start_nanos;
    assert_eq!(started, btime * 1_000_000_000);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let origin = &telemetry.points_of("system.cpu.time").next().unwrap().origin;
    assert!(format!("{origin:?}").contains(host.trim()), "{origin:?}");
}

/// Scenario: the grant of /proc names `stat` and nothing else, and every group is collected.
/// Guarantees: CPU time arrives; what the grant leaves out is named in the log, counted as denied, and does not arrive.
#[test]
fn a_narrow_grant_is_as_narrow_as_it_says() {
    let sink = Sink::start().unwrap();
    let grants = "[ { host: /proc, guest: /proc, paths: [ stat ] }, { host: /sys, guest: /sys } ]";
    let folder = configure(&sink, "groups: [ cpu, memory, load, processes ]", grants);
    let mut kiln = Kiln::start(folder.path());
    let arrived = sink.wait_for(PATIENCE, |telemetry| telemetry.points_of("system.cpu.time").next().is_some()).is_ok();
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    kiln.wait_until(|| log().contains("/proc/meminfo") && log().contains("/proc/loadavg"));
    kiln.stop();
    assert!(arrived, "{}", log());
    assert!(log().contains("may not be read"), "{}", log());
    let telemetry = sink.telemetry();
    for absent in ["system.memory.usage", "system.cpu.load_average.1m", "system.uptime"] {
        assert!(telemetry.points_of(absent).next().is_none(), "{absent}");
    }
    let sleeping = last(&telemetry, "system.process.count", &[("process.state", "sleeping")]);
    assert_eq!(sleeping, Some(0.0), "no process is seen");
}
