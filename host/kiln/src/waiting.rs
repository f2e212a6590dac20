//! Queues on disk, as they are opened: before an instance collects under a number that is in one of them.

use std::collections::BTreeMap;

use kiln_config::ExporterKind;
use kiln_export::{Exporter, Storage};

use crate::data_dir::DataDir;

/// The latest collection of each instance that waits in a queue on disk.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Whether some queue on disk goes by the numbers of collections.
    is_counted: bool,
    sequences: BTreeMap<String, u64>,
}

impl Waiting {
    /// Nothing yet. `is_counted` says whether a queue on disk is at work already.
    pub(crate) const fn beside(is_counted: bool) -> Self {
        Self { is_counted, sequences: BTreeMap::new() }
    }

    /// Opens the queue of an exporter, if it has one on disk. Blocks while what is there is read.
    ///
    /// # Errors
    /// The queue cannot be used.
    pub(crate) fn open(
        &mut self,
        exporter: &Exporter,
        kind: &ExporterKind,
        data: Option<&DataDir>,
    ) -> Result<Option<Storage>, String> {
        let is_on_disk = kind.queue().is_some_and(|queue| queue.storage.is_some());
        let Some(data) = data.filter(|_| is_on_disk) else { return Ok(None) };
        let committed = |instance: &str| data.committed(instance);
        let opened = tokio::task::block_in_place(|| exporter.open_storage(&committed));
        let storage = opened.map_err(|error| format!("exporter `{}`: {error}", exporter.id()))?;
        if let Some(storage) = &storage {
            self.is_counted = true;
            for (instance, sequence) in storage.sequences() {
                let latest = self.sequences.entry(instance.clone()).or_default();
                *latest = (*latest).max(*sequence);
            }
        }
        Ok(storage)
    }

    /// What an instance's collections are to be counted from, if queues on disk go by that.
    pub(crate) fn count_from(&self, instance: &str) -> Option<u64> {
        self.is_counted.then(|| self.sequences.get(instance).copied().unwrap_or_default())
    }
}
