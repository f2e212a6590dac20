//! Copies of records that borrow, for a test to look at.

use crate::telemetry::{
    Attribute, AttributeValue, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint,
    Histogram, HistogramPoint, Metric, MetricData, Number, NumberPoint, Quantile, Resource, ResourceMetrics, Scope,
    Sum, SummaryPoint, Temporality, borrowed,
};

pub(super) fn record(record: &borrowed::ResourceMetrics<'_>) -> ResourceMetrics {
    let scope = &record.scope;
    ResourceMetrics {
        resource: Resource { attributes: all(record.resource.attributes, attribute) },
        scope: Scope {
            name: scope.name.to_owned(),
            version: scope.version.to_owned(),
            attributes: all(scope.attributes, attribute),
        },
        metrics: all(record.metrics, metric),
    }
}

fn all<B, O>(borrowed: &[B], owned: impl Fn(&B) -> O) -> Vec<O> {
    borrowed.iter().map(owned).collect()
}

fn metric(metric: &borrowed::Metric<'_>) -> Metric {
    let data = match &metric.data {
        borrowed::MetricData::Gauge(points) => MetricData::Gauge(all(points, number_point)),
        borrowed::MetricData::Sum(sum) => MetricData::Sum(Sum {
            temporality: temporality(sum.temporality),
            monotonic: sum.monotonic,
            points: all(sum.points, number_point),
        }),
        borrowed::MetricData::Histogram(data) => MetricData::Histogram(Histogram {
            temporality: temporality(data.temporality),
            points: all(data.points, histogram_point),
        }),
        borrowed::MetricData::ExponentialHistogram(data) => MetricData::ExponentialHistogram(ExponentialHistogram {
            temporality: temporality(data.temporality),
            points: all(data.points, exponential_histogram_point),
        }),
        borrowed::MetricData::Summary(points) => MetricData::Summary(all(points, summary_point)),
    };
    Metric {
        name: metric.name.to_owned(),
        description: metric.description.to_owned(),
        unit: metric.unit.to_owned(),
        metadata: all(metric.metadata, attribute),
        data,
    }
}

const fn temporality(temporality: borrowed::Temporality) -> Temporality {
    match temporality {
        borrowed::Temporality::Delta => Temporality::Delta,
        borrowed::Temporality::Cumulative => Temporality::Cumulative,
    }
}

fn attribute(attribute: &borrowed::Attribute<'_>) -> Attribute {
    let value = match attribute.value {
        borrowed::AttributeValue::Text(text) => AttributeValue::Text(text.to_owned()),
        borrowed::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
        borrowed::AttributeValue::Integer(value) => AttributeValue::Integer(value),
        borrowed::AttributeValue::Float(value) => AttributeValue::Float(value),
        borrowed::AttributeValue::Bytes(bytes) => AttributeValue::Bytes(bytes.to_vec()),
        borrowed::AttributeValue::TextList(texts) => {
            AttributeValue::TextList(texts.iter().map(|text| (*text).to_owned()).collect())
        }
        borrowed::AttributeValue::BooleanList(list) => AttributeValue::BooleanList(list.to_vec()),
        borrowed::AttributeValue::IntegerList(list) => AttributeValue::IntegerList(list.to_vec()),
        borrowed::AttributeValue::FloatList(list) => AttributeValue::FloatList(list.to_vec()),
    };
    Attribute { key: attribute.key.to_owned(), value }
}

const fn number(number: borrowed::Number) -> Number {
    match number {
        borrowed::Number::Integer(value) => Number::Integer(value),
        borrowed::Number::Float(value) => Number::Float(value),
    }
}

fn exemplar(exemplar: &borrowed::Exemplar<'_>) -> Exemplar {
    Exemplar {
        attributes: all(exemplar.attributes, attribute),
        time: exemplar.time,
        value: number(exemplar.value),
        trace_id: exemplar.trace_id.to_vec(),
        span_id: exemplar.span_id.to_vec(),
    }
}

fn number_point(point: &borrowed::NumberPoint<'_>) -> NumberPoint {
    NumberPoint {
        attributes: all(point.attributes, attribute),
        start_time: point.start_time,
        time: point.time,
        value: point.value.map(number),
        exemplars: all(point.exemplars, exemplar),
    }
}

fn histogram_point(point: &borrowed::HistogramPoint<'_>) -> HistogramPoint {
    HistogramPoint {
        attributes: all(point.attributes, attribute),
        start_time: point.start_time,
        time: point.time,
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        bounds: point.bounds.to_vec(),
        bucket_counts: point.bucket_counts.to_vec(),
        exemplars: all(point.exemplars, exemplar),
        no_recorded_value: point.no_recorded_value,
    }
}

fn exponential_histogram_point(point: &borrowed::ExponentialHistogramPoint<'_>) -> ExponentialHistogramPoint {
    let buckets = |buckets: &borrowed::ExponentialBuckets<'_>| ExponentialBuckets {
        offset: buckets.offset,
        counts: buckets.counts.to_vec(),
    };
    ExponentialHistogramPoint {
        attributes: all(point.attributes, attribute),
        start_time: point.start_time,
        time: point.time,
        count: point.count,
        sum: point.sum,
        min: point.min,
        max: point.max,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        exemplars: all(point.exemplars, exemplar),
        no_recorded_value: point.no_recorded_value,
    }
}

fn summary_point(point: &borrowed::SummaryPoint<'_>) -> SummaryPoint {
    SummaryPoint {
        attributes: all(point.attributes, attribute),
        start_time: point.start_time,
        time: point.time,
        count: point.count,
        sum: point.sum,
        quantiles: all(point.quantiles, |of| Quantile { quantile: of.quantile, value: of.value }),
        no_recorded_value: point.no_recorded_value,
    }
}
