//! Payloads as OTLP JSON: compared with the examples of opentelemetry-proto and with proto3's rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use kiln_otlp::{JsonError, Signal, all_from_json, from_json, to_json};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

const EXAMPLES: [(&str, Signal, &str); 4] = [
    ("metrics", Signal::Metrics, include_str!("examples/metrics.json")),
    ("trace", Signal::Traces, include_str!("examples/trace.json")),
    ("logs", Signal::Logs, include_str!("examples/logs.json")),
    ("events", Signal::Logs, include_str!("examples/events.json")),
];

/// What `opentelemetry-proto` reads of a text, as bytes.
fn encoded(signal: Signal, text: &str) -> Vec<u8> {
    match signal {
        Signal::Metrics => serde_json::from_str::<ExportMetricsServiceRequest>(text).unwrap().encode_to_vec(),
        Signal::Traces => serde_json::from_str::<ExportTraceServiceRequest>(text).unwrap().encode_to_vec(),
        Signal::Logs => serde_json::from_str::<ExportLogsServiceRequest>(text).unwrap().encode_to_vec(),
    }
}

/// Numbers that are equal are written alike, ids in lower case, and what is a default is not there.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(id) if name.ends_with("Id") => id.to_lowercase().into(),
                    value => canonical(value),
                };
                (name.clone(), value)
            })
            .filter(|(name, value)| {
                let is_oneof = name.ends_with("Value") || name.starts_with("as");
                let is_default = match value {
                    Value::String(text) => text.is_empty() || text == "0",
                    Value::Number(number) => number.as_f64() == Some(0.0),
                    _ => false,
                };
                is_oneof || !is_default
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

#[test]
fn the_examples_of_the_specification_are_written_as_they_stand_there() {
    for (name, signal, text) in EXAMPLES {
        let written = to_json(signal, &encoded(signal, text)).unwrap();
        assert!(!written.contains('\n'));
        let (written, expected): (Value, Value) =
            (serde_json::from_str(&written).unwrap(), serde_json::from_str(text).unwrap());
        assert_eq!(canonical(&written), canonical(&expected), "{name}");
    }
}

#[test]
fn must_write_ids_in_hex_enumerations_as_numbers_and_64_bits_as_text() {
    let (_, _, text) = EXAMPLES[1];
    let written = to_json(Signal::Traces, &encoded(Signal::Traces, text)).unwrap();
    for part in [
        "\"traceId\":\"5b8efff798038103d269b633813fc60c\"",
        "\"spanId\":\"eee19b7ec3c1b174\"",
        "\"startTimeUnixNano\":\"1544712660000000000\"",
        "\"kind\":2",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
}

fn gauge(value: number_data_point::Value) -> Vec<u8> {
    let point = NumberDataPoint { value: Some(value), time_unix_nano: u64::MAX, ..NumberDataPoint::default() };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metric = Metric { name: "g".to_owned(), data, ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn must_write_numbers_so_that_none_is_changed() {
    use number_data_point::Value::{AsDouble, AsInt};
    for (value, expected) in [
        (AsDouble(f64::NAN), "\"asDouble\":\"NaN\""),
        (AsDouble(f64::INFINITY), "\"asDouble\":\"Infinity\""),
        (AsDouble(f64::NEG_INFINITY), "\"asDouble\":\"-Infinity\""),
        (AsDouble(-0.0), "\"asDouble\":-0.0"),
        (AsDouble(0.1), "\"asDouble\":0.1"),
        (AsDouble(f64::MAX), "\"asDouble\":1.7976931348623157e308"),
        (AsDouble(5e-324), "\"asDouble\":5e-324"),
        (AsInt(i64::MIN), "\"asInt\":\"-9223372036854775808\""),
        (AsInt(9_007_199_254_740_993), "\"asInt\":\"9007199254740993\""),
    ] {
        let written = to_json(Signal::Metrics, &gauge(value)).unwrap();
        assert!(written.contains(expected), "{written}");
        assert!(written.contains("\"timeUnixNano\":\"18446744073709551615\""));
        serde_json::from_str::<Value>(&written).unwrap();
    }
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value as Any;
    let leaf = prop_oneof![
        any::<String>().prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        (-1e300..1e300).prop_map(Any::DoubleValue),
    ];
    let value = |value| AnyValue { value: Some(value) };
    leaf.prop_map(value).prop_recursive(4, 20, 5, move |inner| {
        let pair = (any::<String>(), inner.clone());
        let pair = pair.prop_map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() });
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(move |values| value(Any::ArrayValue(ArrayValue { values }))),
            prop::collection::vec(pair, 0..5).prop_map(move |values| value(Any::KvlistValue(KeyValueList { values }))),
        ]
    })
}

#[test]
fn a_text_that_nests_without_end_is_refused() {
    let mut body = AnyValue { value: Some(any_value::Value::IntValue(1)) };
    for _ in 0..60 {
        body = AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![body] })) };
    }
    assert!(to_json(Signal::Logs, &log(body)).is_err());
}

