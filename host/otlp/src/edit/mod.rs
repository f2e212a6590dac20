//! Changes to a batch: collected view by view, applied at once or not at all.
//!
//! Later edits of the same thing win, whatever view they came with; the number of a view's first resource, metric and
//! point makes its indexes those of the batch. Points are joined last, over the whole of their metric, so that it does
//! not matter where a view ended.

mod apply;
mod attributes;
mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::attribute::AttributeValue;
use crate::batch::Batch;
use crate::encode::Amount;
use crate::view::Extent;
use crate::wire::Malformed;

/// One change. Indexes are those of the view the processor was shown.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Edit {
    /// Adds the attribute or replaces its value.
    SetResourceAttribute {
        resource: usize,
        key: String,
        value: AttributeValue,
    },
    /// Removes the attribute, if it is there.
    RemoveResourceAttribute {
        resource: usize,
        key: String,
    },
    DropMetric(usize),
    RenameMetric {
        metric: usize,
        name: String,
    },
    DropPoint(usize),
    SetPointAttribute {
        point: usize,
        key: String,
        value: AttributeValue,
    },
    RemovePointAttribute {
        point: usize,
        key: String,
    },
    /// Removes attributes of all points of the metric and joins those that have become alike.
    Aggregate {
        metric: usize,
        without: Vec<String>,
        gauges: GaugeAggregation,
    },
}

/// How points of a gauge are joined, which have no sum of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GaugeAggregation {
    /// The one with the latest time.
    Last,
    Min,
    Max,
    Mean,
    Sum,
}

/// Why edits are refused. The batch is left as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No such resource, metric or point in the view.
    #[error("an edit names {what} {index} of a view with {count}")]
    NoSuchTarget {
        /// What is named.
        what: &'static str,
        /// What the edit says.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A key without a character.
    #[error("an edit has an empty key")]
    EmptyKey,
    /// A name without a character.
    #[error("an edit gives a metric an empty name")]
    EmptyName,
    /// Attributes beyond any reasonable number.
    #[error("an edit would leave more than {0} attributes in one place")]
    TooManyAttributes(usize),
    /// There is no sum of two summaries: their quantiles say nothing about those of both together.
    #[error("an edit aggregates metric {0}, a summary, and summaries cannot be joined: drop points or leave it alone")]
    Summary(String),
    /// More edits than a batch may get.
    #[error("more than {0} edits of one batch; if that is reasonable, raise `limits.edits`")]
    TooMany(usize),
    /// More text in edits than a batch may get.
    #[error("edits of one batch hold more than {0} bytes; if that is reasonable, raise `limits.edit_bytes`")]
    TooManyBytes(usize),
    /// The payload is not well formed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl EditError {
    /// The name of the limit that was broken, if it was one.
    #[must_use]
    pub const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::TooMany(_) => Some("edits"),
            Self::TooManyBytes(_) => Some("edit_bytes"),
            Self::TooManyAttributes(_) => Some("attributes"),
            Self::NoSuchTarget { .. } | Self::EmptyKey | Self::EmptyName | Self::Summary(_) | Self::Malformed(_) => {
                None
            }
        }
    }
}

/// What becomes of the attributes in one place: a value to set, or `None` to remove.
type Changes = BTreeMap<String, Option<AttributeValue>>;

#[derive(Debug, Default)]
struct MetricChange {
    dropped: bool,
    name: Option<String>,
    aggregation: Option<Aggregation>,
}

#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) without: BTreeSet<String>,
    pub(crate) gauges: GaugeAggregation,
}

#[derive(Debug)]
enum PointChange {
    Drop,
    Attributes(Changes),
}

/// All edits of one batch.
#[derive(Debug)]
pub struct Edits {
    resources: BTreeMap<usize, Changes>,
    metrics: BTreeMap<usize, MetricChange>,
    points: BTreeMap<usize, PointChange>,
    limit: Amount,
    spent: Amount,
}

impl Edits {
    /// None yet, and at most as many and with as much text as `limit` says.
    #[must_use]
    pub const fn new(limit: Amount) -> Self {
        Self {
            resources: BTreeMap::new(),
            metrics: BTreeMap::new(),
            points: BTreeMap::new(),
            limit,
            spent: Amount { bytes: 0, items: 0 },
        }
    }

