//! A running Kiln is told to read everything again: what changed runs, what did not goes on, and whatever is wrong changes
//! nothing. Each case that is allowed stands beside one that is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bomb;
mod compile;
mod exporters;
mod plugins;
mod stage;
mod triggers;

use std::fs;

use kiln_testbed::sink::Telemetry;

use crate::stage::{Configuration, PATIENCE, Stage, another, assert_steady, exporter, guest, starts, until};

/// Scenario: the configuration becomes no YAML, has an unknown key, sets what cannot change while Kiln runs, adds a receiver
/// that does not accept its settings, one without its grant, and an exporter whose settings cannot work.
/// Guarantees: nothing of it runs, not even the part that could: all or nothing. The log names the key.
#[test]
fn a_faulty_configuration_keeps_the_old_one() {
    let mut stage = Stage::new();
    stage.put("misbehaving", &guest("misbehaving"));
    let good = Configuration::steady(&stage.sink);
    stage.start(&good);
    let with = |lines: &str| Configuration {
        receivers: format!("{}{lines}", good.receivers.replace("100ms", "200ms")),
        received: "[steady, misbehaving]".to_owned(),
        ..good.clone()
    };
    let explicit = "policy: { explicit_grants: true }\n".to_owned();
    let cases = [
        (Configuration { top: "receivers: [".to_owned(), ..good.clone() }, "kiln.yaml:"),
        (Configuration { service: "  data_dirs: x\n".to_owned(), ..good.clone() }, "did you mean `data_dir`?"),
        (
            Configuration { service: "  reload_endpoint: true\n".to_owned(), ..good.clone() },
            "`service.reload_endpoint` cannot change",
        ),
        (
            with("  misbehaving: { mode: bad_config, endpoint: \"https://granted.example\" }\n"),
            "is bad_config, which is never accepted",
        ),
        (with("  misbehaving: { mode: unheard_of }\n"), "receivers.misbehaving.mode"),
        (Configuration { top: explicit, ..with("  misbehaving: { mode: ok }\n") }, "which is not granted"),
        (
            Configuration { exporter: exporter(&stage.sink, ", headers: { Host: x }"), ..good.clone() },
            "exporters.otlp_http",
        ),
    ];
    for (configuration, reason) in cases {
        stage.configure(&configuration);
        let ended = stage.reload();
        assert!(ended.starts_with("reload refused: ") && ended.contains(reason), "{reason}: {ended}");
        assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"), "{reason}");
    }
    stage.configure(&with(
        "  misbehaving: { mode: ok, endpoint: \"https://granted.example\", collection_interval: 100ms, initial_delay: 0s }\n",
    ));
    let ended = stage.reload();
    assert!(ended.contains("receivers.misbehaving added, receivers.steady rescheduled"), "{ended}");
    stage.collects("kiln.test.value", 2);
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: a receiver is added, given other settings, and removed, beside one that stays.
/// Guarantees: it collects, starts afresh, and collects no more; the other does not notice; health and metrics know it only
/// as long as it is there.
#[test]
fn a_receiver_comes_changes_and_goes() {
    let mut stage = Stage::new();
    stage.put("misbehaving", &guest("misbehaving"));
    let alone = Configuration::steady(&stage.sink);
    let with = |mode: &str| Configuration {
        receivers: format!(
            "{}  misbehaving: {{ mode: {mode}, endpoint: \"https://granted.example\", collection_interval: 100ms, initial_delay: 0s }}\n",
            alone.receivers
        ),
        received: "[misbehaving, steady]".to_owned(),
        ..alone.clone()
    };
    stage.start(&alone);
    stage.configure(&with("ok"));
    assert!(stage.reload().contains("receivers.misbehaving added, service.pipelines changed"));
    stage.collects("kiln.test.value", 3);
    stage.configure(&with("trap_once_then_ok"));
    assert!(stage.reload().starts_with("reloaded: receivers.misbehaving changed"));
    stage.collects("kiln.test.value", 3);
    assert_eq!(stage.metric("kiln_instance_up{instance=\"misbehaving\"}"), 1.0);
    stage.configure(&alone);
    assert!(stage.reload().contains("receivers.misbehaving removed"));
    until("the removed one is down", || stage.metric("kiln_instance_up{instance=\"misbehaving\"}") == 0.0);
    let count = |telemetry: &Telemetry| telemetry.points_of("kiln.test.value").count();
    stage.collects("kiln.steady", 2);
    let before = count(&stage.sink.telemetry());
    stage.collects("kiln.steady", 5);
    assert_eq!(count(&stage.sink.telemetry()), before);
    assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"));
    // What it had remembered is there when it comes back: it has trapped once and does not do so again.
    stage.configure(&with("trap_once_then_ok"));
    assert!(stage.reload().contains("receivers.misbehaving added"));
    stage.collects("kiln.test.value", 3);
    assert_eq!(stage.metric("kiln_instance_errors_total{instance=\"misbehaving\",error_type=\"trap\"}"), 1.0);
    // With other settings it was the same plugin, and when it came back it was in the cache.
    let compiled = |outcome| stage.metric(&format!("kiln_compilations_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((compiled("compiled"), compiled("cached")), (2.0, 1.0));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: a receiver that computes for two seconds with every collection is removed in the middle of one, and is back in the
/// configuration before that has ended.
/// Guarantees: the two are never at work at the same time: the reload waits for the first to finish, and is applied.
#[test]
fn a_receiver_that_comes_back_waits_for_itself() {
    let mut stage = Stage::new();
    stage.put("misbehaving", &guest("misbehaving"));
    let alone = Configuration::steady(&stage.sink);
    let busy = "{ mode: loop, endpoint: \"https://granted.example\", collection_interval: 100ms, initial_delay: 0s }";
    let with = Configuration {
        receivers: format!("{}  misbehaving: {busy}\n", alone.receivers),
        received: "[misbehaving, steady]".to_owned(),
        ..alone.clone()
    };
    let stopped = "kiln_instance_limit_hits_total{instance=\"misbehaving\",limit=\"cpu\"}";
    stage.start(&alone);
    stage.configure(&with);
    assert!(stage.reload().contains("receivers.misbehaving added"));
    stage.collects("kiln.steady", 5);
    stage.configure(&alone);
    assert!(stage.reload().contains("receivers.misbehaving removed"));
    assert_eq!(stage.metric(stopped), 0.0, "it had ended before it was removed: the case tests nothing");
    stage.configure(&with);
    assert!(stage.reload().contains("receivers.misbehaving added"));
    assert_eq!(stage.metric(stopped), 1.0);
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: a processor comes into a pipeline, its settings change, and it goes.
/// Guarantees: what is collected has the attribute it sets exactly as long, and nothing is missed.
#[test]
fn a_processor_comes_changes_and_goes() {
    let mut stage = Stage::new();
    let plugins = std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`");
    stage.put("resource", &fs::read(std::path::Path::new(&plugins).join("resource.wasm")).unwrap());
    let plain = Configuration::steady(&stage.sink);
    let with = |value: &str| Configuration {
        processors: format!("{{ resource: {{ attributes: [ {{ key: stage, value: {value}, action: insert }} ] }} }}"),
        processed: "[resource]".to_owned(),
        ..plain.clone()
    };
    let is = |value: Option<&'static str>| {
        move |telemetry: &Telemetry| {
            let last = telemetry.points_of("kiln.steady").last();
            last.is_some_and(|point| point.origin.resource.get("stage").and_then(|it| it.as_str()) == value)
        }
    };
    stage.start(&plain);
    for (configuration, value) in [(with("one"), Some("one")), (with("two"), Some("two")), (plain.clone(), None)] {
        stage.configure(&configuration);
        assert!(stage.reload().starts_with("reloaded: "));
        stage.sink.wait_for(PATIENCE, is(value)).unwrap();
        stage.collects("kiln.steady", 3);
        assert!(is(value)(&stage.sink.telemetry()));
        assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"));
    }
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: a receiver whose plugin is missing a grant does not run; another change is made; then the grant is given.
/// Guarantees: what did not run before keeps nothing else from changing, and runs as soon as it can.
#[test]
fn what_did_not_run_before_is_in_nobodys_way() {
    let mut stage = Stage::new();
    stage.put("misbehaving", &guest("misbehaving"));
    let steady = Configuration::steady(&stage.sink);
    let refused = Configuration {
        top: "policy: { explicit_grants: true }\n".to_owned(),
        receivers: format!(
            "{}  misbehaving: {{ mode: ok, endpoint: \"https://granted.example\", collection_interval: 100ms, initial_delay: 0s }}\n",
            steady.receivers
        ),
        received: "[misbehaving, steady]".to_owned(),
        ..steady
    };
    stage.start(&refused);
    assert!(stage.page("/readyz").contains("receiver misbehaving: broken"));
    assert_eq!(stage.reload(), "reloaded: nothing has changed");
    stage.put("steady", &another(&guest("steady"), 1));
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));
    assert!(stage.page("/readyz").contains("receiver misbehaving: broken"));
    stage.configure(&Configuration { top: String::new(), ..refused });
    assert!(stage.reload().starts_with("reloaded: receivers.misbehaving added"));
    stage.collects("kiln.test.value", 2);
    assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"));
    assert_steady(&stage.stop());
}
