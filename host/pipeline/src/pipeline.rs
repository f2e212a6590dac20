//! The way of one signal: processors in order, then every exporter.

use kiln_export::ExporterHandle;
use kiln_otlp::{Batch, Signal};

use crate::processor::{Processor, ProcessorError};

/// Processors and exporters of one signal.
#[derive(Debug)]
pub struct Pipeline {
    signal: Signal,
    processors: Vec<Processor>,
    exporters: Vec<ExporterHandle>,
}

impl Pipeline {
    /// Joins processors, in order, and exporters.
    #[must_use]
    pub const fn new(signal: Signal, processors: Vec<Processor>, exporters: Vec<ExporterHandle>) -> Self {
        Self { signal, processors, exporters }
    }

    pub(crate) const fn signal(&self) -> Signal {
        self.signal
    }

    /// What the processors leave of a batch, if anything.
    pub(crate) async fn process(&self, batch: Batch) -> Result<Option<Batch>, ProcessorError> {
        let mut batch = batch;
        for processor in &self.processors {
            let Some(processed) = processor.process(batch).await? else { return Ok(None) };
            batch = processed;
        }
        Ok(Some(batch))
    }

    pub(crate) fn exporters(&self) -> &[ExporterHandle] {
        &self.exporters
    }
}
