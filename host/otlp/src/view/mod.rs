//! What a processor is shown of a batch: as deep as it looks, as much as it reads, a part at a time.
//!
//! No list of a view is longer than [`MAX_VIEW_ITEMS`], so that what a processor holds does not grow with the batch. A
//! metric, or a resource, that does not fit into one view is continued in the next; every view counts from 0, and its
//! [`Extent`] says what the numbers stand for. Names and keys are in each view once, however often they occur.

mod walk;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use crate::attribute::{Attribute, AttributeValue, key_value};
use crate::batch::{Batch, Signal};
use crate::shape::MetricKind;
use crate::wire::{Fields, Malformed};
use walk::{Step, Walk};

/// More resources, metrics or points than this are not in one view.
pub const MAX_VIEW_ITEMS: usize = 8192;

/// How deep a processor looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Resources alone; the cost does not depend on what belongs to them.
    Resource,
    /// And metrics. Spans and log records have nothing at this level.
    Metric,
    /// And data points, spans and log records.
    Point,
}

/// What a processor may see.
#[derive(Clone, Debug)]
pub struct Sight {
    level: Level,
    /// Keys; `None` is all.
    reads: Option<BTreeSet<String>>,
}

/// A part of a batch, as a processor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The signal of the batch.
    pub signal: Signal,
    /// Attributes of every resource.
    pub resources: Vec<Vec<Attribute>>,
    /// Every metric; none at resource level, nor of spans and log records.
    pub metrics: Vec<MetricView>,
    /// Every data point, span or log record; none above point level.
    pub points: Vec<PointView>,
    /// Names, units and keys of point attributes, each once.
    pub strings: Vec<String>,
}

/// A metric, as a processor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricView {
    /// Index into [`View::resources`].
    pub resource: u32,
    /// Index into [`View::strings`].
    pub name: u32,
    /// Index into [`View::strings`].
    pub unit: u32,
    /// What it is made of.
    pub kind: MetricKind,
}

/// A data point, span or log record, as a processor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PointView {
    /// Index of what it belongs to: a data point to one of [`View::metrics`], a span or log record to one of
    /// [`View::resources`].
    pub parent: u32,
    /// Keys as indexes into [`View::strings`], and values. Maps and mixed lists are left out.
    pub attributes: Vec<(u32, AttributeValue)>,
}

/// What the indexes of a view stand for: ranges among everything in the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub(crate) resources: Range<usize>,
    pub(crate) metrics: Range<usize>,
    pub(crate) points: Range<usize>,
}

impl Sight {
    /// Sees down to `level`, of attributes those with one of the keys `reads`; `*` stands for all.
    #[must_use]
    pub fn new(level: Level, reads: &[String]) -> Self {
        let all = reads.iter().any(|key| key == "*");
        Self { level, reads: (!all).then(|| reads.iter().cloned().collect()) }
    }

    /// The batch, part by part; at least one.
    #[must_use]
    pub fn views<'b>(&'b self, batch: &'b Batch) -> Views<'b> {
        Views {
            sight: self,
            signal: batch.signal,
            walk: Walk::new(batch.signal, self.level, &batch.payload),
            pending: None,
            begun: false,
            ended: false,
            group: (0, &[]),
            metric: (0, &[], MetricKind::Gauge),
            points: 0,
            interned: HashMap::new(),
        }
    }

    fn reads(&self, key: &str) -> bool {
        self.reads.as_ref().is_none_or(|keys| keys.contains(key))
    }
}

