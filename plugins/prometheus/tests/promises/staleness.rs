//! What vanishes is told to have ended, once.

use kiln_plugin::http::HttpError;
use serde_json::json;

use super::*;

fn ended(collected: &Collected, name: &str) -> usize {
    collected.metrics.points(name).iter().filter(|point| point.value.is_nan()).count()
}

#[test]
fn a_series_that_vanishes_from_a_live_target_ends_once() {
    let host = host(text("a{x=\"1\"} 1\na{x=\"2\"} 2\n").then(text("a{x=\"1\"} 1\n")));
    let mut instance = configured(&host, json!({}));
    assert_eq!(ended(&instance.collect().unwrap(), "a"), 0);
    let second = instance.collect().unwrap();
    assert_eq!((ended(&second, "a"), up(&second)), (1, 1.0));
    assert!(second.metrics.point("a", &[("x", "2")]).value.is_nan());
    assert_eq!(ended(&instance.collect().unwrap(), "a"), 0);
}

#[test]
fn every_series_of_a_target_that_fails_ends_once() {
    let down = Reply::error(HttpError::Connect("refused".to_owned()));
    let host = host(text("a 1\n# TYPE b_total counter\nb_total 2\n").then(down.clone()).then(down).then(text("a 1\n")));
    let mut instance = configured(&host, json!({}));
    instance.collect().unwrap();
    let second = instance.collect().unwrap();
    assert_eq!((ended(&second, "a"), ended(&second, "b_total"), up(&second)), (1, 1, 0.0));
    let third = instance.collect().unwrap();
    assert_eq!((ended(&third, "a"), third.metrics.points("a").len(), up(&third)), (0, 0, 0.0));
    let fourth = instance.collect().unwrap();
    assert_eq!((fourth.metrics.value("a", &[]), fourth.metrics.value("scrape_series_added", &[])), (1.0, 1.0));
}

#[test]
fn histograms_and_summaries_end_as_such() {
    let page = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n# TYPE s summary\ns_count 1\ns_sum 1\n\
                # TYPE n histogram\nn {count:1,sum:1,schema:0,positive_spans:[0:1],positive_deltas:[1]}\n";
    let host = host(text(page).then(text("a 1\n")));
    let mut instance = configured(&host, json!({}));
    let first = instance.collect().unwrap();
    assert!(!first.metrics.histogram("h", &[]).no_recorded_value);
    let second = instance.collect().unwrap();
    assert!(second.metrics.histogram("h", &[]).no_recorded_value);
    let MetricData::Summary(points) = &second.metrics.metric("s").unwrap().data else { panic!() };
    assert!(points[0].no_recorded_value);
    let MetricData::ExponentialHistogram(data) = &second.metrics.metric("n").unwrap().data else { panic!() };
    assert!(data.points[0].no_recorded_value);
}

#[test]
fn a_series_with_its_own_time_ends_when_its_target_says_so() {
    let reply = || text("a 1 1767225600000\nb 1\n").then(text("b 1\n"));
    for (track, expected) in [(false, 0), (true, 1)] {
        let host = host(reply());
        let mut instance = configured(&host, json!({ "track_timestamps_staleness": track }));
        instance.collect().unwrap();
        assert_eq!(ended(&instance.collect().unwrap(), "a"), expected);
    }
}

#[test]
fn a_metric_that_becomes_another_ends_as_what_it_was() {
    let host = host(text("# TYPE a counter\na 1\n").then(text("# TYPE a gauge\na 2\n")));
    let mut instance = configured(&host, json!({}));
    instance.collect().unwrap();
    let second = instance.collect().unwrap();
    let points = second.metrics.points("a");
    assert_eq!((points.len(), ended(&second, "a")), (2, 1));
}

#[test]
fn a_target_that_describes_itself_anew_ends_what_it_was() {
    let page = |pod: &str| text(&format!("target_info{{pod=\"{pod}\"}} 1\na 1\n"));
    let host = host(page("one").then(page("two")));
    let mut instance = configured(&host, json!({}));
    instance.collect().unwrap();
    let second = instance.collect().unwrap();
    assert!(second.metrics.point("a", &[("pod", "one")]).value.is_nan());
    assert_eq!(second.metrics.value("a", &[("pod", "two")]), 1.0);
}

/// Scenario: a new process, which remembers nothing.
/// Guarantees: nothing is told to have ended that was never seen, and everything is new.
#[test]
fn nothing_outlives_the_process() {
    let host = host(text("a 1\nb 1\n").then(text("a 1\n")));
    configured(&host, json!({})).collect().unwrap();
    let restarted = configured(&host, json!({})).collect().unwrap();
    assert_eq!(ended(&restarted, "b"), 0);
    assert_eq!(restarted.metrics.value("scrape_series_added", &[]), 1.0);
    assert_eq!(host.state_bytes(), 0);
}
