//! The parts of a workspace: what is read, what it needs, and what it is called where it fails.

/// A part of the workspace, as the operator and `databricks.scraper.errors` know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// The value of `collector`.
    pub(crate) name: &'static str,
    /// What the identity needs.
    pub(crate) permission: &'static str,
}
