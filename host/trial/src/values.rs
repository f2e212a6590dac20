//! Values of OTLP in few words.

use std::fmt::Write as _;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    DataPointFlags, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    number_data_point,
};

/// `a="x" b=1`.
pub(crate) fn attributes(attributes: &[KeyValue]) -> String {
    let one = |pair: &KeyValue| format!("{}={}", pair.key, value(pair.value.as_ref()));
    attributes.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A value as JSON would have it, texts in quotes.
pub(crate) fn value(any: Option<&AnyValue>) -> String {
    match any.and_then(|any| any.value.as_ref()) {
        None => "empty".to_owned(),
        Some(Value::StringValue(text)) => format!("{text:?}"),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => format!("{value:?}"),
        Some(Value::BytesValue(bytes)) => format!("0x{}", hexadecimal(bytes)),
        Some(Value::StringValueStrindex(index)) => format!("string {index}"),
        Some(Value::ArrayValue(array)) => {
            format!("[{}]", array.values.iter().map(|it| value(Some(it))).collect::<Vec<_>>().join(", "))
        }
        Some(Value::KvlistValue(map)) => {
            let pairs = map.values.iter().map(|pair| format!("{:?}: {}", pair.key, value(pair.value.as_ref())));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// A duration with three digits, as people read it.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds >= 100.0 => format!("{seconds:.0} s"),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 0.1 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Bytes as people read them.
pub(crate) fn bytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits anyway")]
    let in_units = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        _ if bytes >= 1 << 30 => format!("{:.1} GiB", in_units(1 << 30)),
        _ if bytes >= 1 << 20 => format!("{:.1} MiB", in_units(1 << 20)),
        _ if bytes >= 1 << 10 => format!("{:.1} KiB", in_units(1 << 10)),
        _ => format!("{bytes} B"),
    }
}

/// The value of a point of a gauge or a sum.
pub(crate) fn number(point: &NumberDataPoint) -> String {
    let value = match point.value {
        _ if has_ended(point.flags) => "ended".to_owned(),
        Some(number_data_point::Value::AsDouble(value)) => format!("{value:?}"),
        Some(number_data_point::Value::AsInt(value)) => value.to_string(),
        None => "none".to_owned(),
    };
    value + &exemplars(&point.exemplars)
}

/// Count, sum and buckets.
pub(crate) fn histogram(point: &HistogramDataPoint) -> String {
    if has_ended(point.flags) {
        return "ended".to_owned();
    }
    let mut text = totals(point.count, point.sum, point.min, point.max);
    let bounds = point.explicit_bounds.iter().map(|bound| format!("≤{bound}")).chain(std::iter::once(">".to_owned()));
    let buckets = bounds.zip(&point.bucket_counts).filter(|(_, count)| **count > 0);
    let buckets: Vec<_> = buckets.map(|(bound, count)| format!("{bound}: {count}")).collect();
    if !buckets.is_empty() {
        let _infallible = write!(text, " [{}]", buckets.join(", "));
    }
    text + &exemplars(&point.exemplars)
}

/// Count, sum, scale and buckets.
pub(crate) fn exponential_histogram(point: &ExponentialHistogramDataPoint) -> String {
    if has_ended(point.flags) {
        return "ended".to_owned();
    }
    let mut text = totals(point.count, point.sum, point.min, point.max);
    let _infallible = write!(text, " scale={} zero={}", point.scale, point.zero_count);
    for (name, buckets) in [("positive", &point.positive), ("negative", &point.negative)] {
        if let Some(Buckets { offset, bucket_counts }) = buckets
            && !bucket_counts.is_empty()
        {
            let _infallible = write!(text, " {name} from {offset}: {bucket_counts:?}");
        }
    }
    text + &exemplars(&point.exemplars)
}

/// Count, sum and quantiles.
pub(crate) fn summary(point: &SummaryDataPoint) -> String {
    if has_ended(point.flags) {
        return "ended".to_owned();
    }
    let quantiles = point.quantile_values.iter().map(|at| format!(" q{}={}", at.quantile, at.value));
    format!("count={} sum={}{}", point.count, point.sum, quantiles.collect::<String>())
}

fn totals(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let rest = [("sum", sum), ("min", min), ("max", max)];
    let rest = rest.into_iter().filter_map(|(name, value)| value.map(|value| format!(" {name}={value}")));
    format!("count={count}{}", rest.collect::<String>())
}

fn exemplars(exemplars: &[Exemplar]) -> String {
    match exemplars.len() {
        0 => String::new(),
        1 => " (1 exemplar)".to_owned(),
        count => format!(" ({count} exemplars)"),
    }
}

const fn has_ended(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_three_digits() {
        for (micros, expected) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_500, "1.5 ms"),
            (150_000, "150 ms"),
            (2_345_678, "2.35 s"),
            (120_000_000, "120 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), expected);
        }
        for (size, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn a_histogram_shows_the_buckets_that_have_something() {
        let point = HistogramDataPoint {
            count: 3,
            sum: Some(26.5),
            explicit_bounds: vec![0.5, 1.0],
            bucket_counts: vec![2, 0, 1],
            ..HistogramDataPoint::default()
        };
        assert_eq!(histogram(&point), "count=3 sum=26.5 [≤0.5: 2, >: 1]");
        assert_eq!(histogram(&HistogramDataPoint { flags: 1, ..point }), "ended");
    }
}
