//! The life of a running Kiln: start, reload when asked to, wait for a signal, drain within a deadline.

use std::time::Instant;

use kiln_runtime::Precompiled;
use kiln_telemetry::metrics::ReloadOutcome;
use kiln_telemetry::{Health, Metrics, Redaction, ReloadDoor, ReloadRequests, Server};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::desired::{Desired, Place};
use crate::exit::Failure;
use crate::reload::{Ended, apply, reload};
use crate::running::Kiln;
use crate::signals::{Signals, Told};
use crate::watch::Watch;

pub(crate) async fn run(
    started: Instant,
    mut signals: Signals,
    place: Place,
    desired: Desired,
    redaction: &Redaction,
    precompiled: Option<Precompiled>,
) -> Result<(), Failure> {
    let config = &desired.config;
    desired.preparation.protect_secrets(config, redaction);
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let health = Health::default();
    let (door, mut requests) = ReloadDoor::new();
    let (close, closing) = watch::channel(false);
    let mut server = JoinSet::new();
    if let Some(endpoint) = config.telemetry.endpoint {
        let door = config.reloading.endpoint.then_some(door);
        let bound = Server::bind(endpoint, metrics.clone(), health.clone(), redaction.clone(), door).await;
        let bound = bound.map_err(Failure::usage)?;
        tracing::info!(address = %bound.address(), "health at /healthz and /readyz, metrics at /metrics, denials at /-/denials");
        server.spawn(bound.run(closing));
    }
    let mut kiln = Kiln::new(config, metrics.clone(), health.clone(), redaction.clone(), precompiled)?;
    tokio::select! {
        begun = apply(&mut kiln, &desired) => drop(begun?),
        () = signals.stop() => return Ok(()),
    }
    let (receivers, exporters) = kiln.counts();
    if receivers == 0 {
        return Err(Failure::usage("no receiver can run: mend what is reported above"));
    }
    health.running();
    metrics.reloads().started();
    tracing::info!(receivers, exporters, took = ?started.elapsed(), "running");

    let mut watch = Watch::new(place.clone(), &desired);
    // What was read, plugins and all, is not needed any more.
    drop(desired);
    reload_when_asked(&mut kiln, &place, &mut watch, &mut signals, &mut requests).await;
    tracing::info!("stopping: what is collected is still sent");
    health.stopping();
    tokio::select! {
        () = kiln.stop() => {}
        () = signals.stop() => tracing::warn!("second signal: stopping at once"),
    }
    let _ = close.send(true);
    while server.join_next().await.is_some() {}
    tracing::info!("stopped");
    Ok(())
}

/// Returns when it is time to stop.
async fn reload_when_asked(
    kiln: &mut Kiln,
    place: &Place,
    watch: &mut Watch,
    signals: &mut Signals,
    requests: &mut ReloadRequests,
) {
    loop {
        let (asked_by, answer) = tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Told::Stop => return,
                Told::Reload => ("SIGHUP", None),
            },
            answer = requests.next() => ("POST /-/reload", Some(answer)),
            () = watch.changed() => ("a change of the files", None),
        };
        let ended = tokio::select! {
            biased;
            () = signals.stop() => return,
            ended = reload(kiln, place, watch, asked_by) => ended,
        };
        if let Some(answer) = answer {
            let Ended { outcome, text } = ended;
            answer.give(if outcome == ReloadOutcome::Refused { Err(text) } else { Ok(text) });
        }
    }
}
