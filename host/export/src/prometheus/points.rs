//! Points as OTLP has them, brought into the form of a series.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as OtlpExemplar, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, exemplar,
    metric, number_data_point,
};

use super::names::{Labels, Nature};
use super::store::{Exemplar, Number, Type, Value};
use super::text;

/// A point on its way to a series.
pub(super) struct Point {
    pub(super) labels: Labels,
    pub(super) time: u64,
    pub(super) value: Value,
    /// Whether it is to be added to what there is.
    pub(super) is_delta: bool,
    /// Whether it says that its series has ended.
    pub(super) is_gone: bool,
}

const NO_RECORDED_VALUE: u32 = 1;

/// The points of a metric; how many there are if they cannot be shown.
pub(super) fn read(data: Option<metric::Data>, labels: &Labels) -> Result<(Type, Nature, Vec<Point>), usize> {
    let is_delta = |temporality| temporality == AggregationTemporality::Delta as i32;
    Ok(match data {
        None => (Type::Gauge, Nature::Gauge, Vec::new()),
        Some(metric::Data::Gauge(gauge)) => {
            let points = gauge.data_points.into_iter().map(|point| number(point, labels, false));
            (Type::Gauge, Nature::Gauge, points.collect())
        }
        Some(metric::Data::Sum(sum)) => {
            let is_delta = is_delta(sum.aggregation_temporality);
            let points = sum.data_points.into_iter().map(|point| number(point, labels, is_delta)).collect();
            if sum.is_monotonic {
                (Type::Counter, Nature::Counter, points)
            } else {
                (Type::Gauge, Nature::Other, points)
            }
        }
        Some(metric::Data::Histogram(histogram)) => {
            let is_delta = is_delta(histogram.aggregation_temporality);
            let points = histogram.data_points.into_iter().map(|point| distribution(point, labels, is_delta));
            (Type::Histogram, Nature::Other, points.collect())
        }
        Some(metric::Data::Summary(summary)) => {
            let points = summary.data_points.into_iter().map(|point| quantiles(point, labels));
            (Type::Summary, Nature::Other, points.collect())
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => return Err(histogram.data_points.len()),
    })
}

fn with_attributes(labels: &Labels, attributes: &[KeyValue]) -> Labels {
    // Labels of the resource and the scope come before those of a point.
    let mut labels = labels.clone();
    labels.add(attributes.iter().map(|pair| (pair.key.as_str(), text(pair.value.as_ref()))));
    labels
}

fn number(point: NumberDataPoint, labels: &Labels, is_delta: bool) -> Point {
    let value = match point.value {
        Some(number_data_point::Value::AsInt(value)) => Number::Whole(value),
        Some(number_data_point::Value::AsDouble(value)) => Number::Real(value),
        None => Number::Real(f64::NAN),
    };
    let exemplar = point.exemplars.into_iter().filter_map(read_exemplar).max_by_key(|exemplar| exemplar.time);
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Number(value, exemplar),
        is_delta,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn distribution(point: HistogramDataPoint, labels: &Labels, is_delta: bool) -> Point {
    // A histogram without buckets has the one that everything is in.
    let (bounds, counts) = if point.bucket_counts.len() == point.explicit_bounds.len() + 1 {
        (point.explicit_bounds, point.bucket_counts)
    } else {
        (Vec::new(), vec![point.count])
    };
    let mut labels = labels.clone();
    // Each line has one of its own.
    labels.set("le", "");
    let labels = &labels;
    let mut exemplars: Vec<_> = point.exemplars.into_iter().filter_map(read_exemplar).collect();
    exemplars.sort_by_key(|exemplar| std::cmp::Reverse(exemplar.time));
    let mut in_bucket = vec![false; counts.len()];
    exemplars.retain(|exemplar| {
        let bucket = bounds.iter().take_while(|bound| exemplar.value > **bound).count();
        in_bucket.get_mut(bucket).is_some_and(|taken| !std::mem::replace(taken, true))
    });
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Histogram { count: point.count, sum: point.sum, bounds, counts, exemplars },
        is_delta,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn quantiles(point: SummaryDataPoint, labels: &Labels) -> Point {
    let mut quantiles: Vec<_> = point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect();
    quantiles.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    quantiles.dedup_by(|(one, _), (other, _)| one == other);
    let mut labels = labels.clone();
    labels.set("quantile", "");
    let labels = &labels;
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Summary { count: point.count, sum: point.sum, quantiles },
        is_delta: false,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn read_exemplar(exemplar: OtlpExemplar) -> Option<Exemplar> {
    let value = match exemplar.value? {
        exemplar::Value::AsDouble(value) => Number::Real(value),
        exemplar::Value::AsInt(value) => Number::Whole(value),
    };
    let OtlpExemplar { time_unix_nano: time, trace_id, span_id, .. } = exemplar;
    Some(Exemplar { value: value.as_f64(), time, trace_id, span_id })
}
