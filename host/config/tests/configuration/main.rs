//! What an operator writes, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod exporters;
mod otlp_http;
mod pipelines;
mod substitution;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::{
    Batching, Compression, Config, DEFAULT_MAX_BYTES, Encoding, Errors, ExporterKind, Fsync, Limits, LoadingLimits,
    LogEncoding, MemoryLimit, OnFull, OtlpHttp, Queue, Reloading, Retry, Role, Share, Sizer, Storage, Tls, TlsVersion,
    Verbosity,
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
fn otlp_http_exporter(keys: &str) -> String {
    format!(
        "receivers: {{ databricks: }}\nexporters:\n  otlp_http: {keys}\n\
         service: {{ pipelines: {{ metrics: {{ receivers: [databricks], exporters: [otlp_http] }} }} }}\n"
    )
}

/// `service` with these keys besides the pipelines.
fn service(keys: &str) -> String {
    format!(
        "receivers: {{ databricks: }}\nexporters: {{ debug: }}\nservice:\n  {keys}\n  pipelines: {{ metrics: {{ receivers: \
         [databricks], exporters: [debug] }} }}\n"
    )
}

#[test]
fn what_loading_may_use_up_and_what_makes_it_happen_again_is_read() {
    let config = parse(&service("limits: { compile_memory: 256MiB, compile_time: 5s, cache_bytes: 2MiB }"));
    let limits =
        LoadingLimits { compile_memory: 256 << 20, compile_time: Duration::from_secs(5), cache_bytes: 2 << 20 };
    assert_eq!((config.loading, config.reloading), (limits, Reloading::default()));
    let config = parse(&service("watch: true\n  reload_endpoint: true"));
    assert_eq!(config.loading, LoadingLimits::default());
    assert_eq!(config.reloading, Reloading { watch: true, endpoint: true });
    for (keys, error) in [
        ("limits: { compile_memory: 1MiB }", "service.limits.compile_memory: "),
        ("limits: { compile_time: 2h }", "service.limits.compile_time: "),
        ("limits: { cache_bytes: 0 }", "service.limits.cache_bytes: "),
        ("limits: { compile_ram: 1GiB }", "did you mean `compile_time`?"),
        ("watch: sometimes", "service.watch: "),
        ("reload_endpoint: true\n  telemetry: { endpoint: none }", "there is no endpoint to ask at"),
    ] {
        assert!(errors(&service(keys)).contains(error), "{keys}: {}", errors(&service(keys)));
    }
}

#[test]
fn what_may_be_in_memory_is_a_size_or_a_share() {
    assert_eq!(parse(&service("watch: true")).memory, MemoryLimit { process: Share::Percent(80), batches: None });
    let limit = |process, batches| MemoryLimit { process, batches };
    for (keys, expected) in [
        ("{ process: 512MiB, batches: 10% }", limit(Share::Bytes(512 << 20), Some(Share::Percent(10)))),
        ("{ process: 100%, batches: 1048576 }", limit(Share::Percent(100), Some(Share::Bytes(1 << 20)))),
    ] {
        assert_eq!(parse(&service(&format!("memory_limit: {keys}"))).memory, expected, "{keys}");
    }
    for (keys, error) in [
        ("512MiB", "service.memory_limit: expected a mapping"),
        ("{ process: 0% }", "use a share from 1% to 100%"),
        ("{ process: 101% }", "use a share from 1% to 100%"),
        ("{ batches: lots }", "write it as in `512MiB` or `80%`"),
        ("{ batches: 1KiB }", "must be from 64KiB to 1TiB"),
        ("{ limit_mib: 512 }", "write `process: 512MiB` or `process: 80%`"),
        ("{ spike_limit_percentage: 10 }", "bound it with `batches`"),
        ("{ batch: 1MiB }", "unknown key; use `batches` or `process`"),
    ] {
        let errors = errors(&service(&format!("memory_limit: {keys}")));
        assert!(errors.contains(error), "{keys}: {errors}");
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
    assert_eq!(databricks.plugin.to_string(), "databricks");
    assert_eq!((databricks.at.line, databricks.at.column), (4, 3));
    assert_eq!((resource.id.to_string().as_str(), resource.role), ("resource", Role::Processor));
    let signals: Vec<Signal> = config.pipelines.iter().map(|pipeline| pipeline.signal).collect();
    assert_eq!(signals, Signal::ALL);
    assert_eq!(config.pipelines[0].processors, std::slice::from_ref(&resource.id));
    let ExporterKind::OtlpHttp(otlp) = &config.exporters[0].kind else { panic!() };
    assert_eq!(otlp.destinations.metrics.url.as_str(), "https://otlp.example.com/v1/metrics");
    assert_eq!(otlp.destinations.logs.headers[0].0, "authorization");
    assert_eq!(otlp.destinations.logs.headers[0].1.expose(), "Bearer secret");
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
    limits:
      { memory: 64MiB, recycle_memory: 32MiB, cpu: 500ms, output_bytes: 1MiB, output_points: 5, string_bytes: 2KiB,
        edits: 9, edit_bytes: 5KiB,
        host_call_bytes: 1MiB, host_call_total_bytes: 4MiB, state_bytes: 0, state_entries: 7, log_messages: 1,
        log_bytes: 3KiB, quarantine_after: 3, quarantine_period: 10m, response_bytes: 4096, http_stream_bytes: 8KiB,
        http_requests: 50, http_requests_per_second: 2, concurrency: 1 }
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
    assert_eq!((prod.plugin.to_string().as_str(), prod.id.name()), ("databricks", Some("prod")));
    assert_eq!((prod.collection_interval, prod.initial_delay), (Duration::from_secs(10), Duration::ZERO));
    assert_eq!(prod.timeout, Duration::from_secs(30), "whatever the interval");
    assert_eq!((other.plugin.to_string().as_str(), other.timeout), ("databricks", Duration::from_secs(90)));
    assert_eq!(resource.timeout, Duration::from_secs(1));
    let limits = Limits {
        memory: 64 << 20,
        recycle_memory: 32 << 20,
        cpu: Duration::from_millis(500),
        host_call_bytes: 1 << 20,
        host_call_total_bytes: 4 << 20,
        string_bytes: 2048,
        output_bytes: 1 << 20,
        output_points: 5,
        edits: 9,
        edit_bytes: 5120,
        state_bytes: 0,
        state_entries: 7,
        log_messages: 1,
        log_bytes: 3072,
        quarantine_after: 3,
        quarantine_period: Duration::from_secs(600),
        response_bytes: 4096,
        http_stream_bytes: 8192,
        http_requests: 50,
        http_requests_per_second: 2,
        concurrency: 1,
    };
    assert_eq!(prod.limits, limits);
    assert_eq!(other.limits.recycle_memory, other.limits.memory / 4 * 3, "follows the limit it comes before");
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
  otlp: { endpoint: 'a:4317/x' }
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
kiln.yaml:10:21: exporters.otlp.endpoint: an endpoint for gRPC has no path; remove it, or use `otlp_http`
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
        ("limits: { http_requests: 1 }", "limits: { http_requests: 0 }", "must be from 1 to 1000000"),
        (
            "limits: { http_requests_per_second: 1 }",
            "limits: { http_requests_per_second: 0 }",
            "must be from 1 to 10000",
        ),
        (
            "grants: { http: [ { origin: \"https://a.example\", redirects: 3 } ] }",
            "grants: { http: [ { origin: \"https://a.example\", redirects: 4 } ] }",
            "`redirects` is 4: at most 3",
        ),
        (
            "grants: { http: [ { origin: \"https://a.example\", tls: { ca_file: /a.pem } } ] }",
            "grants: { http: [ { origin: \"https://a.example\", tls: { ca_file: a.pem } } ] }",
            "`a.pem` is a relative path",
        ),
        (
            "grants: { http: [ { origin: \"https://a.example\", paths: [/a%2Fb] } ] }",
            "grants: { http: [ { origin: \"https://a.example\", paths: [/a%2Fb/*] } ] }",
            "contains an encoded slash",
        ),
        ("limits: { state_bytes: 0 }", "limits: { state_bytes: -1 }", "is no size"),
        (
            "limits: { memory: 2MiB, recycle_memory: 2MiB }",
            "limits: { memory: 2MiB, recycle_memory: 3MiB }",
            "must be from 64KiB to 2MiB",
        ),
        ("limits: { host_call_bytes: 64KiB }", "limits: { host_call_bytes: 1KiB }", "must be from 64KiB to 4GiB"),
        (
            "limits: { host_call_total_bytes: 64GiB }",
            "limits: { host_call_total_bytes: 65GiB }",
            "must be from 64KiB to 64GiB",
        ),
        ("limits: { string_bytes: 1KiB }", "limits: { string_bytes: 1 }", "must be from 1KiB to 64MiB"),
        ("limits: { state_entries: 1 }", "limits: { state_entries: 0 }", "must be from 1 to"),
        ("limits: { edits: 1 }", "limits: { edits: 0 }", "must be from 1 to"),
        ("limits: { edit_bytes: 1KiB }", "limits: { edit_bytes: 1 }", "must be from 1KiB to 1GiB"),
        ("limits: { log_messages: 1 }", "limits: { log_messages: 0 }", "must be from 1 to"),
        ("limits: { log_bytes: 1KiB }", "limits: { log_bytes: 0 }", "must be from 1KiB to"),
        ("limits: { quarantine_after: 1 }", "limits: { quarantine_after: 0 }", "must be from 1 to 1000"),
        ("limits: { quarantine_period: 1s }", "limits: { quarantine_period: 0 }", "must be from 1s to 1year"),
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
        ("policy: { signing_keys: [] }\n", "needs at least one minisign public key"),
        ("policy: { explicit_grant: true }\n", "did you mean `explicit_grants`?"),
        ("policy: { explicit_grants: yes }\n", "expected `true` or `false`, found text"),
        ("policy: { proxy: proxy.example:3128 }\n", "write `system`, or scheme, host and port"),
        ("plugins_dir: ''\n", "plugins_dir: needs a value"),
    ] {
        let errors = errors(&format!("{text}{}", receiver("")));
        assert!(errors.contains(expected) && !errors.contains('\n'), "{errors}");
    }
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
        let text = otlp_http_exporter("{ endpoint: 'http://a', headers: { a: \"${env:V}\" } }");
        match parse_with(&text, &[("V", &value)]) {
            Ok(config) => {
                let ExporterKind::OtlpHttp(otlp) = &config.exporters[0].kind else { panic!() };
                prop_assert_eq!(otlp.destinations.metrics.headers.len(), 1);
                prop_assert_eq!(otlp.destinations.metrics.headers[0].1.expose(), value);
            }
            Err(errors) => {
                let errors = errors.to_string();
                prop_assert!(errors.ends_with("must be printable ASCII on one line"));
                prop_assert_eq!(errors.lines().count(), 1);
            }
        }
    }
}
