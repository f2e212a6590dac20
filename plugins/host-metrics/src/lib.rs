//! Reads the metrics of a Linux machine from `/proc`: CPU, load, memory, paging, disks, network, processes.
//!
//! Names and units are those of the OpenTelemetry semantic conventions for systems and processes. What a kernel does not
//! tell is left out; what it should tell and does not is reported, and the rest is delivered.

mod config;
mod cpu;
mod disk;
mod fields;
mod memory;
mod network;
mod paging;
mod process;
mod source;

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver, UnixNanos};

pub use crate::config::{Config, Group};
use crate::cpu::Stat;
use crate::source::Source;
use crate::telemetry::{Metrics, Resource};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(HostMetrics);

/// The receiver.
#[derive(Debug)]
pub struct HostMetrics {
    config: Config,
    first_collection: Option<UnixNanos>,
}

impl Receiver for HostMetrics {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { config, first_collection: None })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let config = &self.config;
        let mut source = Source::new(host.files());
        let Some(stat) = source.text("/proc/stat").map(|text| Stat::parse(&text)) else {
            return Err(CollectError::Unavailable(source.describe_failures()));
        };
        // Every counter of the machine began when it was started. A kernel that does not say when has to be taken as it is.
        let boot = stat.boot().unwrap_or(*self.first_collection.get_or_insert(host.now()));
        let name = source.text_if_there("/proc/sys/kernel/hostname");
        let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let machine = Resource { host_name: name, os_type: "linux", process_pid: None, process_executable_name: None };
        let mut metrics = Metrics::new(&machine);
        if config.has(Group::Cpu) {
            stat.emit(&mut metrics, boot, config.per_cpu);
            cpu::emit_information(&mut source, &mut metrics);
        }
        if config.has(Group::Load) {
            cpu::emit_load(&mut source, &mut metrics);
        }
        if config.has(Group::Memory) {
            memory::emit(&mut source, &mut metrics);
        }
        if config.has(Group::Paging) {
            paging::emit(&mut source, &mut metrics, boot);
        }
        if config.has(Group::Disk) {
            disk::emit(&mut source, &mut metrics, boot, &config.disks.exclude);
        }
        if config.has(Group::Network) {
            network::emit(&mut source, &mut metrics, boot, &config.interfaces.exclude);
        }
        let mut emitted = Vec::new();
        if config.has(Group::Processes) || config.has(Group::Process) {
            let processes = process::read(&mut source);
            if config.has(Group::Processes) {
                process::emit_counts(&mut metrics, &processes);
                stat.emit_created(&mut metrics, boot);
            }
            if config.has(Group::Process) {
                let at = process::Moment { boot, now: host.now() };
                emitted = process::emit_each(&mut source, processes, &config.process, &machine, at);
            }
        }
        emitted.insert(0, metrics);
        host.emit_metrics(emitted)?;
        Ok(Outcome::with_failures(source.into_failures()))
    }
}

/// A count as telemetry carries it.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Hundredths of a second, in which every Linux counts CPU time for its users, in seconds.
#[allow(clippy::cast_precision_loss, reason = "exact for the next three million years of CPU time")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / 100.0
}

/// A moment given as seconds since the machine was started.
fn after_boot(boot: UnixNanos, ticks: u64) -> UnixNanos {
    boot.after(core::time::Duration::from_millis(ticks.saturating_mul(10)))
}
