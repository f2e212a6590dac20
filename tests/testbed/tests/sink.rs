//! The OTLP sink, over the wire: what it stores, what it refuses, and how it fails on request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln_testbed::sink::{Fault, Kind, RetryAfter, Signal, Sink, Temporality, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use reqwest::Response;
use serde_json::json;
use std::io::Write;
use std::time::{Duration, SystemTime};
use support::client;

const LONG: Duration = Duration::from_secs(10);

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.to_owned()))
}

fn metrics(metrics: Vec<Metric>) -> Vec<u8> {
    let scope = InstrumentationScope { name: "kiln".to_owned(), version: "1".to_owned(), ..Default::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: vec![text("host", "a")], ..Default::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..Default::default() }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

fn gauge(name: &str, value: f64) -> Metric {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsDouble(value)), ..Default::default() };
    Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
        ..Default::default()
    }
}

async fn post(sink: &Sink, path: &str, body: Vec<u8>) -> Response {
    send(sink, path, body, &[("content-type", "application/x-protobuf")]).await.unwrap()
}

async fn send(sink: &Sink, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> reqwest::Result<Response> {
    let mut request = client().post(format!("{}{path}", sink.url())).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await
}

#[tokio::test]
async fn points_of_every_kind_arrive_with_everything_they_inherit() {
    let sink = Sink::start().unwrap();
    let sum = Metric {
        name: "runs".to_owned(),
        unit: "{run}".to_owned(),
        description: "Finished runs".to_owned(),
        metadata: vec![text("prometheus.type", "counter")],
        data: Some(metric::Data::Sum(Sum {
            aggregation_temporality: 2,
            is_monotonic: true,
            data_points: vec![NumberDataPoint {
                attributes: vec![
                    text("result", "SUCCESS"),
                    pair("n", any_value::Value::IntValue(3)),
                    pair("raw", any_value::Value::BytesValue(vec![0xab, 1])),
                    pair(
                        "list",
                        any_value::Value::ArrayValue(ArrayValue {
                            values: vec![AnyValue { value: Some(any_value::Value::BoolValue(true)) }],
                        }),
                    ),
                ],
                start_time_unix_nano: 5,
                time_unix_nano: 9,
                value: Some(number_data_point::Value::AsInt(i64::MAX)),
                ..Default::default()
            }],
        })),
    };
    let histogram = Metric {
        name: "duration".to_owned(),
        data: Some(metric::Data::Histogram(Histogram {
            aggregation_temporality: 1,
            data_points: vec![HistogramDataPoint {
                count: 3,
                sum: Some(4.5),
                bucket_counts: vec![1, 2],
                explicit_bounds: vec![1.0],
                flags: 1,
                ..Default::default()
            }],
        })),
        ..Default::default()
    };
    let answer = post(&sink, "/v1/metrics", metrics(vec![gauge("jobs", 0.5), sum, histogram])).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
    let response = ExportMetricsServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    assert_eq!(response.partial_success, None);

    let telemetry = sink.telemetry();
    assert_eq!(telemetry.points.len(), 3);
    let jobs = telemetry.points_of("jobs").next().unwrap();
    assert_eq!((jobs.kind, jobs.number(), jobs.temporality), (Kind::Gauge, Some(0.5), None));
    assert_eq!(jobs.origin.resource["host"], "a");
    assert_eq!((jobs.origin.scope.as_str(), jobs.origin.scope_version.as_str()), ("kiln", "1"));

    let runs = telemetry.points_of("runs").next().unwrap();
    assert_eq!((runs.kind, runs.temporality, runs.monotonic), (Kind::Sum, Some(Temporality::Cumulative), Some(true)));
    assert_eq!((runs.unit.as_str(), runs.description.as_str()), ("{run}", "Finished runs"));
    assert_eq!((runs.start_nanos, runs.time_nanos, &runs.value), (5, 9, &Value::Int(i64::MAX)));
    assert_eq!(runs.text("result"), Some("SUCCESS"));
    assert_eq!(runs.metadata["prometheus.type"], "counter");
    let others = json!({ "n": 3, "raw": { "bytes": "ab01" }, "list": [true], "result": "SUCCESS" });
    assert_eq!(json!(runs.attributes), others);

    let duration = telemetry.points_of("duration").next().unwrap();
    assert_eq!((duration.temporality, duration.flags), (Some(Temporality::Delta), 1));
    let expected =
        Value::Histogram { count: 3, sum: Some(4.5), min: None, max: None, bounds: vec![1.0], counts: vec![1, 2] };
    assert_eq!(duration.value, expected);
}

#[tokio::test]
async fn what_is_only_counted_is_counted_whatever_it_is_and_not_kept() {
    let sink = Sink::start().unwrap();
    sink.count_only();
    let sizes = [
        post(&sink, "/v1/metrics", metrics(vec![gauge("jobs", 0.5), gauge("runs", 1.0)])).await,
        post(&sink, "/v1/metrics", b"no protobuf".to_vec()).await,
    ];
    assert_eq!(sizes.map(|answer| answer.status().as_u16()), [200, 400]);
    let counts = client().get(format!("{}/-/counts", sink.url())).send().await.unwrap().bytes().await.unwrap();
    let counts: serde_json::Value = serde_json::from_slice(&counts).unwrap();
    let size = metrics(vec![gauge("jobs", 0.5), gauge("runs", 1.0)]).len();
    assert_eq!(counts, json!({ "requests": 1, "items": 2, "wire_bytes": size, "bytes": size }));
    let telemetry = sink.telemetry();
    assert!(telemetry.points.is_empty() && telemetry.requests.iter().all(|request| request.body.is_empty()));
}

#[tokio::test]
async fn spans_and_logs_arrive_with_readable_ids() {
    let sink = Sink::start().unwrap();
    let span = Span {
        trace_id: vec![0xaa; 16],
        span_id: vec![0x0b; 8],
        name: "run".to_owned(),
        kind: 1,
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        events: vec![span::Event { name: "setup".to_owned(), time_unix_nano: 1, ..Default::default() }],
        links: vec![span::Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..Default::default() }],
        status: Some(Status { code: 2, message: "it broke".to_owned() }),
        ..Default::default()
    };
    let traces = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![span], ..Default::default() }],
            ..Default::default()
        }],
    };
    let record = LogRecord {
        severity_number: 17,
        body: text("", "words").value,
        trace_id: vec![0xaa; 16],
        ..Default::default()
    };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs { log_records: vec![record], ..Default::default() }],
            ..Default::default()
        }],
    };
    assert_eq!(post(&sink, "/v1/traces", traces.encode_to_vec()).await.status(), 200);
    assert_eq!(post(&sink, "/v1/logs", logs.encode_to_vec()).await.status(), 200);

    let telemetry = sink.telemetry();
    let span = &telemetry.spans[0];
    assert_eq!(span.trace_id, "aa".repeat(16));
    assert_eq!((span.span_id.as_str(), span.parent_span_id.as_str()), ("0b0b0b0b0b0b0b0b", ""));
    assert_eq!((span.status, span.status_message.as_str()), (2, "it broke"));
    assert_eq!((span.events[0].name.as_str(), span.links[0].span_id.as_str()), ("setup", "0202020202020202"));
    let log = &telemetry.logs[0];
    assert_eq!((log.severity, &log.body, log.span_id.as_str()), (17, &json!("words"), ""));
    assert_eq!(log.trace_id, span.trace_id);
    let signals: Vec<_> = telemetry.requests.iter().map(|request| request.signal).collect();
    assert_eq!(signals, [Some(Signal::Traces), Some(Signal::Logs)]);
}

