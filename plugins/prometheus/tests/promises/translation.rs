//! The rules of the OpenTelemetry specification, one by one.

use kiln_plugin::telemetry::{Attribute, MetricData, Number, Temporality};
use serde_json::json;

use super::*;

fn metric(page: Reply, name: &str) -> Metric {
    let metrics = scrape(page).metrics;
    metrics.metric(name).unwrap_or_else(|| panic!("no `{name}` among {:?}", metrics.names())).clone()
}

#[test]
fn names_are_not_altered() {
    let names = |page| scrape(page).metrics.names().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let page = "# TYPE http_requests_total counter\nhttp_requests_total 1\njob:latency_seconds:p99 2\n";
    let found = names(text(page));
    assert!(found.contains(&"http_requests_total".to_owned()) && found.contains(&"job:latency_seconds:p99".to_owned()));
    let page = "# TYPE http_requests counter\nhttp_requests_total 1\n# EOF\n";
    assert!(names(openmetrics(page)).contains(&"http_requests_total".to_owned()));
}

#[test]
fn the_type_is_in_the_metadata() {
    for (page, name, expected) in [
        ("# TYPE a counter\na_total 1\n", "a_total", "counter"),
        ("# TYPE a gauge\na 1\n", "a", "gauge"),
        ("# TYPE a info\na_info{x=\"1\"} 1\n", "a_info", "info"),
        ("# TYPE a stateset\na{a=\"on\"} 1\n", "a", "stateset"),
        ("# TYPE a unknown\na 1\n", "a", "unknown"),
        ("a 1\n", "a", "unknown"),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n", "a", "histogram"),
        ("# TYPE a summary\na_count 1\na_sum 1\n", "a", "summary"),
    ] {
        let metric = metric(openmetrics(&format!("{page}# EOF\n")), name);
        assert_eq!(metric.metadata, [Attribute::new("prometheus.type", expected)], "{page}");
    }
}

#[test]
fn help_is_the_description_and_unit_becomes_ucum() {
    let page = "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds How long.\na_seconds 1\n# EOF\n";
    let metric = metric(openmetrics(page), "a_seconds");
    assert_eq!((metric.description.as_str(), metric.unit.as_str()), ("How long.", "s"));
}

#[test]
fn a_counter_is_a_monotonic_cumulative_sum() {
    let metric = metric(text("# TYPE a_total counter\na_total{x=\"1\"} 5\n"), "a_total");
    let MetricData::Sum(sum) = &metric.data else { panic!("{metric:?}") };
    assert_eq!((sum.monotonic, sum.temporality), (true, Temporality::Cumulative));
    assert_eq!(sum.points[0].value, Some(Number::Float(5.0)));
    assert_eq!(sum.points[0].attributes, [Attribute::new("x", "1")]);
}

#[test]
fn a_gauge_and_what_has_no_type_are_gauges() {
    for page in ["# TYPE a gauge\na 1\n", "# TYPE a untyped\na 1\n", "a 1\n"] {
        assert!(matches!(metric(text(page), "a").data, MetricData::Gauge(_)), "{page}");
    }
}

#[test]
fn info_and_stateset_are_sums_that_are_not_monotonic() {
    for (page, name) in [
        ("# TYPE a info\na_info{x=\"1\"} 1\n# EOF\n", "a_info"),
        ("# TYPE a stateset\na{a=\"on\"} 1\na{a=\"off\"} 0\n# EOF\n", "a"),
    ] {
        let metric = metric(openmetrics(page), name);
        assert!(matches!(&metric.data, MetricData::Sum(sum) if !sum.monotonic), "{metric:?}");
    }
}

#[test]
fn a_gauge_histogram_is_dropped() {
    let page = "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum 1\n# TYPE b gauge\nb 1\n# EOF\n";
    let collected = scrape(openmetrics(page));
    assert!(collected.metrics.metric("b").is_some());
    assert!(!collected.metrics.names().iter().any(|name| name.starts_with('a')));
}

