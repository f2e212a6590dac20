//! What could not be read in a collection: reported with it, and counted.
//!
//! A collection that fails as a whole leaves no state behind, so what it counted waits here for the next one that succeeds.

use std::collections::BTreeMap;

use kiln_plugin::{CollectError, PartialFailure};

use crate::api::ApiError;
use crate::part::Part;

/// What went wrong, by part and class.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    new: BTreeMap<(&'static str, String), i64>,
    failures: Vec<PartialFailure>,
    /// The error that says best why nothing could be read, if nothing could.
    first: Option<ApiError>,
}

impl Errors {
    /// Reports and counts an error.
    pub(crate) fn note(&mut self, part: Part, error: ApiError) {
        self.count(part, &error);
        self.report(PartialFailure::new(part.name, error.to_string()));
        // Credentials are to blame only if nothing failed for another reason.
        if self.first.as_ref().is_none_or(|first| first.is_unauthorized() && !error.is_unauthorized()) {
            self.first = Some(error);
        }
    }

    /// Counts an error.
    pub(crate) fn count(&mut self, part: Part, error: &ApiError) {
        let count = self.new.entry((part.name, error.kind().into_owned())).or_default();
        *count = count.saturating_add(1);
    }

    /// Reports an error.
    pub(crate) fn report(&mut self, failure: PartialFailure) {
        self.failures.push(failure);
    }

    /// Why nothing could be read.
    pub(crate) fn take_first(&mut self) -> Option<CollectError> {
        let first = self.first.take()?;
        self.failures.clear();
        Some(first.into())
    }

    /// What is to be reported with the collection.
    pub(crate) fn take_failures(&mut self) -> Vec<PartialFailure> {
        self.first = None;
        core::mem::take(&mut self.failures)
    }

    /// Hands over what was counted, by part and class.
    pub(crate) fn take_counts(&mut self) -> BTreeMap<(&'static str, String), i64> {
        core::mem::take(&mut self.new)
    }

    /// Takes back what could not be added up yet.
    pub(crate) fn put_back(&mut self, counts: BTreeMap<(&'static str, String), i64>) {
        self.new = counts;
    }
}
