//! How a page was read: what was taken and what was not.

use core::fmt;

/// Counts lines. Of those that were skipped only the first is kept, so that a bad page cannot fill the log.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    taken: usize,
    skipped: usize,
    first: Option<String>,
}

impl Tally {
    /// A line that was understood, whether or not it became a point.
    pub(crate) const fn take(&mut self) {
        self.taken += 1;
    }

    /// A line that was not.
    pub(crate) fn skip(&mut self, reason: impl fmt::Display) {
        self.skipped += 1;
        self.first.get_or_insert_with(|| reason.to_string());
    }

    /// Whether nothing was understood.
    pub(crate) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// How many lines were skipped.
    pub(crate) const fn skipped(&self) -> usize {
        self.skipped
    }

    /// What was wrong with the first line that was skipped.
    pub(crate) fn first(&self) -> &str {
        self.first.as_deref().unwrap_or("")
    }
}