#[tokio::test]
async fn gzip_is_taken_and_both_sizes_are_known() {
    let sink = Sink::start().unwrap();
    let plain = metrics((0..100).map(|n| gauge(&format!("metric.{n}"), 1.0)).collect());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip"), ("x-tenant", "blue")];
    assert_eq!(send(&sink, "/v1/metrics", gzip.clone(), &headers).await.unwrap().status(), 200);
    let request = &sink.telemetry().requests[0];
    assert_eq!((request.wire_bytes, request.body.len(), request.items), (gzip.len(), plain.len(), 100));
    assert_eq!(request.request.header("x-tenant"), Some("blue"));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_refused_and_not_stored() {
    let sink = Sink::start().unwrap();
    let good = metrics(vec![gauge("jobs", 1.0)]);
    let protobuf = ("content-type", "application/x-protobuf");
    let cases = [
        ("/v1/metrics", vec![0xff; 9], vec![protobuf], 400),
        ("/v1/metrics", good[..good.len() - 1].to_vec(), vec![protobuf], 400),
        ("/v1/metrics", good.clone(), vec![protobuf, ("content-encoding", "gzip")], 400),
        ("/v1/metrics", good.clone(), vec![protobuf, ("content-encoding", "br")], 415),
        ("/v1/metrics", b"{}".to_vec(), vec![("content-type", "application/json")], 415),
        ("/v1/metrics", good.clone(), vec![], 415),
        ("/v1/metrics/", good.clone(), vec![protobuf], 404),
        ("/v1/profiles", good.clone(), vec![protobuf], 404),
    ];
    for (path, body, headers, expected) in &cases {
        let answer = send(&sink, path, body.clone(), headers).await.unwrap();
        assert_eq!(answer.status(), *expected, "{path} {headers:?}");
    }
    let telemetry = sink.telemetry();
    assert!(telemetry.points.is_empty());
    assert_eq!(telemetry.requests.len(), cases.len());
    assert_eq!(post(&sink, "/v1/metrics", good).await.status(), 200);
}

#[tokio::test]
async fn scripted_refusals_come_in_order_and_then_it_works() {
    let sink = Sink::start().unwrap();
    let body = metrics(vec![gauge("jobs", 1.0)]);
    sink.faults().next(1, Fault::Status { status: 429, retry_after: Some(RetryAfter::Seconds(3)) });
    sink.faults().next(1, Fault::Status { status: 503, retry_after: Some(RetryAfter::DateIn(60)) });
    sink.faults().next(1, Fault::status(413));

    let limited = post(&sink, "/v1/metrics", body.clone()).await;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"3".parse().unwrap()));
    let unavailable = post(&sink, "/v1/metrics", body.clone()).await;
    let date = httpdate::parse_http_date(unavailable.headers()["retry-after"].to_str().unwrap()).unwrap();
    assert!(unavailable.status() == 503 && date > SystemTime::now());
    let large = post(&sink, "/v1/metrics", body.clone()).await;
    assert!(large.status() == 413 && !large.headers().contains_key("retry-after"));

    assert!(sink.telemetry().points.is_empty());
    assert_eq!(post(&sink, "/v1/metrics", body).await.status(), 200);
    let answers: Vec<_> = sink.telemetry().requests.iter().map(|request| request.answer.unwrap()).collect();
    assert_eq!(answers, [429, 503, 413, 200]);
}

