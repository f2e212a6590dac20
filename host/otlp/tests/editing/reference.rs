//! The slow way: edits of a decoded request, and the arithmetic of `aggregate` as plainly as it can be said.

use std::collections::{BTreeMap, BTreeSet};

use kiln_otlp::{AttributeValue, Edit, GaugeAggregation};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::*;

use crate::generate::text;

/// A point of any kind, as far as joining concerns it.
trait Point: Clone {
    fn attributes(&mut self) -> &mut Vec<KeyValue>;
    fn times(&self) -> (u64, u64);
    fn has_ended(&self) -> bool;
    /// The first of `points` becomes all of them together.
    fn join(points: &[Self], gauges: GaugeAggregation, is_gauge: bool) -> Self;
}

fn set(attributes: &mut Vec<KeyValue>, key: &str, value: &AttributeValue) {
    let AttributeValue::Text(value) = value else { panic!("texts only") };
    match attributes.iter_mut().find(|attribute| attribute.key == key) {
        Some(attribute) => *attribute = text(key, value),
        None => attributes.push(text(key, value)),
    }
}

fn remove(attributes: &mut Vec<KeyValue>, key: &str) {
    attributes.retain(|attribute| attribute.key != key);
}

/// Applies edits whose indexes are those of the whole request. `None` if a summary is to be aggregated.
pub(crate) fn apply(mut request: ExportMetricsServiceRequest, edits: &[Edit]) -> Option<ExportMetricsServiceRequest> {
    let (mut metric_index, mut point_index) = (0, 0);
    for (index, group) in request.resource_metrics.iter_mut().enumerate() {
        for edit in edits {
            match edit {
                Edit::SetResourceAttribute { resource, key, value } if *resource == index => {
                    set(&mut group.resource.get_or_insert_default().attributes, key, value);
                }
                Edit::RemoveResourceAttribute { resource, key } if *resource == index => {
                    remove(&mut group.resource.get_or_insert_default().attributes, key);
                }
                _ => {}
            }
        }
        let had_scopes = !group.scope_metrics.is_empty();
        for scope in &mut group.scope_metrics {
            let had_metrics = !scope.metrics.is_empty();
            let metrics = std::mem::take(&mut scope.metrics);
            for mut metric in metrics {
                if metric.data.is_none() {
                    scope.metrics.push(metric);
                    continue;
                }
                let index = metric_index;
                metric_index += 1;
                let dropped = edits.contains(&Edit::DropMetric(index));
                let aggregates: Vec<_> = edits
                    .iter()
                    .filter_map(|edit| match edit {
                        Edit::Aggregate { metric, without, gauges } if *metric == index => Some((without, *gauges)),
                        _ => None,
                    })
                    .collect();
                let without: BTreeSet<_> = aggregates.iter().flat_map(|(without, _)| without.iter().cloned()).collect();
                let aggregate = aggregates.last().map(|(_, gauges)| (without, *gauges));
                for edit in edits {
                    if let Edit::RenameMetric { metric: named, name } = edit
                        && *named == index
                    {
                        metric.name.clone_from(name);
                    }
                }
                let mut edit = Editing { edits, aggregate, point_index, dropped };
                let left = match metric.data.as_mut().unwrap() {
                    Data::Gauge(data) => edit.points(&mut data.data_points, false, true),
                    Data::Sum(data) => edit.points(&mut data.data_points, data.aggregation_temporality == 1, false),
                    Data::Histogram(data) => {
                        edit.points(&mut data.data_points, data.aggregation_temporality == 1, false)
                    }
                    Data::ExponentialHistogram(data) => {
                        edit.points(&mut data.data_points, data.aggregation_temporality == 1, false)
                    }
                    Data::Summary(data) => {
                        if edit.aggregate.is_some() && !dropped {
                            return None;
                        }
                        edit.points(&mut data.data_points, false, false)
                    }
                };
                point_index = edit.point_index;
                if left && !dropped {
                    scope.metrics.push(metric);
                }
            }
            if had_metrics && scope.metrics.is_empty() {
                scope.schema_url = "gone".into();
            }
        }
        group.scope_metrics.retain(|scope| scope.schema_url != "gone");
        if had_scopes && group.scope_metrics.is_empty() {
            group.schema_url = "gone".into();
        }
    }
    request.resource_metrics.retain(|group| group.schema_url != "gone");
    Some(request)
}

