//! What makes Kiln read everything again, and what does not.

use std::fs;

use crate::bomb;
use crate::stage::{Configuration, Stage, another, assert_steady, exporter, guest, starts, until};

/// Scenario: the endpoint is asked to reload while it is not switched on, then switched on: by this machine, by a page in a
/// browser, with the wrong method, with a faulty configuration.
/// Guarantees: only the first of these reloads; the last hears why not, and no secret.
#[test]
fn a_reload_can_be_asked_for_if_that_is_switched_on() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    stage.start(&configuration);
    assert!(stage.post("/-/reload", "").starts_with("HTTP/1.1 404"));
    stage.stop();

    configuration.service = "  reload_endpoint: true\n".to_owned();
    stage.kiln = None;
    let mut stage = Stage::new();
    configuration.exporter = exporter(&stage.sink, "");
    stage.start(&configuration);
    let unchanged = stage.post("/-/reload", "");
    assert!(unchanged.starts_with("HTTP/1.1 200") && unchanged.ends_with("nothing has changed\n"), "{unchanged}");
    stage.put("steady", &another(&guest("steady"), 1));
    for refused in ["origin: http://evil.example\r\n", "origin: null\r\n", "sec-fetch-site: same-origin\r\n"] {
        assert!(stage.post("/-/reload", refused).starts_with("HTTP/1.1 403"), "{refused}");
    }
    assert!(stage.page("/-/reload").starts_with("HTTP/1.1 405"));
    assert_eq!(stage.reloads("applied"), 0.0);
    let applied = stage.post("/-/reload", "");
    assert!(applied.starts_with("HTTP/1.1 200") && applied.contains("receivers.steady changed"), "{applied}");
    configuration.top = "a_key_nobody_knows: 1\n".to_owned();
    stage.configure(&configuration);
    let refused = stage.post("/-/reload", "");
    assert!(refused.starts_with("HTTP/1.1 422") && refused.contains("a_key_nobody_knows"), "{refused}");
    assert_steady(&stage.stop());
}

/// Scenario: `watch` is off, and files change; it is switched on by a reload, and a plugin is replaced by renaming, then
/// rewritten in place in two pieces with a pause between them, and the configuration changes.
/// Guarantees: off, nothing happens; on, each change is found without being told, and half a file replaces nothing.
#[test]
fn a_change_of_the_files_is_found_if_that_is_switched_on() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    stage.start(&configuration);
    stage.put("steady", &another(&guest("steady"), 1));
    stage.collects("kiln.steady", 50);
    assert_eq!(starts(&stage.sink.telemetry()), 1);
    configuration.service = "  watch: true\n".to_owned();
    stage.configure(&configuration);
    assert!(stage.reload().starts_with("reloaded: receivers.steady changed"));

    stage.put("steady", &another(&guest("steady"), 2));
    assert!(stage.ended().starts_with("reloaded: receivers.steady changed"));
    let whole = another(&guest("steady"), 3);
    fs::write(stage.path("plugins/steady.wasm"), &whole[..whole.len() / 2]).unwrap();
    assert!(stage.ended().starts_with("reload refused: "));
    fs::write(stage.path("plugins/steady.wasm"), &whole).unwrap();
    assert!(stage.ended().starts_with("reloaded: receivers.steady changed"));
    configuration.receivers = configuration.receivers.replace("100ms", "150ms");
    stage.configure(&configuration);
    assert!(stage.ended().starts_with("reloaded: receivers.steady rescheduled"));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert!((3..=4).contains(&starts(&telemetry)));
}

/// Scenario: SIGHUP arrives as soon as the process is there, while it reads and compiles for its start.
/// Guarantees: it does not end Kiln, and a reload follows the start.
#[test]
fn a_reload_can_be_asked_for_before_the_start_is_over() {
    let mut stage = Stage::new();
    stage.start_with(&Configuration::steady(&stage.sink), |kiln| {
        let listens = || {
            let status = fs::read_to_string(format!("/proc/{}/status", kiln.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1
        };
        until("it listens to SIGHUP", listens);
        kiln.signal("HUP").unwrap();
    });
    assert!(stage.ended().starts_with("reloaded: nothing has changed"));
    assert_steady(&stage.stop());
}

/// Scenario: SIGTERM arrives in the middle of a reload that compiles.
/// Guarantees: Kiln stops in good order.
#[test]
fn stopping_does_not_wait_for_a_reload() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    configuration.service = "  limits: { compile_time: 60s, compile_memory: 4GiB }\n".to_owned();
    stage.start(&configuration);
    stage.put("steady", &bomb::slow("steady"));
    stage.kiln().signal("HUP").unwrap();
    stage.says("reloading");
    until("the compiler runs", || bomb::compilers_of(stage.kiln().id()) == 1);
    let kiln = stage.kiln().id();
    assert_steady(&stage.stop());
    until("the compiler is gone", || bomb::compilers_of(kiln) == 0);
}
