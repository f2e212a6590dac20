//! `kiln plugin check`: a plugin in every language passes, and each way of misbehaving fails the item it is made for.

use std::fs;

use kiln_testbed::shop::{Order, Shop, TOKEN};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::command::{Ended, kiln, plugin};

/// Collections while memory is watched: enough to see a leak, and no more than a test has time for.
const COLLECTIONS: &str = "100";

/// The test guest, when it behaves.
const OK: &str = "{ mode: ok, endpoint: \"https://granted.example\" }";

/// The items of a report by name: what was found, and the details.
fn items(ended: &Ended) -> Vec<(String, String, String)> {
    let report: Json = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let item = |item: &Json| (text(&item["name"]), text(&item["outcome"]), item["details"].to_string());
    report["items"].as_array().unwrap().iter().map(item).collect()
}

fn check(name: &str, settings: &str, more: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    let file = plugin(name);
    let arguments = ["check", file.to_str().unwrap(), "--with", settings, "--json"];
    let collections: &[&str] = if more.contains(&"--collections") { &[] } else { &["--collections", COLLECTIONS] };
    kiln(folder.path(), &[&arguments[..], collections, more].concat())
}

/// Scenario: the example receiver of a language, checked against a shop.
/// Guarantees: no rule is broken, and nothing that it does goes unchecked.
fn passes(language: &str) {
    let shop = Shop::start().unwrap();
    shop.trade(&[Order { status: "paid", seconds: 0.25 }, Order { status: "void", seconds: 20.0 }], 7);
    let url = shop.url();
    let settings = format!(
        "{{ host: \"{url}\", token: {TOKEN}, page_size: 1, grants: {{ http: [ {{ origin: \"{url}\", addresses: [loopback] }} ] }} }}"
    );
    let ended = check(&format!("orders-{language}"), &settings, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let items = items(&ended);
    let names: Vec<_> = items.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "loads",
            "schema",
            "configure",
            "collect",
            "emits",
            "asks",
            "output",
            "logs",
            "restart",
            "repeat",
            "http errors",
            "answers",
            "time-out",
            "state",
            "clock",
            "memory"
        ]
    );
    // Go's memory takes a step of its own now and then; that it is bounded, languages::new sees. StarlingMonkey keeps what WASI
    // gives it for each request, and is started afresh before that is too much.
    let may_warn = |name: &str| name == "memory" && ["go", "javascript-fetch"].contains(&language);
    let other: Vec<_> = items
        .iter()
        .filter(|(name, outcome, _)| outcome != "passed" && !(outcome == "warning" && may_warn(name)))
        .collect();
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn rust() {
    passes("rust");
}

#[test]
fn python() {
    passes("python");
}

#[test]
fn javascript() {
    passes("javascript");
}

#[test]
fn javascript_fetch() {
    passes("javascript-fetch");
}

#[test]
fn go() {
    passes("go");
}

#[test]
fn c() {
    passes("c");
}

/// Scenario: the processors that come with Kiln and the examples, given the samples.
/// Guarantees: no rule is broken, and nothing is found that somebody should look at.
#[test]
fn processors() {
    let redact = "patterns: [ { pattern: \"example\" } ]";
    for (name, settings) in [
        ("resource", "attributes: [ { key: host.name, value: x, action: upsert } ]"),
        ("redact-python", redact),
        ("redact-javascript", redact),
    ] {
        let ended = check(name, settings, &[]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let items = items(&ended);
        assert!(items.iter().any(|(item, outcome, _)| item == "process" && outcome == "passed"), "{name}: {ended:?}");
        assert!(items.iter().all(|(_, outcome, _)| outcome == "passed" || outcome == "skipped"), "{name}: {items:?}");
    }
}

/// Scenario: a plugin that does one thing wrong and everything else right, for each thing.
/// Guarantees: the item that is about it fails, with a sentence about it; without the fault all pass.
#[test]
fn each_fault_fails_the_item_it_is_made_for() {
    for (mode, failing, wanted) in [
        ("trap", "collect", "trapped: "),
        ("loop", "collect", "of CPU in one call"),
        ("eat_memory", "collect", "bytes of memory"),
        ("deep_recursion", "collect", "bytes of stack"),
        ("undeclared_metric", "emits", "`kiln.test.undeclared`"),
        ("huge_output", "output", "output_"),
        ("log_flood", "logs", "`log_messages`"),
        ("forbidden_origin", "asks", "https://forbidden.example is not granted"),
        ("bad_config", "configure", "refuses its configuration at /mode"),
        ("trap_once_then_ok", "collect", "trapped: "),
    ] {
        let settings = format!(
            "{{ mode: {mode}, endpoint: \"https://granted.example\", limits: {{ cpu: 2s, memory: 32MiB, output_points: 20000 }} }}"
        );
        let ended = check("misbehaving", &settings, &["--collections", "5"]);
        assert_eq!(ended.code, Some(1), "{mode}: {ended:?}");
        let items = items(&ended);
        let failed: Vec<_> = items.iter().filter(|(_, outcome, _)| outcome == "failed").collect();
        assert!(
            failed.iter().any(|(name, _, details)| name == failing && details.contains(wanted)),
            "{mode}: {failed:?}\n{ended:?}"
        );
    }
    let ended = check("misbehaving", OK, &["--collections", "5"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Scenario: a plugin that keeps bodies open, asked for by a script instead of a server.
/// Guarantees: the script is what it is answered, and the limit it runs into is named.
#[test]
fn answers_can_be_scripted() {
    let folder = TempDir::new().unwrap();
    let answers = folder.path().join("answers.json");
    fs::write(&answers, r#"[ { "method": "GET", "path": "/metrics/*", "status": 200, "body": "x" } ]"#).unwrap();
    let answers = answers.to_str().unwrap();
    let ended = check(
        "misbehaving",
        "{ mode: keep_bodies, endpoint: \"https://granted.example\" }",
        &["--collections", "5", "--answers", answers],
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let items = items(&ended);
    let asks = items.iter().find(|(name, _, _)| name == "asks").unwrap();
    assert!(asks.1 == "failed" && asks.2.contains("`open_bodies`"), "{asks:?}");

    fs::write(answers, r#"[ { "path": "/x", "json": 1, "body": "x" } ]"#).unwrap();
    let ended = check("misbehaving", OK, &["--answers", answers]);
    assert!(ended.code == Some(64) && ended.stderr.contains("both `json` and `body`"), "{ended:?}");
}

/// Scenario: files that are no plugins.
/// Guarantees: that is what is found, and the exit code is that of a broken rule.
#[test]
fn what_is_no_plugin_fails_to_load() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("text.wasm"), "nonsense").unwrap();
    let ended = kiln(folder.path(), &["check", "text.wasm"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("FAILED   loads") && ended.stdout.contains("is not WebAssembly"), "{ended:?}");
    let ended = kiln(folder.path(), &["check", "missing.wasm"]);
    assert!(ended.code == Some(64) && ended.stderr.contains("missing.wasm"), "{ended:?}");
}
