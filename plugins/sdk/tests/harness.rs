//! What the test harness promises: to behave as the host does where a plugin can tell the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use core::time::Duration;
use std::io::BufRead as _;

use kiln_plugin::http::{HttpError, Request};
use kiln_plugin::telemetry::{
    Attribute, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint, Metric, MetricData,
    Number, NumberPoint, Resource, ResourceMetrics, Scope, Temporality,
};
use kiln_plugin::testing::{Instance, Reply, TestHost};
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, Receiver};
use serde_json::{Value, json};

kiln_plugin::manifest!("tests/example/plugin.toml");

type Step = fn(&mut Host) -> Result<(), CollectError>;

/// A receiver that does what a test tells it.
struct Puppet {
    config: Value,
    step: Step,
}

impl Receiver for Puppet {
    type Config = Value;

    fn configure(config: Value) -> Result<Self, ConfigError> {
        Ok(Self { config, step: |_| Ok(()) })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        host.log(Level::Info, &self.config.to_string(), &[]);
        (self.step)(host).map(|()| Outcome::complete())
    }
}

fn configured(host: &TestHost) -> Instance<Puppet> {
    host.configure(json!({ "host": "https://queue.example", "token": "secret" })).unwrap()
}

fn failed(error: impl ToString) -> CollectError {
    CollectError::Failed(error.to_string())
}

fn collect(host: &TestHost, step: Step) -> Result<kiln_plugin::testing::Collected, String> {
    let mut instance = configured(host);
    instance.plugin_mut().step = step;
    instance.collect().map_err(|error| format!("{error:?}"))
}

fn emit(host: &mut Host, name: &str, attributes: Vec<Attribute>) -> Result<(), CollectError> {
    let metric = Metric {
        name: name.to_owned(),
        description: String::new(),
        unit: String::new(),
        metadata: Vec::new(),
        data: MetricData::Gauge(Vec::new()),
    };
    let scope = Scope { name: String::new(), version: String::new(), attributes: Vec::new() };
    Ok(host.emit_metrics([ResourceMetrics { resource: Resource { attributes }, scope, metrics: vec![metric] }])?)
}

#[test]
fn the_plugin_never_sees_a_secret() {
    let host = TestHost::new(telemetry::MANIFEST);
    collect(&host, |_| Ok(())).unwrap();
    assert_eq!(host.take_log()[0].message, r#"{"host":"https://queue.example"}"#);
}

#[test]
fn only_requested_paths_of_the_configured_origin_are_reached() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x?b=2&a=1", Reply::json(&1));
    let got = |url: &'static str| {
        let mut instance = configured(&host);
        instance.plugin_mut().step = match url {
            "granted" => |host| Ok(host.http().get_json("https://queue.example/api/x?a=1&b=2").map(|_: i64| ())?),
            "path" => |host| Ok(host.http().get("https://queue.example/admin").map(|_| ())?),
            "origin" => |host| Ok(host.http().get("https://other.example/api/x").map(|_| ())?),
            _ => |host| {
                let mut request = Request::get("https://queue.example/api/x");
                request.method = kiln_plugin::http::Method::Post;
                let denied = matches!(host.http().send(&request), Err(HttpError::Denied(_)));
                if denied { Err(failed("denied")) } else { Ok(()) }
            },
        };
        instance.collect().map(|_| ()).map_err(|error| format!("{error:?}"))
    };
    assert_eq!(got("granted"), Ok(()));
    assert!(got("path").unwrap_err().contains("/admin: not sent: path /admin"));
    assert!(got("origin").unwrap_err().contains("https://other.example is not granted"));
    assert!(got("method").unwrap_err().contains("denied"));
    assert_eq!(host.take_requests(), ["GET /api/x?a=1&b=2"]);
}