struct Editing<'e> {
    edits: &'e [Edit],
    aggregate: Option<(BTreeSet<String>, GaugeAggregation)>,
    point_index: usize,
    dropped: bool,
}

impl Editing<'_> {
    /// Whether any is left of those there were, if there were any.
    fn points<P: Point>(&mut self, points: &mut Vec<P>, delta: bool, is_gauge: bool) -> bool {
        let had_points = !points.is_empty();
        let mut kept: Vec<(Vec<KeyValue>, P)> = Vec::new();
        for mut point in std::mem::take(points) {
            let index = self.point_index;
            self.point_index += 1;
            let original = sorted(point.attributes().clone());
            if self.dropped || self.edits.contains(&Edit::DropPoint(index)) {
                continue;
            }
            for edit in self.edits {
                match edit {
                    Edit::SetPointAttribute { point: named, key, value } if *named == index => {
                        set(point.attributes(), key, value);
                    }
                    Edit::RemovePointAttribute { point: named, key } if *named == index => {
                        remove(point.attributes(), key);
                    }
                    _ => {}
                }
            }
            if let Some((without, _)) = &self.aggregate {
                point.attributes().retain(|attribute| !without.contains(&attribute.key));
            }
            kept.push((original, point));
        }
        let Some((_, gauges)) = &self.aggregate else {
            points.extend(kept.into_iter().map(|(_, point)| point));
            return !had_points || !points.is_empty();
        };
        while !kept.is_empty() {
            let identity = |kept: &(Vec<KeyValue>, P)| sorted(kept.1.clone().attributes().clone());
            let first = kept[0].clone();
            let (alike, others): (Vec<_>, Vec<_>) =
                kept.clone().into_iter().partition(|point| identity(point) == identity(&first));
            if alike.iter().all(|(original, _)| *original == first.0) {
                points.push(kept.remove(0).1);
                continue;
            }
            kept = others;
            let series: Vec<_> = alike.iter().map(|(original, _)| original.clone()).collect();
            let is_latest = |index: usize| {
                let same = (0..alike.len()).filter(|other| series[*other] == series[index]);
                same.max_by_key(|other| alike[*other].1.times().1).unwrap() == index
            };
            let counting: Vec<P> = (0..alike.len())
                .filter(|index| (delta || is_latest(*index)) && !alike[*index].1.has_ended())
                .map(|index| alike[index].1.clone())
                .collect();
            points.push(if counting.is_empty() {
                alike.iter().max_by_key(|(_, point)| point.times().1).unwrap().1.clone()
            } else {
                P::join(&counting, *gauges, is_gauge)
            });
        }
        !had_points || !points.is_empty()
    }
}

fn sorted(mut attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    attributes
}

fn start<P: Point>(points: &[P]) -> u64 {
    points.iter().map(|point| point.times().0).filter(|start| *start > 0).min().unwrap_or(0)
}

fn time<P: Point>(points: &[P]) -> u64 {
    points.iter().map(|point| point.times().1).max().unwrap()
}

fn all<P>(points: &[P], of: impl Fn(&P) -> Option<f64>, join: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let values: Option<Vec<f64>> = points.iter().map(of).collect();
    values?.into_iter().reduce(join)
}

fn float(value: &Value) -> f64 {
    match value {
        Value::AsInt(value) => *value as f64,
        Value::AsDouble(value) => *value,
    }
}

fn add(values: &[Value]) -> Value {
    values
        .iter()
        .copied()
        .reduce(|a, b| match (a, b) {
            (Value::AsInt(a), Value::AsInt(b)) => match a.checked_add(b) {
                Some(sum) => Value::AsInt(sum),
                None => Value::AsDouble(a as f64 + b as f64),
            },
            (a, b) => Value::AsDouble(float(&a) + float(&b)),
        })
        .unwrap()
}

