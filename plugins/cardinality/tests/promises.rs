//! What the cardinality processor promises. The host's own code does the joining.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_plugin::processor::MetricKind;
use kiln_plugin::testing::{Instance, Telemetry, TestBatch, TestHost};
use kiln_plugin_cardinality::{Cardinality, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

fn host() -> TestHost {
    TestHost::new(telemetry::MANIFEST)
}

fn configured(host: &TestHost, config: Value) -> Instance<Cardinality> {
    host.configure_processor(config).unwrap()
}

fn run(config: Value, batch: &TestBatch) -> Vec<String> {
    configured(&host(), config).process_batch(&batch.build()).unwrap().series()
}

fn users(kind: MetricKind, count: usize) -> TestBatch {
    let point = |user: usize| vec![("user".to_owned(), user.to_string()), ("region".to_owned(), "eu".to_owned())];
    TestBatch::new().metric_of("requests", kind, (0..count).map(point))
}

/// Scenario: metrics that are included, excluded, both and neither.
/// Guarantees: what is included and not excluded is left, and nothing else.
#[test]
fn metrics_are_kept_and_dropped_by_name() {
    let batch = ["http.a", "http.b", "http.debug.c", "jvm.d"]
        .iter()
        .fold(TestBatch::new(), |batch, name| batch.metric(name, MetricKind::Gauge, &[&[]]));
    let config = json!({ "include": ["http.*"], "exclude": ["http.debug.*", "http.b"] });
    assert_eq!(run(config, &batch), ["http.a{}"]);
    assert_eq!(run(json!({}), &batch).len(), 4);
}

/// Scenario: attributes to drop, by key and by pattern, of one metric and of all.
/// Guarantees: the host joins what is alike without them, of every kind but summaries, which are left as they are.
#[test]
fn attributes_are_summed_away() {
    for kind in [MetricKind::Gauge, MetricKind::Sum, MetricKind::Histogram, MetricKind::ExponentialHistogram] {
        let config = json!({ "drop_attributes": [{ "metrics": ["req*"], "keys": ["us*"] }] });
        assert_eq!(run(config, &users(kind, 100)), [r#"requests{region="eu"}"#]);
        let config = json!({ "drop_attributes": [{ "keys": ["user"] }, { "keys": ["region"] }] });
        assert_eq!(run(config, &users(kind, 100)), ["requests{}"]);
        let config = json!({ "drop_attributes": [{ "metrics": ["jvm.*"], "keys": ["user"] }] });
        assert_eq!(run(config, &users(kind, 100)).len(), 100);
    }
    let config = json!({ "drop_attributes": [{ "keys": ["*"] }] });
    assert_eq!(run(config, &users(MetricKind::Summary, 100)).len(), 100);
}

fn customers() -> TestBatch {
    let series = |(customer, count): (&str, usize)| {
        let customer = customer.to_owned();
        (0..count)
            .map(move |page| vec![("customer".to_owned(), customer.clone()), ("page".to_owned(), page.to_string())])
    };
    let points: Vec<_> =
        [("small", 1), ("large", 9), ("medium", 4), ("tiny", 1)].into_iter().flat_map(series).collect();
    TestBatch::new().metric_of("orders", MetricKind::Sum, points.into_iter())
}

fn values(batch: &Telemetry, key: &str) -> BTreeSet<String> {
    let value =
        |series: &String| series.split_once(&format!("{key}=\""))?.1.split_once('"').map(|(value, _)| value.to_owned());
    batch.series().iter().filter_map(value).collect()
}

/// Scenario: an attribute of four values of different numbers of series, two of which are to be kept.
/// Guarantees: the two with the most are, the others become one, and what they had in common is joined.
#[test]
fn the_largest_are_kept_and_the_rest_is_other() {
    let config = json!({ "top": [{ "key": "customer", "keep": 2, "other": "rest" }] });
    let host = host();
    let after = configured(&host, config).process_batch(&customers().build()).unwrap();
    assert_eq!(values(&after, "customer"), ["large", "medium", "rest"].map(ToOwned::to_owned).into());
    assert_eq!(after.points(), 9 + 4 + 1, "page 0 of the two small ones is one series");
    assert!(host.state("kept").unwrap().to_string().contains("medium"));
}

/// Scenario: the plugin is started afresh, and others are larger by then.
/// Guarantees: the ones that were kept still are: no counter changes its name by a restart.
#[test]
fn who_is_kept_outlives_a_restart() {
    let host = host();
    let config = || json!({ "top": [{ "key": "customer", "keep": 2 }] });
    configured(&host, config()).process_batch(&customers().build()).unwrap();
    let points =
        (0..50).map(|page| vec![("customer".to_owned(), "new".to_owned()), ("page".to_owned(), page.to_string())]);
    let batch = TestBatch::new().metric_of("orders", MetricKind::Sum, points).build();
    let mut restarted = configured(&host, config());
    assert_eq!(values(&restarted.process_batch(&batch).unwrap(), "customer"), ["other".to_owned()].into());
    host.advance(Duration::from_secs(3600));
    assert_eq!(values(&restarted.process_batch(&batch).unwrap(), "customer"), ["new".to_owned()].into(), "chosen anew");
}

/// Scenario: more series than the limit, of kinds that can be joined; a limit for one metric alone.
/// Guarantees: as many as the limit are left, one of which is the overflow, with that attribute and no other.
#[test]
fn what_is_too_much_overflows() {
    let overflow = "requests{otel.metric.overflow=true}";
    for kind in [MetricKind::Gauge, MetricKind::Sum, MetricKind::Histogram, MetricKind::ExponentialHistogram] {
        let series = run(json!({ "series_limit": 10 }), &users(kind, 100));
        assert_eq!(series.len(), 10);
        assert_eq!(series.iter().filter(|series| *series == overflow).count(), 1);
        assert_eq!(series[0], r#"requests{region="eu",user="0"}"#);
        assert_eq!(run(json!({ "series_limit": 10 }), &users(kind, 9)).len(), 9);
    }
    let config = json!({ "series_limit": 10, "series_limits": [{ "metrics": ["requests"], "limit": 50 }] });
    assert_eq!(run(config, &users(MetricKind::Sum, 100)).len(), 50);
    assert_eq!(run(json!({}), &users(MetricKind::Sum, 3000)).len(), 2000, "as SDKs have it by default");
}

/// Scenario: more series of a summary than the limit.
/// Guarantees: those beyond it are dropped, for they cannot be joined, and the log says so.
#[test]
fn summaries_beyond_the_limit_are_dropped() {
    let host = host();
    let after =
        configured(&host, json!({ "series_limit": 10 })).process_batch(&users(MetricKind::Summary, 100).build());
    assert_eq!(after.unwrap().points(), 9);
    assert!(format!("{:?}", host.take_log()).contains("folded points"));
}

/// Scenario: a batch that is shown in three views.
/// Guarantees: the limit holds over all of them, and there is one overflow.
#[test]
fn the_limit_holds_over_all_views_of_a_batch() {
    let series = run(json!({ "series_limit": 100 }), &users(MetricKind::Sum, 20_000));
    assert_eq!(series.len(), 100);
    let config = json!({ "drop_attributes": [{ "keys": ["user"] }] });
    assert_eq!(run(config, &users(MetricKind::Sum, 20_000)).len(), 1);
}

/// Scenario: batch after batch, each with other series; then time passes.
/// Guarantees: series that were admitted stay so, others overflow, and what is long gone makes room.
#[test]
fn series_are_remembered_and_forgotten() {
    let host = host();
    let mut plugin = configured(&host, json!({ "series_limit": 3, "forget_after_seconds": 600 }));
    let mut series = |user: &str| {
        let batch = TestBatch::new().metric("requests", MetricKind::Sum, &[&[("user", user)]]).build();
        plugin.process_batch(&batch).unwrap().series().remove(0)
    };
    assert_eq!((series("a").as_str(), series("b").as_str()), (r#"requests{user="a"}"#, r#"requests{user="b"}"#));
    assert_eq!(series("c"), "requests{otel.metric.overflow=true}");
    for _ in 0..2 {
        host.advance(Duration::from_secs(600));
        assert_eq!(series("a"), r#"requests{user="a"}"#);
    }
    assert_eq!(series("c"), r#"requests{user="c"}"#, "b is forgotten");
    assert_eq!(series("b"), "requests{otel.metric.overflow=true}");
}

/// Scenario: the same metric of two resources.
/// Guarantees: each has the limit to itself.
#[test]
fn every_resource_has_its_own_limit() {
    let of = |batch: TestBatch, service: &str| {
        let point = |user: usize| vec![("user".to_owned(), user.to_string())];
        batch.resource(&[("service.name", service)]).metric_of("requests", MetricKind::Sum, (0..10).map(point))
    };
    assert_eq!(run(json!({ "series_limit": 4 }), &of(of(TestBatch::new(), "a"), "b")).len(), 8);
}

/// Scenario: something is folded in every batch.
/// Guarantees: the log says what and how much, once an interval; the totals are in the state, across a restart.
#[test]
fn it_reports_what_it_folded() {
    let host = host();
    let config = || json!({ "series_limit": 10, "exclude": ["noise"], "report_interval_seconds": 60 });
    let batch = users(MetricKind::Sum, 20).metric("noise", MetricKind::Gauge, &[&[], &[("a", "b")]]).build();
    let mut plugin = configured(&host, config());
    for _ in 0..3 {
        plugin.process_batch(&batch).unwrap();
    }
    let [line] = &host.take_log()[..] else { panic!("one line") };
    let told = format!("{line:?}");
    for part in ["folded points", "overflow", "Integer(11)", "dropped_points", "Integer(2)", "requests"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    host.advance(Duration::from_secs(60));
    configured(&host, config()).process_batch(&batch).unwrap();
    assert_eq!(
        host.state("folded").unwrap(),
        json!({ "dropped_metrics": 2, "dropped_points": 4, "other": 0, "overflow": 22 })
    );
    let few = users(MetricKind::Sum, 5).build();
    let _ = host.take_log();
    configured(&host, config()).process_batch(&few).unwrap();
    assert!(host.take_log().is_empty(), "nothing folded, nothing said");
}

proptest! {
    /// Scenario: any number of series, any limit.
    /// Guarantees: never more are left than the limit; where none is too many, the batch is as it was.
    #[test]
    fn a_limit_is_never_exceeded(count in 1_usize..60, limit in 2_usize..60) {
        let before = users(MetricKind::Sum, count).build();
        let after = configured(&host(), json!({ "series_limit": limit })).process_batch(&before).unwrap();
        let series: BTreeSet<_> = after.series().into_iter().collect();
        prop_assert_eq!(series.len(), after.points(), "no series twice");
        prop_assert!(after.points() <= limit);
        if count < limit {
            prop_assert_eq!(after, before);
        }
    }
}
