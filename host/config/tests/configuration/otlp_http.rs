//! The OTLP/HTTP exporter: endpoints, settings, and the variables of the OpenTelemetry specification.

use super::*;

fn read_otlp_http(keys: &str, env: &[(&str, &str)]) -> OtlpHttp {
    let config = parse_with(&otlp_http_exporter(keys), env).unwrap_or_else(|errors| panic!("{errors}"));
    match &config.exporters[0].kind {
        ExporterKind::OtlpHttp(otlp) => (**otlp).clone(),
        other => panic!("{other:?}"),
    }
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
        assert_eq!(
            (otlp.destinations.metrics.url.as_str(), otlp.destinations.traces.url.as_str()),
            (metrics, traces),
            "{keys}"
        );
    }
    for (bad, expected) in [
        ("{ endpoint: 'localhost:4318' }", "must start with `http://` or `https://`"),
        ("{ endpoint: 'grpc://a' }", "must start with `http://` or `https://`"),
        ("{ endpoint: 'http://' }", "not a valid URL"),
        ("{ endpoint: 'https://me:hunter2@a' }", "must not hold a user name or password"),
        ("{ endpoint: 'https://a#hunter2' }", "has no `#` part"),
        ("{ endpoint: [a] }", "expected text, found a list"),
    ] {
        let errors = errors(&otlp_http_exporter(bad));
        assert!(errors.contains(expected) && !errors.contains("hunter2"), "{bad}: {errors}");
    }
}