#[tokio::test]
async fn a_partial_success_is_stored_and_told() {
    let sink = Sink::start().unwrap();
    sink.faults().next(1, Fault::PartialSuccess { rejected: 2, message: "too old".to_owned() });
    let traces = ExportTraceServiceRequest::default().encode_to_vec();
    let answer = post(&sink, "/v1/traces", traces).await;
    assert_eq!(answer.status(), 200);
    let response = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (2, "too old"));
    assert_eq!(sink.telemetry().requests[0].answer, Some(200));
}

#[tokio::test]
async fn a_reset_connection_gives_no_answer_and_stores_nothing() {
    let sink = Sink::start().unwrap();
    sink.faults().next(1, Fault::Reset);
    let body = metrics(vec![gauge("jobs", 1.0)]);
    let headers = [("content-type", "application/x-protobuf")];
    let error = send(&sink, "/v1/metrics", body.clone(), &headers).await.unwrap_err();
    assert!(support::is_connection_reset(&error), "{error:?}");
    let telemetry = sink.telemetry();
    assert!(telemetry.points.is_empty());
    assert_eq!(telemetry.requests[0].answer, None);
    assert_eq!(post(&sink, "/v1/metrics", body).await.status(), 200);
}

#[tokio::test]
async fn a_slow_answer_is_stored_unless_the_sender_gave_up() {
    let sink = Sink::start().unwrap();
    let body = metrics(vec![gauge("jobs", 1.0)]);
    sink.faults().next(1, Fault::Slow { ms: 600_000 });
    let request = client()
        .post(format!("{}/v1/metrics", sink.url()))
        .header("content-type", "application/x-protobuf")
        .body(body.clone());
    let impatient = tokio::spawn(request.send());
    support::until(|| sink.faults().rules().is_empty()).await;
    impatient.abort();
    sink.faults().next(1, Fault::Slow { ms: 50 });
    assert_eq!(post(&sink, "/v1/metrics", body).await.status(), 200);
    let telemetry = sink.telemetry();
    assert_eq!((telemetry.points.len(), telemetry.requests.len()), (1, 1));
}

