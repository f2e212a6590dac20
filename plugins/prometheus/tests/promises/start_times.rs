//! When counting began.

use core::time::Duration;

use serde_json::json;

use super::*;

fn with(strategy: &str, reply: Reply) -> (TestHost, Instance<Prometheus>) {
    let host = host(reply);
    let mut config = job(json!({}));
    config["start_time"] = json!(strategy);
    let instance = host.configure(config).unwrap();
    (host, instance)
}

fn start_and_value(collected: &Collected) -> Option<(u64, f64)> {
    let point = collected.metrics.points("a_total").into_iter().next()?;
    Some((point.start.as_nanos(), point.value))
}

fn counter(value: u64) -> Reply {
    text(&format!("# TYPE a_total counter\na_total {value}\n"))
}

#[test]
fn without_a_word_about_it_the_start_is_not_known() {
    assert_eq!(start_and_value(&scrape(counter(5))), Some((0, 5.0)));
}

#[test]
fn the_page_s_own_word_is_taken_whatever_the_strategy() {
    let page = "# TYPE a counter\na_total 5\na_created 1700000000.5\n# EOF\n";
    for strategy in ["unset", "process_start_time", "true_reset", "subtract_initial"] {
        let (_, mut instance) = with(strategy, openmetrics(page));
        let collected = instance.collect().unwrap();
        assert_eq!(start_and_value(&collected), Some((1_700_000_000_500_000_000, 5.0)), "{strategy}");
        assert!(collected.metrics.metric("a_created").is_none());
    }
}

#[test]
fn a_start_after_the_scrape_is_not_believed() {
    let page = "# TYPE a counter\na_total 5\na_created 1900000000\n# EOF\n";
    assert_eq!(start_and_value(&scrape(openmetrics(page))), Some((0, 5.0)));
}

#[test]
fn the_start_of_the_process_is_used_on_demand() {
    let page = "# TYPE a_total counter\na_total 5\nprocess_start_time_seconds 1700000000\n";
    let (_, mut instance) = with("process_start_time", text(page));
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((1_700_000_000_000_000_000, 5.0)));
    assert_eq!(start_and_value(&scrape(text(page))), Some((0, 5.0)));
}

#[test]
fn a_reset_starts_a_new_run_where_the_last_one_was_seen() {
    let (host, mut instance) = with("true_reset", counter(5).then(counter(8)).then(counter(3)));
    let first = host.now().as_nanos();
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((first, 5.0)));
    host.advance(Duration::from_secs(60));
    let second = host.now().as_nanos();
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((first, 8.0)));
    host.advance(Duration::from_secs(60));
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((second, 3.0)));
}

#[test]
fn what_was_there_before_is_subtracted_until_a_reset() {
    let replies = counter(5).then(counter(8)).then(counter(3)).then(counter(4));
    let (host, mut instance) = with("subtract_initial", replies);
    let first = host.now().as_nanos();
    assert_eq!(start_and_value(&instance.collect().unwrap()), None);
    host.advance(Duration::from_secs(60));
    let second = host.now().as_nanos();
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((first, 3.0)));
    host.advance(Duration::from_secs(60));
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((second, 3.0)));
    assert_eq!(start_and_value(&instance.collect().unwrap()), Some((second, 4.0)));
}

#[test]
fn buckets_are_subtracted_one_by_one() {
    let page = |low: u64, all: u64| {
        text(&format!(
            "# TYPE h histogram\nh_bucket{{le=\"1\"}} {low}\nh_bucket{{le=\"+Inf\"}} {all}\nh_sum {all}\nh_count {all}\n"
        ))
    };
    let (_, mut instance) = with("subtract_initial", page(2, 5).then(page(3, 9)));
    instance.collect().unwrap();
    let point = instance.collect().unwrap().metrics.histogram("h", &[]);
    assert_eq!((point.count, point.sum, point.bucket_counts), (4, Some(4.0), vec![1, 3]));
}