const HISTOGRAM: &str = "# TYPE a histogram\na_bucket{le=\"0.5\"} 2\na_bucket{le=\"1\"} 5\na_bucket{le=\"+Inf\"} 9\n";

#[test]
fn buckets_of_a_histogram_count_apart_and_infinity_is_no_bound() {
    let metrics = scrape(text(&format!("{HISTOGRAM}a_sum 12.5\na_count 9\n"))).metrics;
    let point = metrics.histogram("a", &[]);
    assert_eq!((point.bounds, point.bucket_counts), (vec![0.5, 1.0], vec![2, 3, 4]));
    assert_eq!((point.count, point.sum, point.start_time), (9, Some(12.5), 0));
    assert_eq!(point.attributes, []);
}

#[test]
fn a_histogram_without_a_count_is_dropped() {
    assert!(scrape(text(&format!("{HISTOGRAM}a_sum 12.5\n"))).metrics.metric("a").is_none());
}

#[test]
fn a_histogram_without_a_sum_has_none() {
    assert_eq!(scrape(text(&format!("{HISTOGRAM}a_count 9\n"))).metrics.histogram("a", &[]).sum, None);
}

#[test]
fn a_histogram_that_contradicts_itself_is_dropped_and_said() {
    let host = host(text("# TYPE a histogram\na_bucket{le=\"1\"} 5\na_bucket{le=\"2\"} 3\na_count 9\nb 1\n"));
    let collected = configured(&host, json!({})).collect().unwrap();
    assert!(collected.metrics.metric("a").is_none() && collected.metrics.metric("b").is_some());
    assert!(host.take_log()[0].attributes.contains(&Attribute::new("malformed_series", 1)));
}

