//! The host's side of a processor: what it may see, and whether what it returned keeps to its manifest.

use kiln_otlp::{Amount, Edits, Sight};
use kiln_policy::{EditKind, Level, NotDeclared, ProcessorDeclaration};

use super::{Instance, Telemetry, convert};
use crate::host::ProcessorHost;
use crate::processor::{Edit, ProcessError, Processor, View};

/// What the host allows by default, for one batch.
const EDITS: Amount = Amount { bytes: 64 << 20, items: 1_000_000 };

impl<P: Processor> Instance<P> {
    /// Runs the processor over a view.
    ///
    /// # Errors
    /// As the processor says.
    ///
    /// # Panics
    /// It returns an edit that its manifest does not declare: the host would refuse the batch.
    pub fn process(&mut self, view: &View) -> Result<Vec<Edit>, ProcessError> {
        self.world.begin();
        let result = self.plugin.process(&mut ProcessorHost::new(self.world.clone()), view);
        self.world.finish(result.is_ok());
        if let (Ok(edits), Some(declared)) = (&result, self.world.processor()) {
            for edit in edits {
                check(declared, edit).unwrap_or_else(|error| panic!("{error}: {edit:?}"));
            }
        }
        result
    }

    /// Runs the processor over a batch, in as many views as it takes, and applies what it wants: the batch as the host
    /// would pass it on.
    ///
    /// # Errors
    /// As the processor says.
    ///
    /// # Panics
    /// It returns an edit that its manifest does not declare or that does not fit: the host would refuse the batch.
    pub fn process_batch(&mut self, batch: &Telemetry) -> Result<Telemetry, ProcessError> {
        let sight = self.world.processor().map(sight).expect("the manifest of a processor");
        let mut edits = Edits::new(EDITS);
        for part in sight.views(&batch.0) {
            let (view, extent) = part.expect("well formed");
            let wanted = self.process(&convert::view(view))?;
            let added = edits.add(&extent, wanted.into_iter().map(convert::edit).collect());
            added.unwrap_or_else(|error| panic!("{error}"));
        }
        Ok(Telemetry(edits.apply(batch.0.clone()).unwrap_or_else(|error| panic!("{error}"))))
    }
}

fn sight(declared: &ProcessorDeclaration) -> Sight {
    let level = match declared.level {
        Level::Resource => kiln_otlp::Level::Resource,
        Level::Metric => kiln_otlp::Level::Metric,
        Level::Point => kiln_otlp::Level::Point,
    };
    Sight::new(level, &declared.reads)
}

fn check(declared: &ProcessorDeclaration, edit: &Edit) -> Result<(), NotDeclared> {
    match edit {
        Edit::SetResourceAttribute(set) => declared.check_attribute(Level::Resource, &set.key),
        Edit::RemoveResourceAttribute(remove) => declared.check_attribute(Level::Resource, &remove.key),
        Edit::DropMetric(_) => declared.check_kind(EditKind::DropMetric),
        Edit::RenameMetric(_) => declared.check_kind(EditKind::RenameMetric),
        Edit::DropPoint(_) => declared.check_kind(EditKind::DropPoint),
        Edit::SetPointAttribute(set) => declared.check_attribute(Level::Point, &set.key),
        Edit::RemovePointAttribute(remove) => declared.check_attribute(Level::Point, &remove.key),
        Edit::Aggregate(aggregate) => declared.check_aggregate(&aggregate.without),
    }
}
