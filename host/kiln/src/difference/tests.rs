use std::path::Path;

use kiln_config::Config;
use kiln_policy::Policy;
use serde_json::json;

use super::*;
use crate::blueprint::{InstancePlan, Substance};

const BASE: &str = r#"
receivers:
  a: { collection_interval: 10s }
  b: {}
processors:
  p: {}
exporters:
  debug: {}
  otlp_http: { endpoint: "http://localhost:4318", sending_queue: { storage: queue, num_consumers: 2 } }
service:
  data_dir: data
  pipelines:
    metrics: { receivers: [a, b], processors: [p], exporters: [debug, otlp_http] }
    logs: { receivers: [a], exporters: [debug] }
"#;

/// What a configuration comes to with plugins that can be told apart by their settings alone.
fn blueprint(text: &str) -> Blueprint {
    let config = Config::parse("kiln.yaml", text, Path::new("/etc/kiln"), &|_| None).unwrap();
    let mut blueprint = Blueprint::of(&config, &Default::default());
    for instance in &config.instances {
        let substance = Substance {
            digest: kiln_runtime::Digest::of(instance.plugin.to_string().as_bytes()),
            policy: crate::blueprint::told(&Policy::default()),
            settings: instance.body.settings(&json!({})).unwrap().public,
            secrets: BTreeMap::new(),
            limits: instance.limits.clone(),
            timeout: instance.timeout,
            proxy: config.policy.proxy.clone(),
        };
        let key = InstanceKey { role: instance.role, id: instance.id.clone() };
        let (interval, final_collection) = (instance.collection_interval, instance.final_collection);
        blueprint.instances.insert(key, InstancePlan { substance, interval, final_collection });
    }
    blueprint
}

/// The difference to [`BASE`] that these replacements make.
#[track_caller]
fn difference(replacements: &[(&str, &str)]) -> Result<String, String> {
    let mut text = BASE.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let difference = Difference::between(&blueprint(BASE), &blueprint(&text)).map_err(|error| error.to_string())?;
    assert_eq!(difference.is_empty(), difference.to_string().is_empty());
    Ok(difference.to_string())
}

#[test]
fn equal_is_no_difference_whatever_it_looks_like() {
    assert_eq!(difference(&[]).unwrap(), "");
    assert_eq!(difference(&[("receivers:\n  a", "# a comment\n\nreceivers:\n  a")]).unwrap(), "");
    assert_eq!(difference(&[("[a, b]", "[b, a]"), ("[debug, otlp_http]", "[otlp_http, debug]")]).unwrap(), "");
    assert_eq!(difference(&[("  b: {}", "  b: { timeout: 30s, initial_delay: 5s }")]).unwrap(), "");
    assert_eq!(difference(&[("data_dir: data", "data_dir: data\n  shutdown_timeout: 3s\n  watch: true")]).unwrap(), "");
}

#[test]
fn what_differs_is_named_and_nothing_else_is_touched() {
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[("  b: {}", "  b: { endpoint: other }")], "receivers.b changed"),
        (&[("  b: {}", "  b: { plugin: other }")], "receivers.b changed"),
        (&[("  b: {}", "  b: { timeout: 7s }")], "receivers.b changed"),
        (&[("  b: {}", "  b: { limits: { memory: 32MiB } }")], "receivers.b changed"),
        (&[("  p: {}", "  p: { key: value }")], "processors.p changed"),
        (&[("interval: 10s", "interval: 20s")], "receivers.a rescheduled"),
        (&[("interval: 10s", "interval: 10s, final_collection: true")], "receivers.a rescheduled"),
        (&[("[a, b]", "[a, b, c]"), ("  b: {}", "  b: {}\n  c: {}")], "receivers.c added, service.pipelines changed"),
        (&[("[a, b]", "[a]"), ("  b: {}\n", "")], "receivers.b removed, service.pipelines changed"),
        (&[("4318", "9999")], "exporters.otlp_http changed"),
        (&[("num_consumers: 2", "num_consumers: 9")], "exporters.otlp_http changed"),
        (
            &[
                ("    logs: { receivers: [a], exporters: [debug] }\n", ""),
                ("[debug, otlp_http]", "[otlp_http]"),
                ("  debug: {}\n", ""),
            ],
            "exporters.debug removed, service.pipelines changed",
        ),
    ];
    for (replacements, expected) in cases {
        assert_eq!(difference(replacements).unwrap(), expected, "{replacements:?}");
    }
}

