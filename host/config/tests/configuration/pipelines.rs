//! What goes where, and what goes nowhere.

use super::*;

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
fn the_memory_limiter_is_told_where_its_limit_belongs() {
    let text = "receivers: { a: }\nprocessors: { memory_limiter: { check_interval: 1s, limit_mib: 400 } }\n\
                exporters: { debug: }\n\
                service: { pipelines: { logs: { receivers: [a], processors: [memory_limiter], exporters: [debug] } } }";
    let errors = errors(text);
    assert!(errors.contains("processors.memory_limiter: there is no such processor"), "{errors}");
    assert!(errors.contains("`service.memory_limit`") && errors.lines().count() == 1, "{errors}");
}

/// Scenario: the Collector's batch processors, as they are pasted: one with settings, one without, one in no pipeline.
/// Guarantees: they become how the exporters of their pipelines join batches, unless those say so themselves; typing errors
/// are told, and what has no effect is too.
#[test]
fn the_batch_processor_becomes_the_batching_of_exporters() {
    let text = "receivers: { a: }\nprocessors: { batch: { timeout: 1s, send_batch_size: 100, send_batch_max_size: 50, \
                metadata_keys: [x] }, batch/2:, batch/3: }\nexporters: { debug:, otlp_http/a:, otlp_http/b:, otlp_http/c: { \
                sending_queue: { batch: { min_size: 5 } } }, otlp_http/d: }\nservice: { pipelines: {\n\
                logs: { receivers: [a], processors: [batch], exporters: [debug, otlp_http/a, otlp_http/c] },\n\
                traces: { receivers: [a], processors: [batch/2], exporters: [otlp_http/a, otlp_http/b] },\n\
                metrics: { receivers: [a], exporters: [otlp_http/d] } } }";
    let config = parse(text);
    assert!(config.pipelines.iter().all(|pipeline| pipeline.processors.is_empty()));
    assert_eq!(config.instances.len(), 1, "the receiver alone");
    let batching = |flush_timeout, min_size, max_size| {
        Some(Batching { flush_timeout: Duration::from_millis(flush_timeout), min_size, max_size, sizer: Sizer::Items })
    };
    let found: Vec<_> =
        config.exporters.iter().map(|exporter| exporter.kind.queue().and_then(|queue| queue.batch)).collect();
    let expected = [None, batching(1000, 50, Some(50)), batching(200, 8192, None), batching(200, 5, None), None];
    assert_eq!(found, expected);
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    for (path, message) in [
        ("processors.batch:", "becomes `sending_queue.batch`"),
        ("processors.batch.metadata_keys:", "has no effect"),
        ("processors.batch/2:", "becomes `sending_queue.batch`"),
        ("processors.batch/2:", "has no effect where another one comes first"),
        ("processors.batch/3:", "becomes `sending_queue.batch`"),
    ] {
        assert!(warnings.iter().any(|it| it.contains(path) && it.contains(message)), "{path} {message}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(errors(&text.replace("send_batch_size", "send_batch_sise")).contains("did you mean `send_batch_size`?"));
    assert!(errors(&text.replace("[batch]", "[batch/4]")).contains("no processor with this name is defined"));
    assert!(errors(&text.replace("[batch]", "[batch, batch]")).contains("is listed twice"));
}
