//! Points of every kind, with exemplars: what is written is what the OpenTelemetry protobuf definitions read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use kiln_otlp::*;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;

const NOW: u64 = 1_700_000_000_000_000_000;
const LIMIT: Amount = Amount { bytes: 1 << 20, items: 10_000 };

fn nothing(_: &mut Attributes<'_>) -> Result<(), Invalid> {
    Ok(())
}

fn attribute(attributes: &mut Attributes<'_>) -> Result<(), Invalid> {
    attributes.value("key", ListItem::Text("value"))
}

/// Writes one metric and reads it back.
fn written(limit: Amount, body: impl FnOnce(MetricBody<'_>) -> Result<(), Invalid>) -> Result<Data, Invalid> {
    let mut payload = MetricsPayload::new(NOW, limit, Amount::default());
    let metric = Metric { name: "m", description: "", unit: "" };
    payload.group(nothing, Scope { name: "", version: "" }, nothing, |items| items.metric(metric, nothing, body))?;
    let batch = payload.finish().unwrap();
    let mut request = ExportMetricsServiceRequest::decode(batch.payload).unwrap();
    Ok(request.resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0).data.unwrap())
}

fn exponential(point: ExponentialHistogramPoint<'_>) -> Result<proto::ExponentialHistogramDataPoint, Invalid> {
    let data = written(LIMIT, |body| {
        body.exponential_histogram(Temporality::Cumulative, |points| {
            points.point(point, |body| body.attributes(attribute))
        })
    })?;
    let Data::ExponentialHistogram(mut histogram) = data else { panic!("an exponential histogram") };
    assert_eq!(histogram.aggregation_temporality, 2);
    Ok(histogram.data_points.remove(0))
}

const EXPONENTIAL: ExponentialHistogramPoint<'_> = ExponentialHistogramPoint {
    start_time: 5,
    time: 7,
    count: 6,
    sum: Some(1.5),
    min: Some(-2.0),
    max: Some(4.0),
    scale: 0,
    zero_count: 1,
    zero_threshold: 0.0,
    positive: ExponentialBuckets { offset: -3, counts: &[1, 0, 3] },
    negative: ExponentialBuckets { offset: 0, counts: &[1] },
    no_recorded_value: false,
};

fn read_back_attribute() -> Vec<KeyValue> {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue("value".to_owned())) });
    vec![KeyValue { key: "key".to_owned(), value, ..Default::default() }]
}

#[test]
fn an_exponential_histogram_has_to_add_up() {
    assert!(exponential(EXPONENTIAL).is_ok());
    let refused = |change: fn(&mut ExponentialHistogramPoint<'_>)| {
        let mut point = EXPONENTIAL;
        change(&mut point);
        exponential(point).unwrap_err()
    };
    assert_eq!(refused(|point| point.count = 7), Invalid::ExponentialBuckets);
    assert_eq!(refused(|point| point.zero_count = 2), Invalid::ExponentialBuckets);
    assert_eq!(refused(|point| point.positive.counts = &[u64::MAX, 5]), Invalid::ExponentialBuckets);
    assert_eq!(refused(|point| point.negative.counts = &[]), Invalid::ExponentialBuckets);
}

#[test]
fn scale_threshold_and_indexes_have_their_ranges() {
    let with = |change: fn(&mut ExponentialHistogramPoint<'_>)| {
        let mut point = EXPONENTIAL;
        change(&mut point);
        exponential(point).map(|_| ())
    };
    assert_eq!([with(|point| point.scale = -10), with(|point| point.scale = 20)], [Ok(()), Ok(())]);
    assert_eq!([with(|point| point.scale = -11), with(|point| point.scale = 21)], [const { Err(Invalid::Scale) }; 2]);
    assert_eq!(with(|point| point.zero_threshold = 0.5), Ok(()));
    assert_eq!(with(|point| point.zero_threshold = -0.5), Err(Invalid::ZeroThreshold));
    assert_eq!(with(|point| point.zero_threshold = f64::NAN), Err(Invalid::ZeroThreshold));
    assert_eq!(with(|point| point.zero_threshold = f64::INFINITY), Err(Invalid::ZeroThreshold));
    assert_eq!(with(|point| point.positive.offset = i32::MIN), Ok(()));
    assert_eq!(with(|point| point.positive.offset = i32::MAX - 3), Ok(()));
    assert_eq!(with(|point| point.positive.offset = i32::MAX - 2), Err(Invalid::ExponentialBuckets));
}

/// A series that has ended is told by its attributes and times alone, even when the rest makes no sense.
#[test]
fn what_has_ended_has_a_flag_and_no_values() {
    let write = |body: &mut PointBody<'_>| {
        body.attributes(attribute)?;
        body.exemplar(EXEMPLAR, nothing)
    };
    let point = ExponentialHistogramPoint { count: 99, scale: 99, no_recorded_value: true, ..EXPONENTIAL };
    let data =
        written(LIMIT, |body| body.exponential_histogram(Temporality::Delta, |points| points.point(point, write)));
    let Data::ExponentialHistogram(read) = data.unwrap() else { panic!("an exponential histogram") };
    let (attributes, flags) = (read_back_attribute(), 1);
    let ended = proto::ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 5,
        time_unix_nano: 7,
        flags,
        ..Default::default()
    };
    assert_eq!(read.data_points, [ended]);

    let point = HistogramPoint {
        start_time: 5,
        time: 7,
        count: 99,
        sum: Some(1.0),
        min: None,
        max: None,
        bounds: &[2.0, 1.0],
        bucket_counts: &[1],
        no_recorded_value: true,
    };
    let data = written(LIMIT, |body| body.histogram(Temporality::Delta, |points| points.point(point, write)));
    let Data::Histogram(read) = data.unwrap() else { panic!("a histogram") };
    let ended = proto::HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 5,
        time_unix_nano: 7,
        flags,
        ..Default::default()
    };
    assert_eq!(read.data_points, [ended]);

    let point =
        SummaryPoint { start_time: 5, time: 7, count: 9, sum: 1.0, quantiles: &[(2.0, 1.0)], no_recorded_value: true };
    let data = written(LIMIT, |body| body.summary(|points| points.point(point, attribute)));
    let Data::Summary(read) = data.unwrap() else { panic!("a summary") };
    let ended =
        proto::SummaryDataPoint { attributes, start_time_unix_nano: 5, time_unix_nano: 7, flags, ..Default::default() };
    assert_eq!(read.data_points, [ended]);

    let point = SummaryPoint { no_recorded_value: false, ..point };
    let refused = written(LIMIT, |body| body.summary(|points| points.point(point, nothing)));
    assert_eq!(refused, Err(Invalid::Quantile));
}

