//! What `--locked` notices, and what `kiln plugin diff` calls more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixtures;

use std::path::Path;

use fixtures::{GOOD_IMPORTS, GOOD_MANIFEST, RECEIVER_EXPORTS, component, file, good, with_manifest};
use kiln_audit::{Difference, Lock};
use kiln_config::Config;
use kiln_policy::{Manifest, Policy};
use proptest::prelude::*;

const CONFIG: &str = "\
receivers:
  weather: { host: https://weather.example, token: sesame, mirror: https://mirror.example }
exporters: { debug: {} }
service: { pipelines: { metrics: { receivers: [weather], exporters: [debug] } } }
";

fn packed(manifest: &str) -> Vec<u8> {
    with_manifest(component(&GOOD_IMPORTS, &RECEIVER_EXPORTS, 17), manifest)
}

fn lock(bytes: Vec<u8>, config: &str) -> Lock {
    let config = Config::parse("kiln.yaml", config, Path::new("/nowhere"), &|_| None).unwrap();
    let file = file(bytes);
    let mut lock = Lock::default();
    for instance in &config.instances {
        let settings = instance.body.settings(&file.manifest.config).unwrap();
        let policy = Policy::resolve(&file.manifest, &instance.grants, false, |field| settings.setting(field)).unwrap();
        lock.add(instance, &file, &policy, None);
    }
    lock
}

fn drift(locked: &Lock, found: &Lock) -> Vec<String> {
    locked.check(found).err().map(|drift| drift.lines).unwrap_or_default()
}

/// Scenario: nothing has changed, but lines and order of the configuration.
/// Guarantees: the lock file is the same, byte for byte, and holds no secret.
#[test]
fn a_lock_changes_only_with_what_it_is_about() {
    let text = lock(good(), CONFIG).to_text().unwrap();
    let moved = format!(
        "# a comment\n\n{}",
        CONFIG.replace(
            "{ host: https://weather.example, token: sesame, mirror: https://mirror.example }",
            "\n    token: other\n    host: https://weather.example\n    mirror: https://mirror.example"
        )
    );
    assert_eq!(text, lock(good(), &moved).to_text().unwrap());
    assert_eq!(Lock::parse(&text).unwrap(), lock(good(), CONFIG));
    assert!(!text.contains("sesame"));
    for fact in [
        "http GET https://weather.example /v1/*",
        "signs in with the bearer token in `token`",
        "http GET ${config.host} /health",
        "sha256:",
        "\"state\"",
    ] {
        assert!(text.contains(fact), "{fact}\n{text}");
    }
}

/// Scenario: the file, what it requests, or what an instance is granted differs from what is locked.
/// Guarantees: each is one line that names the plugin or the instance, and says which way.
#[test]
fn every_drift_is_a_line() {
    let locked = lock(good(), CONFIG);
    let wider = GOOD_MANIFEST.replace("paths = [\"/v1/*\", \"/health\"]", "paths = [\"/v1/*\", \"/admin\"]");
    let lines = drift(&locked, &lock(packed(&wider), CONFIG));
    let has = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    assert!(has("plugins.weather.digest: locked is sha256:"), "{lines:#?}");
    assert!(has("plugins.weather.requests: not locked: http GET ${config.host} /admin"), "{lines:#?}");
    assert!(has("plugins.weather.requests: no longer there: http GET ${config.host} /health"), "{lines:#?}");
    assert!(has("receivers.weather.grants: not locked: http GET https://weather.example /admin"), "{lines:#?}");

    let grants = "token: sesame, mirror: https://mirror.example, grants: { http: [ { origin: \"https://weather.example\", redirects: 2 } ] } }";
    let redirected = lock(good(), &CONFIG.replace("token: sesame, mirror: https://mirror.example }", grants));
    assert!(drift(&locked, &redirected).iter().any(|line| line.contains("https://weather.example: redirects ")));

    let elsewhere = lock(good(), &CONFIG.replace("weather.example", "other.example"));
    assert!(drift(&locked, &elsewhere).iter().any(|line| line.contains("not locked: http GET https://other.example")));

    let two = CONFIG
        .replace(
            "  weather:",
            "  weather/two: { host: https://weather.example, token: t, mirror: https://mirror.example }\n  weather:",
        )
        .replace("[weather]", "[weather, weather/two]");
    assert_eq!(drift(&locked, &lock(good(), &two)), ["receivers.weather/two: is not locked"]);
    assert_eq!(drift(&lock(good(), &two), &locked), ["receivers.weather/two: is locked and does not run"]);
    assert_eq!(drift(&locked, &locked), [""; 0]);
}

/// Scenario: a lock file of another form, with unknown keys, or none at all.
/// Guarantees: it is refused and never taken for one that locks less.
#[test]
fn what_is_no_lock_file_is_refused() {
    let text = lock(good(), CONFIG).to_text().unwrap();
    for bad in [
        "",
        "version = 2",
        "version = 1\nunknown = 1",
        "{}",
        &text.replace("[receivers.weather]", "[receivers.weather]\nextra = 1"),
        &text.replace("digest", "digset"),
        &text[..text.len() / 2],
    ] {
        assert!(Lock::parse(bad).is_err(), "{bad}");
    }
}

/// Scenario: two versions of a plugin.
/// Guarantees: what widens authority is more; what narrows it is less; the rest is told and is neither.
#[test]
fn only_what_widens_authority_is_more() {
    let versions = [
        ("paths = [\"/v1/*\", \"/health\"]", "paths = [\"/v1/now\"]", None, true),
        ("paths = [\"/v1/*\", \"/health\"]", "paths = [\"/*\"]", Some("requests http GET ${config.host} /*"), false),
        (
            "methods = [\"GET\"]",
            "methods = [\"GET\", \"DELETE\"]",
            Some("requests http DELETE ${config.host} /health"),
            false,
        ),
        (
            "origin = \"${config.mirror}\"",
            "origin = \"https://evil.example\"",
            Some("requests http GET https://evil.example /archive/*"),
            true,
        ),
        ("writeOnly = true\n", "", Some("sees the setting token, which was a secret"), false),
        ("reason = \"to read the weather\"", "reason = \"because\"", None, false),
        ("unit = \"Cel\"", "unit = \"K\"", None, false),
        ("version = \"1.2.0\"", "version = \"1.2.1\"", None, false),
    ];
    for (old, new, more, has_less) in versions {
        let changed = GOOD_MANIFEST.replacen(old, new, 1);
        assert_ne!(changed, GOOD_MANIFEST, "{old}");
        let difference = Difference::between(&file(packed(GOOD_MANIFEST)), &file(packed(&changed)));
        assert_eq!(difference.asks_for_more(), more.is_some(), "{difference}");
        assert!(more.is_none_or(|line| difference.more.iter().any(|more| more == line)), "{difference}");
        assert_eq!(!difference.less.is_empty(), has_less, "{difference}");
    }
}

/// Scenario: a new version calls more, and has other telemetry, settings, packages and memory.
/// Guarantees: all of it is told.
#[test]
fn everything_that_changed_is_told() {
    let quiet = GOOD_MANIFEST.replace("[requests.state]\nreason = \"to count each storm once\"\n", "");
    let old = with_manifest(component(&GOOD_IMPORTS[..3], &RECEIVER_EXPORTS, 1), &quiet);
    let old = fixtures::with_packages(old, r#"{"packages":[{"name":"serde","version":"1.0.0"}]}"#);
    let new = GOOD_MANIFEST
        .replace("weather.temperature", "weather.heat")
        .replace("mirror]", "archive]")
        .replace("config.mirror", "config.archive");
    let new = fixtures::with_packages(packed(&new), r#"{"packages":[{"name":"serde","version":"2.0.0"}]}"#);
    let difference = Difference::between(&file(old), &file(new));
    for more in ["can call kiln:plugin/state@0.1", "requests state"] {
        assert!(difference.more.iter().any(|line| line == more), "{difference}");
    }
    for other in [
        "emits metric weather.heat: new, gauge in Cel [weather.station]",
        "emits metric weather.temperature: gone",
        "package serde: 1.0.0 → 2.0.0",
        "setting mirror: gone",
        "starts with 1088 KiB of memory, and with 64 KiB before",
    ] {
        assert!(difference.other.iter().any(|line| line == other), "{other}\n{difference}");
    }
}

proptest! {
    #[test]
    fn arbitrary_texts_are_a_lock_or_an_error(text in "\\PC{0,200}") {
        let _ = Lock::parse(&text);
    }

    /// Scenario: paths with any characters in them that a manifest may have.
    /// Guarantees: what is written is read back as it was.
    #[test]
    fn a_lock_reads_back_as_it_was(path in "/[^?#;\\\\%\\p{Cc}]{0,30}") {
        let mut manifest: toml::Table = GOOD_MANIFEST.parse().unwrap();
        let http = manifest["requests"].as_table_mut().unwrap()["http"].as_array_mut().unwrap();
        http[0].as_table_mut().unwrap().insert("paths".to_owned(), vec![path].into());
        let manifest = manifest.to_string();
        // Some spellings are ambiguous, and no manifest has them.
        prop_assume!(Manifest::parse(&manifest).is_ok());
        let lock = lock(packed(&manifest), CONFIG);
        prop_assert_eq!(Lock::parse(&lock.to_text().unwrap()), Ok(lock));
    }
}
