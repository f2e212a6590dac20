//! Metrics, written as they are read.

use kiln_otlp as otlp;
use wasmtime::component::WasmList;

use super::super::guest_memory::{Failure, Store, bytes, collect, get, key, value};
use super::super::receiver::kiln::plugin::telemetry::Temporality;
use super::read::{Head, read_attributes, write_attributes, write_owned};
use super::records::{
    Attribute, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    ResourceMetrics, SummaryPoint,
};
use crate::store_data::unix_nanos;

pub(super) fn metrics(
    store: &mut Store<'_>,
    batch: &WasmList<ResourceMetrics>,
) -> Result<Option<otlp::Batch>, Failure> {
    let emitted = &store.data().emitted;
    let mut payload = otlp::MetricsPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.metrics.len() {
                    let metric = get(&group.metrics, store, index)?;
                    write_metric(store, items, &metric)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_metric(store: &mut Store<'_>, items: &mut otlp::MetricItems<'_>, metric: &Metric) -> Result<(), Failure> {
    let name = key(&metric.name, store)?.into_owned();
    if !store.data().emitted.declared.allows_metric(&name) {
        return Err(Failure::Undeclared(format!(
            "metric `{name}` is not declared in the plugin's manifest: add [telemetry.metrics.\"{name}\"] to plugin.toml"
        )));
    }
    let description = value(&metric.description, store)?.into_owned();
    let unit = key(&metric.unit, store)?.into_owned();
    let metadata = read_attributes(store, &metric.metadata)?;
    items.metric(
        otlp::Metric { name: &name, description: &description, unit: &unit },
        |attributes| write_owned(attributes, &metadata),
        |body| match &metric.data {
            MetricData::Gauge(list) => body.gauge(|points| write_numbers(store, points, list)),
            MetricData::Sum(sum) => {
                body.sum(sum.temporality.into(), sum.monotonic, |points| write_numbers(store, points, &sum.points))
            }
            MetricData::Histogram(histogram) => body
                .histogram(histogram.temporality.into(), |points| write_histograms(store, points, &histogram.points)),
            MetricData::ExponentialHistogram(histogram) => body
                .exponential_histogram(histogram.temporality.into(), |points| {
                    write_exponential_histograms(store, points, &histogram.points)
                }),
            MetricData::Summary(list) => body.summary(|points| write_summaries(store, points, list)),
        },
    )
}

fn number(value: Number) -> otlp::Number {
    match value {
        Number::Integer(value) => otlp::Number::Integer(value),
        Number::Float(value) => otlp::Number::Float(value),
    }
}

fn write_numbers(
    store: &mut Store<'_>,
    points: &mut otlp::NumberPoints<'_>,
    list: &WasmList<NumberPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let plain =
            otlp::NumberPoint { start_time: point.start_time, time: point.time, value: point.value.map(number) };
        points.point(plain, |body| write_body(store, body, &point.attributes, &point.exemplars))?;
    }
    Ok(())
}

fn write_body(
    store: &mut Store<'_>,
    body: &mut otlp::PointBody<'_>,
    attributes: &WasmList<Attribute>,
    list: &WasmList<Exemplar>,
) -> Result<(), Failure> {
    body.attributes(|written| write_attributes(store, written, attributes))?;
    for index in 0..list.len() {
        let exemplar = get(list, store, index)?;
        let trace_id = bytes(&exemplar.trace_id, store)?.to_vec();
        let span_id = bytes(&exemplar.span_id, store)?.to_vec();
        let plain = otlp::Exemplar {
            time: exemplar.time,
            value: number(exemplar.value),
            trace_id: &trace_id,
            span_id: &span_id,
        };
        body.exemplar(plain, |attributes| write_attributes(store, attributes, &exemplar.attributes))?;
    }
    Ok(())
}

fn write_histograms(
    store: &mut Store<'_>,
    points: &mut otlp::HistogramPoints<'_>,
    list: &WasmList<HistogramPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let bounds = collect(&point.bounds, store)?;
        let bucket_counts = collect(&point.bucket_counts, store)?;
        let plain = otlp::HistogramPoint {
            start_time: point.start_time,
            time: point.time,
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            bounds: &bounds,
            bucket_counts: &bucket_counts,
            no_recorded_value: point.no_recorded_value,
        };
        points.point(plain, |body| write_body(store, body, &point.attributes, &point.exemplars))?;
    }
    Ok(())
}

fn write_exponential_histograms(
    store: &mut Store<'_>,
    points: &mut otlp::ExponentialHistogramPoints<'_>,
    list: &WasmList<ExponentialHistogramPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let positive = collect(&point.positive.counts, store)?;
        let negative = collect(&point.negative.counts, store)?;
        let plain = otlp::ExponentialHistogramPoint {
            start_time: point.start_time,
            time: point.time,
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: otlp::ExponentialBuckets { offset: point.positive.offset, counts: &positive },
            negative: otlp::ExponentialBuckets { offset: point.negative.offset, counts: &negative },
            no_recorded_value: point.no_recorded_value,
        };
        points.point(plain, |body| write_body(store, body, &point.attributes, &point.exemplars))?;
    }
    Ok(())
}

fn write_summaries(
    store: &mut Store<'_>,
    points: &mut otlp::SummaryPoints<'_>,
    list: &WasmList<SummaryPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let quantiles: Vec<_> =
            collect(&point.quantiles, store)?.iter().map(|pair| (pair.quantile, pair.value)).collect();
        let plain = otlp::SummaryPoint {
            start_time: point.start_time,
            time: point.time,
            count: point.count,
            sum: point.sum,
            quantiles: &quantiles,
            no_recorded_value: point.no_recorded_value,
        };
        points.point(plain, |attributes| write_attributes(store, attributes, &point.attributes))?;
    }
    Ok(())
}

impl From<Temporality> for otlp::Temporality {
    fn from(temporality: Temporality) -> Self {
        match temporality {
            Temporality::Delta => Self::Delta,
            Temporality::Cumulative => Self::Cumulative,
        }
    }
}