fn log(body: AnyValue) -> Vec<u8> {
    let log_records = vec![LogRecord { body: Some(body), trace_id: vec![0xab; 16], flags: 1, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
        .encode_to_vec()
}

/// What cannot be written must not come back as something else.
#[test]
fn the_examples_of_the_specification_are_read_as_the_payloads_they_stand_for() {
    for (name, signal, text) in EXAMPLES {
        let read = from_json(text).unwrap();
        assert_eq!(read.signal, signal, "{name}");
        assert!(read.items > 0, "{name}");
        // The order of fields is free, so compare what both are written as.
        let (ours, theirs) =
            (to_json(signal, &read.payload).unwrap(), to_json(signal, &encoded(signal, text)).unwrap());
        let (ours, theirs): (Value, Value) =
            (serde_json::from_str(&ours).unwrap(), serde_json::from_str(&theirs).unwrap());
        assert_eq!(canonical(&ours), canonical(&theirs), "{name}");
    }
}

#[test]
fn what_is_no_request_says_what_and_where() {
    for (text, expected) in [
        ("{", "is not JSON"),
        ("[]", "is no OTLP JSON: an object with"),
        ("{}", "is no OTLP JSON: an object with"),
        (r#"{"resourceLogs":[],"resourceSpans":[]}"#, "is no OTLP JSON: an object with"),
        (r#"{"resourceLogs":{}}"#, "`resourceLogs` is not a list"),
        (
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":1}]}]}]}"#,
            "`resourceMetrics.scopeMetrics.metrics.name` is not text",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
            "traceId` is not an id in hexadecimal",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"é0"}]}]}]}"#,
            "traceId` is not an id in hexadecimal",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}"#,
            "startTimeUnixNano` is not a whole",
        ),
    ] {
        let error = from_json(text).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    assert_eq!(from_json("null"), Err(JsonError::NoRequest));
}

#[test]
fn requests_are_read_one_after_the_other() {
    let lines: String = EXAMPLES.map(|(_, _, text)| format!("{}\n", text.replace('\n', " "))).concat();
    let signals: Vec<_> = all_from_json(&lines).map(|batch| batch.unwrap().signal).collect();
    assert_eq!(signals, EXAMPLES.map(|(_, signal, _)| signal));
    let broken = format!("{lines}\n[]\nnonsense\n{lines}");
    let results: Vec<_> = all_from_json(&broken).skip(EXAMPLES.len()).collect();
    assert_eq!(results.first(), Some(&Err(JsonError::NoRequest)));
    assert!(matches!(results.get(1), Some(Err(JsonError::Syntax(_)))) && results.len() == 2, "{results:?}");
}

#[test]
fn what_is_not_known_and_what_is_null_is_passed_over() {
    let text = r#"{"resourceLogs":[{"resource":null,"new":{"a":[1]},"scopeLogs":[{"logRecords":[{"flags":1}]}]}]}"#;
    assert_eq!(from_json(text).unwrap().items, 1);
}

#[test]
fn numbers_read_back_as_the_same_numbers() {
    use number_data_point::Value::{AsDouble, AsInt};
    for value in [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1, f64::MAX, 5e-324].map(AsDouble).into_iter().chain([
        AsDouble(f64::from_bits(f64::NAN.to_bits())),
        AsInt(i64::MIN),
        AsInt(i64::MAX),
    ]) {
        let payload = gauge(value);
        let written = to_json(Signal::Metrics, &payload).unwrap();
        let read = from_json(&written).unwrap();
        assert_eq!(to_json(Signal::Metrics, &read.payload).unwrap(), written);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_the_same_request(body in any_value()) {
        let payload = log(body);
        let written = to_json(Signal::Logs, &payload).unwrap();
        prop_assert_eq!(encoded(Signal::Logs, &written), payload.clone());
        let read = from_json(&written).unwrap();
        prop_assert_eq!(ExportLogsServiceRequest::decode(read.payload), ExportLogsServiceRequest::decode(&*payload));
        prop_assert_eq!(read.items, 1);
    }

    #[test]
    fn arbitrary_text_is_a_request_or_an_error(text in any::<String>(), number in any::<f64>()) {
        let _ = from_json(&text);
        let _ = from_json(&json!({"resourceMetrics": [{"scopeMetrics": [{"schemaUrl": text, "metrics": [
            {"gauge": {"dataPoints": [{"flags": number, "asInt": number}]}}]}]}]}).to_string());
    }

    #[test]
    fn arbitrary_bytes_become_json_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            if let Ok(text) = to_json(signal, &bytes) {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
            }
        }
    }
}
