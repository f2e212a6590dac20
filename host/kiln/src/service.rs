//! The life of a running Kiln: start, wait for a signal, drain within a deadline.

use std::time::Instant;

use kiln_config::Config;
use kiln_telemetry::{Health, Metrics, Redaction, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::assemble::{Assembly, assemble};
use crate::exit::Failure;
use crate::prepare::Preparation;

/// Of the time a shutdown may take, the part in which collections may finish; the rest is for sending.
const COLLECTING: f64 = 0.4;

pub(crate) async fn run(
    started: Instant,
    config: &Config,
    preparation: &Preparation<'_>,
    redaction: &Redaction,
) -> Result<(), Failure> {
    preparation.protect_secrets(config, redaction);
    let mut signals = Signals::listen()?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let health = Health::default();
    let (stop, stopping) = watch::channel(false);
    let (close, closing) = watch::channel(false);
    let mut server = JoinSet::new();
    if let Some(endpoint) = config.telemetry.endpoint {
        let bound = Server::bind(endpoint, metrics.clone(), health.clone(), redaction.clone()).await;
        let bound = bound.map_err(Failure::usage)?;
        tracing::info!(address = %bound.address(), "health at /healthz and /readyz, metrics at /metrics, denials at /-/denials");
        server.spawn(bound.run(closing));
    }
    let assembly = tokio::select! {
        assembly = assemble(config, preparation, &metrics, &health, redaction) => assembly?,
        () = signals.next() => return Ok(()),
    };
    let Assembly { sources, exporters, egresses } = assembly;
    let mut collecting = JoinSet::new();
    for source in sources {
        collecting.spawn(source.run(stopping.clone()));
    }
    health.running();
    tracing::info!(receivers = collecting.len(), exporters = exporters.len(), took = ?started.elapsed(), "running");

    signals.next().await;
    tracing::info!(within = ?config.shutdown_timeout, "stopping: what is collected is still sent");
    health.stopping();
    let drain = async {
        let deadline = tokio::time::Instant::now() + config.shutdown_timeout;
        let _ = stop.send(true);
        let finished = tokio::time::timeout(config.shutdown_timeout.mul_f64(COLLECTING), async {
            while collecting.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!("{} receivers did not finish in time and are stopped", collecting.len());
            egresses.iter().for_each(|egress| egress.close());
            collecting.shutdown().await;
        }
        let mut draining = JoinSet::new();
        for exporter in exporters {
            draining.spawn(async move { exporter.drain(deadline).await });
        }
        while draining.join_next().await.is_some() {}
    };
    tokio::select! {
        () = drain => {}
        () = signals.next() => tracing::warn!("second signal: stopping at once"),
    }
    let _ = close.send(true);
    while server.join_next().await.is_some() {}
    tracing::info!("stopped");
    Ok(())
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::runtime(format!("cannot listen for signals: {error}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
