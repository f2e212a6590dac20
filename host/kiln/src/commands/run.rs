//! `kiln run`.

use std::time::Instant;

use kiln_config::{Config, LogEncoding};
use kiln_runtime::Directory;
use kiln_telemetry::{LogFormat, LogSettings, Redaction};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use super::validate::environment;
use crate::cli::Checked;
use crate::exit::Failure;
use crate::locked;
use crate::prepare::prepare;
use crate::service;

pub(super) fn run(arguments: &Checked) -> Result<(), Failure> {
    let started = Instant::now();
    keep_memory_private().map_err(|error| Failure::runtime(format!("cannot forbid core dumps: {error}")))?;
    let path = &arguments.file.config;
    let config = Config::read(path, &environment).map_err(Failure::usage)?;
    let format = match config.telemetry.logs.encoding {
        LogEncoding::Text => LogFormat::Text,
        LogEncoding::Json => LogFormat::Json,
    };
    let redaction = Redaction::default();
    LogSettings { format, filter: config.telemetry.logs.level.clone() }.init(&redaction).map_err(Failure::usage)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let directory = Directory::read(&config.plugins_dir).map_err(Failure::usage)?;
    let preparation = prepare(path, &config, &directory);
    for warning in &preparation.warnings {
        tracing::warn!("{warning}");
    }
    if !preparation.faults.is_empty() {
        let reasons: Vec<_> = preparation.faults.iter().map(|fault| fault.reason.as_str()).collect();
        return Err(Failure::Usage(reasons.join("\n")));
    }
    if arguments.locked {
        locked::check(path, &preparation).map_err(Failure::Usage)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    runtime.block_on(service::run(started, &config, &preparation, &redaction))
}

/// Memory holds credentials: it leaves neither as a core dump, nor to a debugger of the same user.
///
/// A limit of zero alone does not keep a crash from being piped to a program, see core(5).
fn keep_memory_private() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
