//! The arithmetic of `aggregate`, where the slow way says too little about what is meant.

use kiln_otlp::{Edit, EditError, GaugeAggregation};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::*;

use crate::generate::text;
use crate::views::gauges;
use crate::{decoded, metrics, process};

fn request(data: Data) -> ExportMetricsServiceRequest {
    let metric = Metric { name: "m".into(), data: Some(data), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
}

fn data(request: &ExportMetricsServiceRequest) -> Data {
    request.resource_metrics[0].scope_metrics[0].metrics[0].data.clone().unwrap()
}

/// The data of the one metric without the attribute `series`.
fn joined(data_before: Data, gauges: GaugeAggregation) -> Data {
    let aggregate = Edit::Aggregate { metric: 0, without: vec!["series".into()], gauges };
    data(&decoded(&process(&metrics(&request(data_before)), |_| vec![aggregate.clone()]).unwrap()))
}

fn point(series: &str, start: u64, time: u64, value: i64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("series", series)],
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(Value::AsInt(value)),
        ..Default::default()
    }
}

fn sum(aggregation_temporality: i32, data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
}

fn only(data: Data) -> NumberDataPoint {
    let (Data::Sum(Sum { mut data_points, .. }) | Data::Gauge(Gauge { mut data_points })) = data else {
        panic!("numbers")
    };
    assert_eq!(data_points.len(), 1, "{data_points:?}");
    data_points.remove(0)
}

/// Scenario: cumulative sums of two series, one of which has two points in the batch.
/// Guarantees: each series counts once, with its latest point; the start is the earliest and the time the latest.
#[test]
fn a_cumulative_series_counts_once() {
    let points = vec![point("a", 3, 10, 5), point("b", 2, 10, 100), point("a", 3, 20, 7)];
    let joined = only(joined(sum(2, points), GaugeAggregation::Last));
    assert_eq!((joined.value, joined.start_time_unix_nano, joined.time_unix_nano), (Some(Value::AsInt(107)), 2, 20));
    assert!(joined.attributes.is_empty());
}

/// Scenario: the same points as deltas.
/// Guarantees: every point counts.
#[test]
fn every_delta_counts() {
    let points = vec![point("a", 3, 10, 5), point("b", 2, 10, 100), point("a", 10, 20, 7)];
    let joined = only(joined(sum(1, points), GaugeAggregation::Last));
    assert_eq!((joined.value, joined.start_time_unix_nano, joined.time_unix_nano), (Some(Value::AsInt(112)), 2, 20));
}

/// Scenario: sums that are joined.
/// Guarantees: temporality and monotonicity are what they were.
#[test]
fn temporality_and_monotonicity_are_kept() {
    for temporality in [1, 2] {
        let Data::Sum(joined) =
            joined(sum(temporality, vec![point("a", 1, 2, 1), point("b", 1, 2, 2)]), GaugeAggregation::Last)
        else {
            panic!("a sum")
        };
        assert_eq!((joined.aggregation_temporality, joined.is_monotonic), (temporality, true));
    }
}

/// Scenario: one of two series has ended; then both have.
/// Guarantees: the ended one counts no more; what all have left has ended itself.
#[test]
fn an_ended_series_counts_no_more() {
    let ended = |series, time| NumberDataPoint { value: None, flags: 1, ..point(series, 0, time, 0) };
    let one =
        only(joined(sum(2, vec![point("a", 0, 10, 5), point("b", 0, 10, 6), ended("a", 20)]), GaugeAggregation::Last));
    assert_eq!((one.value, one.flags, one.time_unix_nano), (Some(Value::AsInt(6)), 0, 10));
    let both = only(joined(sum(2, vec![ended("a", 20), ended("b", 30)]), GaugeAggregation::Last));
    assert_eq!((both.value, both.flags, both.time_unix_nano), (None, 1, 30));
}

