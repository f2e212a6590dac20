//! What is promised of samples put together to metrics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_prometheus_text::family::{Families, Family, Histogram, Metadata, Page, Point, Series, Summary};
use kiln_prometheus_text::{Entry, Format, Limits, LineProblem, Options, Parser, Timestamp, Type, Value};

fn text(page: &str) -> Page<'_> {
    Page::read(page, Options::new(Format::Text)).unwrap()
}

fn openmetrics(page: &str) -> Vec<Family<'_>> {
    let page = Page::read(page, Options::new(Format::OpenMetrics)).unwrap_or_else(|error| panic!("{error}\n{page}"));
    assert_eq!(page.errors, []);
    page.families
}

fn problems(page: &Page<'_>) -> Vec<(usize, LineProblem)> {
    page.errors.iter().map(|error| (error.line, error.problem)).collect()
}

fn histogram<'p>(family: &'p Family<'_>, metric: usize) -> &'p Histogram {
    let Point::Histogram(histogram) = &family.metrics[metric].point else { panic!("{family:?}") };
    histogram
}

fn summary<'p>(family: &'p Family<'_>, metric: usize) -> &'p Summary {
    let Point::Summary(summary) = &family.metrics[metric].point else { panic!("{family:?}") };
    summary
}

#[test]
fn what_is_said_of_a_family_may_stand_below_its_samples_and_holds_once() {
    let page = text("a 1\n# TYPE a counter\n# HELP a one\\ntwo\n# HELP a three\n# UNIT a seconds\nb 2\n");
    let [a, b] = &page.families[..] else { panic!("{page:?}") };
    assert_eq!((&*a.name, a.r#type, &*a.help, a.unit), ("a", Type::Counter, "one\ntwo", "seconds"));
    assert_eq!((&*b.name, b.r#type, &*b.help, b.unit), ("b", Type::Unknown, "", ""));
}

#[test]
fn a_page_that_goes_through_families_again_and_again_has_each_once() {
    let page = text("a{e=\"1\"} 1\nb{e=\"1\"} 2\na{e=\"2\"} 3\nb{e=\"2\"} 4\n");
    let found: Vec<_> = page.families.iter().map(|family| (&*family.name, family.metrics.len())).collect();
    assert_eq!(found, [("a", 2), ("b", 2)]);
    assert_eq!(page.families[0].metrics[1].point, Point::Number(Value::Integer(3)));
}

#[test]
fn a_histogram_is_put_together_whatever_the_order_of_its_lines_and_labels() {
    let page = text(
        "# TYPE h histogram\nh_sum{a=\"1\",b=\"2\"} 4.5\nh_bucket{le=\"+Inf\",a=\"1\",b=\"2\"} 3\nh_bucket{le=\"1\",a=\"2\"} 7\n\
         h_bucket{b=\"2\",a=\"1\",le=\"0.5\"} 2\nh_count{b=\"2\",a=\"1\"} 3\n",
    );
    assert_eq!((page.families.len(), page.families[0].metrics.len()), (1, 2));
    let one = histogram(&page.families[0], 0);
    assert_eq!((one.sum, one.count), (Some(Value::Float(4.5)), Some(Value::Integer(3))));
    let buckets: Vec<_> = one.buckets.iter().map(|bucket| (bucket.upper_bound, bucket.count.as_i64())).collect();
    assert_eq!(buckets, [(0.5, 2), (f64::INFINITY, 3)]);
    assert_eq!(page.families[0].metrics[0].labels, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(histogram(&page.families[0], 1).count, None);
}

#[test]
fn metrics_of_one_label_set_at_two_times_are_two() {
    let page = text("# TYPE h histogram\nh_count 1 1000\nh_count 2 2000\nh_sum 3 1000\n");
    let times: Vec<_> = page.families[0].metrics.iter().map(|metric| metric.timestamp).collect();
    assert_eq!(times, [Some(Timestamp::from_millis(1000)), Some(Timestamp::from_millis(2000))]);
    assert_eq!(histogram(&page.families[0], 0).sum, Some(Value::Integer(3)));
}

#[test]
fn a_summary_is_put_together() {
    let page = text("# TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.5\"} NaN\ns_sum 5\ns_count 3\n");
    let summary = summary(&page.families[0], 0);
    assert_eq!((summary.sum, summary.count), (Some(Value::Integer(5)), Some(Value::Integer(3))));
    assert_eq!(summary.quantiles.iter().map(|quantile| quantile.quantile).collect::<Vec<_>>(), [0.5, 0.9]);
    assert!(summary.quantiles[0].value.is_nan());
}

#[test]
fn a_family_is_called_as_its_samples_are_and_not_as_openmetrics_describes_it() {
    let families = openmetrics(
        "# TYPE c counter\n# UNIT c \nc_total 1\nc_created 1.5\n# TYPE i info\ni_info{a=\"b\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n# EOF\n",
    );
    let found: Vec<_> = families.iter().map(|family| (&*family.name, family.r#type)).collect();
    assert_eq!(found, [("c_total", Type::Counter), ("i_info", Type::Info), ("s", Type::StateSet)]);
    assert_eq!(families[0].metrics.len(), 1);
    assert_eq!(families[0].metrics[0].created, Some(Timestamp::from_nanos(1_500_000_000)));
}

#[test]
fn the_time_since_when_is_counted_goes_to_the_metrics_of_its_labels() {
    let page = text(
        "# TYPE h histogram\nh_created{a=\"1\"} 2\nh_count{a=\"1\"} 1\nh_count{a=\"2\"} 1\nh_created{a=\"3\"} 1\n",
    );
    let created: Vec<_> = page.families[0].metrics.iter().map(|metric| metric.created).collect();
    assert_eq!(created, [Some(Timestamp::from_nanos(2_000_000_000)), None]);
}

#[test]
fn a_sample_described_under_its_own_name_is_part_of_no_other_family() {
    let page = text("# TYPE h histogram\n# TYPE h_count gauge\nh_count 1\nh_sum 2\n");
    let found: Vec<_> = page.families.iter().map(|family| (&*family.name, family.r#type)).collect();
    assert_eq!(found, [("h_count", Type::Gauge), ("h", Type::Histogram)]);
}

#[test]
fn what_has_no_place_in_its_family_is_left_out_and_said() {
    let page = text(
        "# TYPE h histogram\nh 1\nh_bucket 1\nh_bucket{le=\"x\"} 1\nh_bucket{le=\"NaN\"} 1\n# TYPE s summary\ns 1\ns_bucket{le=\"1\"} 1\n",
    );
    assert_eq!(
        problems(&page),
        [
            (2, LineProblem::NotOfFamily),
            (3, LineProblem::TypeLabel),
            (4, LineProblem::TypeLabel),
            (5, LineProblem::TypeLabel),
            (7, LineProblem::TypeLabel)
        ]
    );
    assert_eq!(page.families.iter().map(|family| &*family.name).collect::<Vec<_>>(), ["s_bucket"]);
}

#[test]
fn exemplars_of_buckets_are_together_with_their_histogram() {
    let families = openmetrics(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {trace_id=\"a\"} 0.5 1\nh_bucket{le=\"+Inf\"} 2 # {trace_id=\"b\"} 5\n# EOF",
    );
    let traces: Vec<_> = families[0].metrics[0].exemplars.iter().map(|it| it.labels.get("trace_id").unwrap()).collect();
    assert_eq!(traces, ["a", "b"]);
}

#[test]
fn a_native_histogram_may_stand_beside_one_with_buckets() {
    let families = openmetrics(
        "# TYPE h histogram\nh{a=\"b\"} {count:3,sum:4.5,schema:0,zero_threshold:0,zero_count:1,positive_spans:[0:2],positive_deltas:[1,0]}\n\
         h_bucket{a=\"b\",le=\"+Inf\"} 3\nh_created{a=\"b\"} 1\n# EOF\n",
    );
    let [native, classic] = &families[0].metrics[..] else { panic!("{families:?}") };
    let Point::NativeHistogram(histogram) = &native.point else { panic!("{native:?}") };
    assert_eq!((histogram.count, histogram.positive.counts().collect::<Vec<_>>()), (Value::Integer(3), vec![1.0, 1.0]));
    assert!(matches!(classic.point, Point::Histogram(_)));
    assert_eq!([native.created, classic.created], [Some(Timestamp::from_nanos(1_000_000_000)); 2]);
}

#[test]
fn a_page_may_have_as_many_series_as_the_limit_and_not_more() {
    let limits = Limits { series: 2, ..Limits::default() };
    let read = |page| Page::read(page, Options { limits, ..Options::default() }).unwrap();
    assert_eq!(read("a 1\na 2\n").errors, []);
    let page = read("a 1\nb 2\nc 3\na 4\n# TYPE c counter\n");
    assert_eq!(problems(&page), [(3, LineProblem::TooManySeries), (4, LineProblem::TooManySeries)]);
    assert_eq!(page.families.len(), 2);
    let page = read("# TYPE h histogram\nh_created{a=\"1\"} 1\nh_created{a=\"2\"} 1\nh_created{a=\"3\"} 1\n");
    assert_eq!(problems(&page), [(4, LineProblem::TooManySeries)]);
    let metadata =
        Metadata::read("# TYPE a gauge\n# TYPE b gauge\n# TYPE c gauge\n", Options { limits, ..Options::default() });
    assert_eq!((metadata.get("b").map(|said| said.r#type), metadata.get("c")), (Some(Type::Gauge), None));
}

#[test]
fn a_series_can_be_changed_on_its_way_into_a_family() {
    let page = "# TYPE h histogram\n# TYPE g histogram\nh_bucket{le=\"+Inf\",pod=\"x\"} 1\nh_count{pod=\"x\"} 1\n";
    let options = Options::default();
    let mut families = Families::new(Metadata::read(page, options), options.limits);
    for entry in Parser::new(page, options) {
        let Entry::Sample(sample) = entry.unwrap() else { continue };
        let mut series = Series::from(sample);
        series.name = series.name.replace('h', "g").into();
        series.labels.retain(|(name, _)| name != "pod");
        families.add(series).unwrap();
    }
    let families = families.finish();
    assert_eq!((families.len(), &*families[0].name, families[0].metrics.len()), (1, "g", 1));
    assert!(families[0].metrics[0].labels.is_empty());
}

#[test]
fn a_page_that_is_rejected_has_no_families() {
    let page = "# TYPE a gauge\na 1\na -\n# EOF\n";
    assert_eq!(Page::read(page, Options::new(Format::OpenMetrics)).unwrap_err().problem, LineProblem::Value);
    assert_eq!(problems(&text(page)), [(3, LineProblem::Value)]);
}