#[test]
fn every_origin_of_a_list_is_granted() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x", Reply::json(&1));
    let config = json!({ "host": ["https://a.example", "b.example:9090"], "token": "secret" });
    let mut instance = host.configure::<Puppet>(config).unwrap();
    instance.plugin_mut().step = |host| {
        let granted = |url: &str| host.http().get(url).is_ok();
        assert!(granted("https://a.example/api/x"));
        assert!(granted("http://b.example:9090/api/x") && granted("https://b.example:9090/api/x"));
        assert!(!granted("http://a.example/api/x") && !granted("http://b.example/api/x"));
        Ok(())
    };
    instance.collect().unwrap();
}

#[test]
#[should_panic(expected = "GET /api/unknown")]
fn a_request_without_a_script_fails_the_test() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x", Reply::json(&1));
    let _ = collect(&host, |host| Ok(host.http().get("https://queue.example/api/unknown").map(|_| ())?));
}

#[test]
fn replies_come_in_sequence_and_the_last_one_stays() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x", Reply::json(&1).then(Reply::status(503, "later")).then(Reply::json(&3)));
    let mut instance = configured(&host);
    instance.plugin_mut().step = |host| {
        let value: i64 = host.http().get_json("https://queue.example/api/x")?;
        Ok(host.state().set("value", &value)?)
    };
    assert!(instance.collect().is_ok());
    assert!(matches!(instance.collect(), Err(CollectError::Unavailable(_))));
    assert_eq!(host.state("value"), Some(json!(1)));
    assert!(instance.collect().is_ok() && instance.collect().is_ok());
    assert_eq!(host.state("value"), Some(json!(3)));
}

#[test]
fn a_failed_collection_leaves_nothing_behind() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.set_state("seen", &json!(1));
    let error = collect(&host, |host| {
        host.state().set("seen", &2)?;
        host.state().set("more", &2)?;
        assert_eq!(host.state().get::<i64>("seen")?, Some(2));
        assert_eq!(host.state().keys("")?, ["more", "seen"]);
        emit(host, "example.consumers", Vec::new()).ok();
        Err(CollectError::Unavailable("later".to_owned()))
    });
    assert!(error.is_err());
    assert_eq!((host.state("seen"), host.state("more")), (Some(json!(1)), None));

    let collected = collect(&host, |host| Ok(host.state().set("seen", &2)?)).unwrap();
    assert!(collected.metrics.records().is_empty());
    assert_eq!(host.state("seen"), Some(json!(2)));
}

#[test]
fn state_that_means_something_else_is_an_error_that_names_the_key() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.set_state("seen", &json!("text"));
    let error = collect(&host, |host| Ok(host.state().get::<i64>("seen").map(|_| ())?)).unwrap_err();
    assert!(error.contains("state `seen` does not hold what it should"), "{error}");
}

#[test]
fn what_is_not_declared_is_not_emitted() {
    let host = TestHost::new(telemetry::MANIFEST);
    let refused = |step: Step| collect(&host, step).map(|_| ()).unwrap_err();
    assert!(collect(&host, |host| emit(host, "example.raw.x", vec![Attribute::new("example.host", "h")])).is_ok());
    assert!(refused(|host| emit(host, "other", vec![Attribute::new("example.host", "h")])).contains("`other`"));
    assert!(refused(|host| emit(host, "example.raw.x", Vec::new())).contains("`example.host` is missing"));
    assert!(
        refused(|host| emit(host, "example.raw.x", vec![Attribute::new("example.host", 1)])).contains("another type")
    );
    assert!(
        refused(|host| {
            let attributes = vec![Attribute::new("example.host", "h"), Attribute::new("colour", "blue")];
            emit(host, "example.raw.x", attributes)
        })
        .contains("`colour` is not declared")
    );
}

