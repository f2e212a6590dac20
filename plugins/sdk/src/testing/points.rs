//! Whether the points of a metric are what the data model allows.

use std::collections::BTreeSet;

use crate::telemetry::{
    Attribute, Exemplar, ExponentialHistogramPoint, HistogramPoint, MetricData, NumberPoint, SummaryPoint, Temporality,
};

/// So many exemplars a point may have, as the contract says.
const MOST_EXEMPLARS: usize = 128;

/// The points of a gauge or a sum.
pub(super) fn numbers(data: &MetricData) -> &[NumberPoint] {
    match data {
        MetricData::Gauge(points) => points,
        MetricData::Sum(sum) => &sum.points,
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) | MetricData::Summary(_) => &[],
    }
}

/// The attributes of every point, whatever its kind.
pub(super) fn attributes(data: &MetricData) -> Vec<&[Attribute]> {
    match data {
        MetricData::Gauge(points) => points.iter().map(|point| point.attributes.as_slice()).collect(),
        MetricData::Sum(sum) => sum.points.iter().map(|point| point.attributes.as_slice()).collect(),
        MetricData::Histogram(histogram) => histogram.points.iter().map(|point| point.attributes.as_slice()).collect(),
        MetricData::ExponentialHistogram(histogram) => {
            histogram.points.iter().map(|point| point.attributes.as_slice()).collect()
        }
        MetricData::Summary(points) => points.iter().map(|point| point.attributes.as_slice()).collect(),
    }
}

/// Whether points are sound. Who declares a metric knows when counting began; who passes on what a source has may not.
pub(super) fn check(data: &MetricData, needs_start: bool) -> Result<(), String> {
    let starts = |time: u64| time > 0 || !needs_start;
    match data {
        MetricData::Gauge(points) => points.iter().try_for_each(|point| exemplars(&point.exemplars))?,
        MetricData::Sum(sum) => {
            let counts = sum.temporality == Temporality::Cumulative && sum.monotonic;
            if counts && sum.points.iter().any(|point| !starts(point.start_time) && point.value.is_some()) {
                return Err("a cumulative monotonic sum needs a start time".to_owned());
            }
            sum.points.iter().try_for_each(|point| exemplars(&point.exemplars))?;
        }
        MetricData::Histogram(data) => {
            data.points.iter().try_for_each(|point| histogram(point, starts(point.start_time)))?
        }
        MetricData::ExponentialHistogram(data) => {
            data.points.iter().try_for_each(|point| exponential_histogram(point, starts(point.start_time)))?;
        }
        MetricData::Summary(points) => points.iter().try_for_each(summary)?,
    }
    let mut series = BTreeSet::new();
    for attributes in attributes(data) {
        let mut keys: Vec<_> = attributes.iter().map(|attribute| format!("{attribute:?}")).collect();
        keys.sort_unstable();
        if !series.insert(keys.join(", ")) {
            return Err(format!("two points of one series: {}", keys.join(", ")));
        }
    }
    Ok(())
}

fn histogram(point: &HistogramPoint, starts: bool) -> Result<(), String> {
    if point.no_recorded_value {
        return Ok(());
    }
    let arity = point.bucket_counts.len() == point.bounds.len() + 1;
    if !starts || !arity || total([&point.bucket_counts]) != Some(point.count) {
        return Err("a histogram needs a start time, and buckets that fit its bounds and its count".to_owned());
    }
    exemplars(&point.exemplars)
}

fn exponential_histogram(point: &ExponentialHistogramPoint, starts: bool) -> Result<(), String> {
    if point.no_recorded_value {
        return Ok(());
    }
    let counted = total([&point.positive.counts, &point.negative.counts, &vec![point.zero_count]]);
    let scale = (-10..=20).contains(&point.scale);
    let zero = point.zero_threshold.is_finite() && point.zero_threshold >= 0.0;
    if !starts || !scale || !zero || counted != Some(point.count) {
        return Err(
            "an exponential histogram needs a start time, a scale from -10 to 20, a zero threshold that is not \
                    negative, and buckets that add up to its count"
                .to_owned(),
        );
    }
    exemplars(&point.exemplars)
}

fn summary(point: &SummaryPoint) -> Result<(), String> {
    let in_range = |quantile: f64| (0.0..=1.0).contains(&quantile);
    if point.no_recorded_value || point.quantiles.iter().all(|pair| in_range(pair.quantile)) {
        return Ok(());
    }
    Err("a quantile lies between 0 and 1".to_owned())
}

fn total<const N: usize>(counts: [&Vec<u64>; N]) -> Option<u64> {
    counts.into_iter().flatten().try_fold(0_u64, |sum, count| sum.checked_add(*count))
}

fn exemplars(exemplars: &[Exemplar]) -> Result<(), String> {
    let id = |id: &[u8], length| id.is_empty() || id.len() == length && id.iter().any(|byte| *byte != 0);
    if exemplars.len() > MOST_EXEMPLARS {
        return Err(format!("more than {MOST_EXEMPLARS} exemplars on one point"));
    }
    if !exemplars.iter().all(|exemplar| id(&exemplar.trace_id, 16) && id(&exemplar.span_id, 8)) {
        return Err("an exemplar has an id of a wrong length, or one that is all zero".to_owned());
    }
    Ok(())
}
