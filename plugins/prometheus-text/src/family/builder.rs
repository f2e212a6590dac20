//! One family, put together from its samples.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use super::{Bucket, Description, Family, Label, Metric, Observation, Point, Quantile, Series};
use crate::entry::Type;
use crate::error::LineProblem;
use crate::value::{Timestamp, Value};

/// What a sample is in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of a metric.
    Number,
    /// All of a metric, in one line.
    Native,
    /// A bucket of a histogram.
    Bucket,
    /// A quantile of a summary.
    Quantile,
    /// The sum of what was measured.
    Sum,
    /// How much was measured.
    Count,
    /// Since when is counted.
    Created,
}

/// Labels in the order of their names, and a time.
type Key<'a> = (Vec<Label<'a>>, Option<Timestamp>);

/// A family, up to the sample at hand.
#[derive(Clone, Debug)]
pub(super) struct Builder<'a> {
    family: Family<'a>,
    /// Where the histograms and summaries are.
    composites: BTreeMap<Key<'a>, usize>,
    created: BTreeMap<Vec<Label<'a>>, Timestamp>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(name: Cow<'a, str>, description: Description<'a>) -> Self {
        let Description { r#type, help, unit } = description;
        let family = Family { name, r#type, help, unit, metrics: Vec::new() };
        Self { family, composites: BTreeMap::new(), created: BTreeMap::new() }
    }

    /// Takes a sample; `room` is how many more metrics are kept.
    pub(super) fn add(&mut self, series: Series<'a>, part: Part, room: &mut usize) -> Result<(), LineProblem> {
        let Series { mut labels, value, timestamp, exemplar, .. } = series;
        let number = match (part, value) {
            (Part::Native, Observation::NativeHistogram(histogram)) => {
                let metric = Metric {
                    labels,
                    timestamp,
                    created: None,
                    point: Point::NativeHistogram(Box::new(histogram)),
                    exemplars: exemplar.into_iter().collect(),
                };
                return self.push(metric, room).map(drop);
            }
            (_, Observation::Number(number)) => number,
            (_, Observation::NativeHistogram(_)) => return Err(LineProblem::NotOfFamily),
        };
        match part {
            Part::Number | Part::Native => {
                let point = Point::Number(number);
                let exemplars = exemplar.into_iter().collect();
                self.push(Metric { labels, timestamp, created: None, point, exemplars }, room).map(drop)
            }
            Part::Created => {
                labels.sort_unstable();
                if let Entry::Vacant(place) = self.created.entry(labels) {
                    take_room(room)?;
                    place.insert(Timestamp::from_seconds(number.as_f64()));
                }
                Ok(())
            }
            Part::Bucket | Part::Quantile => {
                let name = if part == Part::Bucket { "le" } else { "quantile" };
                let at = labels.iter().position(|(found, _)| found == name).ok_or(LineProblem::TypeLabel)?;
                let (_, bound) = labels.remove(at);
                let bound = bound.parse().ok().filter(|bound: &f64| !bound.is_nan()).ok_or(LineProblem::TypeLabel)?;
                let metric = self.composite(labels, timestamp, room)?;
                metric.exemplars.extend(exemplar);
                metric.point.add(bound, number);
                Ok(())
            }
            Part::Sum | Part::Count => {
                let metric = self.composite(labels, timestamp, room)?;
                let (sum, count) = match &mut metric.point {
                    Point::Histogram(histogram) => (&mut histogram.sum, &mut histogram.count),
                    Point::Summary(summary) => (&mut summary.sum, &mut summary.count),
                    Point::Number(_) | Point::NativeHistogram(_) => return Err(LineProblem::NotOfFamily),
                };
                let place = if part == Part::Sum { sum } else { count };
                place.get_or_insert(number);
                Ok(())
            }
        }
    }

    /// The histogram or summary of these labels.
    fn composite(
        &mut self,
        labels: Vec<Label<'a>>,
        timestamp: Option<Timestamp>,
        room: &mut usize,
    ) -> Result<&mut Metric<'a>, LineProblem> {
        let last = self.family.metrics.len().wrapping_sub(1);
        let is_last = self.family.metrics.last().is_some_and(|last| {
            !matches!(last.point, Point::NativeHistogram(_)) && last.timestamp == timestamp && last.labels == labels
        });
        let at = if is_last {
            last
        } else {
            let mut key = (labels.clone(), timestamp);
            key.0.sort_unstable();
            match self.composites.get(&key) {
                Some(at) => *at,
                None => {
                    let point = match self.family.r#type {
                        Type::Summary => Point::Summary(Box::default()),
                        _ => Point::Histogram(Box::default()),
                    };
                    let metric = Metric { labels, timestamp, created: None, point, exemplars: Vec::new() };
                    let at = self.push(metric, room)?;
                    self.composites.insert(key, at);
                    at
                }
            }
        };
        self.family.metrics.get_mut(at).ok_or(LineProblem::NotOfFamily)
    }

    fn push(&mut self, metric: Metric<'a>, room: &mut usize) -> Result<usize, LineProblem> {
        take_room(room)?;
        self.family.metrics.push(metric);
        Ok(self.family.metrics.len() - 1)
    }

    /// There are no more samples.
    pub(super) fn finish(mut self) -> Family<'a> {
        for metric in &mut self.family.metrics {
            match &mut metric.point {
                Point::Histogram(histogram) => {
                    histogram.buckets.sort_by(|one, other| one.upper_bound.total_cmp(&other.upper_bound));
                }
                Point::Summary(summary) => {
                    summary.quantiles.sort_by(|one, other| one.quantile.total_cmp(&other.quantile));
                }
                Point::Number(_) | Point::NativeHistogram(_) => {}
            }
            if !self.created.is_empty() {
                let mut labels = metric.labels.clone();
                labels.sort_unstable();
                metric.created = self.created.get(&labels).copied();
            }
        }
        self.family
    }
}

fn take_room(room: &mut usize) -> Result<(), LineProblem> {
    *room = room.checked_sub(1).ok_or(LineProblem::TooManySeries)?;
    Ok(())
}

impl Point<'_> {
    /// Adds a bucket or a quantile.
    fn add(&mut self, bound: f64, value: Value) {
        match self {
            Self::Histogram(histogram) => histogram.buckets.push(Bucket { upper_bound: bound, count: value }),
            Self::Summary(summary) => summary.quantiles.push(Quantile { quantile: bound, value }),
            Self::Number(_) | Self::NativeHistogram(_) => {}
        }
    }
}