#[test]
fn otlp_settings_have_the_defaults_and_bounds_of_the_collector() {
    let otlp = read_otlp_http("{ endpoint: 'http://a' }", &[]);
    assert_eq!(otlp.retry, Retry::default());
    assert_eq!(otlp.retry.max_elapsed_time, Some(Duration::from_secs(300)));
    assert_eq!(
        otlp.queue,
        Queue { queue_size: 100, sizer: Sizer::Requests, num_consumers: 4, batch: None, storage: None }
    );
    assert_eq!(otlp.destinations.metrics.compression, Compression::Gzip);
    assert_eq!(otlp.destinations.metrics.timeout, Duration::from_secs(30));
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
    assert_eq!((otlp.retry, otlp.queue), (retry, Queue { queue_size: 7, num_consumers: 1, ..Queue::default() }));
    assert_eq!(
        (otlp.destinations.logs.compression, otlp.destinations.logs.timeout),
        (Compression::None, Duration::from_secs(5))
    );
    let headers: Vec<_> =
        otlp.destinations.logs.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-number", "1.10"), ("x-flag", "true")]);
    for (bad, expected) in [
        ("{ compression: snappy }", "unknown value; use `gzip`, `none` or `zstd`"),
        ("{ encoding: text }", "unknown value; use `json` or `proto`"),
        ("{ proxy_url: 'hunter2:3128' }", "not the URL of a proxy"),
        ("{ timeout: 0s }", "must be from 1ms to"),
        ("{ endpoint: 'https://a', tls: { insecure: true } }", "contradicts an endpoint with `https`"),
        ("{ tls: { ca_file: ca.pem } }", "a relative path; write where the file is from the root on"),
        ("{ tls: { cert_file: /c.pem } }", "needs both `cert_file` and `key_file`"),
        ("{ tls: { key_pem: hunter2 } }", "keys are read from files"),
        ("{ tls: { server_name_override: a } }", "must be for the host of the endpoint"),
        ("{ tls: { min_version: '1.1' } }", "did you mean `1.2`?"),
        ("{ tls: { cafile: /c.pem } }", "did you mean `ca_file`?"),
        ("{ retry_on_failure: { multiplier: 0.5 } }", "must be from 1 to 100"),
        ("{ retry_on_failure: { multiplier: .inf } }", "expected a number, found text"),
        ("{ retry_on_failure: { randomization_factor: 2 } }", "must be from 0 to 1"),
        ("{ retry_on_failure: { initial_interval: 10s, max_interval: 5s } }", "must be from 10s to"),
        ("{ retry_on_failure: { max_elapsed_time: 300 } }", "it lacks a unit"),
        ("{ sending_queue: { enabled: false } }", "the queue cannot be turned off"),
        ("{ sending_queue: { queue_size: 0 } }", "must be from 1 to"),
        ("{ sending_queue: { sizer: bytes, queue_size: 7 } }", "must be from 1KiB to 256GiB"),
        ("{ sending_queue: { sizer: items, queue_size: 1MiB } }", "expected a whole number, found text"),
        ("{ sending_queue: { sizer: batches } }", "use `bytes`, `items` or `requests`"),
        ("{ sending_queue: { storage: queue, sizer: bytes } }", "counts batches, and bytes with `max_bytes`"),
        ("{ sending_queue: { batch: { min_size: 9, max_size: 8 } } }", "must not be more than `max_size`"),
        ("{ sending_queue: { batch: { sizer: requests } } }", "use `bytes` or `items`"),
        ("{ sending_queue: { batch: { flush_timeout: 2h } } }", "must be from 0s to 1h"),
        ("{ sending_queue: { batch: { partition: {} } } }", "whatever they come from"),
        ("{ sending_queue: { batch: { minsize: 1 } } }", "did you mean `min_size`?"),
        ("{ sending_queue: { num_consumer: 1 } }", "did you mean `num_consumers`?"),
        ("{ sending_queue: { max_bytes: 1GiB } }", "only a queue on disk has it; set `storage` or remove the key"),
        ("{ sending_queue: { storage: queue } }", "a queue on disk needs `service.data_dir`"),
        ("{ sending_queue: { storage: '' } }", "needs a value"),
        ("{ sending_queue: { storage: queue, max_bytes: 1KiB } }", "must be from 1MiB to 256GiB"),
        ("{ sending_queue: { storage: queue, on_full: drop } }", "use `block` or `drop_oldest`"),
        ("{ sending_queue: { storage: queue, fsync: sometimes } }", "use `always`, `interval` or `never`"),
        ("{ headers: { 'a b': hunter2 } }", "not a valid name of an HTTP header"),
        ("{ headers: { a: \"hunter2\\r\\nb: c\" } }", "must be printable ASCII"),
        ("{ headers: { a: 1, A: 2 } }", "is listed twice"),
        ("{ headers: { Content-Type: hunter2 } }", "follows from the request"),
        ("{ headers: { a: [hunter2] } }", "expected text, found a list"),
        ("{ endpont: 'http://a' }", "did you mean `endpoint`?"),
    ] {
        let errors = errors(&otlp_http_exporter(bad));
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
    for destination in [&otlp.destinations.metrics, &otlp.destinations.logs] {
        assert_eq!(destination.headers[0].1.expose(), "secret one");
        assert_eq!(destination.timeout, Duration::from_millis(2500));
        assert_eq!(destination.compression, Compression::None);
    }
    assert_eq!(otlp.destinations.metrics.url.as_str(), "https://env/otlp/v1/metrics");
    assert_eq!(otlp.destinations.logs.url.as_str(), "https://env/otlp/v1/logs", "an empty variable is none");
    assert_eq!(otlp.destinations.traces.url.as_str(), "https://traces/as/is");
    assert_eq!(otlp.destinations.traces.headers[0].1.expose(), "two");
    assert_eq!(
        (otlp.destinations.traces.timeout, otlp.destinations.traces.compression),
        (Duration::from_millis(1), Compression::Gzip)
    );

    let in_file = read_otlp_http("{ headers: { a: b }, timeout: 3s, compression: gzip }", &generic);
    assert_eq!(in_file.destinations.metrics.url.as_str(), "https://env/otlp/v1/metrics");
    assert_eq!(in_file.destinations.metrics.headers[0].1.expose(), "b", "what the file says comes first");
    assert_eq!(
        (in_file.destinations.metrics.timeout, in_file.destinations.metrics.compression),
        (Duration::from_secs(3), Compression::Gzip)
    );

    let elsewhere = read_otlp_http("{ endpoint: 'https://file' }", &generic);
    assert_eq!(elsewhere.destinations.traces.url.as_str(), "https://file/v1/traces");
    assert_eq!(
        elsewhere.destinations.traces.headers,
        [],
        "credentials of variables stay with the endpoint of variables"
    );
    assert_eq!(elsewhere.destinations.metrics.timeout, Duration::from_secs(30));

    for (variable, value, expected) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4318", "is no endpoint: an endpoint must start with"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "is no list of headers"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=hunter2%0a", "is no list of headers"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "must be a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "snappy", "must be `gzip`, `zstd` or `none`"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "must be `http/protobuf` or `http/json` for this exporter; for `grpc` use",
        ),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", "is a relative path"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem", "needs a certificate"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/c.pem", "needs a private key"),
    ] {
        let errors = parse_with(&otlp_http_exporter("{}"), &[(variable, value)]).unwrap_err().to_string();
        let expected = format!("kiln.yaml:3:3: exporters.otlp_http: environment variable `{variable}` {expected}");
        assert!(errors.starts_with(&expected), "{errors}");
        assert!(!errors.contains('\n') && !errors.contains("hunter2"), "{errors}");
    }
}

