//! `/proc/stat`, `/proc/cpuinfo`, `/proc/loadavg` and `/proc/uptime`.

use std::collections::BTreeSet;

use kiln_plugin::UnixNanos;

use crate::source::Source;
use crate::telemetry::{Metrics, SystemCpuFrequency, SystemCpuTime};
use crate::{fields, seconds, whole};

/// Modes and the columns of `/proc/stat` that hold them. The time of guests is in that of their users.
const MODES: [(&str, &[usize]); 7] = [
    ("user", &[0]),
    ("nice", &[1]),
    ("system", &[2]),
    ("idle", &[3]),
    ("iowait", &[4]),
    ("interrupt", &[5, 6]),
    ("steal", &[7]),
];

/// What `/proc/stat` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    all: Vec<u64>,
    /// By number.
    cpus: Vec<(i64, Vec<u64>)>,
    booted_at: Option<u64>,
    created: Option<u64>,
}

impl Stat {
    pub(crate) fn parse(page: &str) -> Self {
        let mut stat = Self {
            booted_at: fields::value(page, "btime"),
            created: fields::value(page, "processes"),
            ..Self::default()
        };
        for line in page.lines() {
            let mut fields = line.split_ascii_whitespace();
            let Some(number) = fields.next().and_then(|name| name.strip_prefix("cpu")) else { continue };
            let ticks = fields.map_while(|field| field.parse().ok()).collect();
            match number.parse() {
                Ok(number) => stat.cpus.push((number, ticks)),
                Err(_) if number.is_empty() => stat.all = ticks,
                Err(_) => {}
            }
        }
        stat
    }

    /// When the machine was started.
    pub(crate) fn boot(&self) -> Option<UnixNanos> {
        let seconds = self.booted_at.filter(|seconds| *seconds > 0)?;
        Some(UnixNanos::from_millis(seconds.saturating_mul(1000)))
    }

    pub(crate) fn emit(&self, metrics: &mut Metrics, boot: UnixNanos, per_cpu: bool) {
        if per_cpu {
            self.cpus.iter().for_each(|(number, ticks)| emit_time(metrics, boot, Some(*number), ticks));
        } else {
            emit_time(metrics, boot, None, &self.all);
        }
        if !self.cpus.is_empty() {
            metrics.system_cpu_logical_count(whole(self.cpus.len() as u64));
        }
    }

    pub(crate) fn emit_created(&self, metrics: &mut Metrics, boot: UnixNanos) {
        if let Some(created) = self.created {
            metrics.system_process_created(boot, whole(created));
        }
    }
}

fn emit_time(metrics: &mut Metrics, boot: UnixNanos, cpu_logical_number: Option<i64>, ticks: &[u64]) {
    for (cpu_mode, columns) in MODES {
        // Old kernels have fewer columns.
        let counts: Vec<_> = columns.iter().filter_map(|column| ticks.get(*column)).collect();
        if !counts.is_empty() {
            let ticks = counts.into_iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
            metrics.system_cpu_time(boot, &SystemCpuTime { cpu_logical_number, cpu_mode }, seconds(ticks));
        }
    }
}

/// Cores and frequencies, which not every architecture tells.
pub(crate) fn emit_information(source: &mut Source<'_>, metrics: &mut Metrics) {
    let Some(page) = source.text_if_there("/proc/cpuinfo") else { return };
    let mut cores = BTreeSet::new();
    for cpu in page.split("\n\n") {
        let find = |key: &str| {
            let value = |line: &'_ str| {
                let (name, value) = line.split_once(':')?;
                (name.trim_end() == key).then(|| value.trim().to_owned())
            };
            cpu.lines().find_map(value)
        };
        if let (Some(package), Some(core)) = (find("physical id"), find("core id")) {
            cores.insert((package, core));
        }
        let number = find("processor").and_then(|number| number.parse().ok());
        let megahertz: Option<f64> = find("cpu MHz").and_then(|megahertz| megahertz.parse().ok());
        if let (Some(cpu_logical_number), Some(megahertz)) = (number, megahertz.filter(|value| value.is_finite())) {
            let attributes = SystemCpuFrequency { cpu_logical_number: Some(cpu_logical_number) };
            metrics.system_cpu_frequency(&attributes, megahertz * 1e6);
        }
    }
    if !cores.is_empty() {
        metrics.system_cpu_physical_count(whole(cores.len() as u64));
    }
}

/// Load and uptime.
pub(crate) fn emit_load(source: &mut Source<'_>, metrics: &mut Metrics) {
    let decimal =
        |field: Option<&&str>| field.and_then(|field| field.parse().ok()).filter(|value: &f64| value.is_finite());
    if let Some(page) = source.text("/proc/loadavg") {
        let fields = fields::of(&page);
        if let Some(load) = decimal(fields.first()) {
            metrics.system_cpu_load_average_1m(load);
        }
        if let Some(load) = decimal(fields.get(1)) {
            metrics.system_cpu_load_average_5m(load);
        }
        if let Some(load) = decimal(fields.get(2)) {
            metrics.system_cpu_load_average_15m(load);
        }
    }
    if let Some(page) = source.text_if_there("/proc/uptime")
        && let Some(uptime) = decimal(fields::of(&page).first())
    {
        metrics.system_uptime(uptime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_cost_themselves() {
        let stat = Stat::parse("cpu  1 2 3\ncpu0 1 2 x 4\ncpux 1\ncpufreq 1\n\nintr 5 5 5\nbtime soon\nprocesses 9\n");
        assert_eq!(stat.all, [1, 2, 3]);
        assert_eq!(stat.cpus, [(0, vec![1, 2])]);
        assert_eq!((stat.booted_at, stat.created), (None, Some(9)));
    }
}
