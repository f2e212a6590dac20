//! A collection on its way into the queues of all its exporters.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use kiln_export::{ExporterHandle, NotTaken, Staged, Unit};
use kiln_otlp::Batch;

/// What each exporter gets, by its id: an exporter may be in several pipelines, and gets the collection as a whole.
#[derive(Debug, Default)]
pub(crate) struct Delivery<'p>(BTreeMap<&'p str, (&'p ExporterHandle, Vec<Batch>)>);

impl<'p> Delivery<'p> {
    pub(crate) fn add(&mut self, exporters: &'p [ExporterHandle], batch: &Batch) {
        for exporter in exporters {
            let (_, batches) = self.0.entry(exporter.id()).or_insert_with(|| (exporter, Vec::new()));
            batches.push(batch.clone());
        }
    }

    /// Hands everything over, waiting for room where there is none, which `waits` is told of.
    ///
    /// Queues on disk come first and one after the other, everywhere in the same order: two collections that each have what
    /// the other waits for would wait for ever. Queues in memory give nothing back, so they come when nothing else can fail.
    pub(crate) async fn stage(self, unit: &Unit, waits: &(dyn Fn() + Sync)) -> Result<Staged, NotTaken> {
        let (durable, others): (Vec<_>, Vec<_>) = self.0.into_values().partition(|(exporter, _)| exporter.is_durable());
        let mut staged = Staged::default();
        for (exporter, batches) in durable {
            staged.join(exporter.stage(unit, batches, waits).await?);
        }
        let taken = join_all(others.into_iter().map(|(exporter, batches)| exporter.stage(unit, batches, waits))).await;
        for taken in taken {
            staged.join(taken?);
        }
        Ok(staged)
    }
}