#[tokio::test]
async fn a_limit_refuses_larger_requests_and_takes_smaller_ones() {
    let sink = Sink::start().unwrap();
    let one = metrics(vec![gauge("jobs", 1.0)]);
    let two = metrics(vec![gauge("jobs", 1.0), gauge("runs", 2.0)]);
    sink.limit_body(one.len());
    assert_eq!(post(&sink, "/v1/metrics", two).await.status(), 413);
    assert_eq!(post(&sink, "/v1/metrics", one).await.status(), 200);
    assert_eq!(sink.telemetry().points.len(), 1);
}

#[tokio::test]
async fn waiting_ends_with_the_telemetry_waited_for() {
    let sink = Sink::start().unwrap();
    let (telemetry, _) = tokio::join!(
        sink.wait_for_async(LONG, |telemetry| telemetry.points_of("jobs").next().is_some()),
        post(&sink, "/v1/metrics", metrics(vec![gauge("jobs", 1.0)])),
    );
    assert_eq!(telemetry.unwrap().points.len(), 1);
    let error = sink.wait_for(Duration::ZERO, |telemetry| telemetry.points.len() == 2).unwrap_err();
    assert!(error.seen.contains("jobs ×1"), "{error}");
}

#[tokio::test]
async fn a_backend_can_go_away_and_come_back_on_the_same_port() {
    let sink = Sink::start().unwrap();
    let address = sink.address();
    let body = metrics(vec![gauge("jobs", 1.0)]);
    assert_eq!(post(&sink, "/v1/metrics", body.clone()).await.status(), 200);
    drop(sink);
    let url = format!("http://{address}/v1/metrics");
    let error = client().post(&url).body(body.clone()).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let sink = Sink::start_on(address).unwrap();
    assert_eq!(post(&sink, "/v1/metrics", body).await.status(), 200);
    assert_eq!(sink.telemetry().points.len(), 1);
}

#[tokio::test]
async fn other_languages_can_look_at_everything_and_script_faults() {
    let sink = Sink::start().unwrap();
    let rule =
        json!({ "path": "/v1/metrics", "times": 1, "fault": "status", "status": 503, "retry_after": { "seconds": 1 } });
    let answer = client().post(format!("{}/-/faults", sink.url())).body(rule.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = metrics(vec![gauge("jobs", 1.0)]);
    assert_eq!(post(&sink, "/v1/metrics", body.clone()).await.status(), 503);
    assert_eq!(post(&sink, "/v1/metrics", body).await.status(), 200);
    let shown = client().get(format!("{}/-/telemetry", sink.url())).send().await.unwrap().text().await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.pointer("/points/0/value"), Some(&json!({ "double": 1.0 })));
    assert_eq!(shown.pointer("/points/0/origin/resource/host"), Some(&json!("a")));
    assert_eq!(shown.pointer("/requests/0/answer"), Some(&json!(503)));
    let broken = client().post(format!("{}/-/faults", sink.url())).body("{}").send().await.unwrap();
    assert_eq!(broken.status(), 400);
}

#[tokio::test]
async fn a_caller_over_http_sees_the_metrics_it_names_and_has_the_rest_forgotten() {
    let sink = Sink::start().unwrap();
    let _ = post(&sink, "/v1/metrics", metrics(vec![gauge("a", 1.0), gauge("b", 2.0), gauge("c", 3.0)])).await;
    let page = format!("{}/-/telemetry", sink.url());
    let shown = client().get(format!("{page}?metric=a&metric=c")).send().await.unwrap().text().await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let names: Vec<_> = shown["points"].as_array().unwrap().iter().map(|point| point["metric"].clone()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(shown["requests"][0]["items"], 3);

    assert_eq!(client().delete(page).send().await.unwrap().status(), 204);
    assert!(sink.telemetry().points.is_empty() && sink.telemetry().requests.is_empty());
}