/// Scenario: a series with several points beside others that fold; nothing folds into it.
/// Guarantees: its points are as they were.
#[test]
fn what_nothing_folds_into_is_left_alone() {
    let kept = |time| NumberDataPoint { attributes: vec![text("job", "kept")], ..point("", 0, time, 1) };
    let points = vec![kept(10), point("a", 0, 10, 5), kept(20), point("b", 0, 10, 6)];
    let Data::Gauge(joined) = joined(Data::Gauge(Gauge { data_points: points }), GaugeAggregation::Max) else {
        panic!()
    };
    assert_eq!(joined.data_points.len(), 3);
    assert_eq!([&joined.data_points[0], &joined.data_points[2]], [&kept(10), &kept(20)]);
    assert_eq!(joined.data_points[1].value, Some(Value::AsInt(6)));
}

/// Scenario: gauges of three series.
/// Guarantees: each function does what it is called.
#[test]
fn gauges_do_as_they_are_told() {
    let points = || Gauge { data_points: vec![point("a", 0, 10, 4), point("b", 0, 30, 1), point("c", 0, 20, 7)] };
    for (function, expected) in [
        (GaugeAggregation::Last, Value::AsInt(1)),
        (GaugeAggregation::Min, Value::AsInt(1)),
        (GaugeAggregation::Max, Value::AsInt(7)),
        (GaugeAggregation::Sum, Value::AsInt(12)),
        (GaugeAggregation::Mean, Value::AsDouble(4.0)),
    ] {
        let joined = only(joined(Data::Gauge(points()), function));
        assert_eq!((joined.value, joined.time_unix_nano), (Some(expected), 30), "{function:?}");
    }
}

/// Scenario: integers whose sum is none.
/// Guarantees: the sum is a float, and does not wrap.
#[test]
fn a_sum_beyond_integers_is_a_float() {
    let joined =
        only(joined(sum(2, vec![point("a", 0, 1, i64::MAX), point("b", 0, 1, i64::MAX)]), GaugeAggregation::Last));
    assert_eq!(joined.value, Some(Value::AsDouble(2.0 * i64::MAX as f64)));
}

/// Scenario: histograms of different bounds.
/// Guarantees: they merge on the bounds they share, which is exact; without shared ones, into a single bucket.
#[test]
fn histograms_merge_on_the_bounds_they_share() {
    let point = |series: &str, bounds: &[f64], counts: &[u64]| HistogramDataPoint {
        attributes: vec![text("series", series)],
        count: counts.iter().sum(),
        sum: Some(1.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..Default::default()
    };
    let merge = |points: Vec<HistogramDataPoint>| {
        let data = Data::Histogram(Histogram { data_points: points, aggregation_temporality: 1 });
        let Data::Histogram(mut histogram) = joined(data, GaugeAggregation::Last) else { panic!("a histogram") };
        assert_eq!(histogram.data_points.len(), 1);
        histogram.data_points.remove(0)
    };
    let equal = merge(vec![point("a", &[1.0, 2.0], &[1, 2, 3]), point("b", &[1.0, 2.0], &[10, 20, 30])]);
    assert_eq!((equal.bucket_counts, equal.explicit_bounds), (vec![11, 22, 33], vec![1.0, 2.0]));
    assert_eq!((equal.count, equal.sum), (66, Some(3.0)));
    let shared =
        merge(vec![point("a", &[1.0, 2.0, 5.0], &[1, 2, 3, 4]), point("b", &[1.0, 5.0, 9.0], &[10, 20, 30, 40])]);
    assert_eq!((shared.bucket_counts, shared.explicit_bounds), (vec![11, 25, 74], vec![1.0, 5.0]));
    let none = merge(vec![point("a", &[1.0], &[1, 2]), point("b", &[2.0], &[3, 4])]);
    assert_eq!((none.bucket_counts, none.explicit_bounds), (vec![10], vec![]));
    let bare = merge(vec![point("a", &[1.0], &[1, 2]), HistogramDataPoint { sum: None, ..point("b", &[], &[]) }]);
    assert_eq!((bare.bucket_counts, bare.explicit_bounds, bare.count, bare.sum), (vec![], vec![], 3, None));
}

fn exponential(series: &str, scale: i32, offset: i32, counts: &[u64]) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        attributes: vec![text("series", series)],
        count: counts.iter().sum(),
        scale,
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..Default::default()
    }
}

