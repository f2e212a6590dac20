//! The page, read by a strict parser of both formats.

use std::time::Duration;

use kiln_config::Compression;
use kiln_otlp::Signal;
use kiln_prometheus_text::family::Page;
use kiln_prometheus_text::{Format as TextFormat, Mode, Options};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const TIME: u64 = 1_700_000_000_123_456_789;

fn settings() -> kiln_config::Prometheus {
    kiln_config::Prometheus {
        endpoint: ([127, 0, 0, 1], 0).into(),
        namespace: String::new(),
        const_labels: Vec::new(),
        send_timestamps: false,
        metric_expiration: Duration::from_secs(300),
        resource_to_telemetry: false,
        enable_open_metrics: true,
        add_metric_suffixes: true,
        without_scope_info: true,
        max_series: 100,
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn point(value: f64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: attributes(labels),
        time_unix_nano: TIME,
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    let description = format!("What {name} \"means\"\nand more");
    Metric { name: name.to_owned(), unit: unit.to_owned(), description, data: Some(data), metadata: Vec::new() }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, "", metric::Data::Gauge(Gauge { data_points: points }))
}

fn sum(name: &str, unit: &str, temporality: i32, points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points: points, aggregation_temporality: temporality, is_monotonic: true };
    metric(name, unit, metric::Data::Sum(sum))
}

fn histogram(temporality: i32, points: Vec<HistogramDataPoint>) -> Metric {
    let histogram = Histogram { data_points: points, aggregation_temporality: temporality };
    metric("latency", "s", metric::Data::Histogram(histogram))
}