/// Every option of the specification, for all signals and for one.
#[test]
fn every_variable_of_the_specification_can_differ_by_signal() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/etc/client.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/etc/client.key"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/etc/logs/ca.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/etc/logs/client.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/etc/logs/client.key"),
    ];
    let otlp = read_otlp_http("{}", &variables);
    let files = |directory: &str| Tls {
        ca_file: Some(format!("{directory}/ca.pem").into()),
        identity: Some((format!("{directory}/client.pem").into(), format!("{directory}/client.key").into())),
        ..Tls::default()
    };
    for destination in [&otlp.destinations.metrics, &otlp.destinations.traces] {
        assert_eq!((destination.encoding, &destination.tls), (Encoding::Json, &files("/etc")));
    }
    assert_eq!(
        (otlp.destinations.logs.encoding, &otlp.destinations.logs.tls),
        (Encoding::Protobuf, &files("/etc/logs"))
    );
    assert_eq!(
        (otlp.destinations.logs.compression, otlp.destinations.metrics.compression),
        (Compression::Zstd, Compression::Gzip)
    );

    let in_file = read_otlp_http("{ tls: { insecure_skip_verify: true }, encoding: proto }", &variables);
    assert_eq!(
        in_file.destinations.logs.tls,
        Tls { insecure_skip_verify: true, ..Tls::default() },
        "`tls` counts as a whole"
    );
    assert_eq!(in_file.destinations.metrics.encoding, Encoding::Protobuf);
    let elsewhere = read_otlp_http("{ endpoint: 'https://file' }", &variables);
    assert_eq!(
        (elsewhere.destinations.metrics.encoding, elsewhere.destinations.logs.tls),
        (Encoding::Protobuf, Tls::default())
    );
}

#[test]
fn tls_and_proxy_are_read_as_the_collector_has_them() {
    let otlp = read_otlp_http(
        "{ endpoint: 'https://a', proxy_url: 'http://me:hunter2@proxy:3128', tls: { ca_file: /ca.pem, cert_file: /c.pem, \
         key_file: /c.key, include_system_ca_certs_pool: true, min_version: 1.3, insecure: false } }",
        &[],
    );
    let tls = Tls {
        ca_file: Some("/ca.pem".into()),
        include_system_authorities: true,
        identity: Some(("/c.pem".into(), "/c.key".into())),
        insecure_skip_verify: false,
        min_version: TlsVersion::V1_3,
    };
    assert_eq!(otlp.destinations.traces.tls, tls);
    assert_eq!(otlp.proxy.as_ref().unwrap().expose(), "http://me:hunter2@proxy:3128");
    assert!(!format!("{otlp:?}").contains("hunter2"));
    assert_eq!(ExporterKind::OtlpHttp(Box::new(otlp)).secrets(), ["hunter2"]);
    let plain = read_otlp_http("{ endpoint: 'http://a', tls: { insecure: true } }", &[]);
    assert_eq!(plain.destinations.traces.tls, Tls::default(), "as it is pasted from a Collector");
}

#[test]
fn a_header_may_be_kept_in_a_file() {
    let directory = std::env::temp_dir().join(format!("kiln-header-{}", std::process::id()));
    std::fs::write(&directory, "sesame99\n").unwrap();
    let keys =
        format!("{{ endpoint: 'http://a', headers: {{ Authorization: 'Bearer ${{file:{}}}' }} }}", directory.display());
    let otlp = read_otlp_http(&keys, &[]);
    std::fs::remove_file(&directory).unwrap();
    assert_eq!(otlp.destinations.metrics.headers[0].1.expose(), "Bearer sesame99");
}