impl Point for NumberDataPoint {
    fn attributes(&mut self) -> &mut Vec<KeyValue> {
        &mut self.attributes
    }

    fn times(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn has_ended(&self) -> bool {
        self.flags & 1 == 1
    }

    fn join(points: &[Self], gauges: GaugeAggregation, is_gauge: bool) -> Self {
        let values: Vec<Value> = points.iter().map(|point| point.value.unwrap()).collect();
        let integers = values.iter().all(|value| matches!(value, Value::AsInt(_)));
        let extreme = |pick: fn(f64, f64) -> f64, whole: fn(i64, i64) -> i64| {
            if integers {
                let whole_values = values.iter().map(|value| match value {
                    Value::AsInt(value) => *value,
                    Value::AsDouble(_) => panic!(),
                });
                Value::AsInt(whole_values.reduce(whole).unwrap())
            } else {
                Value::AsDouble(values.iter().map(float).reduce(pick).unwrap())
            }
        };
        let value = match gauges {
            _ if !is_gauge => add(&values),
            GaugeAggregation::Sum => add(&values),
            GaugeAggregation::Min => extreme(f64::min, i64::min),
            GaugeAggregation::Max => extreme(f64::max, i64::max),
            GaugeAggregation::Mean => Value::AsDouble(values.iter().map(float).sum::<f64>() / values.len() as f64),
            GaugeAggregation::Last => points.iter().max_by_key(|point| point.time_unix_nano).unwrap().value.unwrap(),
        };
        Self {
            attributes: points[0].attributes.clone(),
            start_time_unix_nano: start(points),
            time_unix_nano: time(points),
            exemplars: points.iter().flat_map(|point| point.exemplars.clone()).collect(),
            flags: 0,
            value: Some(value),
        }
    }
}

impl Point for HistogramDataPoint {
    fn attributes(&mut self) -> &mut Vec<KeyValue> {
        &mut self.attributes
    }

    fn times(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn has_ended(&self) -> bool {
        self.flags & 1 == 1
    }

    fn join(points: &[Self], _: GaugeAggregation, _: bool) -> Self {
        let bare = points.iter().any(|point| point.bucket_counts.is_empty());
        let shared = |bound: &f64| points.iter().all(|point| point.explicit_bounds.contains(bound));
        let bounds: Vec<f64> =
            if bare { vec![] } else { points[0].explicit_bounds.iter().copied().filter(shared).collect() };
        let mut counts = vec![0; if bare { 0 } else { bounds.len() + 1 }];
        if !bare {
            for point in points {
                for (index, count) in point.bucket_counts.iter().enumerate() {
                    // The bucket that holds its upper end.
                    let upper = point.explicit_bounds.get(index).copied().unwrap_or(f64::INFINITY);
                    counts[bounds.iter().filter(|bound| **bound < upper).count()] += count;
                }
            }
        }
        Self {
            attributes: points[0].attributes.clone(),
            start_time_unix_nano: start(points),
            time_unix_nano: time(points),
            count: points.iter().map(|point| point.count).sum(),
            sum: all(points, |point| point.sum, |a, b| a + b),
            bucket_counts: counts,
            explicit_bounds: bounds,
            exemplars: points.iter().flat_map(|point| point.exemplars.clone()).collect(),
            flags: 0,
            min: all(points, |point| point.min, f64::min),
            max: all(points, |point| point.max, f64::max),
        }
    }
}

/// Buckets by index at this scale.
fn lowered(buckets: &Option<Buckets>, from: i32, scale: i32, into: &mut BTreeMap<i32, u64>) {
    for (index, count) in buckets.iter().flat_map(|buckets| (buckets.offset..).zip(&buckets.bucket_counts)) {
        if *count > 0 {
            *into.entry(index.div_euclid(1 << (from - scale))).or_default() += count;
        }
    }
}

fn raised(buckets: &BTreeMap<i32, u64>) -> Option<Buckets> {
    let (first, last) = (*buckets.first_key_value()?.0, *buckets.last_key_value()?.0);
    let bucket_counts = (first..=last).map(|index| buckets.get(&index).copied().unwrap_or_default()).collect();
    Some(Buckets { offset: first, bucket_counts })
}

impl Point for ExponentialHistogramDataPoint {
    fn attributes(&mut self) -> &mut Vec<KeyValue> {
        &mut self.attributes
    }

