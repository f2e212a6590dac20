//! A reload: what is configured is read again, made ready, and takes the place of what runs; or all stays as it was.

use std::time::Instant;

use kiln_telemetry::metrics::ReloadOutcome;

use crate::change::Change;
use crate::desired::{Desired, Place};
use crate::difference::Difference;
use crate::exit::Failure;
use crate::running::Kiln;
use crate::watch::Watch;

/// How a reload ended, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: ReloadOutcome,
    pub(crate) text: String,
}

/// Reads everything again and has it run if it can; says and counts what came of it. May be given up at any time: the one
/// step that changes what runs is not divided.
pub(crate) async fn reload(kiln: &mut Kiln, place: &Place, watch: &mut Watch, asked_by: &str) -> Ended {
    let began = Instant::now();
    tracing::info!(by = asked_by, "reloading");
    let (outcome, text) = match attempt(kiln, place, watch).await {
        Ok(Some(changed)) => (ReloadOutcome::Applied, changed),
        Ok(None) => (ReloadOutcome::Unchanged, "nothing has changed".to_owned()),
        Err(reason) => (ReloadOutcome::Refused, format!("{reason}\nwhat ran before goes on")),
    };
    kiln.metrics.reloads().reloaded(outcome);
    match outcome {
        ReloadOutcome::Applied => tracing::info!(took = ?began.elapsed(), "reloaded: {text}"),
        ReloadOutcome::Unchanged => tracing::info!("reloaded: {text}"),
        ReloadOutcome::Refused => tracing::error!("reload refused: {text}"),
    }
    Ended { outcome, text }
}

/// What was changed; nothing if there was nothing to change.
async fn attempt(kiln: &mut Kiln, place: &Place, watch: &mut Watch) -> Result<Option<String>, String> {
    // Whatever comes of it, there is nothing else to say before something changes.
    watch.seen(watch.look().await);
    let reading = place.clone();
    let read = tokio::task::spawn_blocking(move || reading.read()).await.map_err(|error| error.to_string())?;
    let desired = read.map_err(Failure::into_text)?;
    let changed = apply(kiln, &desired).await.map_err(Failure::into_text)?;
    watch.follow(&desired);
    Ok(changed)
}

/// Has what is desired run.
///
/// # Errors
/// It cannot, and nothing has changed.
pub(crate) async fn apply(kiln: &mut Kiln, desired: &Desired) -> Result<Option<String>, Failure> {
    let difference = Difference::between(&kiln.blueprint, &desired.blueprint).map_err(Failure::usage)?;
    if difference.is_empty() {
        return Ok(None);
    }
    desired.preparation.protect_secrets(&desired.config, &kiln.redaction);
    let change = Change::prepare(kiln, desired, &difference).await;
    let change = change.map_err(|reasons| Failure::Usage(reasons.join("\n")))?;
    if change.is_empty() && difference.only_adds() && !kiln.is_starting() {
        return Ok(None);
    }
    kiln.adopt(desired, &difference, change);
    Ok(Some(difference.to_string()))
}