#[test]
fn batches_are_joined_where_it_is_asked_for() {
    let items =
        Batching { flush_timeout: Duration::from_millis(200), min_size: 8192, max_size: None, sizer: Sizer::Items };
    let bytes = Batching { min_size: 1 << 20, sizer: Sizer::Bytes, ..items };
    for (keys, expected) in [
        ("{}", items),
        ("", items),
        (
            "{ flush_timeout: 0s, min_size: 0, max_size: 0 }",
            Batching { flush_timeout: Duration::ZERO, min_size: 0, ..items },
        ),
        ("{ max_size: 100 }", Batching { min_size: 100, max_size: Some(100), ..items }),
        ("{ sizer: bytes }", bytes),
        (
            "{ max_size: 4MiB, min_size: 2MiB, sizer: bytes }",
            Batching { min_size: 2 << 20, max_size: Some(4 << 20), ..bytes },
        ),
    ] {
        let otlp = read_otlp_http(&format!("{{ sending_queue: {{ batch: {keys} }} }}"), &[]);
        assert_eq!(otlp.queue.batch, Some(expected), "{keys}");
    }
}

#[test]
fn a_queue_in_memory_is_bounded_in_batches_items_or_bytes() {
    for (keys, sizer, queue_size) in [
        ("{}", Sizer::Requests, 100),
        ("{ sizer: requests, queue_size: 7 }", Sizer::Requests, 7),
        ("{ sizer: items }", Sizer::Items, 1_000_000),
        ("{ sizer: ITEMS, queue_size: 5000 }", Sizer::Items, 5000),
        ("{ sizer: bytes }", Sizer::Bytes, 64 << 20),
        ("{ sizer: bytes, queue_size: 3MiB }", Sizer::Bytes, 3 << 20),
        ("{ queue_size: 5000, sizer: bytes }", Sizer::Bytes, 5000),
    ] {
        let otlp = read_otlp_http(&format!("{{ sending_queue: {keys} }}"), &[]);
        assert_eq!(otlp.queue, Queue { queue_size, sizer, ..Queue::default() }, "{keys}");
    }
}

fn with_data_dir(exporters: &str) -> String {
    format!(
        "receivers: {{ r: {{}} }}\nexporters:\n{exporters}\nservice:\n  data_dir: /var/lib/kiln\n  pipelines: {{ metrics: \
         {{ receivers: [r], exporters: [otlp_http/a, otlp_http/b] }} }}\n"
    )
}

#[test]
fn a_queue_on_disk_has_bounds_and_patience_of_its_own() {
    let config = with_data_dir(
        "  otlp_http/a: { endpoint: 'http://a', sending_queue: { storage: queue/a } }\n  otlp_http/b: { endpoint: \
         'http://b', sending_queue: { storage: /mnt/queue, max_bytes: 2GiB, on_full: drop_oldest, fsync: interval, \
         queue_size: 5 }, retry_on_failure: { max_elapsed_time: 1h } }",
    );
    let config = parse(&config);
    let settings: Vec<_> = config
        .exporters
        .iter()
        .map(|exporter| match &exporter.kind {
            ExporterKind::OtlpHttp(settings) => (settings.queue.clone(), settings.retry.max_elapsed_time),
            _ => panic!(),
        })
        .collect();
    let storage = |directory: &str, max_bytes, on_full, fsync| {
        Some(Storage { directory: directory.into(), max_bytes, on_full, fsync })
    };
    let a = storage("/var/lib/kiln/queue/a", DEFAULT_MAX_BYTES, OnFull::Block, Fsync::Always);
    let b = storage("/mnt/queue", 2 << 30, OnFull::DropOldest, Fsync::Interval);
    assert_eq!(settings[0], (Queue { queue_size: 100_000, storage: a, ..Queue::default() }, None));
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(settings[1], (Queue { queue_size: 5, storage: b, ..Queue::default() }, hour));
}

#[test]
fn two_exporters_cannot_queue_in_one_directory() {
    let config = with_data_dir(
        "  otlp_http/a: { endpoint: 'http://a', sending_queue: { storage: queue } }\n  otlp_http/b: { endpoint: \
         'http://b', sending_queue: { storage: /var/lib/kiln/queue } }",
    );
    assert!(errors(&config).contains("another exporter's queue has this directory; give each its own"));
}
