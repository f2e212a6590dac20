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
