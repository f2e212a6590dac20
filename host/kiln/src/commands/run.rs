//! `kiln run`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_config::{Config, LogEncoding};
use kiln_runtime::Precompiled;
use kiln_telemetry::{LogFormat, LogSettings, Redaction};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use super::validate::environment;
use crate::cli::{Checked, Run};
use crate::desired::Place;
use crate::exit::Failure;
use crate::service;
use crate::signals::Signals;
use crate::watch::Fingerprint;

/// How long work that nobody waits for any more may go on once Kiln has stopped.
const LAST_WORK: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: &Run) -> Result<(), Failure> {
    let started = Instant::now();
    keep_memory_private()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    // Before anything is read: who has changed a file meanwhile may ask for it, and is heard as soon as Kiln runs.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen()?
    };
    let Checked { file, locked } = &arguments.checked;
    let bundle = arguments.bundle.as_deref().zip(arguments.bundle_digest.as_ref());
    let precompiled = bundle.map(|(directory, digest)| Precompiled::open(directory, digest)).transpose();
    let compiled = precompiled.as_ref().ok().and_then(Option::as_ref).map(Precompiled::plugins).unwrap_or_default();
    let place = Place { config: file.config.clone(), locked: *locked, compiled: Arc::new(compiled) };
    let fingerprint = Fingerprint::of_configuration(&place);
    let config = Config::read(&place.config, &environment).map_err(Failure::usage)?;
    let format = match config.telemetry.logs.encoding {
        LogEncoding::Text => LogFormat::Text,
        LogEncoding::Json => LogFormat::Json,
    };
    let redaction = Redaction::default();
    LogSettings { format, filter: config.telemetry.logs.level.clone() }.init(&redaction).map_err(Failure::usage)?;
    let precompiled = precompiled.map_err(Failure::usage)?;
    let desired = place.read_plugins(config, fingerprint)?;
    let ended = runtime.block_on(service::run(started, signals, place, desired, &redaction, precompiled));
    // What is under way on threads of its own is short, but for a plugin that is being fetched for a reload.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// Memory holds credentials: it leaves neither as a core dump, nor to a debugger of the same user.
///
/// A limit of zero alone does not keep a crash from being piped to a program, see core(5).
pub(super) fn keep_memory_private() -> Result<(), Failure> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| Failure::runtime(format!("cannot forbid core dumps: {error}")))
}