fn distribution(counts: &[u64], bounds: &[f64]) -> HistogramDataPoint {
    HistogramDataPoint {
        count: counts.iter().sum(),
        sum: Some(1.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        time_unix_nano: TIME,
        ..HistogramDataPoint::default()
    }
}

fn example(value: f64) -> Exemplar {
    Exemplar {
        value: Some(exemplar::Value::AsDouble(value)),
        time_unix_nano: TIME,
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        filtered_attributes: attributes(&[("user", "x")]),
    }
}

fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> Request {
    let scope = Some(InstrumentationScope { name: "lib".to_owned(), version: "1".to_owned(), ..Default::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, scope, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes: attributes(resource), ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { scope_metrics, resource, ..ResourceMetrics::default() }];
    let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into();
    Request { signal: Signal::Metrics, items: 1, body, compression: Compression::None }
}

/// Takes metrics without a resource; says what was lost.
async fn take(page: &Exposition, metrics: Vec<Metric>) -> Vec<(DropReason, usize)> {
    lost(page.send(&request(&[], metrics)).await)
}

fn lost(outcome: Outcome) -> Vec<(DropReason, usize)> {
    let Outcome::Taken { lost } = outcome else { panic!("{outcome:?}") };
    lost.into_iter().map(|lost| (lost.reason, lost.items)).collect()
}

/// The page in a format, which the strict parser has accepted.
fn shown(page: &Exposition, format: Format) -> String {
    let (format, text, _) = page.render(format);
    let format = if format == Format::OpenMetrics { TextFormat::OpenMetrics } else { TextFormat::Text };
    let options = Options { mode: Mode::Strict, ..Options::new(format) };
    let read = Page::read(&text, options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(read.errors.is_empty(), "{:?}\n{text}", read.errors);
    text
}

fn both(page: &Exposition) -> [String; 2] {
    [shown(page, Format::Prometheus), shown(page, Format::OpenMetrics)]
}

/// Every kind of metric, in both formats, as it stands on the page.
#[tokio::test]
async fn every_kind_of_metric_is_shown_in_both_formats() {
    let page = Exposition::new(&settings());
    let with_exemplars =
        HistogramDataPoint { exemplars: vec![example(0.3), example(9.0)], ..distribution(&[1, 2, 3], &[0.25, 1.0]) };
    let quantile = |quantile, value| ValueAtQuantile { quantile, value };
    let summary = Summary {
        data_points: vec![SummaryDataPoint {
            count: 4,
            sum: 2.5,
            quantile_values: vec![quantile(0.9, 2.0), quantile(0.5, 1.0)],
            ..SummaryDataPoint::default()
        }],
    };
    let counted = NumberDataPoint { exemplars: vec![example(1.0)], ..point(3.0, &[("b", "2"), ("a", "1\n\"")]) };
    let whole = NumberDataPoint { value: Some(number_data_point::Value::AsInt(i64::MAX)), ..point(0.0, &[]) };
    let metrics = vec![
        gauge("temperature", vec![point(f64::NAN, &[("at", "x")]), point(f64::INFINITY, &[("at", "y")]), whole]),
        sum("io", "By", 2, vec![counted]),
        histogram(2, vec![with_exemplars]),
        metric("size", "", metric::Data::Summary(summary)),
    ];
    assert_eq!(take(&page, metrics).await, []);
    let [text, open] = both(&page);
    let expected = r#"# HELP io_bytes_total What io "means"\nand more
# TYPE io_bytes_total counter
io_bytes_total{a="1\n\"",b="2"} 3
# HELP latency_seconds What latency "means"\nand more
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.25"} 1
latency_seconds_bucket{le="1"} 3
latency_seconds_bucket{le="+Inf"} 6
latency_seconds_sum 1.5
latency_seconds_count 6
# HELP size What size "means"\nand more
# TYPE size summary
size{quantile="0.5"} 1
size{quantile="0.9"} 2
size_sum 2.5
size_count 4
# HELP temperature What temperature "means"\nand more
# TYPE temperature gauge
temperature 9223372036854775807
temperature{at="x"} NaN
temperature{at="y"} +Inf
"#;
    assert_eq!(text, expected);
    let exemplar = "# {trace_id=\"abababababababababababababababab\",span_id=\"cdcdcdcdcdcdcdcd\"}";
    for line in [
        "# TYPE io_bytes counter\n# UNIT io_bytes bytes\n",
        "# TYPE latency_seconds histogram\n# UNIT latency_seconds seconds\n",
        &format!("io_bytes_total{{a=\"1\\n\\\"\",b=\"2\"}} 3 {exemplar} 1 1700000000.123\n"),
        &format!("latency_seconds_bucket{{le=\"1.0\"}} 3 {exemplar} 0.3 1700000000.123\n"),
        &format!("latency_seconds_bucket{{le=\"+Inf\"}} 6 {exemplar} 9 1700000000.123\n"),
        "\n# EOF\n",
    ] {
        assert!(open.contains(line), "{line}\n{open}");
    }
}

#[tokio::test]
async fn who_a_resource_is_becomes_job_and_instance_and_the_rest_target_info() {
    let resource =
        [("service.namespace", "shop"), ("service.name", "cart"), ("service.instance.id", "a-1"), ("host.name", "h")];
    let page = Exposition::new(&settings());
    page.send(&request(&resource, vec![gauge("g", vec![point(1.0, &[("job", "mine")])])])).await;
    let [text, open] = both(&page);
    assert!(text.contains("g{instance=\"a-1\",job=\"shop/cart\"} 1\n"), "{text}");
    let info = "target_info{host_name=\"h\",instance=\"a-1\",job=\"shop/cart\"} 1\n";
    assert!(text.contains(&format!("# TYPE target_info gauge\n{info}")), "{text}");
    assert!(open.contains(&format!("# TYPE target info\n{info}")), "{open}");

    let everything = kiln_config::Prometheus {
        resource_to_telemetry: true,
        without_scope_info: false,
        const_labels: vec![("site".to_owned(), "x".to_owned())],
        namespace: "kiln".to_owned(),
        send_timestamps: true,
        ..settings()
    };
    let page = Exposition::new(&everything);
    page.send(&request(&resource, vec![gauge("g", vec![point(1.0, &[("site", "mine")])])])).await;
    let [text, open] = both(&page);
    let labels = "host_name=\"h\",instance=\"a-1\",job=\"shop/cart\",otel_scope_name=\"lib\",otel_scope_version=\"1\",\
                  service_instance_id=\"a-1\",service_name=\"cart\",service_namespace=\"shop\",site=\"x\"";
    assert!(text.contains(&format!("kiln_g{{{labels}}} 1 1700000000123\n")), "{text}");
    assert!(open.contains(&format!("kiln_g{{{labels}}} 1 1700000000.123\n")), "{open}");
}

#[tokio::test]
async fn open_metrics_is_offered_only_where_it_is_enabled() {
    let page = Exposition::new(&kiln_config::Prometheus { enable_open_metrics: false, ..settings() });
    assert_eq!(page.render(Format::OpenMetrics).0, Format::Prometheus);
}

#[tokio::test]
async fn deltas_are_added_up() {
    let page = Exposition::new(&settings());
    for _ in 0..3 {
        take(&page, vec![sum("d", "", 1, vec![point(2.0, &[])]), histogram(1, vec![distribution(&[1, 2], &[1.0])])])
            .await;
    }
    let text = shown(&page, Format::Prometheus);
    assert!(text.contains("d_total 6\n") && text.contains("latency_seconds_bucket{le=\"1\"} 3\n"), "{text}");
    assert!(text.contains("latency_seconds_count 9\n") && text.contains("latency_seconds_sum 4.5\n"), "{text}");
    // Other buckets are a new beginning.
    take(&page, vec![histogram(1, vec![distribution(&[5, 5], &[7.0])])]).await;
    assert!(shown(&page, Format::Prometheus).contains("latency_seconds_bucket{le=\"7\"} 5\n"));
}

#[tokio::test]
async fn an_earlier_point_does_not_replace_a_later_one() {
    let page = Exposition::new(&settings());
    take(&page, vec![gauge("g", vec![point(2.0, &[])])]).await;
    let earlier = NumberDataPoint { time_unix_nano: TIME - 1, ..point(1.0, &[]) };
    take(&page, vec![gauge("g", vec![earlier])]).await;
    assert!(shown(&page, Format::Prometheus).contains("g 2\n"));
}

/// Scenario: one series is marked as ended, another one does not come any more.
/// Guarantees: the first is gone at once, the second after `metric_expiration`, and what it was called is free again.
#[tokio::test(start_paused = true)]
async fn a_series_that_has_ended_is_not_shown() {
    let page = Exposition::new(&settings());
    take(&page, vec![gauge("g", vec![point(1.0, &[("a", "1")]), point(1.0, &[("a", "2")])])]).await;
    let ended = NumberDataPoint { flags: 1, value: None, ..point(0.0, &[("a", "1")]) };
    assert_eq!(take(&page, vec![gauge("g", vec![ended])]).await, []);
    assert!(shown(&page, Format::Prometheus).ends_with("# TYPE g gauge\ng{a=\"2\"} 1\n"));
    advance(Duration::from_secs(300)).await;
    assert!(!shown(&page, Format::Prometheus).is_empty());
    advance(Duration::from_secs(1)).await;
    assert_eq!(shown(&page, Format::Prometheus), "");
    assert_eq!(take(&page, vec![sum("g", "", 2, vec![point(1.0, &[])])]).await, []);
}

/// Scenario: metrics that come to one name or one series.
/// Guarantees: the first one keeps it; the others are lost with the reason `conflict`, and the page is valid.
#[tokio::test]
async fn what_would_be_two_things_under_one_name_is_one() {
    let page = Exposition::new(&settings());
    assert_eq!(
        take(&page, vec![gauge("a.b", vec![point(1.0, &[])]), gauge("latency_seconds_count", vec![point(1.0, &[])])])
            .await,
        []
    );
    for other in [
        gauge("a-b", vec![point(2.0, &[])]),
        sum("a.b", "", 2, vec![point(2.0, &[])]),
        histogram(2, vec![distribution(&[1], &[])]),
        gauge("target_info", vec![point(2.0, &[])]),
    ] {
        assert_eq!(take(&page, vec![other]).await, [(DropReason::Conflict, 1)]);
    }
    let other =
        request(&[("host.name", "other")], vec![gauge("a.b", vec![point(2.0, &[]), point(2.0, &[("x", "y")])])]);
    let Outcome::Taken { lost } = page.send(&other).await else { panic!() };
    assert_eq!((lost[0].reason, lost[0].items), (DropReason::Conflict, 1));
    assert!(lost[0].cause.contains("`a.b` is called `a_b{}`, as is that of another resource"), "{}", lost[0].cause);
    let [text, _] = both(&page);
    assert!(text.contains("a_b 1\na_b{x=\"y\"} 2\n"), "{text}");
}

/// Scenario: two resources come to one series, in turn; then the first one does not come any more.
/// Guarantees: the first one keeps the series as long as it comes; then the second one has it, from its second point on.
#[tokio::test]
async fn a_resource_that_has_changed_takes_its_series_over() {
    let page = Exposition::new(&settings());
    let of = |host: &str, value| request(&[("host.name", host)], vec![gauge("g", vec![point(value, &[])])]);
    for turn in 0..5 {
        assert_eq!(lost(page.send(&of("a", f64::from(turn))).await), []);
        assert_eq!(lost(page.send(&of("b", -1.0)).await), [(DropReason::Conflict, 1)]);
        assert!(shown(&page, Format::Prometheus).contains(&format!("g {turn}\n")));
    }
    assert_eq!(lost(page.send(&of("b", -2.0)).await), []);
    assert!(shown(&page, Format::Prometheus).contains("g -2\n"));
    assert_eq!(lost(page.send(&of("a", 9.0)).await), [(DropReason::Conflict, 1)]);
}

/// Scenario: the page has room for ten lines, and a histogram of five, a gauge of four and one of three come.
/// Guarantees: what does not fit is lost with the reason `series_limit`; what is there goes on.
#[tokio::test]
async fn a_page_has_no_more_series_than_max_series() {
    let page = Exposition::new(&kiln_config::Prometheus { max_series: 10, ..settings() });
    assert_eq!(take(&page, vec![histogram(2, vec![distribution(&[1, 2, 3], &[1.0, 2.0])])]).await, []);
    let labels = [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")];
    let points = |number: usize| labels.iter().take(number).map(|label| point(1.0, &[*label])).collect();
    assert_eq!(take(&page, vec![gauge("g", points(4))]).await, []);
    assert_eq!(take(&page, vec![gauge("h", points(3))]).await, [(DropReason::SeriesLimit, 2)]);
    assert_eq!(take(&page, vec![gauge("g", points(4))]).await, []);
    assert_eq!(page.render(Format::Prometheus).2, 10);
}

/// Scenario: few series with labels that are very long; then they end.
/// Guarantees: what is beyond the bytes of the page is lost with the reason `series_limit`; then there is room again.
#[tokio::test]
async fn a_page_has_no_more_bytes_of_labels_than_it_may() {
    let page = Exposition::new(&settings());
    let long = "x".repeat(store::MAX_BYTES / 4);
    let named = |at: usize| gauge("g", vec![point(1.0, &[("a", &format!("{at}{long}"))])]);
    for at in 0..3 {
        assert_eq!(take(&page, vec![named(at)]).await, []);
    }
    assert_eq!(take(&page, vec![named(3)]).await, [(DropReason::SeriesLimit, 1)]);
    let ended = NumberDataPoint { flags: 1, ..point(0.0, &[("a", &format!("0{long}"))]) };
    assert_eq!(take(&page, vec![gauge("g", vec![ended])]).await, []);
    assert_eq!(take(&page, vec![named(3)]).await, []);
}

#[tokio::test]
async fn an_exponential_histogram_is_lost_with_its_reason() {
    let page = Exposition::new(&settings());
    let data_points = vec![ExponentialHistogramDataPoint::default(); 2];
    let data = metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: 2 });
    assert_eq!(take(&page, vec![metric("e", "", data)]).await, [(DropReason::Unsupported, 2)]);
}

proptest! {
    /// Whatever names, units, labels and values there are, a strict parser of either format accepts the page.
    #[test]
    fn every_page_is_valid(metrics in prop::collection::vec(
        (".{0,12}", ".{0,6}", 0..4_usize, prop::collection::vec(("\\PC{0,8}", ".{0,8}"), 0..4), 0.0..1e300_f64), 0..8,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let page = Exposition::new(&settings());
        for (name, unit, kind, labels, value) in metrics {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let number = vec![point(value, &labels)];
            let mut made = match kind {
                0 => gauge(&name, number),
                1 => sum(&name, &unit, 2, number),
                2 => {
                    let attributes = attributes(&labels);
                    histogram(2, vec![HistogramDataPoint { attributes, ..distribution(&[1, 2], &[value]) }])
                }
                _ => {
                    let attributes = attributes(&labels);
                    let data_points = vec![SummaryDataPoint { attributes, sum: value, ..SummaryDataPoint::default() }];
                    metric(&name, &unit, metric::Data::Summary(Summary { data_points }))
                }
            };
            made.unit = unit.clone();
            made.name = name;
            runtime.block_on(take(&page, vec![made]));
        }
        both(&page);
    }
}