/// Walks over a batch and makes one view after the other. Ends after the first error.
#[derive(Debug)]
pub struct Views<'b> {
    sight: &'b Sight,
    signal: Signal,
    walk: Walk<'b>,
    /// What did not fit into the last view.
    pending: Option<Step<'b>>,
    begun: bool,
    ended: bool,
    /// The resource that is being walked through, and how many came to be so far.
    group: (usize, &'b [u8]),
    /// The same of metrics.
    metric: (usize, &'b [u8], MetricKind),
    points: usize,
    interned: HashMap<&'b str, u32>,
}

impl Iterator for Views<'_> {
    type Item = Result<(View, Extent), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let first = !self.begun;
        self.begun = true;
        match self.view() {
            Ok((view, _)) if view.resources.is_empty() && !first => None,
            Ok(part) => Some(Ok(part)),
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl<'b> Views<'b> {
    fn view(&mut self) -> Result<(View, Extent), Malformed> {
        self.interned.clear();
        let mut view = View {
            signal: self.signal,
            resources: Vec::new(),
            metrics: Vec::new(),
            points: Vec::new(),
            strings: Vec::new(),
        };
        let mut extent = Extent { points: self.points..self.points, ..Extent::default() };
        loop {
            let Some(step) = self.pending.take().map_or_else(|| self.walk.step(), |step| Ok(Some(step)))? else {
                self.ended = true;
                break;
            };
            let fullness = match step {
                Step::Group(_) => view.resources.len(),
                Step::Metric(..) => view.metrics.len(),
                Step::Point(..) => view.points.len(),
            };
            if fullness == MAX_VIEW_ITEMS {
                self.pending = Some(step);
                break;
            }
            match step {
                Step::Group(group) => {
                    self.group = (self.group.0 + 1, group);
                    self.show_resource(&mut view, &mut extent)?;
                }
                Step::Metric(metric, kind) => {
                    self.metric = (self.metric.0 + 1, metric, kind);
                    self.show_metric(&mut view, &mut extent)?;
                }
                Step::Point(point, attributes_field) => {
                    self.points += 1;
                    self.show_point(&mut view, &mut extent, point, attributes_field)?;
                }
            }
        }
        Ok((view, extent))
    }

    fn show_resource(&self, view: &mut View, extent: &mut Extent) -> Result<(), Malformed> {
        let (count, group) = self.group;
        let mut attributes = Vec::new();
        for field in Fields::of(group) {
            let field = field?;
            if field.number == 1 {
                self.read_attributes(field.content()?, 1, |key, value| {
                    attributes.push(Attribute { key: key.to_owned(), value });
                    Ok(())
                })?;
            }
        }
        if view.resources.is_empty() {
            extent.resources.start = count.saturating_sub(1);
        }
        extent.resources.end = count;
        view.resources.push(attributes);
        Ok(())
    }

    fn show_metric(&mut self, view: &mut View, extent: &mut Extent) -> Result<(), Malformed> {
        if view.resources.is_empty() {
            self.show_resource(view, extent)?;
        }
        let (count, metric, kind) = self.metric;
        let (mut name, mut unit) = ("", "");
        for field in Fields::of(metric) {
            let field = field?;
            match field.number {
                1 => name = std::str::from_utf8(field.content()?).map_err(|_| Malformed)?,
                3 => unit = std::str::from_utf8(field.content()?).map_err(|_| Malformed)?,
                _ => {}
            }
        }
        let name = intern(&mut self.interned, &mut view.strings, name)?;
        let unit = intern(&mut self.interned, &mut view.strings, unit)?;
        if view.metrics.is_empty() {
            extent.metrics.start = count.saturating_sub(1);
        }
        extent.metrics.end = count;
        view.metrics.push(MetricView { resource: last(&view.resources)?, name, unit, kind });
        Ok(())
    }

    fn show_point(
        &mut self,
        view: &mut View,
        extent: &mut Extent,
        point: &'b [u8],
        attributes_field: u32,
    ) -> Result<(), Malformed> {
        let parent = if self.signal == Signal::Metrics {
            if view.metrics.is_empty() {
                self.show_metric(view, extent)?;
            }
            last(&view.metrics)?
        } else {
            if view.resources.is_empty() {
                self.show_resource(view, extent)?;
            }
            last(&view.resources)?
        };
        let mut attributes = Vec::new();
        let mut interned = std::mem::take(&mut self.interned);
        self.read_attributes(point, attributes_field, |key, value| {
            attributes.push((intern(&mut interned, &mut view.strings, key)?, value));
            Ok(())
        })?;
        self.interned = interned;
        extent.points.end = self.points;
        view.points.push(PointView { parent, attributes });
        Ok(())
    }

    /// The attributes of a message that may be seen and that the contract can express.
    fn read_attributes(
        &self,
        message: &'b [u8],
        attributes_field: u32,
        mut read: impl FnMut(&'b str, AttributeValue) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for field in Fields::of(message) {
            let field = field?;
            if field.number != attributes_field {
                continue;
            }
            let (key, value) = key_value(field.content()?)?;
            if self.sight.reads(key)
                && let Some(value) = AttributeValue::read(value)?
            {
                read(key, value)?;
            }
        }
        Ok(())
    }
}

fn intern<'b>(
    interned: &mut HashMap<&'b str, u32>,
    strings: &mut Vec<String>,
    text: &'b str,
) -> Result<u32, Malformed> {
    if let Some(index) = interned.get(text) {
        return Ok(*index);
    }
    let index = u32::try_from(strings.len()).map_err(|_| Malformed)?;
    strings.push(text.to_owned());
    interned.insert(text, index);
    Ok(index)
}

fn last<T>(list: &[T]) -> Result<u32, Malformed> {
    u32::try_from(list.len().saturating_sub(1)).map_err(|_| Malformed)
}