fn summary(page: &str) -> Option<kiln_plugin::telemetry::SummaryPoint> {
    match &scrape(text(page)).metrics.metric("a")?.data {
        MetricData::Summary(points) => Some(points[0].clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn quantiles_of_a_summary_come_together() {
    let point =
        summary("# TYPE a summary\na{quantile=\"0.9\"} 3\na{quantile=\"0.5\"} 2\na_sum 7\na_count 4\n").unwrap();
    let quantiles: Vec<_> = point.quantiles.iter().map(|pair| (pair.quantile, pair.value)).collect();
    assert_eq!((point.count, point.sum, quantiles), (4, 7.0, vec![(0.5, 2.0), (0.9, 3.0)]));
    assert_eq!(point.attributes, []);
}

#[test]
fn a_summary_without_a_count_is_dropped_and_without_a_sum_has_zero() {
    assert!(summary("# TYPE a summary\na{quantile=\"0.5\"} 2\na_sum 7\n").is_none());
    assert_eq!(summary("# TYPE a summary\na{quantile=\"0.5\"} 2\na_count 4\n").unwrap().sum, 0.0);
}

#[test]
fn a_native_histogram_is_an_exponential_one_whose_offset_is_one_less() {
    let page = "# TYPE a histogram\na {count:10,sum:4.5,schema:3,zero_threshold:0.001,zero_count:1,\
                positive_spans:[2:2,1:1],positive_deltas:[1,1,1],negative_spans:[-1:1],negative_deltas:[3]}\n# EOF\n";
    let metric = metric(openmetrics(page), "a");
    let MetricData::ExponentialHistogram(histogram) = &metric.data else { panic!("{metric:?}") };
    let point = &histogram.points[0];
    assert_eq!((point.count, point.sum, point.scale, point.zero_count), (10, Some(4.5), 3, 1));
    assert_eq!((point.positive.offset, point.positive.counts.as_slice()), (1, [1, 2, 0, 3].as_slice()));
    assert_eq!((point.negative.offset, point.negative.counts.as_slice()), (-2, [3].as_slice()));
}

#[test]
fn a_native_histogram_with_bounds_of_its_own_is_an_explicit_one() {
    let page = "# TYPE a histogram\na {count:6,sum:4.5,schema:-53,positive_spans:[0:1,1:1],positive_deltas:[2,2],\
                custom_values:[0.5,1]}\n# EOF\n";
    let point = scrape(openmetrics(page)).metrics.histogram("a", &[]);
    assert_eq!((point.bounds, point.bucket_counts, point.count), (vec![0.5, 1.0], vec![2, 0, 4], 6));
}

#[test]
fn a_native_histogram_of_fractions_or_with_a_wide_gap_is_dropped() {
    for value in [
        "{count:1.5,sum:1,schema:0,positive_spans:[0:1],positive_buckets:[1.5]}",
        "{count:2,sum:1,schema:0,positive_spans:[0:1,100000000:1],positive_deltas:[1,0]}",
    ] {
        let collected = scrape(text(&format!("# TYPE a histogram\na {value}\nb 1\n")));
        assert!(collected.metrics.metric("b").is_some() && collected.metrics.metric("a").is_none(), "{value}");
    }
}

const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";

#[test]
fn an_exemplar_has_ids_and_keeps_its_other_labels() {
    let page = format!(
        "# TYPE a counter\na_total 9 # {{trace_id=\"{TRACE}\",span_id=\"0102030405060708\",user=\"x\"}} 0.5 1767225600.5\n# EOF\n"
    );
    let metric = metric(openmetrics(&page), "a_total");
    let exemplar = &numbers(&metric)[0].exemplars[0];
    assert_eq!(exemplar.trace_id, (1..=16).collect::<Vec<u8>>());
    assert_eq!(exemplar.span_id, (1..=8).collect::<Vec<u8>>());
    assert_eq!(exemplar.attributes, [Attribute::new("user", "x")]);
    assert_eq!((exemplar.value, exemplar.time), (Number::Float(0.5), 1_767_225_600_500_000_000));
}

#[test]
fn ids_that_are_none_stay_labels() {
    for id in ["xyz", "00000000000000000000000000000000", "0102", "é102030405060708090a0b0c0d0e0f1"] {
        let page = format!("# TYPE a counter\na_total 9 # {{trace_id=\"{id}\"}} 0.5\n# EOF\n");
        let metric = metric(openmetrics(&page), "a_total");
        let exemplar = &numbers(&metric)[0].exemplars[0];
        assert_eq!((exemplar.trace_id.len(), exemplar.attributes.len()), (0, 1), "{id}");
    }
}

#[test]
fn exemplars_of_buckets_are_those_of_the_histogram() {
    let page = "# TYPE a histogram\na_bucket{le=\"1\"} 1 # {} 0.5\na_bucket{le=\"+Inf\"} 2 # {} 7\na_count 2\na_sum 7.5\n# EOF\n";
    assert_eq!(scrape(openmetrics(page)).metrics.histogram("a", &[]).exemplars.len(), 2);
}

#[test]
fn a_histogram_has_no_more_exemplars_than_a_point_may() {
    let buckets: String = (1..=200).map(|at| format!("a_bucket{{le=\"{at}\"}} {at} # {{}} {at}\n")).collect();
    let page = format!("# TYPE a histogram\n{buckets}a_bucket{{le=\"+Inf\"}} 200\na_count 200\na_sum 1\n# EOF\n");
    let point = scrape(openmetrics(&page)).metrics.histogram("a", &[]);
    assert_eq!((point.exemplars.len(), point.count), (128, 200));
}

#[test]
fn labels_of_a_scope_are_the_scope_and_no_attributes() {
    let page = "a{otel_scope_name=\"lib\",otel_scope_version=\"1\",otel_scope_colour=\"red\",x=\"1\"} 1\nb 1\n";
    let collected = scrape(text(page));
    let records = collected.metrics.records();
    let record = |name: &str| records.iter().find(|record| record.metrics.iter().any(|m| m.name == name)).unwrap();
    let scope = &record("a").scope;
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("lib", "1"));
    assert_eq!(scope.attributes, [Attribute::new("colour", "red")]);
    assert_eq!(numbers(&record("a").metrics[0])[0].attributes, [Attribute::new("x", "1")]);
    assert_eq!(record("b").scope.name, "kiln/prometheus");
}

#[test]
fn facts_of_a_scope_are_its_attributes() {
    let page = "otel_scope_info{otel_scope_name=\"lib\",otel_scope_version=\"1\",mascot=\"bear\"} 1\n\
                a{otel_scope_name=\"lib\",otel_scope_version=\"1\"} 1\n";
    let collected = scrape(text(page));
    assert!(collected.metrics.metric("otel_scope_info").is_none());
    let record = collected.metrics.records().iter().find(|record| record.scope.name == "lib").unwrap();
    assert_eq!(record.scope.attributes, [Attribute::new("mascot", "bear")]);
}

#[test]
fn the_target_is_the_resource() {
    let collected = scrape(text("a 1\n"));
    let resource = collected.metrics.point("a", &[]).resource;
    for (key, value) in [
        ("service.name", "spark"),
        ("service.instance.id", TARGET),
        ("server.address", "target"),
        ("server.port", "9100"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(resource[key], value);
    }
    assert!(collected.metrics.point("a", &[]).attributes.is_empty());
}

#[test]
fn target_info_becomes_attributes_of_the_resource_under_its_own_names() {
    let page = "# TYPE target info\ntarget_info{k8s_pod=\"p\",service.name=\"liar\"} 1\n";
    let page = page.replace("service.name", "service_name") + "# TYPE a gauge\na 1\n# EOF\n";
    let collected = scrape(openmetrics(&page));
    let resource = collected.metrics.point("a", &[]).resource;
    assert_eq!((resource["k8s_pod"].as_str(), resource["service.name"].as_str()), ("p", "spark"));
    assert_eq!(collected.metrics.point("up", &[]).resource["k8s_pod"], "p");
    assert!(collected.metrics.metric("target_info").is_none());
}

#[test]
fn target_info_cannot_take_the_place_of_what_tells_targets_apart() {
    let page = "target_info{\"service.name\"=\"liar\",\"server.port\"=\"x\"} 1\na 1\n";
    let resource = scrape(text(page)).metrics.point("a", &[]).resource;
    assert_eq!((resource["service.name"].as_str(), resource["server.port"].as_str()), ("spark", "9100"));
}

#[test]
fn a_sample_without_a_time_has_that_of_the_scrape() {
    let host = host(text("a 1\nb 2 1767225601000\n"));
    let now = host.now().as_nanos();
    let collected = configured(&host, json!({})).collect().unwrap();
    let time = |name| numbers(collected.metrics.metric(name).unwrap())[0].time;
    assert_eq!((time("a"), time("b")), (now, 1_767_225_601_000_000_000));
    let collected = configured(&host, json!({ "honor_timestamps": false })).collect().unwrap();
    assert_eq!(numbers(collected.metrics.metric("b").unwrap())[0].time, now);
}

#[test]
fn a_time_before_1970_is_none() {
    let host = host(text("a 1 -5\n"));
    let now = host.now().as_nanos();
    let collected = configured(&host, json!({})).collect().unwrap();
    assert_eq!(numbers(collected.metrics.metric("a").unwrap())[0].time, now);
}

#[test]
fn a_series_that_comes_twice_counts_once() {
    let host = host(text("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 5\n"));
    let collected = configured(&host, json!({})).collect().unwrap();
    assert_eq!(collected.metrics.value("a", &[]), 1.0);
    assert!(host.take_log()[0].attributes.contains(&Attribute::new("repeated_series", 1)));
}

#[test]
fn a_target_cannot_say_itself_whether_it_is_up() {
    let collected = scrape(text("up 7\nup{job=\"other\"} 0\n"));
    assert_eq!(collected.metrics.value("up", &[("exported_job", "other")]), 0.0);
    assert_eq!(collected.metrics.points("up").iter().filter(|point| point.attributes.is_empty()).count(), 1);
    assert!(collected.metrics.points("up").iter().all(|point| point.value < 2.0));
}
