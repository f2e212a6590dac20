//! `/proc/*/stat`, `status` and `io`: how many processes there are, and what the largest of them use.

use std::collections::BTreeMap;

use kiln_plugin::UnixNanos;

use crate::config::Processes;
use crate::source::Source;
use crate::telemetry::{
    Metrics, ProcessContextSwitches, ProcessCpuTime, ProcessDiskIo, ProcessPagingFaults, Resource, SystemProcessCount,
};
use crate::{after_boot, fields, seconds, whole};

/// A process, as its line in `stat` describes it. Places are counted behind the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    id: u64,
    name: String,
    state: &'static str,
    minor_faults: u64,
    major_faults: u64,
    user_ticks: u64,
    system_ticks: u64,
    /// Ticks after the machine was started.
    started: u64,
    /// Pages of memory, which is enough to compare.
    pages: u64,
}

/// What the times of processes are reckoned from.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) boot: UnixNanos,
    pub(crate) now: UnixNanos,
}

impl Process {
    /// Reads a line such as `42 (a (b) c) S 1 …`: the name may hold anything, and its end is the last `)`.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(')')?;
        let (id, name) = before.split_once('(')?;
        let fields = fields::of(after);
        let number = |place| fields::number(&fields, place);
        Some(Self {
            id: id.trim().parse().ok()?,
            name: name.to_owned(),
            state: match fields.first()?.chars().next()? {
                'R' => "running",
                'T' | 't' => "stopped",
                'Z' | 'X' | 'x' => "defunct",
                _ => "sleeping",
            },
            minor_faults: number(7)?,
            major_faults: number(9)?,
            user_ticks: number(11)?,
            system_ticks: number(12)?,
            started: number(19)?,
            pages: number(21)?,
        })
    }
}

/// All processes; those that end meanwhile are not among them.
pub(crate) fn read(source: &mut Source<'_>) -> Vec<Process> {
    let names = source.list("/proc").unwrap_or_default();
    let is_id = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let stats = names.iter().filter(|name| is_id(name));
    let stats = stats.filter_map(|id| source.text_of_process(&["/proc/", id, "/stat"].concat()));
    stats.filter_map(|stat| Process::parse(&stat)).collect()
}

pub(crate) fn emit_counts(metrics: &mut Metrics, processes: &[Process]) {
    let mut counts: BTreeMap<_, u64> =
        ["running", "sleeping", "stopped", "defunct"].into_iter().map(|state| (state, 0)).collect();
    for process in processes {
        let count = counts.entry(process.state).or_default();
        *count = count.saturating_add(1);
    }
    for (process_state, count) in counts {
        metrics.system_process_count(&SystemProcessCount { process_state }, whole(count));
    }
}

/// The metrics of the processes the operator wants, each with a resource of its own.
pub(crate) fn emit_each(
    source: &mut Source<'_>,
    mut processes: Vec<Process>,
    config: &Processes,
    machine: &Resource<'_>,
    at: Moment,
) -> Vec<Metrics> {
    processes.retain(|process| config.names.contain(&process.name));
    processes.sort_unstable_by_key(|process| (core::cmp::Reverse(process.pages), process.id));
    processes.truncate(config.limit);
    processes.iter().map(|process| emit_one(source, process, machine, at)).collect()
}

fn emit_one(source: &mut Source<'_>, process: &Process, machine: &Resource<'_>, at: Moment) -> Metrics {
    let resource =
        Resource { process_pid: Some(whole(process.id)), process_executable_name: Some(&process.name), ..*machine };
    let mut metrics = Metrics::new(&resource);
    let start = after_boot(at.boot, process.started);
    for (cpu_mode, ticks) in [("user", process.user_ticks), ("system", process.system_ticks)] {
        metrics.process_cpu_time(start, &ProcessCpuTime { cpu_mode }, seconds(ticks));
    }
    let faults = [("minor", process.minor_faults), ("major", process.major_faults)];
    for (system_paging_fault_type, faults) in faults {
        metrics.process_paging_faults(start, &ProcessPagingFaults { system_paging_fault_type }, whole(faults));
    }
    let age = at.now.as_nanos().saturating_sub(start.as_nanos());
    metrics.process_uptime(core::time::Duration::from_nanos(age).as_secs_f64());
    let page = |name: &str| ["/proc/", &process.id.to_string(), "/", name].concat();
    if let Some(status) = source.text_of_process(&page("status")) {
        emit_status(&mut metrics, start, &status);
    }
    // Of other users' processes the kernel tells it only to root.
    if let Some(io) = source.text_of_process(&page("io")) {
        for (disk_io_direction, key) in [("read", "read_bytes"), ("write", "write_bytes")] {
            if let Some(bytes) = fields::value(&io, key) {
                metrics.process_disk_io(start, &ProcessDiskIo { disk_io_direction }, whole(bytes));
            }
        }
    }
    metrics
}

fn emit_status(metrics: &mut Metrics, start: UnixNanos, status: &str) {
    // The kernel's own threads have no memory.
    if let Some(bytes) = fields::bytes(status, "VmRSS") {
        metrics.process_memory_usage(whole(bytes));
    }
    if let Some(bytes) = fields::bytes(status, "VmSize") {
        metrics.process_memory_virtual(whole(bytes));
    }
    if let Some(threads) = fields::value(status, "Threads") {
        metrics.process_thread_count(whole(threads));
    }
    let switches = [("voluntary", "voluntary_ctxt_switches"), ("involuntary", "nonvoluntary_ctxt_switches")];
    for (process_context_switch_type, key) in switches {
        if let Some(count) = fields::value(status, key) {
            let attributes = ProcessContextSwitches { process_context_switch_type };
            metrics.process_context_switches(start, &attributes, whole(count));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const REST: &str = "1 2 3 4 -1 5 100 0 7 0 11 12 0 0 20 0 1 0 900 4096 33 18446744073709551615";

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["sh", "a) R (b", "(sd-pam)", "tmux: server", "", ")"] {
            let process = Process::parse(&format!("42 ({name}) S {REST}")).unwrap();
            assert_eq!((process.id, process.name.as_str(), process.state), (42, name, "sleeping"));
            assert_eq!((process.minor_faults, process.major_faults, process.user_ticks), (100, 7, 11));
            assert_eq!((process.system_ticks, process.started, process.pages), (12, 900, 33));
        }
    }

    #[test]
    fn half_a_line_is_no_process() {
        let line = format!("42 (sh) S {REST}");
        for end in (0..line.len() - 24).step_by(3) {
            assert_eq!(Process::parse(&line[..end]).map(|process| process.pages), None, "{end}");
        }
    }
}
