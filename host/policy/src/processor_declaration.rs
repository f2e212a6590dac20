//! What a processor says it sees and changes, and whether an edit keeps to it.
//!
//! `level` says how deep it looks. `reads` and `writes` are keys of attributes, of resources and of points alike. What an
//! edit does to more than an attribute — a metric that goes, a name that changes, points that are joined — is listed by
//! kind in `edits`, so that a reader of the manifest knows a processor that can lose data from one that cannot.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a processor is shown and may change. The rest of a batch is invisible to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorDeclaration {
    /// How deep it looks.
    pub level: Level,
    /// Keys of the attributes it sees; `*` for all.
    pub reads: Vec<String>,
    /// Keys of the attributes it may set, remove or sum away; `*` for all.
    pub writes: Vec<String>,
    /// What else it may do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub edits: BTreeSet<EditKind>,
}

/// How deep a processor looks. Cost follows the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Attributes of resources.
    Resource,
    /// And names, units and kinds of metrics.
    Metric,
    /// And attributes of data points, spans and log records.
    Point,
}

/// Edits that do more than change an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum EditKind {
    DropMetric,
    RenameMetric,
    DropPoint,
    Aggregate,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resource => "resource",
            Self::Metric => "metric",
            Self::Point => "point",
        })
    }
}

impl EditKind {
    /// The level at which what it changes is seen.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::DropMetric | Self::RenameMetric | Self::Aggregate => Level::Metric,
            Self::DropPoint => Level::Point,
        }
    }
}

impl fmt::Display for EditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DropMetric => "drop-metric",
            Self::RenameMetric => "rename-metric",
            Self::DropPoint => "drop-point",
            Self::Aggregate => "aggregate",
        })
    }
}

/// Why an edit is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDeclared {
    /// Of an attribute that is not written.
    #[error("returned an edit of `{0}`, which its manifest does not say it writes")]
    Key(String),
    /// Of what is not seen.
    #[error("returned an edit of a point; its manifest says it works at {0} level")]
    Level(Level),
    /// Of a kind that is not listed.
    #[error("returned the edit {0}, which its manifest does not list among `edits`")]
    Kind(EditKind),
}

impl ProcessorDeclaration {
    /// Whether it sees attributes with this key.
    #[must_use]
    pub fn reads(&self, key: &str) -> bool {
        self.reads.iter().any(|declared| declared == "*" || declared == key)
    }

    /// Whether it may set or remove an attribute with this key of a target at this level: a resource or a point.
    ///
    /// # Errors
    /// It may not.
    pub fn check_attribute(&self, target: Level, key: &str) -> Result<(), NotDeclared> {
        if target > self.level {
            return Err(NotDeclared::Level(self.level));
        }
        if self.writes.iter().any(|declared| declared == "*" || declared == key) {
            Ok(())
        } else {
            Err(NotDeclared::Key(key.to_owned()))
        }
    }

    /// Whether it may return an edit of this kind.
    ///
    /// # Errors
    /// It may not.
    pub fn check_kind(&self, edit: EditKind) -> Result<(), NotDeclared> {
        if self.edits.contains(&edit) { Ok(()) } else { Err(NotDeclared::Kind(edit)) }
    }

    /// Whether it may sum away attributes with these keys.
    ///
    /// # Errors
    /// It may not.
    pub fn check_aggregate<'k>(&self, without: impl IntoIterator<Item = &'k String>) -> Result<(), NotDeclared> {
        self.check_kind(EditKind::Aggregate)?;
        without.into_iter().try_for_each(|key| self.check_attribute(self.level, key))
    }
}
