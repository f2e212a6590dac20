//! What an operator writes, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::{
    Compression, Config, Errors, ExporterKind, Limits, LogEncoding, OtlpHttp, Queue, Retry, Role, Verbosity,
};
use kiln_otlp::Signal;
use proptest::prelude::*;

/// Ends a document whose first lines a test provides.
const SERVICE: &str = "service: { pipelines: { metrics: { receivers: [databricks], exporters: [debug] } } }\n";

fn parse_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Errors> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let lookup = |name: &str| env.get(name).map(ToString::to_string);
    Config::parse("kiln.yaml", text, Path::new("/etc/kiln"), &lookup)
}

fn parse(text: &str) -> Config {
    parse_with(text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(text: &str) -> String {
    parse_with(text, &[]).unwrap_err().to_string()
}

/// One receiver with the given keys, indented by four.
fn receiver(keys: &str) -> String {
    format!("receivers:\n  databricks:\n{keys}\nexporters: {{ debug: }}\n{SERVICE}")
}

/// One `otlp_http` exporter with the given keys, as flow.
fn otlp_http(keys: &str) -> String {
    format!(
        "receivers: {{ databricks: }}\nexporters:\n  otlp_http: {keys}\n\
         service: {{ pipelines: {{ metrics: {{ receivers: [databricks], exporters: [otlp_http] }} }} }}\n"
    )
}

fn read_otlp_http(keys: &str, env: &[(&str, &str)]) -> OtlpHttp {
    let config = parse_with(&otlp_http(keys), env).unwrap_or_else(|errors| panic!("{errors}"));
    match &config.exporters[0].kind {
        ExporterKind::OtlpHttp(otlp) => (**otlp).clone(),
        other @ ExporterKind::Debug(_) => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_example_is_read() {
    let text = r#"
plugins_dir: /opt/kiln/plugins
receivers:
  databricks:
    host: https://your-workspace.cloud.databricks.com
    token: ${env:DATABRICKS_TOKEN}
    collection_interval: 60s
processors:
  resource: { attributes: [ { key: deployment.environment.name, value: prod, action: insert } ] }
exporters:
  otlphttp: { endpoint: https://otlp.example.com, headers: { Authorization: "Bearer ${env:OTLP_TOKEN}" } }
service:
  pipelines:
    metrics: { receivers: [databricks], processors: [resource], exporters: [otlphttp] }
    traces:  { receivers: [databricks], exporters: [otlphttp] }
    logs:    { receivers: [databricks], exporters: [otlphttp] }
"#;
    let config = parse_with(text, &[("DATABRICKS_TOKEN", "dapi"), ("OTLP_TOKEN", "secret")]).unwrap();
    assert_eq!(config.plugins_dir, PathBuf::from("/opt/kiln/plugins"));
    assert_eq!(config.instances.len(), 2);
    let (databricks, resource) = (&config.instances[0], &config.instances[1]);
    assert_eq!((databricks.id.to_string().as_str(), databricks.role), ("databricks", Role::Receiver));
    assert_eq!(databricks.plugin.as_str(), "databricks");
    assert_eq!((databricks.at.line, databricks.at.column), (4, 3));
    assert_eq!((resource.id.to_string().as_str(), resource.role), ("resource", Role::Processor));
    let signals: Vec<Signal> = config.pipelines.iter().map(|pipeline| pipeline.signal).collect();
    assert_eq!(signals, Signal::ALL);
    assert_eq!(config.pipelines[0].processors, std::slice::from_ref(&resource.id));
    let ExporterKind::OtlpHttp(otlp) = &config.exporters[0].kind else { panic!() };
    assert_eq!(otlp.metrics.url.as_str(), "https://otlp.example.com/v1/metrics");
    assert_eq!(otlp.logs.headers[0].0, "authorization");
    assert_eq!(otlp.logs.headers[0].1.expose(), "Bearer secret");
    assert!(!format!("{config:?}").contains("secret") && !format!("{config:?}").contains("dapi"));
    assert_eq!(config.warnings, []);
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let config = parse(&receiver("    host: x"));
    assert_eq!(config.plugins_dir, PathBuf::from("/etc/kiln/plugins"));
    assert_eq!(config.data_dir, None);
    assert!(!config.policy.explicit_grants);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(config.telemetry.logs.level, "info");
    assert_eq!(config.telemetry.logs.encoding, LogEncoding::Text);
    assert_eq!(config.telemetry.endpoint.unwrap().to_string(), "127.0.0.1:13133");
    let instance = &config.instances[0];
    assert_eq!(instance.collection_interval, Duration::from_secs(60));
    assert_eq!(instance.initial_delay, Duration::from_secs(1));
    assert_eq!(instance.timeout, Duration::from_secs(30));
    assert_eq!(instance.limits, Limits::default());
    assert_eq!(instance.grants, kiln_policy::Grants::default());
    assert_eq!(instance.limits.memory, 128 * 1024 * 1024);
    assert!(matches!(&config.exporters[0].kind, ExporterKind::Debug(debug) if debug.verbosity == Verbosity::Basic));
}

#[test]
fn what_is_written_counts() {
    let text = r#"
plugins_dir: ../plugins
policy: { explicit_grants: true }
receivers:
  databricks/prod:
    plugin: databricks
    collection_interval: 10s
    initial_delay: 0s
    limits: { memory: 64MiB, cpu: 500ms, output_bytes: 1MiB, output_points: 5, state_bytes: 0, response_bytes: 4096, concurrency: 1 }
    grants: { http: [ { origin: "http://127.0.0.1:4040", addresses: [loopback], methods: [GET], paths: ["/metrics/*"] } ] }
  other: { plugin: databricks, timeout: 90s }
processors:
  resource: { timeout: 1s }
exporters:
  debug/loud: { verbosity: detailed }
service:
  data_dir: data
  shutdown_timeout: 1m30s
  telemetry: { logs: { level: DEBUG, encoding: json }, endpoint: "0.0.0.0:0" }
  pipelines:
    metrics/prod: { receivers: [databricks/prod, other], processors: [resource], exporters: [debug/loud] }
"#;
    let config = parse(text);
    assert_eq!(config.plugins_dir, PathBuf::from("/etc/kiln/../plugins"));
    assert_eq!(config.data_dir, Some(PathBuf::from("/etc/kiln/data")));
    assert!(config.policy.explicit_grants);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(90));
    assert_eq!(config.telemetry.logs.level, "debug");
    assert_eq!(config.telemetry.logs.encoding, LogEncoding::Json);
    assert_eq!(config.telemetry.endpoint.unwrap().to_string(), "0.0.0.0:0");
    let [prod, other, resource] = &config.instances[..] else { panic!() };
    assert_eq!((prod.plugin.as_str(), prod.id.name()), ("databricks", Some("prod")));
    assert_eq!((prod.collection_interval, prod.initial_delay), (Duration::from_secs(10), Duration::ZERO));
    assert_eq!(prod.timeout, Duration::from_secs(30), "whatever the interval");
    assert_eq!((other.plugin.as_str(), other.timeout), ("databricks", Duration::from_secs(90)));
    assert_eq!(resource.timeout, Duration::from_secs(1));
    let limits = Limits {
        memory: 64 << 20,
        cpu: Duration::from_millis(500),
        output_bytes: 1 << 20,
        output_points: 5,
        state_bytes: 0,
        response_bytes: 4096,
        concurrency: 1,
    };
    assert_eq!(prod.limits, limits);
    assert_eq!(prod.grants.http.len(), 1);
    assert_eq!(config.pipelines[0].name.as_deref(), Some("prod"));
    assert!(matches!(&config.exporters[0].kind, ExporterKind::Debug(debug) if debug.verbosity == Verbosity::Detailed));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = r#"
plugin_dir: x
receivers:
  databricks:
    collection_interval: 30
    limits: { memmory: 1GiB, concurrency: many }
  databricks: {}
exporters:
  otlphtp: {}
  otlp: {}
  debug: { verbosity: loud, x: 1 }
service:
  shutdown_timeout: [1]
  pipelines:
    metric: { receivers: [databrick], exporters: [debug] }
    logs: { receivers: [debug], exporters: [] }
"#;
    let expected = "\
kiln.yaml:2:1: plugin_dir: unknown key; did you mean `plugins_dir`?
kiln.yaml:5:26: receivers.databricks.collection_interval: `30` is no duration: it lacks a unit; write `30s` for seconds or `30ms` for milliseconds
kiln.yaml:6:15: receivers.databricks.limits.memmory: unknown key; did you mean `memory`?
kiln.yaml:6:43: receivers.databricks.limits.concurrency: expected a whole number, found text
kiln.yaml:7:3: receivers.databricks: the key appears twice, first at 4:3; remove one of them
kiln.yaml:9:3: exporters.otlphtp: no exporter with this name exists; did you mean `otlp_http`?
kiln.yaml:10:3: exporters.otlp: this version does not speak OTLP over gRPC; use `otlp_http` with the backend's HTTP endpoint, usually port 4318 instead of 4317
kiln.yaml:11:23: exporters.debug.verbosity: unknown value; use `basic`, `detailed` or `normal`
kiln.yaml:11:29: exporters.debug.x: unknown key; use `verbosity`
kiln.yaml:13:21: service.shutdown_timeout: expected a duration such as `30s`, found a list
kiln.yaml:15:5: service.pipelines.metric: unknown signal; did you mean `metrics`?
kiln.yaml:15:27: service.pipelines.metric.receivers[0]: no receiver with this name is defined; did you mean `databricks`?
kiln.yaml:16:25: service.pipelines.logs.receivers[0]: this is an exporter; only receivers belong here
kiln.yaml:16:44: service.pipelines.logs.exporters: a pipeline needs at least one exporter";
    assert_eq!(errors(text), expected);
}

#[test]
fn errors_can_be_taken_apart() {
    let errors = parse_with(&receiver("    timeout: never"), &[]).unwrap_err();
    assert_eq!(errors.file(), "kiln.yaml");
    let error = errors.iter().next().unwrap();
    assert_eq!(error.location().map(|at| (at.line, at.column)), Some((3, 14)));
    assert_eq!(error.path(), "receivers.databricks.timeout");
    assert_eq!(error.message(), "`never` is no duration: write it as in `30s`, `500ms` or `1m30s`");
}

#[test]
fn host_keys_of_an_instance_are_bounded() {
    for (good, bad, expected) in [
        ("collection_interval: 100ms", "collection_interval: 99ms", "must be from 100ms to 1year"),
        ("initial_delay: 0s", "initial_delay: -1s", "is no duration"),
        ("timeout: 1ms", "timeout: 0s", "must be from 1ms to"),
        ("plugin: spark", "plugin: Spark_2", "must be the name of a plugin"),
        ("limits: { memory: 1MiB }", "limits: { memory: 1 }", "must be from 1MiB to 4GiB"),
        ("limits: { memory: 4GiB }", "limits: { memory: 5GiB }", "must be from 1MiB to 4GiB"),
        ("limits: { memory: 134217728 }", "limits: { memory: 64M }", "`64M` is no size: write it as in `64MiB`"),
        ("limits: { cpu: 10ms }", "limits: { cpu: 1ms }", "must be from 10ms to 10m"),
        ("limits: { output_bytes: 1KiB }", "limits: { output_bytes: 2GiB }", "must be from 1KiB to 1GiB"),
        ("limits: { output_points: 1 }", "limits: { output_points: 0 }", "must be from 1 to"),
        ("limits: { output_points: 1 }", "limits: { output_points: 1.5 }", "is no whole number"),
        ("limits: { state_bytes: 0 }", "limits: { state_bytes: -1 }", "is no size"),
        ("limits: { concurrency: 256 }", "limits: { concurrency: 257 }", "must be from 1 to 256"),
        ("limits:", "limits: []", "expected a mapping, found a list"),
        ("host: x", "credentials: {}", "this version knows no `credentials`"),
        ("grants:", "grants: [[]]", "grants: expected a mapping, found a list"),
        (
            "grants: { http: [] }",
            "grants: { http: [['http://a', [loopback]]] }",
            "http[0]: expected one grant, found a list",
        ),
    ] {
        parse(&receiver(&format!("    {good}")));
        let errors = errors(&receiver(&format!("    {bad}")));
        assert!(errors.contains(expected) && !errors.contains('\n'), "{bad}: {errors}");
    }
    let scheduled = "receivers: { databricks: }\nprocessors: { resource: { collection_interval: 1s } }\n\
                     exporters: { debug: }\nservice: { pipelines: { logs: { receivers: [databricks], processors: \
                     [resource], exporters: [debug] } } }";
    assert!(errors(scheduled).contains("only receivers run on a schedule"));
}

#[test]
fn a_wrong_grant_is_reported_where_it_stands_and_all_of_them_are() {
    let text = receiver(
        r#"    grants:
      http:
        - { origin: "http://127.0.0.1:4040", addresses: [loopback] }
        - { orign: "http://a" }
        - { origin: "ftp://a" }
        - { origin: "http://a", methods: [GET, FETCH] }
      stat: true
"#,
    );
    let errors = errors(&text);
    let places: Vec<&str> = errors.lines().map(|line| line.split(": ").take(2).last().unwrap()).collect();
    assert_eq!(
        places,
        [
            "receivers.databricks.grants.http[1].orign",
            "receivers.databricks.grants.http[2].origin",
            "receivers.databricks.grants.http[3].methods[1]",
            "receivers.databricks.grants.stat",
        ],
        "{errors}"
    );
    assert!(errors.starts_with("kiln.yaml:6:13: "), "{errors}");
    assert!(errors.lines().last().unwrap().starts_with("kiln.yaml:9:7: "), "{errors}");

    let switch = receiver("    grants: { state: \"${env:STATE}\" }");
    let config = parse_with(&switch, &[("STATE", "false")]).unwrap();
    assert_eq!(config.instances[0].grants.state, Some(false));
    let hidden = parse_with(&switch, &[("STATE", "hunter2")]).unwrap_err().to_string();
    assert!(hidden.contains("the substituted value is not accepted here") && !hidden.contains("hunter2"), "{hidden}");
}

#[test]
fn pipelines_name_what_is_defined() {
    let document = |pipelines: &str| {
        format!(
            "receivers: {{ a: , b: }}\nprocessors: {{ p: }}\nexporters: {{ debug: }}\n\
             service:\n  pipelines: {pipelines}\n"
        )
    };
    for good in [
        "{ metrics: { receivers: [a, b], processors: [p], exporters: [debug] } }",
        "{ metrics: { receivers: [a, b], processors: , exporters: [debug] }, logs/x: { receivers: [b], exporters: [debug] } }",
        "{ metrics: { receivers: [a], processors: [], exporters: [debug] } }",
    ] {
        parse(&document(good));
    }
    for (bad, expected) in [
        ("", "service.pipelines: needs at least one pipeline"),
        ("{}", "service.pipelines: needs at least one pipeline"),
        ("{ metrics: }", "a pipeline needs at least one receiver"),
        ("{ metrics: { receivers: [a] } }", "a pipeline needs at least one exporter"),
        ("{ metrics: { receivers: [], exporters: [debug] } }", "a pipeline needs at least one receiver"),
        ("{ metrics: { receivers: [a, a], exporters: [debug] } }", "receivers[1]: is listed twice"),
        ("{ metrics: { receivers: [p], exporters: [debug] } }", "this is a processor; only receivers belong here"),
        ("{ metrics: { receivers: [c], exporters: [debug] } }", "no receiver with this name is defined"),
        ("{ metrics: { receivers: a, exporters: [debug] } }", "expected a list, found text"),
        ("{ metrics: { receivers: [a], exporter: [debug] } }", "unknown key; did you mean `exporters`?"),
        ("{ metrics/: { receivers: [a], exporters: [debug] } }", "the part after `/`"),
        ("{ profiles: { receivers: [a], exporters: [debug] } }", "unknown signal; use `logs`, `metrics` or `traces`"),
        ("[metrics]", "expected a mapping, found a list"),
    ] {
        let errors = errors(&document(bad));
        assert!(errors.contains(expected), "{bad}: {errors}");
    }
    assert!(errors("receivers: { a: }\n").contains("needs at least one pipeline"));
    assert!(errors("").contains("needs at least one pipeline"));
    assert_eq!(errors("just text"), "kiln.yaml:1:1: expected a mapping, found text");
    assert_eq!(errors("service: 5"), "kiln.yaml:1:10: service: expected a mapping, found a number");
}

#[test]
fn what_is_unused_does_not_run_and_is_mentioned() {
    let text = format!(
        "receivers: {{ databricks: , spark: }}\nprocessors: {{ resource: }}\nexporters:\n  debug:\n  otlp_http: {{ endpoint: 'http://a' }}\n{SERVICE}"
    );
    let config = parse(&text);
    assert_eq!(config.instances.len(), 1);
    assert_eq!(config.exporters.len(), 1);
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let said = "is in no pipeline and does not run; list it under `service.pipelines` or remove it";
    assert_eq!(
        warnings,
        [
            format!("1:28: receivers.spark: {said}"),
            format!("2:15: processors.resource: {said}"),
            format!("5:3: exporters.otlp_http: {said}"),
        ]
    );
    let wrong = text.replace("spark:", "spark: { timeout: x }");
    assert!(errors(&wrong).contains("receivers.spark.timeout"), "what does not run must still be right");
}

#[test]
fn the_batch_processor_is_accepted_and_ignored() {
    let text = "receivers: { a: }\nprocessors: { batch: { timeout: 1s, send_batch_size: 8192 }, batch/2: }\n\
                exporters: { debug: }\n\
                service: { pipelines: { logs: { receivers: [a], processors: [batch], exporters: [debug] } } }";
    let config = parse(text);
    assert_eq!(config.pipelines[0].processors, []);
    assert_eq!(config.instances.len(), 1, "the receiver alone");
    assert_eq!(config.warnings.len(), 2);
    assert!(config.warnings[0].message.contains("has no effect"), "{:?}", config.warnings);
    assert!(errors(&text.replace("send_batch_size", "send_batch_sise")).contains("did you mean `send_batch_size`?"));
    assert!(errors(&text.replace("[batch]", "[batch/3]")).contains("no processor with this name is defined"));
}

#[test]
fn otlp_endpoints_follow_the_specification() {
    for (keys, metrics, traces) in [
        ("{ endpoint: 'http://a:4318' }", "http://a:4318/v1/metrics", "http://a:4318/v1/traces"),
        ("{ endpoint: 'http://a:4318/' }", "http://a:4318/v1/metrics", "http://a:4318/v1/traces"),
        ("{ endpoint: 'https://a/otlp' }", "https://a/otlp/v1/metrics", "https://a/otlp/v1/traces"),
        ("{ endpoint: 'https://a/otlp//' }", "https://a/otlp/v1/metrics", "https://a/otlp/v1/traces"),
        ("{ endpoint: 'https://a/o?k=v' }", "https://a/o/v1/metrics?k=v", "https://a/o/v1/traces?k=v"),
        ("{ endpoint: 'https://a', metrics_endpoint: 'https://b/x/' }", "https://b/x/", "https://a/v1/traces"),
        ("{ metrics_endpoint: 'https://b' }", "https://b/", "http://localhost:4318/v1/traces"),
        ("{}", "http://localhost:4318/v1/metrics", "http://localhost:4318/v1/traces"),
        ("", "http://localhost:4318/v1/metrics", "http://localhost:4318/v1/traces"),
    ] {
        let otlp = read_otlp_http(keys, &[]);
        assert_eq!((otlp.metrics.url.as_str(), otlp.traces.url.as_str()), (metrics, traces), "{keys}");
        assert_eq!(otlp.destination(Signal::Traces), &otlp.traces);
    }
    for (bad, expected) in [
        ("{ endpoint: 'localhost:4318' }", "must start with `http://` or `https://`"),
        ("{ endpoint: 'grpc://a' }", "must start with `http://` or `https://`"),
        ("{ endpoint: 'http://' }", "not a valid URL"),
        ("{ endpoint: 'https://me:hunter2@a' }", "must not hold a user name or password"),
        ("{ endpoint: 'https://a#hunter2' }", "has no `#` part"),
        ("{ endpoint: [a] }", "expected text, found a list"),
    ] {
        let errors = errors(&otlp_http(bad));
        assert!(errors.contains(expected) && !errors.contains("hunter2"), "{bad}: {errors}");
    }
}

#[test]
fn otlp_settings_have_the_defaults_and_bounds_of_the_collector() {
    let otlp = read_otlp_http("{ endpoint: 'http://a' }", &[]);
    assert_eq!(otlp.retry, Retry::default());
    assert_eq!(otlp.retry.max_elapsed_time, Some(Duration::from_secs(300)));
    assert_eq!(otlp.queue, Queue { queue_size: 100, num_consumers: 4 });
    assert_eq!(otlp.metrics.compression, Compression::Gzip);
    assert_eq!(otlp.metrics.timeout, Duration::from_secs(30));
    let otlp = read_otlp_http(
        "{ endpoint: 'http://a', compression: none, timeout: 5s, headers: { X-Number: 1.10, X-Flag: true }, \
         retry_on_failure: { enabled: false, initial_interval: 1s, max_interval: 2s, max_elapsed_time: 0, multiplier: 2, \
         randomization_factor: 0 }, sending_queue: { enabled: true, queue_size: 7, num_consumers: 1 } }",
        &[],
    );
    let retry = Retry {
        enabled: false,
        initial_interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(2),
        max_elapsed_time: None,
        multiplier: 2.0,
        randomization_factor: 0.0,
    };
    assert_eq!((otlp.retry, otlp.queue), (retry, Queue { queue_size: 7, num_consumers: 1 }));
    assert_eq!((otlp.logs.compression, otlp.logs.timeout), (Compression::None, Duration::from_secs(5)));
    let headers: Vec<_> = otlp.logs.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-number", "1.10"), ("x-flag", "true")]);
    for (bad, expected) in [
        ("{ compression: zstd }", "unknown value; use `gzip` or `none`"),
        ("{ timeout: 0s }", "must be from 1ms to"),
        ("{ tls: { insecure: true } }", "this version has no TLS settings"),
        ("{ retry_on_failure: { multiplier: 0.5 } }", "must be from 1 to 100"),
        ("{ retry_on_failure: { multiplier: .inf } }", "expected a number, found text"),
        ("{ retry_on_failure: { randomization_factor: 2 } }", "must be from 0 to 1"),
        ("{ retry_on_failure: { initial_interval: 10s, max_interval: 5s } }", "must be from 10s to"),
        ("{ retry_on_failure: { max_elapsed_time: 300 } }", "it lacks a unit"),
        ("{ sending_queue: { enabled: false } }", "the queue cannot be turned off"),
        ("{ sending_queue: { queue_size: 0 } }", "must be from 1 to"),
        ("{ sending_queue: { num_consumer: 1 } }", "did you mean `num_consumers`?"),
        ("{ headers: { 'a b': hunter2 } }", "not a valid name of an HTTP header"),
        ("{ headers: { a: \"hunter2\\r\\nb: c\" } }", "must be printable ASCII"),
        ("{ headers: { a: 1, A: 2 } }", "is listed twice"),
        ("{ headers: { Content-Type: hunter2 } }", "follows from the request"),
        ("{ headers: { a: [hunter2] } }", "expected text, found a list"),
        ("{ endpont: 'http://a' }", "did you mean `endpoint`?"),
    ] {
        let errors = errors(&otlp_http(bad));
        assert!(errors.contains(expected) && !errors.contains("hunter2"), "{bad}: {errors}");
    }
}

#[test]
fn variables_describe_an_exporter_without_an_endpoint() {
    let generic = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://env/otlp/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret%20one"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/as/is"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=two"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", ""),
    ];
    let otlp = read_otlp_http("{}", &generic);
    for destination in [&otlp.metrics, &otlp.logs] {
        assert_eq!(destination.headers[0].1.expose(), "secret one");
        assert_eq!(destination.timeout, Duration::from_millis(2500));
        assert_eq!(destination.compression, Compression::None);
    }
    assert_eq!(otlp.metrics.url.as_str(), "https://env/otlp/v1/metrics");
    assert_eq!(otlp.logs.url.as_str(), "https://env/otlp/v1/logs", "an empty variable is none");
    assert_eq!(otlp.traces.url.as_str(), "https://traces/as/is");
    assert_eq!(otlp.traces.headers[0].1.expose(), "two");
    assert_eq!((otlp.traces.timeout, otlp.traces.compression), (Duration::from_millis(1), Compression::Gzip));

    let in_file = read_otlp_http("{ headers: { a: b }, timeout: 3s, compression: gzip }", &generic);
    assert_eq!(in_file.metrics.url.as_str(), "https://env/otlp/v1/metrics");
    assert_eq!(in_file.metrics.headers[0].1.expose(), "b", "what the file says comes first");
    assert_eq!((in_file.metrics.timeout, in_file.metrics.compression), (Duration::from_secs(3), Compression::Gzip));

    let elsewhere = read_otlp_http("{ endpoint: 'https://file' }", &generic);
    assert_eq!(elsewhere.traces.url.as_str(), "https://file/v1/traces");
    assert_eq!(elsewhere.traces.headers, [], "credentials of variables stay with the endpoint of variables");
    assert_eq!(elsewhere.metrics.timeout, Duration::from_secs(30));

    for (variable, value, expected) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4318", "is no endpoint: an endpoint must start with"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "is no list of headers"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=hunter2%0a", "is no list of headers"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "must be a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "must be `gzip` or `none`"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "asks for a protocol this version does not speak"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem", "has no effect"),
    ] {
        let errors = parse_with(&otlp_http("{}"), &[(variable, value)]).unwrap_err().to_string();
        let expected = format!("kiln.yaml:3:3: exporters.otlp_http: environment variable `{variable}` {expected}");
        assert!(errors.starts_with(&expected), "{errors}");
        assert!(!errors.contains('\n') && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn telemetry_is_where_it_is_said_to_be() {
    let document =
        |telemetry: &str| receiver("").replace("service: {", &format!("service: {{ telemetry: {telemetry},"));
    for (good, endpoint) in [
        ("{ endpoint: 'localhost:1' }", Some("127.0.0.1:1")),
        ("{ endpoint: '[::1]:1' }", Some("[::1]:1")),
        ("{ endpoint: none }", None),
        ("{ endpoint: null }", None),
        ("{ endpoint: }", None),
        ("{}", Some("127.0.0.1:13133")),
    ] {
        let found = parse(&document(good)).telemetry.endpoint.map(|address| address.to_string());
        assert_eq!(found.as_deref(), endpoint, "{good}");
    }
    for (bad, expected) in [
        ("{ endpoint: 13133 }", "`13133` is no address: write it as in `127.0.0.1:13133`"),
        ("{ endpoint: 'example.com:1' }", "is no address"),
        ("{ logs: { level: verbose } }", "unknown value; use `debug`, `error`, `info`, `trace` or `warn`"),
        ("{ logs: { levle: info } }", "did you mean `level`?"),
        ("{ metrics: { level: none } }", "metrics are served at `service.telemetry.endpoint`"),
    ] {
        let errors = errors(&document(bad));
        assert!(errors.contains(expected), "{bad}: {errors}");
    }
}

#[test]
fn what_people_know_from_elsewhere_gets_a_remedy() {
    for (text, expected) in [
        ("extensions: { health_check: }\n", "1:1: extensions: there are no extensions; health and metrics are at"),
        ("connectors: {}\n", "there are no connectors"),
        ("telemetry: {}\n", "telemetry: belongs under `service`"),
        ("policy: { signing_keys: [] }\n", "does not check signatures"),
        ("policy: { explicit_grant: true }\n", "did you mean `explicit_grants`?"),
        ("policy: { explicit_grants: yes }\n", "expected `true` or `false`, found text"),
        ("plugins_dir: ''\n", "plugins_dir: needs a value"),
    ] {
        let errors = errors(&format!("{text}{}", receiver("")));
        assert!(errors.contains(expected) && !errors.contains('\n'), "{errors}");
    }
}

#[test]
fn substituted_values_take_the_type_that_is_wanted() {
    let text = "plugins_dir: ${env:DIR:-plugins}\n\
                policy: { explicit_grants: \"${env:EXPLICIT}\" }\n\
                receivers: { databricks: { collection_interval: \"${env:INTERVAL}\", limits: { concurrency: \"${env:COUNT}\", memory: \"${env:COUNT}MiB\" } } }\n\
                exporters: { debug: { verbosity: \"${env:VERBOSITY:-normal}\" } }\n";
    let text = format!("{text}{SERVICE}");
    let env = [("EXPLICIT", "true"), ("INTERVAL", "5s"), ("COUNT", "8")];
    let config = parse_with(&text, &env).unwrap();
    assert_eq!(config.plugins_dir, PathBuf::from("/etc/kiln/plugins"));
    assert!(config.policy.explicit_grants);
    assert_eq!(config.instances[0].collection_interval, Duration::from_secs(5));
    assert_eq!((config.instances[0].limits.concurrency, config.instances[0].limits.memory), (8, 8 << 20));

    let wrong = [("EXPLICIT", "hunter2"), ("INTERVAL", "47"), ("COUNT", "hunter2"), ("VERBOSITY", "hunter2")];
    let errors = parse_with(&text, &wrong).unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert!(errors.contains("the substituted value is no duration: write it as in"), "{errors}");
    assert!(!errors.contains("hunter2") && !errors.contains("47"), "{errors}");

    let missing = parse_with(&text, &env[..2]).unwrap_err().to_string();
    let expected = "environment variable `COUNT` is not set; set it, or give a default as in `${env:COUNT:-default}`";
    assert_eq!(missing.lines().count(), 2, "{missing}");
    assert!(missing.lines().all(|line| line.ends_with(expected)), "{missing}");
    let quoted = errors_of_quoted_number();
    assert!(quoted.contains("expected a whole number, found text"), "{quoted}");
}

fn errors_of_quoted_number() -> String {
    errors(&receiver("    limits: { concurrency: '4' }"))
}

#[test]
fn keys_are_not_substituted() {
    let errors = errors(&receiver("    '${env:X}': 1"));
    assert!(errors.contains("keys are not substituted; write the key out"), "{errors}");
}

#[test]
fn files_are_read_relative_to_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("interval"), "7s\n").unwrap();
    let path = dir.path().join("kiln.yaml");
    std::fs::write(&path, receiver("    collection_interval: ${file:interval}")).unwrap();
    let config = Config::read(&path, &|_| None).unwrap();
    assert_eq!(config.instances[0].collection_interval, Duration::from_secs(7));
    assert_eq!(config.plugins_dir, dir.path().join("plugins"));

    std::fs::write(&path, [b'a', b':', 0xff]).unwrap();
    assert!(Config::read(&path, &|_| None).unwrap_err().to_string().ends_with("kiln.yaml: is not UTF-8 text"));
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(Config::read(&path, &|_| None).unwrap_err().to_string().contains("is larger than 1 MiB"));
    let missing = Config::read(&dir.path().join("none.yaml"), &|_| None).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: cannot be read: "), "{missing}");
    assert_eq!(missing.iter().next().unwrap().location(), None);
}

#[test]
fn ids_that_differ_in_spaces_only_are_one() {
    assert!(errors(&receiver("    a: 1\n  'databricks ':")).contains("is listed twice"));
}

#[test]
fn a_file_cannot_write_lines_of_its_own_or_flood_the_terminal() {
    let one = errors(&receiver("    grants: { \"a\\nkiln.yaml:1:1: \\e[31mb\": 1 }"));
    assert!(!one.contains('\n') && !one.contains('\u{1b}'), "{one}");
    let many: String = (0..1000).map(|index| format!("key{index}: 1\n")).collect();
    let many = errors(&format!("{many}{}", receiver("")));
    assert_eq!(many.lines().count(), 201);
    assert!(many.ends_with("kiln.yaml: 800 more errors are not shown"), "{many}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse_with(&text, &[]);
    }

    #[test]
    fn no_arrangement_of_known_words_panics(
        text in r"(receivers|exporters|processors|service|pipelines|metrics|databricks|debug|otlp_http|endpoint|headers|limits|grants|http|timeout|telemetry|: |:\n|\n|  |    |\[|\]|\{|\}|, |- |1|30s|null|\$\{env:X\}|\$\{file:/dev/null\}|'|/){0,60}"
    ) {
        if let Err(errors) = parse_with(&text, &[("X", "hunter2")]) {
            prop_assert!(!errors.to_string().contains("hunter2"));
            prop_assert!(errors.iter().len() > 0);
        }
    }

    #[test]
    fn no_value_of_a_variable_changes_the_document_or_shows_in_errors(value in any::<String>()) {
        let text = otlp_http("{ endpoint: 'http://a', headers: { a: \"${env:V}\" } }");
        match parse_with(&text, &[("V", &value)]) {
            Ok(config) => {
                let ExporterKind::OtlpHttp(otlp) = &config.exporters[0].kind else { panic!() };
                prop_assert_eq!(otlp.metrics.headers.len(), 1);
                prop_assert_eq!(otlp.metrics.headers[0].1.expose(), value);
            }
            Err(errors) => {
                let errors = errors.to_string();
                prop_assert!(errors.ends_with("must be printable ASCII on one line"));
                prop_assert_eq!(errors.lines().count(), 1);
            }
        }
    }
}
