//! The process as the operating system sees it, read when somebody asks.
//!
//! From `/proc/self`, so that no dependency is needed for three numbers; elsewhere than on Linux CPU and memory are
//! absent rather than wrong.

use std::fmt;
use std::io::Read;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::declare::{Declarations, Descriptor, Kind, split, unit_name};

const UPTIME: (&str, &str) = ("otelcol_process_uptime_seconds_total", "Time since the process started");
const CPU: (&str, &str) = ("otelcol_process_cpu_seconds_total", "CPU time of the process, user and system");
const MEMORY: (&str, &str) = ("otelcol_process_memory_rss_bytes", "Memory of the process that is in RAM");

/// The kernel reports CPU time in this many ticks a second: `USER_HZ`, part of the ABI of every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

pub(super) fn declare(declare: &mut Declarations) {
    declare.registry.register_collector(Box::new(Process { started: Instant::now() }));
    for ((name, help), kind) in [(UPTIME, Kind::Counter), (CPU, Kind::Counter), (MEMORY, Kind::Gauge)] {
        let unit = split(name).1.as_ref().map(unit_name);
        declare.catalogue.push(Descriptor { name: name.to_owned(), kind, unit, help, labels: Vec::new() });
    }
}

#[derive(Debug)]
struct Process {
    started: Instant,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let uptime = ConstCounter::new(self.started.elapsed().as_secs_f64());
        encode(&mut encoder, UPTIME, &uptime)?;
        if let Some(cpu) = proc("stat").as_deref().and_then(cpu_time) {
            encode(&mut encoder, CPU, &ConstCounter::new(cpu.as_secs_f64()))?;
        }
        if let Some(memory) = proc("status").as_deref().and_then(resident_bytes) {
            encode(&mut encoder, MEMORY, &ConstGauge::new(memory))?;
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut DescriptorEncoder,
    (name, help): (&'static str, &str),
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let (stem, unit) = split(name);
    // The registry ends help texts with a period; a collector has to do so itself.
    let help = format!("{help}.");
    metric.encode(encoder.encode_descriptor(stem, &help, unit.as_ref(), metric.metric_type())?)
}

fn proc(file: &str) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(format!("/proc/self/{file}")).ok()?.take(64 * 1024).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Fields 14 and 15 of `/proc/self/stat`, proc(5). The second field is the program's name in parentheses and may hold
/// anything, so counting starts after the last one.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = user.checked_add(system)?;
    Some(Duration::from_millis(ticks.checked_mul(1000 / TICKS_PER_SECOND)?))
}

/// `VmRSS` of `/proc/self/status`, which is in kibibytes whatever it says, proc(5).
fn resident_bytes(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_plus_system_whatever_the_program_is_called() {
        let stat = "42 (a) b ) R 1 42 42 0 -1 4194304 500 0 0 0 250 50 7 7 20 0 1 0 100 1000 10";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_time("42 (kiln) R 1 42"), None);
        assert_eq!(cpu_time(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(resident_bytes("Name:\tkiln\nVmRSS:\t   2048 kB\nThreads: 1\n"), Some(2 * 1024 * 1024));
        assert_eq!(resident_bytes("Name:\tkiln\n"), None);
        assert_eq!(resident_bytes("VmRSS:\t 18446744073709551615 kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_running_process_can_be_read() {
        assert!(proc("stat").as_deref().and_then(cpu_time).is_some());
        assert!(proc("status").as_deref().and_then(resident_bytes).is_some_and(|bytes| bytes > 1024 * 1024));
    }
}
