//! The exporters beside `otlp_http`: endpoints, defaults, and what would lose data or have no effect.

use kiln_config::{
    DEFAULT_BACKUPS, DEFAULT_FILE_BYTES, DEFAULT_GRPC_TIMEOUT, DEFAULT_MAX_SERIES, DEFAULT_METRIC_EXPIRATION, File,
    OtlpGrpc, Prometheus,
};

use super::*;

fn document(kind: &str, keys: &str) -> String {
    format!(
        "receivers: {{ databricks: }}\nexporters:\n  {kind}: {keys}\n\
         service: {{ pipelines: {{ metrics: {{ receivers: [databricks], exporters: [{kind}] }} }} }}\n"
    )
}

fn read(kind: &str, keys: &str, env: &[(&str, &str)]) -> ExporterKind {
    let config = parse_with(&document(kind, keys), env).unwrap_or_else(|errors| panic!("{errors}"));
    config.exporters[0].kind.clone()
}

fn grpc(keys: &str, env: &[(&str, &str)]) -> OtlpGrpc {
    match read("otlp", keys, env) {
        ExporterKind::OtlpGrpc(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn endpoints_of_grpc_are_a_host_and_a_port_with_tls_unless_told_otherwise() {
    const METRICS: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    for (keys, env, base) in [
        ("{ endpoint: 'a:4317' }", &[][..], "https://a:4317"),
        ("{ endpoint: 'a:4317', tls: { insecure: true } }", &[], "http://a:4317"),
        ("{ endpoint: 'http://a:4317' }", &[], "http://a:4317"),
        ("{ endpoint: 'https://a:4317/', tls: { insecure: false } }", &[], "https://a:4317"),
        ("{}", &[], "http://localhost:4317"),
        ("{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://e:1")], "https://e:1"),
        ("{}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "e:1"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://e:1"),
        (
            "{}",
            &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "e:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "https://e:1",
        ),
    ] {
        assert_eq!(grpc(keys, env).destinations.metrics.url.as_str(), format!("{base}/{METRICS}"), "{keys} {env:?}");
    }
    let defaults = grpc("{ endpoint: 'a:4317' }", &[]);
    assert_eq!(
        (defaults.destinations.logs.timeout, defaults.destinations.logs.compression),
        (DEFAULT_GRPC_TIMEOUT, Compression::Gzip)
    );
    assert_eq!((defaults.retry, defaults.queue), (Retry::default(), Queue::default()));
    for (keys, expected) in [
        ("{ endpoint: 'a:4317/v1' }", "an endpoint for gRPC has no path"),
        ("{ endpoint: 'https://a', tls: { insecure: true } }", "contradicts `tls.insecure`"),
        ("{ endpoint: 'unix:///x' }", "is a host and a port"),
        ("{ endpoint: 'a:1', balancer_name: round_robin }", "one connection is used"),
        ("{ endpoint: 'a:1', headers: { grpc-x: \"a\\nb\" } }", "must be printable ASCII"),
    ] {
        let errors = errors(&document("otlp", keys));
        assert!(errors.contains(expected), "{keys}: {errors}");
    }
    let wrong = parse_with(&document("otlp", "{}"), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap_err();
    assert!(wrong.to_string().contains("must be `grpc` for this exporter"), "{wrong}");
}

#[test]
fn prometheus_has_the_defaults_of_the_collector() {
    let ExporterKind::Prometheus(settings) = read("prometheus", "{ endpoint: 'localhost:8889' }", &[]) else {
        panic!()
    };
    let expected = Prometheus {
        endpoint: "127.0.0.1:8889".parse().unwrap(),
        namespace: String::new(),
        const_labels: Vec::new(),
        send_timestamps: false,
        metric_expiration: DEFAULT_METRIC_EXPIRATION,
        resource_to_telemetry: false,
        enable_open_metrics: false,
        add_metric_suffixes: true,
        without_scope_info: false,
        max_series: DEFAULT_MAX_SERIES,
    };
    assert_eq!(*settings, expected);
    for (keys, expected) in [
        ("{}", "`endpoint` is required"),
        ("{ endpoint: '8889' }", "write it as in `127.0.0.1:8889`"),
        ("{ endpoint: 'localhost:1', max_series: 0 }", "must be from 1 to"),
        ("{ endpoint: 'localhost:1', metric_expiration: 0s }", "must be from 1s to"),
        ("{ endpoint: 'localhost:1', sending_queue: {} }", "takes what comes; remove the key"),
        ("{ endpoint: 'localhost:1', tls: {} }", "served without TLS"),
        ("{ endpoint: 'localhost:1', namspace: x }", "did you mean `namespace`?"),
    ] {
        let errors = errors(&document("prometheus", keys));
        assert!(errors.contains(expected), "{keys}: {errors}");
    }
    let traces = document("prometheus", "{ endpoint: 'localhost:1' }").replace("metrics:", "traces/x:");
    let expected = "kiln.yaml:4:25: service.pipelines.traces/x.exporters: `prometheus` takes metrics only";
    assert!(errors(&traces).starts_with(expected), "{}", errors(&traces));
}

#[test]
fn a_file_is_appended_to_and_rotated_whatever_is_said() {
    let ExporterKind::File(settings) = read("file", "{ path: /var/lib/otlp.json }", &[]) else { panic!() };
    let expected = File {
        path: "/var/lib/otlp.json".into(),
        max_bytes: DEFAULT_FILE_BYTES,
        max_backups: DEFAULT_BACKUPS,
        fsync: Fsync::Always,
        retry: Retry::default(),
        queue: Queue::default(),
    };
    assert_eq!(*settings, expected);
    assert_eq!((DEFAULT_FILE_BYTES, DEFAULT_BACKUPS), (100 << 20, 100));
    for (keys, expected) in [
        ("{}", "`path` is required"),
        ("{ path: otlp.json }", "not the path of a file from the root on"),
        ("{ path: /var/lib/ }", "not the path of a file from the root on"),
        ("{ path: /x, append: false }", "appended to, never emptied"),
        ("{ path: /x, format: proto }", "lines are written as `json`"),
        ("{ path: /x, rotation: { max_days: 1 } }", "set `max_backups`"),
        ("{ path: /x, compression: zstd }", "so that they can be read"),
        ("{ path: /x, rotation: { max_megabytes: 0 } }", "must be from 1 to"),
    ] {
        let errors = errors(&document("file", keys));
        assert!(errors.contains(expected), "{keys}: {errors}");
    }
    let two = "receivers: { r: {} }\nexporters:\n  file/a: { path: /x }\n  file/b: { path: /x }\nservice: { pipelines: { \
               metrics: { receivers: [r], exporters: [file/a, file/b] } } }\n";
    assert!(errors(two).contains("exporters.file/b.path: another exporter writes to this file; give each its own"));
}