#[test]
fn typed_metrics_pass_and_two_points_of_one_series_do_not() {
    let host = TestHost::new(telemetry::MANIFEST);
    let step: Step = |host| {
        let resource = telemetry::Resource { example_host: "h", example_region: Some("r") };
        let mut metrics = telemetry::Metrics::new(&resource);
        metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "a" }, 1);
        metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "b" }, 2);
        metrics.example_messages_count(host.now(), &telemetry::ExampleMessagesCount { queue: "a", r#type: Some(1) }, 3);
        metrics.example_wait(host.now(), &telemetry::ExampleWaitHistogram::new());
        host.emit_metrics([metrics])?;
        Ok(())
    };
    let metrics = collect(&host, step).unwrap().metrics;
    assert_eq!(metrics.value("example.queue.depth", &[("queue", "b")]), 2.0);
    assert_eq!(metrics.point("example.messages.count", &[("type", "1")]).start, host.now());
    assert_eq!(metrics.histogram("example.wait", &[("example.region", "r")]).count, 0);
    assert_eq!(metrics.resource()["example.host"], "h");

    let twice: Step = |host| {
        let mut metrics = telemetry::Metrics::new(&telemetry::Resource { example_host: "h", example_region: None });
        metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "a" }, 1);
        metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "a" }, 2);
        host.emit_metrics([metrics])?;
        Ok(())
    };
    assert!(collect(&host, twice).unwrap_err().contains("two points of one series"));
}

const PAGE: &str = "https://queue.example/api/x";

#[test]
fn a_body_comes_in_pieces_and_reads_as_a_whole() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x", Reply::text("one\ntwo\nthree").in_pieces(4).with_header("etag", "7"));
    let step: Step = |host| {
        let mut opened = host.http().open(&Request::get(PAGE)).map_err(broken)?;
        assert_eq!((opened.status, opened.header("etag")), (200, Some("7")));
        assert_eq!(opened.body.read(), Ok(Some(b"one\n".to_vec())));
        let rest: Vec<_> = opened.body.into_reader().lines().map(Result::unwrap).collect();
        assert_eq!(rest, ["two", "three"]);
        assert_eq!(host.http().get_text(PAGE)?, "one\ntwo\nthree");
        Ok(())
    };
    assert!(collect(&host, step).is_ok());
}

#[test]
fn a_body_breaks_where_the_script_says() {
    let host = TestHost::new(telemetry::MANIFEST);
    let gone = || HttpError::Protocol("gone".to_owned());
    host.on_get("/api/x", Reply::text("one two").in_pieces(2).breaking_after(3, gone()));
    let step: Step = |host| {
        let gone = Err(HttpError::Protocol("gone".to_owned()));
        let mut opened = host.http().open(&Request::get(PAGE)).map_err(broken)?;
        assert_eq!(opened.body.read(), Ok(Some(b"on".to_vec())));
        assert_eq!(opened.body.read(), Ok(Some(b"e".to_vec())));
        assert_eq!(opened.body.read(), gone);
        assert_eq!(opened.body.read(), gone);
        let opened = host.http().open(&Request::get(PAGE)).map_err(broken)?;
        let error = std::io::read_to_string(opened.body.into_reader()).unwrap_err();
        assert_eq!(error.to_string(), "the connection broke: gone");
        assert!(host.http().get(PAGE).is_err());
        Ok(())
    };
    assert!(collect(&host, step).is_ok());
}

#[test]
fn eight_bodies_are_open_at_once_and_no_more() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/x", Reply::text("one"));
    let step: Step = |host| {
        let open = || host.http().open(&Request::get(PAGE));
        let mut opened: Vec<_> = (0..8).map(|_| open().unwrap()).collect();
        assert!(matches!(open(), Err(HttpError::InvalidRequest(_))));
        opened.pop();
        assert!(open().is_ok());
        assert!(matches!(host.http().open(&Request::get("https://other.example/")), Err(HttpError::Denied(_))));
        Ok(())
    };
    assert!(collect(&host, step).is_ok());
}

fn broken(error: HttpError) -> CollectError {
    failed(format!("{error:?}"))
}

