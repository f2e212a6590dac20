//! What becomes of one metric.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::processor::{Edit, MetricKind, ShownMetric, ShownPoint};
use kiln_plugin::telemetry::AttributeValue;

use crate::config::Config;
use crate::report::Report;
use crate::series::{self, Streams};
use crate::top::Tops;

/// The attribute of the series the rest is folded into, as the OpenTelemetry SDK calls it.
const OVERFLOW: &str = "otel.metric.overflow";

/// The edits of one metric, as far as they are known.
pub(crate) struct Fold<'c, 'v> {
    config: &'c Config,
    metric: ShownMetric<'v>,
    stream: u64,
    /// Keys that are summed away.
    without: BTreeSet<&'v str>,
    /// By point and key, what a value is replaced by.
    renamed: BTreeMap<u32, BTreeMap<&'c str, &'c str>>,
    edits: Vec<Edit>,
    /// Whether points may have become alike.
    joins: bool,
}

impl<'c, 'v> Fold<'c, 'v> {
    pub(crate) fn new(config: &'c Config, metric: ShownMetric<'v>) -> Self {
        let stream = series::stream(metric);
        let (without, renamed) = (BTreeSet::new(), BTreeMap::new());
        Self { config, metric, stream, without, renamed, edits: Vec::new(), joins: false }
    }

    /// Nobody can join summaries, so nothing is made alike of them.
    fn can_join(&self) -> bool {
        self.metric.kind() != MetricKind::Summary
    }

    pub(crate) fn drop_attributes(&mut self, points: &[ShownPoint<'v>]) {
        let dropped = self.config.dropped_keys(self.metric.name());
        if dropped.is_empty() || !self.can_join() {
            return;
        }
        let keys: BTreeSet<&str> = points.iter().flat_map(|point| point.attributes().map(|(key, _)| key)).collect();
        self.without = keys.into_iter().filter(|key| dropped.iter().any(|pattern| pattern.matches(key))).collect();
    }

    pub(crate) fn keep_the_largest(&mut self, points: &[ShownPoint<'v>], tops: &mut Tops, report: &mut Report) {
        if !self.can_join() {
            return;
        }
        for (entry, top) in self.config.top_of(self.metric.name()) {
            if self.without.contains(top.key.as_str()) {
                continue;
            }
            let place = (entry, self.stream);
            let values: Vec<_> = points.iter().filter_map(|point| Some((point, value_of(*point, &top.key)?))).collect();
            let is_other = |value: &str| value == top.other;
            let counted = values.iter().filter(|(_, value)| !is_other(value));
            tops.observe(place, top.keep, counted.map(|(point, value)| (value.as_ref(), self.identity(**point))));
            for (point, value) in values {
                if !is_other(&value) && !tops.keeps(place, &value) {
                    report.other(self.metric.name());
                    self.renamed.entry(point.index()).or_default().insert(&top.key, &top.other);
                    self.edits.push(point.set(top.key.as_str(), top.other.as_str()));
                    self.joins = true;
                }
            }
        }
    }

    pub(crate) fn limit(&mut self, points: &[ShownPoint<'v>], streams: &mut Streams, report: &mut Report) {
        // One is set aside for the overflow itself.
        let limit = self.config.series_limit(self.metric.name()).saturating_sub(1);
        for point in points {
            if point.get(OVERFLOW) == Some(&AttributeValue::Boolean(true))
                || streams.admit(self.stream, self.identity(*point), limit)
            {
                continue;
            }
            report.overflow(self.metric.name());
            if !self.can_join() {
                self.edits.push(point.drop());
                continue;
            }
            let keys = point.attributes().map(|(key, _)| key).filter(|key| !self.without.contains(key));
            self.edits.extend(keys.map(|key| point.remove(key)));
            self.edits.push(point.set(OVERFLOW, true));
            self.joins = true;
        }
    }

    pub(crate) fn finish(self, edits: &mut Vec<Edit>) {
        let Self { config, metric, without, joins, edits: mut own, .. } = self;
        if joins || !without.is_empty() {
            own.push(metric.aggregate(without, config.gauges(metric.name())));
        }
        edits.append(&mut own);
    }

    /// The series a point is of, as far as its attributes are changed already.
    fn identity(&self, point: ShownPoint<'v>) -> u64 {
        let renamed = self.renamed.get(&point.index());
        let renamed: Vec<_> = renamed
            .into_iter()
            .flatten()
            .map(|(key, value)| (*key, AttributeValue::Text((*value).to_owned())))
            .collect();
        let kept = point
            .attributes()
            .filter(|(key, _)| !self.without.contains(key) && !renamed.iter().any(|(renamed, _)| renamed == key));
        series::series(kept.chain(renamed.iter().map(|(key, value)| (*key, value))))
    }
}

/// A value that can be one of the largest: a text, a number or a boolean.
fn value_of<'v>(point: ShownPoint<'v>, key: &str) -> Option<Cow<'v, str>> {
    Some(match point.get(key)? {
        AttributeValue::Text(text) => Cow::Borrowed(text),
        AttributeValue::Integer(integer) => Cow::Owned(integer.to_string()),
        AttributeValue::Boolean(boolean) => Cow::Borrowed(if *boolean { "true" } else { "false" }),
        _ => return None,
    })
}
