//! A processor in a pipeline: the batch stays here, the plugin sees a view.

use std::time::Instant;

use kiln_otlp::{Batch, EditError, Malformed, edit_resources, resources};
use kiln_runtime::{CallError, Instance, ProcessorView};
use kiln_telemetry::metrics::ProcessorMetrics;
use kiln_telemetry::{Component, Status};

/// A processor instance and what it may see.
#[derive(Clone, Debug)]
pub struct Processor {
    id: String,
    instance: Instance,
    reads: Vec<String>,
    metrics: ProcessorMetrics,
    health: Option<Component>,
}

impl Processor {
    /// A processor that sees the resource attributes named in `reads`; `*` stands for all.
    #[must_use]
    pub const fn new(id: String, instance: Instance, reads: Vec<String>, metrics: ProcessorMetrics) -> Self {
        Self { id, instance, reads, metrics, health: None }
    }

    /// Reports through `health` how its plugin is.
    #[must_use]
    pub fn with_health(self, health: Component) -> Self {
        Self { health: Some(health), ..self }
    }

    /// The batch as the processor wants it.
    pub(crate) async fn process(&self, batch: Batch) -> Result<Batch, ProcessorError> {
        let started = Instant::now();
        let failed = |cause| ProcessorError { processor: self.id.clone(), cause };
        let mut visible = resources(&batch).map_err(|error| failed(error.into()))?;
        if !self.reads.iter().any(|key| key == "*") {
            for attributes in &mut visible {
                attributes.retain(|attribute| self.reads.contains(&attribute.key));
            }
        }
        let view = ProcessorView { signal: batch.signal, resources: visible };
        let edits = self.instance.process(view).await;
        self.report(edits.as_ref().err());
        let edits = edits.map_err(|error| failed(error.into()))?;
        let edited = if edits.is_empty() {
            batch
        } else {
            edit_resources(&batch, &edits).map_err(|error| failed(error.into()))?
        };
        self.metrics.processed(edited.items, edited.items, started.elapsed());
        Ok(edited)
    }
}

impl Processor {
    fn report(&self, error: Option<&CallError>) {
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
pub(crate) struct ProcessorError {
    processor: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}; this is a fault in the plugin")]
    Edit(#[from] EditError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
