//! Files of plugins that change under a running Kiln: good ones, broken ones, and ones nobody allowed.

use std::fs;

use kiln_testbed::sink::Fault;

use crate::bomb;
use crate::stage::{Configuration, Stage, another, assert_steady, exporter, guest, starts};

/// Scenario: the file of a plugin is replaced, and SIGHUP sent; then SIGHUP once more.
/// Guarantees: the new one collects on the old one's schedule, and no collection is missed; the second time nothing happens,
/// and the log says so.
#[test]
fn a_changed_plugin_takes_the_place_of_the_old_one() {
    let mut stage = Stage::new();
    stage.start(&Configuration::steady(&stage.sink));
    let before = stage.metric("kiln_last_successful_load_timestamp_seconds");
    stage.put("steady", &another(&guest("steady"), 1));
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));
    stage.collects("kiln.steady", 5);
    assert!(stage.metric("kiln_last_successful_load_timestamp_seconds") > before);
    assert_eq!(stage.reload(), "reloaded: nothing has changed");
    assert_eq!((stage.reloads("applied"), stage.reloads("unchanged")), (1.0, 1.0));
    stage.collects("kiln.steady", 5);
    assert_eq!(stage.metric("kiln_instance_up{instance=\"steady\"}"), 1.0);
    assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 2);
}

/// Scenario: the same bytes are written again, in place and by renaming; a comment is added to the configuration.
/// Guarantees: nothing is swapped: what counts is what is in the files.
#[test]
fn equal_files_change_nothing() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    stage.start(&configuration);
    stage.put("steady", &guest("steady"));
    assert_eq!(stage.reload(), "reloaded: nothing has changed");
    fs::write(stage.path("plugins/steady.wasm"), guest("steady")).unwrap();
    configuration.top = "# nothing but a comment, which moves every line\n\n".to_owned();
    stage.configure(&configuration);
    assert_eq!(stage.reload(), "reloaded: nothing has changed");
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: the file of the plugin becomes, one after the other, no plugin, half a plugin, another plugin of the same name
/// that does not accept its configuration, nothing at all; and two files with plugins of one name.
/// Guarantees: the old one goes on without a gap, the log names the file or the plugin and what is wrong, and a good file is
/// taken the next time.
#[test]
fn a_broken_plugin_keeps_the_old_one() {
    let mut stage = Stage::new();
    stage.start(&Configuration::steady(&stage.sink));
    let good = guest("steady");
    for (bytes, reason) in [
        (b"(component)".to_vec(), "is not WebAssembly"),
        (good[..good.len() / 2].to_vec(), "is not a valid component"),
        (bomb::plugin("steady", "(func (export \"f\") unreachable)"), "does not fit the contract"),
        (b"\x7fELF\x02\x01\x01\x00".to_vec(), "is precompiled native code"),
    ] {
        stage.put("steady", &bytes);
        let ended = stage.reload();
        assert!(ended.starts_with("reload refused: ") && ended.contains(reason), "{ended}");
        assert!(ended.contains("steady") && ended.contains("what ran before goes on"), "{ended}");
        stage.collects("kiln.steady", 2);
    }
    fs::remove_file(stage.path("plugins/steady.wasm")).unwrap();
    let ended = stage.reload();
    assert!(ended.contains("there is no plugin `steady`"), "{ended}");
    stage.put("steady", &good);
    stage.put("other", &good);
    let ended = stage.reload();
    assert!(ended.contains("both hold the plugin `steady`"), "{ended}");
    fs::remove_file(stage.path("plugins/other.wasm")).unwrap();
    assert_eq!(stage.reload(), "reloaded: nothing has changed");
    assert_eq!(stage.reloads("refused"), 6.0);
    assert!(stage.page("/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(stage.metric("kiln_instance_up{instance=\"steady\"}"), 1.0);
    stage.put("steady", &another(&good, 1));
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert!(starts(&telemetry) <= 2);
}

/// Scenario: Kiln runs with `--locked`; a plugin and a grant change, with and without a new lock.
/// Guarantees: without, the reload is refused and names what differs; with, it is applied.
#[test]
fn what_is_locked_does_not_change_by_a_reload() {
    let mut stage = Stage::new().locked();
    let configuration = Configuration::steady(&stage.sink);
    stage.configure(&configuration);
    let lock = |stage: &Stage| assert!(stage.command(&["plugin", "lock"]).status().unwrap().success());
    lock(&stage);
    stage.start(&configuration);
    stage.put("steady", &another(&guest("steady"), 1));
    let ended = stage.reload();
    assert!(ended.contains("kiln.lock says otherwise") && ended.contains("plugins.steady.digest"), "{ended}");
    fs::remove_file(stage.path("kiln.lock")).unwrap();
    assert!(stage.reload().contains("kiln.lock cannot be read"));
    lock(&stage);
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert!(starts(&telemetry) <= 2);
}

/// Scenario: `policy.plugins` allows a digest; the file changes, and the policy with it, or not.
/// Guarantees: a file the policy does not allow replaces nothing, and neither does a policy the file is not allowed by.
#[test]
fn what_the_policy_does_not_allow_replaces_nothing() {
    let mut stage = Stage::new();
    let digest = |bytes: &[u8]| {
        fs::write(stage.path("measured.wasm"), bytes).unwrap();
        let output = stage.command(&["plugin", "inspect", "measured.wasm", "--json"]).output().unwrap();
        let inspection: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        inspection["digest"].as_str().unwrap().to_owned()
    };
    let allowing = |digest: &str| Configuration {
        top: format!("policy: {{ plugins: {{ steady: {{ digests: [\"{digest}\"] }} }} }}\n"),
        ..Configuration::steady(&stage.sink)
    };
    let (old, new) = (guest("steady"), another(&guest("steady"), 1));
    let (allowing_old, allowing_new) = (allowing(&digest(&old)), allowing(&digest(&new)));
    stage.start(&allowing_old);
    stage.put("steady", &new);
    assert!(stage.reload().contains("policy.plugins.steady.digests lists other files"));
    stage.put("steady", &old);
    stage.configure(&allowing_new);
    assert!(stage.reload().contains("policy.plugins.steady.digests lists other files"));
    stage.put("steady", &new);
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));
    assert_steady(&stage.stop());
}

/// Scenario: a plugin is replaced twenty times, by renaming and in place, while it collects ten times a second to a queue on
/// disk, and the backend fails now and then.
/// Guarantees: no collection is missed or sent twice, whichever of the twenty has made it.
#[test]
fn twenty_reloads_under_load_miss_nothing() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    configuration.exporter = exporter(&stage.sink, ", sending_queue: { storage: queue, num_consumers: 1 }");
    stage.start(&configuration);
    for mark in 0..20 {
        let bytes = another(&guest("steady"), mark);
        if mark % 2 == 0 {
            stage.put("steady", &bytes);
        } else {
            fs::write(stage.path("plugins/steady.wasm"), &bytes).unwrap();
        }
        if mark % 5 == 0 {
            stage.sink.faults().next(2, Fault::status(503));
        }
        assert!(stage.reload().starts_with("reloaded: receivers.steady changed"), "{mark}");
        stage.collects("kiln.steady", 1);
    }
    assert_eq!(stage.reloads("applied"), 20.0);
    assert_eq!(stage.metric("otelcol_receiver_refused_metric_points_total{receiver=\"steady\"}"), 0.0);
    assert_steady(&stage.stop());
}
