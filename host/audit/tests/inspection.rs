//! What `kiln plugin inspect` prints, of a plugin that asks for what it needs and of one whose every text tries to be
//! something else. `KILN_WRITE_GOLDEN=1` writes the pages anew; read what changed before it is committed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixtures;

use std::path::Path;

use fixtures::{GOOD_IMPORTS, GOOD_MANIFEST, RECEIVER_EXPORTS, component, good, hostile, with_manifest};
use kiln_audit::{Inspection, Subject, Verdict, to_html, to_json, to_text};
use kiln_config::Config;
use kiln_policy::{SignatureFile, is_hidden};

const CONFIG: &str = "\
receivers:
  weather:
    host: https://weather.example
    token: sesame
    mirror: https://mirror.example
  weather/far:
    host: https://far.example
    mirror: https://mirror.example
exporters: { debug: {} }
service: { pipelines: { metrics: { receivers: [weather, weather/far], exporters: [debug] } } }
";

fn inspect(name: &str, bytes: Vec<u8>, config: &str) -> Inspection {
    let config = Config::parse("kiln.yaml", config, Path::new("/nowhere"), &|_| None).unwrap();
    let subject = Subject { name: name.to_owned(), bytes, signature: SignatureFile::Absent };
    Inspection::of(subject, &[], Some((&config, "kiln.yaml"))).unwrap()
}

fn is_golden(name: &str, text: &str) {
    let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden").join(name);
    if std::env::var_os("KILN_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let first = golden.lines().zip(text.lines()).position(|(golden, line)| golden != line);
    assert!(golden == text, "{} differs from line {first:?} on:\n{text}", path.display());
}

/// Scenario: a plugin that asks for what it needs, of whose two instances one lacks a credential it may lack.
/// Guarantees: all three forms are what was reviewed; the secret is in none of them; the plugin can run.
#[test]
fn a_plugin_is_told_of_as_reviewed() {
    let inspection = inspect("weather.wasm", good(), CONFIG);
    assert!(inspection.is_grantable());
    let (text, json, html) = (to_text(&inspection).unwrap(), to_json(&inspection).unwrap(), to_html(&inspection));
    for form in [&text, &json, &html] {
        assert!(!form.contains("sesame"));
    }
    is_golden("weather.txt", &text);
    is_golden("weather.json", &json);
    is_golden("weather.html", &html);
}

/// Scenario: names, descriptions, sections and packages hold markup, escape sequences and characters that hide or reorder;
/// imports are of versions and systems Kiln does not offer.
/// Guarantees: the pages are what was reviewed; nothing of it is markup or steers a terminal; the plugin cannot run.
#[test]
fn a_hostile_plugin_is_told_of_harmlessly() {
    let inspection = inspect("helper.wasm", hostile(), CONFIG);
    assert!(!inspection.is_grantable());
    let (text, json, html) = (to_text(&inspection).unwrap(), to_json(&inspection).unwrap(), to_html(&inspection));
    for form in [&text, &json, &html] {
        let hidden: Vec<_> = form.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
        assert!(hidden.is_empty(), "{hidden:?}");
    }
    for markup in ["<script", "<img", "<svg", "<b>", "<i>", "<h1>Granted", "onmouseover=\"", "-->"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert_eq!(html.matches("</style>").count(), 1);
    is_golden("helper.txt", &text);
    is_golden("helper.json", &json);
    is_golden("helper.html", &html);
}

/// Scenario: grants of every kind, typed and written out.
/// Guarantees: each says on which line it stands, and what nobody wrote says that it is a default.
#[test]
fn every_grant_names_its_line() {
    let manifest = format!(
        "{GOOD_MANIFEST}\n[[requests.files]]\nguest = \"/proc\"\npaths = [\"stat\"]\nreason = \"to be busy\"\n\n\
         [[requests.env]]\nname = \"CLUSTER\"\nreason = \"to say where\"\n"
    );
    let config = "\
receivers:
  weather:
    host: https://weather.example
    grants:
      http:
        - { origin: \"https://mirror.example\", paths: [\"/archive/2026/*\"] }
      files:
        - host: /proc
      env:
        - HOME
        - CLUSTER
      state: true
exporters: { debug: {} }
service: { pipelines: { metrics: { receivers: [weather], exporters: [debug] } } }
";
    let written = |config: &str| {
        let bytes = with_manifest(component(&GOOD_IMPORTS, &RECEIVER_EXPORTS, 17), &manifest);
        let instance = inspect("weather.wasm", bytes, config).instances.unwrap().remove(0);
        assert_eq!(instance.refused, Vec::<String>::new());
        let line = |grant: &kiln_audit::Grant| grant.written.as_ref().map(|line| (line.line, line.key.clone()));
        instance.grants.iter().map(|grant| (grant.capability, line(grant))).collect::<Vec<_>>()
    };
    let at = |line: u32, key: &str| Some((line, format!("receivers.weather.{key}")));
    let mut expected = vec![
        ("http", at(3, "host")),
        ("http", at(6, "grants.http[0]")),
        ("files", at(8, "grants.files[0]")),
        ("env", at(11, "grants.env[1]")),
        ("state", at(12, "grants.state")),
    ];
    assert_eq!(written(config), expected);
    expected[4].1 = None;
    assert_eq!(written(&config.replace("      state: true\n", "")), expected);
}

/// Scenario: the same plugin without a configuration, and with one in which it has no instance.
/// Guarantees: nothing is said to be granted.
#[test]
fn nothing_is_granted_by_a_request() {
    let subject = Subject { name: "weather.wasm".to_owned(), bytes: good(), signature: SignatureFile::Absent };
    let alone = Inspection::of(subject, &[], None).unwrap();
    let elsewhere = CONFIG.replace("weather", "other");
    for inspection in [alone, inspect("weather.wasm", good(), &elsewhere)] {
        let http = inspection.capabilities.iter().find(|used| used.capability == "http").unwrap();
        assert_eq!(http.verdict, Verdict::Requested);
        assert!(inspection.instances.iter().flatten().next().is_none());
    }
}