    /// Takes up what a processor wants of the view with this extent.
    ///
    /// # Errors
    /// One of the edits does not fit the view, or there are too many. What was taken up must not be applied then.
    pub fn add(&mut self, extent: &Extent, edits: Vec<Edit>) -> Result<(), EditError> {
        for edit in edits {
            self.spend(&edit)?;
            match edit {
                Edit::SetResourceAttribute { resource, key, value } => {
                    self.change_resource(extent, resource, key, Some(value))?;
                }
                Edit::RemoveResourceAttribute { resource, key } => {
                    self.change_resource(extent, resource, key, None)?;
                }
                Edit::DropMetric(metric) => self.metric(extent, metric)?.dropped = true,
                Edit::RenameMetric { metric, name } => {
                    if name.is_empty() {
                        return Err(EditError::EmptyName);
                    }
                    self.metric(extent, metric)?.name = Some(name);
                }
                Edit::DropPoint(point) => {
                    let index = target("point", &extent.points, point)?;
                    self.points.insert(index, PointChange::Drop);
                }
                Edit::SetPointAttribute { point, key, value } => {
                    self.change_point(extent, point, key, Some(value))?;
                }
                Edit::RemovePointAttribute { point, key } => self.change_point(extent, point, key, None)?,
                Edit::Aggregate { metric, without, gauges } => self.aggregate(extent, metric, without, gauges)?,
            }
        }
        Ok(())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.metrics.is_empty() && self.points.is_empty()
    }

    /// The batch with all edits applied. What has lost all of its points, or all of its metrics, is left out.
    ///
    /// If they only change resources and nobody else holds the payload, it is changed where it stands.
    ///
    /// # Errors
    /// One of them cannot be applied; then none is, and whoever holds the payload has it as it was.
    pub fn apply(&self, batch: Batch) -> Result<Batch, EditError> {
        match (self.resources.is_empty(), self.metrics.is_empty() && self.points.is_empty()) {
            (true, true) => Ok(batch),
            (false, true) => resources::apply(&self.resources, batch),
            (_, false) => apply::apply(self, &batch),
        }
    }

    fn spend(&mut self, edit: &Edit) -> Result<(), EditError> {
        self.spent.items += 1;
        self.spent.bytes = self.spent.bytes.saturating_add(edit.bytes());
        if self.spent.items > self.limit.items {
            return Err(EditError::TooMany(self.limit.items));
        }
        if self.spent.bytes > self.limit.bytes {
            return Err(EditError::TooManyBytes(self.limit.bytes));
        }
        Ok(())
    }

    fn change_resource(
        &mut self,
        extent: &Extent,
        resource: usize,
        key: String,
        value: Option<AttributeValue>,
    ) -> Result<(), EditError> {
        let index = target("resource", &extent.resources, resource)?;
        self.resources.entry(index).or_default().insert(not_empty(key)?, value);
        Ok(())
    }

    fn change_point(
        &mut self,
        extent: &Extent,
        point: usize,
        key: String,
        value: Option<AttributeValue>,
    ) -> Result<(), EditError> {
        let index = target("point", &extent.points, point)?;
        let key = not_empty(key)?;
        let change = self.points.entry(index).or_insert_with(|| PointChange::Attributes(Changes::new()));
        match change {
            // What is dropped stays dropped.
            PointChange::Drop => {}
            PointChange::Attributes(changes) => _ = changes.insert(key, value),
        }
        Ok(())
    }

    /// Taken together with what other views of the same metric said: what any wants removed is, and the function is that
    /// of the last.
    fn aggregate(
        &mut self,
        extent: &Extent,
        metric: usize,
        without: Vec<String>,
        gauges: GaugeAggregation,
    ) -> Result<(), EditError> {
        let change = self.metric(extent, metric)?;
        let aggregation = change.aggregation.get_or_insert_with(|| Aggregation { without: BTreeSet::new(), gauges });
        aggregation.gauges = gauges;
        for key in without {
            aggregation.without.insert(not_empty(key)?);
        }
        Ok(())
    }

    fn metric(&mut self, extent: &Extent, metric: usize) -> Result<&mut MetricChange, EditError> {
        let index = target("metric", &extent.metrics, metric)?;
        Ok(self.metrics.entry(index).or_default())
    }
}

impl Edit {
    /// What its texts and values take.
    fn bytes(&self) -> usize {
        match self {
            Self::SetResourceAttribute { key, value, .. } | Self::SetPointAttribute { key, value, .. } => {
                key.len().saturating_add(value.bytes())
            }
            Self::RemoveResourceAttribute { key, .. } | Self::RemovePointAttribute { key, .. } => key.len(),
            Self::RenameMetric { name, .. } => name.len(),
            Self::Aggregate { without, .. } => without.iter().map(String::len).sum(),
            Self::DropMetric(_) | Self::DropPoint(_) => 0,
        }
    }
}

fn target(what: &'static str, range: &Range<usize>, index: usize) -> Result<usize, EditError> {
    let count = range.len();
    if index < count { Ok(range.start + index) } else { Err(EditError::NoSuchTarget { what, index, count }) }
}

fn not_empty(key: String) -> Result<String, EditError> {
    if key.is_empty() { Err(EditError::EmptyKey) } else { Ok(key) }
}
