//! Metrics for people to read.

use std::fmt::{Result, Write};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint, exemplar, number_data_point,
};

use super::text::{Inline, attributes, id, line, resource, resource_inline, scope, time};
use crate::printable::Printable;

/// A line per data point.
pub(super) fn normal(out: &mut String, request: &ExportMetricsServiceRequest) -> Result {
    for of_resource in &request.resource_metrics {
        resource_inline(out, of_resource.resource.as_ref())?;
        for metric in of_resource.scope_metrics.iter().flat_map(|it| &it.metrics) {
            let name = Printable(&metric.name);
            match &metric.data {
                None => writeln!(out, "  {name} has no data")?,
                Some(Data::Gauge(gauge)) => numbers(out, &name, &gauge.data_points)?,
                Some(Data::Sum(sum)) => numbers(out, &name, &sum.data_points)?,
                Some(Data::Histogram(histogram)) => {
                    for point in &histogram.data_points {
                        write!(out, "  {name}{} count={}", Inline(&point.attributes), point.count)?;
                        extremes(out, point.sum, point.min, point.max)?;
                    }
                }
                Some(Data::ExponentialHistogram(histogram)) => {
                    for point in &histogram.data_points {
                        write!(out, "  {name}{} count={}", Inline(&point.attributes), point.count)?;
                        extremes(out, point.sum, point.min, point.max)?;
                    }
                }
                Some(Data::Summary(summary)) => {
                    for point in &summary.data_points {
                        write!(out, "  {name}{} count={} sum={}", Inline(&point.attributes), point.count, point.sum)?;
                        for quantile in &point.quantile_values {
                            write!(out, " q{}={}", quantile.quantile, quantile.value)?;
                        }
                        writeln!(out)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn numbers(out: &mut String, name: &Printable<'_>, points: &[NumberDataPoint]) -> Result {
    for point in points {
        writeln!(out, "  {name}{} {}", Inline(&point.attributes), value(point))?;
    }
    Ok(())
}

fn extremes(out: &mut String, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> Result {
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            write!(out, " {name}={value}")?;
        }
    }
    writeln!(out)
}

fn value(point: &NumberDataPoint) -> String {
    match point.value {
        _ if is_stale(point.flags) => "no recorded value".to_owned(),
        Some(number_data_point::Value::AsDouble(value)) => value.to_string(),
        Some(number_data_point::Value::AsInt(value)) => value.to_string(),
        None => "no value".to_owned(),
    }
}

fn is_stale(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

/// Every field of every data point.
pub(super) fn detailed(out: &mut String, request: &ExportMetricsServiceRequest) -> Result {
    for (at, of_resource) in request.resource_metrics.iter().enumerate() {
        resource(out, at, of_resource.resource.as_ref(), &of_resource.schema_url)?;
        for (at, of_scope) in of_resource.scope_metrics.iter().enumerate() {
            scope(out, at, of_scope.scope.as_ref(), &of_scope.schema_url)?;
            for (at, metric) in of_scope.metrics.iter().enumerate() {
                writeln!(out, "Metric #{at}")?;
                descriptor(out, metric)?;
                points(out, metric.data.as_ref())?;
            }
        }
    }
    Ok(())
}

fn descriptor(out: &mut String, metric: &Metric) -> Result {
    line(out, "Name", &metric.name)?;
    line(out, "Description", &metric.description)?;
    line(out, "Unit", &metric.unit)?;
    attributes(out, "Metadata", &metric.metadata)?;
    match &metric.data {
        None => writeln!(out, "Type: none"),
        Some(Data::Gauge(_)) => writeln!(out, "Type: Gauge"),
        Some(Data::Sum(sum)) => {
            let monotonic = if sum.is_monotonic { "monotonic" } else { "not monotonic" };
            writeln!(out, "Type: Sum, {monotonic}, {}", temporality(sum.aggregation_temporality))
        }
        Some(Data::Histogram(it)) => writeln!(out, "Type: Histogram, {}", temporality(it.aggregation_temporality)),
        Some(Data::ExponentialHistogram(it)) => {
            writeln!(out, "Type: ExponentialHistogram, {}", temporality(it.aggregation_temporality))
        }
        Some(Data::Summary(_)) => writeln!(out, "Type: Summary"),
    }
}

fn temporality(number: i32) -> &'static str {
    match AggregationTemporality::try_from(number) {
        Ok(AggregationTemporality::Cumulative) => "cumulative",
        Ok(AggregationTemporality::Delta) => "delta",
        Ok(AggregationTemporality::Unspecified) | Err(_) => "of unknown temporality",
    }
}

fn points(out: &mut String, data: Option<&Data>) -> Result {
    match data {
        None => Ok(()),
        Some(Data::Gauge(gauge)) => each(out, &gauge.data_points, number),
        Some(Data::Sum(sum)) => each(out, &sum.data_points, number),
        Some(Data::Histogram(it)) => each(out, &it.data_points, histogram),
        Some(Data::ExponentialHistogram(it)) => each(out, &it.data_points, exponential_histogram),
        Some(Data::Summary(it)) => each(out, &it.data_points, summary),
    }
}

fn each<T>(out: &mut String, points: &[T], write: impl Fn(&mut String, &T) -> Result) -> Result {
    for (at, point) in points.iter().enumerate() {
        writeln!(out, "Data point #{at}")?;
        write(out, point)?;
    }
    Ok(())
}

fn number(out: &mut String, point: &NumberDataPoint) -> Result {
    attributes(out, "Data point attributes", &point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    writeln!(out, "Value: {}", value(point))?;
    exemplars(out, &point.exemplars)
}

fn histogram(out: &mut String, point: &HistogramDataPoint) -> Result {
    attributes(out, "Data point attributes", &point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    count(out, point.flags, point.count, point.sum, point.min, point.max)?;
    if !point.explicit_bounds.is_empty() {
        writeln!(out, "Bounds: {:?}", point.explicit_bounds)?;
    }
    if !point.bucket_counts.is_empty() {
        writeln!(out, "Buckets: {:?}", point.bucket_counts)?;
    }
    exemplars(out, &point.exemplars)
}

fn exponential_histogram(out: &mut String, point: &ExponentialHistogramDataPoint) -> Result {
    attributes(out, "Data point attributes", &point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    count(out, point.flags, point.count, point.sum, point.min, point.max)?;
    writeln!(out, "Scale: {}", point.scale)?;
    writeln!(out, "Zero: {} within {}", point.zero_count, point.zero_threshold)?;
    buckets(out, "Positive buckets", point.positive.as_ref())?;
    buckets(out, "Negative buckets", point.negative.as_ref())?;
    exemplars(out, &point.exemplars)
}

fn buckets(out: &mut String, name: &str, buckets: Option<&Buckets>) -> Result {
    match buckets {
        Some(buckets) if !buckets.bucket_counts.is_empty() => {
            writeln!(out, "{name}: from {}: {:?}", buckets.offset, buckets.bucket_counts)
        }
        _ => Ok(()),
    }
}

fn summary(out: &mut String, point: &SummaryDataPoint) -> Result {
    attributes(out, "Data point attributes", &point.attributes)?;
    times(out, point.start_time_unix_nano, point.time_unix_nano)?;
    count(out, point.flags, point.count, Some(point.sum), None, None)?;
    for quantile in &point.quantile_values {
        writeln!(out, "Quantile {}: {}", quantile.quantile, quantile.value)?;
    }
    Ok(())
}

fn times(out: &mut String, start: u64, at: u64) -> Result {
    time(out, "Start time", start)?;
    time(out, "Time", at)
}

fn count(out: &mut String, flags: u32, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> Result {
    if is_stale(flags) {
        return writeln!(out, "Value: no recorded value");
    }
    write!(out, "Count: {count}")?;
    extremes(out, sum, min, max)
}

fn exemplars(out: &mut String, exemplars: &[Exemplar]) -> Result {
    for (at, exemplar) in exemplars.iter().enumerate() {
        writeln!(out, "Exemplar #{at}")?;
        attributes(out, "Filtered attributes", &exemplar.filtered_attributes)?;
        id(out, "Trace ID", &exemplar.trace_id)?;
        id(out, "Span ID", &exemplar.span_id)?;
        time(out, "Time", exemplar.time_unix_nano)?;
        match exemplar.value {
            Some(exemplar::Value::AsDouble(value)) => writeln!(out, "Value: {value}")?,
            Some(exemplar::Value::AsInt(value)) => writeln!(out, "Value: {value}")?,
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Histogram, ResourceMetrics, ScopeMetrics, Sum, Summary, summary_data_point,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::*;

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    fn metric(name: &str, data: Data) -> Metric {
        Metric { name: name.to_owned(), unit: "s".to_owned(), data: Some(data), ..Metric::default() }
    }

    fn example() -> ExportMetricsServiceRequest {
        let number = NumberDataPoint {
            attributes: vec![attribute("job", "a\"b\n")],
            start_time_unix_nano: 1_700_000_000_000_000_000,
            time_unix_nano: 1_700_000_060_000_000_000,
            value: Some(number_data_point::Value::AsInt(7)),
            ..NumberDataPoint::default()
        };
        let stale = NumberDataPoint { flags: 1, ..NumberDataPoint::default() };
        let histogram = HistogramDataPoint {
            count: 3,
            sum: Some(1.5),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.5],
            exemplars: vec![Exemplar {
                trace_id: vec![0xab; 16],
                value: Some(exemplar::Value::AsDouble(0.25)),
                ..Exemplar::default()
            }],
            ..HistogramDataPoint::default()
        };
        let summary = SummaryDataPoint {
            count: 2,
            sum: 4.0,
            quantile_values: vec![summary_data_point::ValueAtQuantile { quantile: 0.5, value: 2.0 }],
            ..SummaryDataPoint::default()
        };
        let metrics = vec![
            metric(
                "runs",
                Data::Sum(Sum { data_points: vec![number], aggregation_temporality: 2, is_monotonic: true }),
            ),
            metric("gone", Data::Gauge(Gauge { data_points: vec![stale] })),
            metric("took", Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 })),
            metric("old", Data::Summary(Summary { data_points: vec![summary] })),
        ];
        let scope = InstrumentationScope { name: "databricks".to_owned(), ..InstrumentationScope::default() };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource { attributes: vec![attribute("service.name", "x")], ..Resource::default() }),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        }
    }

    #[test]
    fn normal_is_a_line_per_point() {
        let mut out = String::new();
        normal(&mut out, &example()).unwrap();
        assert_eq!(
            out,
            "resource service.name=\"x\"\n  runs job=\"a\\\"b\\n\" 7\n  gone no recorded value\n  took count=3 sum=1.5\n  \
             old count=2 sum=4 q0.5=2\n"
        );
    }

    #[test]
    fn detailed_is_every_field_that_is_set() {
        let mut out = String::new();
        detailed(&mut out, &example()).unwrap();
        assert_eq!(
            out,
            "Resource #0\nResource attributes:\n     -> service.name: Str(\"x\")\nScope #0\nScope name: databricks\n\
             Metric #0\nName: runs\nUnit: s\nType: Sum, monotonic, cumulative\nData point #0\nData point attributes:\n     \
             -> job: Str(\"a\\\"b\\n\")\nStart time: 2023-11-14T22:13:20.000000000Z\nTime: \
             2023-11-14T22:14:20.000000000Z\nValue: 7\n\
             Metric #1\nName: gone\nUnit: s\nType: Gauge\nData point #0\nValue: no recorded value\n\
             Metric #2\nName: took\nUnit: s\nType: Histogram, delta\nData point #0\nCount: 3 sum=1.5\nBounds: [0.5]\n\
             Buckets: [1, 2]\nExemplar #0\nTrace ID: abababababababababababababababab\nValue: 0.25\n\
             Metric #3\nName: old\nUnit: s\nType: Summary\nData point #0\nCount: 2 sum=4\nQuantile 0.5: 2\n"
        );
    }
}