#[test]
fn what_cannot_change_is_named_by_its_key() {
    let cases = [
        ("data_dir: data", "data_dir: other", "`service.data_dir` and `exporters.otlp_http.sending_queue`"),
        ("data_dir: data", "data_dir: data\n  telemetry: { endpoint: none }", "`service.telemetry.endpoint`"),
        ("data_dir: data", "data_dir: data\n  telemetry: { logs: { level: debug } }", "`service.telemetry.logs`"),
        ("data_dir: data", "data_dir: data\n  reload_endpoint: true", "`service.reload_endpoint`"),
        ("data_dir: data", "data_dir: data\n  limits: { compile_time: 5s }", "`service.limits`"),
        ("storage: queue", "storage: elsewhere", "`exporters.otlp_http.sending_queue`"),
        ("storage: queue, ", "", "`exporters.otlp_http.sending_queue`"),
        ("storage: queue", "storage: queue, queue_size: 5", "`exporters.otlp_http.sending_queue`"),
    ];
    for (from, to, keys) in cases {
        let expected = format!("{keys} cannot change while Kiln runs: restart it, or undo the change");
        assert_eq!(difference(&[(from, to)]).unwrap_err(), expected);
    }
}

#[test]
fn the_address_of_a_page_cannot_change_and_the_rest_of_it_can() {
    let page = |keys: &str| {
        let exporter = format!("exporters:\n  prometheus: {{ endpoint: {keys} }}\n");
        let text =
            BASE.replace("exporters:\n", &exporter).replace("[debug, otlp_http]", "[debug, otlp_http, prometheus]");
        blueprint(&text)
    };
    let running = page("'localhost:8889'");
    let moved = Difference::between(&running, &page("'localhost:8890'")).unwrap_err().to_string();
    assert!(moved.starts_with("`exporters.prometheus.endpoint` cannot change while Kiln runs"), "{moved}");
    let renamed = Difference::between(&running, &page("'localhost:8889', namespace: x")).unwrap();
    assert_eq!(renamed.to_string(), "exporters.prometheus changed");
}

/// Scenario: what an instance is made of differs in one part at a time, which no configuration alone can do.
/// Guarantees: each part makes it another one: the file, what it may do, its secrets, its proxy.
#[test]
fn every_part_of_an_instance_counts() {
    let key = InstanceKey { role: kiln_config::Role::Receiver, id: "b".parse().unwrap() };
    let change = |change: fn(&mut Substance)| {
        let mut desired = blueprint(BASE);
        change(&mut desired.instances.get_mut(&key).unwrap().substance);
        Difference::between(&blueprint(BASE), &desired).unwrap().to_string()
    };
    for changed in [
        change(|it| it.digest = kiln_runtime::Digest::of(b"another file")),
        change(|it| it.policy = json!({ "state": true })),
        change(|it| drop(it.secrets.insert("token".to_owned(), kiln_config::Secret::new("s")))),
        change(|it| it.proxy = kiln_policy::ProxyRule::System),
    ] {
        assert_eq!(changed, "receivers.b changed");
    }
}

/// Scenario: nothing runs yet; and something that is configured does not run, and is tried again.
/// Guarantees: everything is added; and the one thing that does not run is.
#[test]
fn what_does_not_run_is_added() {
    let all = Difference::between(&Blueprint::default(), &blueprint(BASE)).unwrap();
    assert_eq!(all.instances.added.len() + all.exporters.added.len(), 5);
    assert!(all.pipelines && !all.only_adds());
    let mut running = blueprint(BASE);
    running.instances.retain(|key, _| key.to_string() != "processors.p");
    let again = Difference::between(&running, &blueprint(BASE)).unwrap();
    assert_eq!(again.to_string(), "processors.p added");
    assert!(again.only_adds());
}

/// Scenario: a comment above a grant moves it to another line.
/// Guarantees: the policy is told as before.
#[test]
fn the_line_of_a_grant_is_no_part_of_it() {
    let told = |line: u32| {
        let mut policy = json!({ "http": [{ "origin": "https://a.example", "written": { "line": line } }] });
        crate::blueprint::forget_lines(&mut policy);
        policy
    };
    assert_eq!(told(3), told(4));
    assert_ne!(told(3), json!({}));
}