fn merge_exponential(points: Vec<ExponentialHistogramDataPoint>) -> ExponentialHistogramDataPoint {
    let data = Data::ExponentialHistogram(ExponentialHistogram { data_points: points, aggregation_temporality: 1 });
    let Data::ExponentialHistogram(mut histogram) = joined(data, GaugeAggregation::Last) else { panic!() };
    assert_eq!(histogram.data_points.len(), 1);
    histogram.data_points.remove(0)
}

/// Scenario: exponential histograms of different scales, and of buckets as far apart as numbers go.
/// Guarantees: they merge at the coarser scale, and at one so coarse that buckets stay few.
#[test]
fn exponential_histograms_merge_by_coarsening() {
    let merged = merge_exponential(vec![exponential("a", 1, -2, &[1, 2, 3, 4]), exponential("b", 0, 0, &[10, 20])]);
    assert_eq!(merged.scale, 0);
    assert_eq!(merged.positive, Some(Buckets { offset: -1, bucket_counts: vec![3, 17, 20] }));
    assert_eq!(merged.count, 40);
    let merged =
        merge_exponential(vec![exponential("a", 20, i32::MIN, &[1]), exponential("b", 20, i32::MAX - 1, &[2])]);
    let buckets = merged.positive.unwrap();
    assert!(buckets.bucket_counts.len() <= 160, "{}", buckets.bucket_counts.len());
    assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 3);
    assert_eq!(merged.scale, -5);
}

/// Scenario: a zero bucket that is wider than the other's, and ends within one of its buckets.
/// Guarantees: what lies in it is counted as zero, and it is widened to the end of that bucket.
#[test]
fn the_widest_zero_bucket_takes_what_lies_in_it() {
    // Buckets of b: (1, 2], (2, 4], (4, 8].
    let wide = ExponentialHistogramDataPoint { zero_threshold: 3.0, zero_count: 5, ..exponential("a", 0, 3, &[1]) };
    let merged = merge_exponential(vec![wide, exponential("b", 0, 0, &[10, 20, 30])]);
    assert_eq!((merged.zero_count, merged.zero_threshold), (35, 4.0));
    assert_eq!(merged.positive, Some(Buckets { offset: 2, bucket_counts: vec![30, 1] }));
}

/// Scenario: a summary is to be joined.
/// Guarantees: it is refused by name, and the batch stays as it was.
#[test]
fn summaries_are_refused() {
    let points = vec![SummaryDataPoint::default()];
    let batch = metrics(&request(Data::Summary(Summary { data_points: points })));
    let aggregate = Edit::Aggregate { metric: 0, without: vec!["a".into()], gauges: GaugeAggregation::Sum };
    assert_eq!(process(&batch, |_| vec![aggregate.clone()]), Err(EditError::Summary("m".into())));
}

/// Scenario: more exemplars on the points that are joined than one point may have.
/// Guarantees: as many as it may have are left.
#[test]
fn exemplars_are_kept_up_to_a_bound() {
    let with = |series| NumberDataPoint { exemplars: vec![Exemplar::default(); 100], ..point(series, 0, 1, 1) };
    assert_eq!(only(joined(sum(1, vec![with("a"), with("b")]), GaugeAggregation::Last)).exemplars.len(), 128);
}

/// Scenario: a metric of twenty thousand points, shown in three views, each of which asks for it to be aggregated.
/// Guarantees: points of different views are joined, as they would be in one.
#[test]
fn a_metric_is_joined_over_all_of_its_views() {
    let before = kiln_otlp::Batch { items: 20_000, ..metrics(&gauges(&[&[20_000]])) };
    let mut shown = 0;
    let after = process(&before, |view| {
        shown += 1;
        assert_eq!(view.metrics.len(), 1);
        vec![Edit::Aggregate { metric: 0, without: vec!["series".into()], gauges: GaugeAggregation::Sum }]
    })
    .unwrap();
    assert_eq!((shown, after.items), (3, 2));
    let Data::Gauge(gauge) = data(&decoded(&after)) else { panic!("a gauge") };
    let values: Vec<_> = gauge.data_points.iter().map(|point| (point.attributes.clone(), point.value)).collect();
    assert_eq!(
        values,
        [
            (vec![text("even", "yes")], Some(Value::AsInt(10_000))),
            (vec![text("even", "no")], Some(Value::AsInt(10_000)))
        ]
    );
}