fn exponential(change: impl FnOnce(&mut ExponentialHistogramPoint)) -> MetricData {
    let mut point = ExponentialHistogramPoint {
        attributes: Vec::new(),
        start_time: 1,
        time: 2,
        count: 4,
        sum: None,
        min: None,
        max: None,
        scale: 20,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: ExponentialBuckets { offset: -1, counts: vec![1, 2] },
        negative: ExponentialBuckets::empty(),
        exemplars: Vec::new(),
        no_recorded_value: false,
    };
    change(&mut point);
    MetricData::ExponentialHistogram(ExponentialHistogram { temporality: Temporality::Cumulative, points: vec![point] })
}

fn emit_data(data: MetricData) -> Result<(), String> {
    struct Emits(Option<MetricData>);
    impl Receiver for Emits {
        type Config = Value;
        fn configure(_: Value) -> Result<Self, ConfigError> {
            Ok(Self(None))
        }
        fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
            let (name, description, unit) = ("example.raw.x".to_owned(), String::new(), String::new());
            let metric = Metric { name, description, unit, metadata: Vec::new(), data: self.0.take().unwrap() };
            let scope = Scope { name: String::new(), version: String::new(), attributes: Vec::new() };
            let resource = Resource { attributes: vec![Attribute::new("example.host", "h")] };
            host.emit_metrics([ResourceMetrics { resource, scope, metrics: vec![metric] }])?;
            Ok(Outcome::complete())
        }
    }
    let host = TestHost::new(telemetry::MANIFEST);
    let mut instance = host.configure::<Emits>(json!({ "host": "https://queue.example", "token": "secret" })).unwrap();
    instance.plugin_mut().0 = Some(data);
    instance.collect().map(|_| ()).map_err(|error| format!("{error:?}"))
}

#[test]
fn exponential_histograms_have_to_add_up_unless_they_have_ended() {
    assert_eq!(emit_data(exponential(|_| {})), Ok(()));
    let refused = |change: fn(&mut ExponentialHistogramPoint)| emit_data(exponential(change)).unwrap_err();
    assert!(refused(|point| point.count = 5).contains("add up"));
    assert!(refused(|point| point.scale = 21).contains("scale"));
    assert!(refused(|point| point.zero_threshold = -1.0).contains("zero threshold"));
    assert!(refused(|point| point.positive.counts = vec![u64::MAX, 2]).contains("add up"));
    let ended = exponential(|point| (point.count, point.scale, point.no_recorded_value) = (5, 21, true));
    assert_eq!(emit_data(ended), Ok(()));
}

#[test]
fn exemplars_have_whole_ids_or_none_and_are_few() {
    let exemplar = |trace_id: &[u8], span_id: &[u8]| Exemplar {
        attributes: Vec::new(),
        time: 0,
        value: Number::Integer(1),
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
    };
    let with = |exemplars: Vec<Exemplar>| {
        emit_data(MetricData::Gauge(vec![NumberPoint { exemplars, ..NumberPoint::new(Vec::new(), 1.into()) }]))
    };
    assert_eq!(with(vec![exemplar(&[1; 16], &[1; 8]); 128]), Ok(()));
    assert_eq!(with(vec![exemplar(&[], &[])]), Ok(()));
    assert!(with(vec![exemplar(&[], &[]); 129]).unwrap_err().contains("more than 128 exemplars"));
    assert!(with(vec![exemplar(&[1; 15], &[])]).unwrap_err().contains("id"));
    assert!(with(vec![exemplar(&[], &[0; 8])]).unwrap_err().contains("id"));
}

#[test]
fn the_clock_moves_when_the_test_says_so() {
    let host = TestHost::new(telemetry::MANIFEST);
    let before = host.now();
    host.advance(Duration::from_secs(60));
    assert_eq!(host.now().as_millis() - before.as_millis(), 60_000);
    collect(&host, |host| Ok(host.state().set("now", &host.now())?)).unwrap();
    assert_eq!(host.state("now"), Some(json!(host.now().as_nanos())));
}