    fn times(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn has_ended(&self) -> bool {
        self.flags & 1 == 1
    }

    fn join(points: &[Self], _: GaugeAggregation, _: bool) -> Self {
        let scale = points.iter().map(|point| point.scale).min().unwrap();
        let (mut positive, mut negative) = (BTreeMap::new(), BTreeMap::new());
        for point in points {
            lowered(&point.positive, point.scale, scale, &mut positive);
            lowered(&point.negative, point.scale, scale, &mut negative);
        }
        let mut zero_count: u64 = points.iter().map(|point| point.zero_count).sum();
        let mut threshold = points.iter().map(|point| point.zero_threshold).fold(0.0, f64::max);
        let base = 2_f64.powf(2_f64.powi(-scale));
        if points.iter().any(|point| point.zero_threshold != threshold) {
            // One bucket at a time, whichever begins below the threshold.
            while let Some((side, index)) = [&positive, &negative].iter().enumerate().find_map(|(side, buckets)| {
                let (index, _) = buckets.first_key_value()?;
                (base.powi(*index) < threshold * (1.0 - 1e-12)).then_some((side, *index))
            }) {
                zero_count += if side == 0 { &mut positive } else { &mut negative }.remove(&index).unwrap();
                threshold = threshold.max(base.powi(index + 1));
            }
        }
        Self {
            attributes: points[0].attributes.clone(),
            start_time_unix_nano: start(points),
            time_unix_nano: time(points),
            count: points.iter().map(|point| point.count).sum(),
            sum: all(points, |point| point.sum, |a, b| a + b),
            scale,
            zero_count,
            positive: raised(&positive),
            negative: raised(&negative),
            flags: 0,
            exemplars: points.iter().flat_map(|point| point.exemplars.clone()).collect(),
            min: all(points, |point| point.min, f64::min),
            max: all(points, |point| point.max, f64::max),
            zero_threshold: threshold,
        }
    }
}

impl Point for SummaryDataPoint {
    fn attributes(&mut self) -> &mut Vec<KeyValue> {
        &mut self.attributes
    }

    fn times(&self) -> (u64, u64) {
        (self.start_time_unix_nano, self.time_unix_nano)
    }

    fn has_ended(&self) -> bool {
        self.flags & 1 == 1
    }

    fn join(_: &[Self], _: GaugeAggregation, _: bool) -> Self {
        panic!("nobody can join summaries")
    }
}

/// The same request whatever the order of attributes, and how thresholds were rounded.
pub(crate) fn normal(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    fn sort<P: Point>(points: &mut [P]) {
        points.iter_mut().for_each(|point| point.attributes().sort_by(|a, b| a.key.cmp(&b.key)));
    }
    for group in &mut request.resource_metrics {
        group.resource.iter_mut().for_each(|resource| resource.attributes.sort_by(|a, b| a.key.cmp(&b.key)));
        for metric in group.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
            match &mut metric.data {
                Some(Data::Gauge(data)) => sort(&mut data.data_points),
                Some(Data::Sum(data)) => sort(&mut data.data_points),
                Some(Data::Histogram(data)) => sort(&mut data.data_points),
                Some(Data::ExponentialHistogram(data)) => {
                    sort(&mut data.data_points);
                    for point in &mut data.data_points {
                        point.zero_threshold = (point.zero_threshold * 1e9).round() / 1e9;
                    }
                }
                Some(Data::Summary(data)) => sort(&mut data.data_points),
                None => {}
            }
        }
    }
    request
}