const EXEMPLAR: Exemplar<'_> = Exemplar { time: 3, value: Number::Float(0.5), trace_id: &[1; 16], span_id: &[2; 8] };

fn gauge(limit: Amount, exemplars: &[Exemplar<'_>]) -> Result<proto::NumberDataPoint, Invalid> {
    let point = NumberPoint { start_time: 0, time: 7, value: Some(Number::Integer(1)) };
    let data = written(limit, |body| {
        body.gauge(|points| {
            points.point(point, |body| exemplars.iter().try_for_each(|exemplar| body.exemplar(*exemplar, attribute)))
        })
    })?;
    let Data::Gauge(mut gauge) = data else { panic!("a gauge") };
    Ok(gauge.data_points.remove(0))
}

#[test]
fn exemplars_read_back_and_have_the_time_of_their_point_if_none_of_their_own() {
    let plain = Exemplar { time: 0, value: Number::Integer(-3), trace_id: &[], span_id: &[] };
    let filtered_attributes = read_back_attribute();
    let read = gauge(LIMIT, &[EXEMPLAR, plain]).unwrap().exemplars;
    let first = proto::Exemplar {
        filtered_attributes: filtered_attributes.clone(),
        time_unix_nano: 3,
        span_id: vec![2; 8],
        trace_id: vec![1; 16],
        value: Some(proto::exemplar::Value::AsDouble(0.5)),
    };
    let second = proto::Exemplar {
        filtered_attributes,
        time_unix_nano: 7,
        value: Some(proto::exemplar::Value::AsInt(-3)),
        ..Default::default()
    };
    assert_eq!(read, [first, second]);
}

#[test]
fn exemplars_have_whole_ids_or_none() {
    let with =
        |trace_id: &[u8], span_id: &[u8]| gauge(LIMIT, &[Exemplar { trace_id, span_id, ..EXEMPLAR }]).map(|_| ());
    assert_eq!([with(&[1; 16], &[]), with(&[], &[1; 8])], [Ok(()), Ok(())]);
    assert_eq!([with(&[1; 15], &[]), with(&[0; 16], &[])], [const { Err(Invalid::Id("trace")) }; 2]);
    assert_eq!([with(&[], &[1; 9]), with(&[], &[0; 8])], [const { Err(Invalid::Id("span")) }; 2]);
}

#[test]
fn exemplars_are_counted_one_by_one_and_byte_by_byte() {
    assert_eq!(gauge(LIMIT, &[EXEMPLAR; 128]).unwrap().exemplars.len(), 128);
    assert_eq!(gauge(LIMIT, &[EXEMPLAR; 129]), Err(Invalid::TooManyExemplars(128)));
    let thousand = Amount { bytes: 1000, items: 1 };
    assert!(gauge(thousand, &[EXEMPLAR; 10]).is_ok());
    assert_eq!(gauge(thousand, &[EXEMPLAR; 128]), Err(Invalid::TooManyBytes(1000)));
}

fn counts() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![Just(0), 0..300_u64, any::<u64>().prop_map(|count| count >> 8)], 0..20)
}

proptest! {
    #[test]
    fn exponential_histograms_read_back_field_by_field(
        (scale, zero_count, zero_threshold) in (-10..=20_i32, 0..9_u64, 0.0..9.0_f64),
        (positive, negative) in ((any::<i32>(), counts()), (any::<i32>(), counts())),
        (sum, min, max) in (any::<Option<f64>>(), any::<Option<f64>>(), any::<Option<f64>>()),
    ) {
        let count = positive.1.iter().chain(&negative.1).sum::<u64>() + zero_count;
        let buckets = |(offset, counts): &(i32, Vec<u64>)| {
            (!counts.is_empty()).then(|| Buckets { offset: *offset, bucket_counts: counts.clone() })
        };
        let expected = proto::ExponentialHistogramDataPoint {
            attributes: read_back_attribute(),
            start_time_unix_nano: 5,
            time_unix_nano: 7,
            count, sum, scale, zero_count, min, max, zero_threshold,
            positive: buckets(&positive),
            negative: buckets(&negative),
            ..Default::default()
        };
        let point = ExponentialHistogramPoint {
            start_time: 5, time: 7, count, sum, min, max, scale, zero_count, zero_threshold,
            positive: ExponentialBuckets { offset: positive.0, counts: &positive.1 },
            negative: ExponentialBuckets { offset: negative.0, counts: &negative.1 },
            no_recorded_value: false,
        };
        let fits = |(offset, counts): &(i32, Vec<u64>)| offset.checked_add(counts.len() as i32).is_some();
        let read = exponential(point);
        if fits(&positive) && fits(&negative) {
            prop_assert_eq!(read, Ok(expected));
        } else {
            prop_assert_eq!(read, Err(Invalid::ExponentialBuckets));
        }
    }
}
