//! A processor in a pipeline: the batch stays here, the plugin sees views.
//!
//! A batch too large for one view is shown in several, one call after the other. What the plugin wants is collected, and
//! applied when all of it is known: a batch is changed as a whole or refused as a whole.

use std::time::Instant;

use kiln_otlp::{Amount, Batch, EditError, Edits, IN_PLACE, Malformed, Sight};
use kiln_runtime::{CallError, Instance};
use kiln_telemetry::metrics::{InstanceMetrics, ProcessorMetrics};
use kiln_telemetry::{Component, Status};

/// A processor instance and what it may see.
#[derive(Clone, Debug)]
pub struct Processor {
    id: String,
    instance: Instance,
    sight: Sight,
    edits: Amount,
    metrics: ProcessorMetrics,
    instance_metrics: InstanceMetrics,
    health: Option<Component>,
}

/// What a processor is made of.
#[derive(Debug)]
pub struct ProcessorSpec {
    /// As the configuration calls it.
    pub id: String,
    /// The plugin.
    pub instance: Instance,
    /// What it may see.
    pub sight: Sight,
    /// What it may change of one batch, in edits and in bytes of their texts.
    pub edits: Amount,
    /// Where its metrics go.
    pub metrics: ProcessorMetrics,
    /// Where those of its instance go.
    pub instance_metrics: InstanceMetrics,
    /// Where it reports how its plugin is, if anybody wants to know.
    pub health: Option<Component>,
}

impl From<ProcessorSpec> for Processor {
    fn from(spec: ProcessorSpec) -> Self {
        let ProcessorSpec { id, instance, sight, edits, metrics, instance_metrics, health } = spec;
        Self { id, instance, sight, edits, metrics, instance_metrics, health }
    }
}

impl Processor {
    /// The batch as the processor wants it; `None` if nothing of it is left.
    ///
    /// # Errors
    /// It must not pass.
    pub async fn process(&self, batch: Batch) -> Result<Option<Batch>, ProcessorError> {
        let started = Instant::now();
        let incoming = batch.items;
        let processed = self.edited(batch).await;
        self.report(processed.as_ref().err());
        let batch = processed.map_err(|cause| ProcessorError { processor: self.id.clone(), cause })?;
        self.metrics.processed(incoming, batch.items, started.elapsed());
        Ok((!batch.payload.is_empty()).then_some(batch))
    }

    async fn edited(&self, batch: Batch) -> Result<Batch, Cause> {
        let mut edits = Edits::new(self.edits);
        for part in self.sight.views(&batch) {
            let (view, extent) = part?;
            let wanted = self.instance.process(view).await?;
            edits.add(&extent, wanted)?;
        }
        if edits.is_empty() {
            return Ok(batch);
        }
        if batch.payload.len() <= IN_PLACE {
            return Ok(edits.apply(batch)?);
        }
        // The work grows with the batch, and others are waiting for this thread.
        let applied = tokio::task::spawn_blocking(move || edits.apply(batch)).await;
        Ok(applied.map_err(|_| CallError::Stopped)??)
    }

    fn report(&self, error: Option<&Cause>) {
        if let Some(limit) = error.and_then(Cause::limit) {
            self.instance_metrics.limit_hit(limit);
        }
        if let Some(Cause::Edit(_)) = error {
            self.instance_metrics.failed("edit");
        }
        if let Some(health) = &self.health {
            health.set(match error {
                None => Status::Ok,
                Some(error) if error.is_permanent() => Status::PermanentError(error.to_string()),
                Some(error) => Status::RecoverableError(error.to_string()),
            });
        }
    }
}

/// A batch that could not pass a processor.
#[derive(Debug, thiserror::Error)]
#[error("processor {processor} {cause}")]
pub struct ProcessorError {
    processor: String,
    cause: Cause,
}

impl ProcessorError {
    /// The class of the error; see [`CallError::error_type`].
    #[must_use]
    pub const fn error_type(&self) -> &'static str {
        match &self.cause {
            Cause::Call(error) => error.error_type(),
            Cause::Edit(_) => "edit",
            Cause::Malformed(_) => "malformed",
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("asks for what cannot be done: {0}")]
    Edit(#[from] EditError),
    #[error("cannot be shown the batch: {0}")]
    Malformed(#[from] Malformed),
}

impl Cause {
    const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Edit(error) => error.limit(),
            Self::Call(_) | Self::Malformed(_) => None,
        }
    }

    const fn is_permanent(&self) -> bool {
        match self {
            Self::Call(error) => error.is_permanent(),
            Self::Edit(_) | Self::Malformed(_) => false,
        }
    }
}
