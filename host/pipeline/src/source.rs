//! A receiver in its pipelines: collect, process, queue, commit, over and over.

use std::sync::Arc;
use std::time::Instant;

use kiln_export::Closed;
use kiln_otlp::Batch;
use kiln_runtime::{CallError, Collection, Instance};
use kiln_telemetry::metrics::{CollectionOutcome, ReceiverMetrics};
use kiln_telemetry::{Component, Status};
use tokio::sync::watch;

use crate::pipeline::Pipeline;
use crate::processor::ProcessorError;
use crate::schedule::Schedule;

/// A receiver instance, its schedule and the pipelines it feeds.
#[derive(Debug)]
pub struct Source {
    /// The instance's id.
    pub id: String,
    /// The plugin.
    pub instance: Instance,
    /// When it collects.
    pub schedule: Schedule,
    /// Where its batches go, each to those of its signal.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// Where it is counted.
    pub metrics: ReceiverMetrics,
    /// Where its health shows.
    pub health: Component,
}

impl Source {
    /// Collects until `stop` turns true. A collection that has begun is finished first.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut trouble: Option<String> = None;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = self.schedule.due() => {}
            }
            while let Some(true) = self.cycle(&mut trouble).await {
                if *stop.borrow() {
                    break;
                }
            }
        }
        self.health.set(Status::Stopped);
    }

    /// One unit. Returns whether the receiver has more to give at once.
    async fn cycle(&self, trouble: &mut Option<String>) -> Option<bool> {
        let started = Instant::now();
        let result = self.unit().await;
        let outcome = match &result {
            Ok(unit) if unit.partial_failures == 0 => CollectionOutcome::Ok,
            Ok(_) => CollectionOutcome::Partial,
            Err(_) => CollectionOutcome::Error,
        };
        self.metrics.collected(outcome, started.elapsed());
        match result {
            Ok(unit) => {
                self.metrics.partial_failures(unit.partial_failures);
                if let Some(trouble) = trouble.take() {
                    tracing::info!(receiver = self.id, after = trouble, "collecting again");
                }
                self.health.set(Status::Ok);
                Some(unit.more)
            }
            Err(error) => {
                let text = error.to_string();
                // The same trouble at every interval is one message, not a flood.
                if matches!(error, UnitError::Collect(CallError::Pausing(_))) || trouble.as_ref() == Some(&text) {
                    tracing::debug!(receiver = self.id, "{text}");
                } else {
                    tracing::warn!(receiver = self.id, "{text}");
                    *trouble = Some(text.clone());
                }
                self.health.set(match error {
                    UnitError::Collect(CallError::Config { .. }) => Status::PermanentError(text),
                    _ => Status::RecoverableError(text),
                });
                None
            }
        }
    }

    async fn unit(&self) -> Result<Unit, UnitError> {
        let Collection { batches, failures, more, checkpoint } = self.instance.collect().await?;
        for failure in &failures {
            tracing::warn!(receiver = self.id, source = failure.source, error = failure.message, "could not be read");
        }
        let result = self.deliver(&batches).await;
        for batch in &batches {
            match result {
                Ok(()) => self.metrics.accepted(batch.signal, batch.items),
                Err(_) => self.metrics.refused(batch.signal, batch.items),
            }
        }
        result?;
        let committed = tokio::task::spawn_blocking(|| checkpoint.commit()).await;
        if let Ok(Err(error)) = committed {
            tracing::error!(receiver = self.id, %error, "the checkpoint holds only until Kiln stops");
        }
        Ok(Unit { partial_failures: failures.len(), more })
    }

    /// Processes everything before queueing anything, so that a failing processor leaves no half of a unit behind.
    async fn deliver(&self, batches: &[Batch]) -> Result<(), UnitError> {
        let mut ready = Vec::new();
        for batch in batches {
            for pipeline in self.pipelines.iter().filter(|pipeline| pipeline.signal() == batch.signal) {
                ready.push((pipeline, pipeline.process(batch.clone()).await?));
            }
        }
        for (pipeline, batch) in ready {
            pipeline.enqueue(&batch).await?;
        }
        Ok(())
    }
}

struct Unit {
    partial_failures: usize,
    more: bool,
}

#[derive(Debug, thiserror::Error)]
enum UnitError {
    #[error(transparent)]
    Collect(#[from] CallError),
    #[error("what was collected is not delivered and will be collected again: {0}")]
    Process(#[from] ProcessorError),
    #[error("what was collected is not delivered: {0}")]
    Export(#[from] Closed),
}
