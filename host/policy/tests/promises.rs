//! What the policy promises to the person who signs it off.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kiln_policy::{
    Denial, EditKind, Grants, Level, Manifest, Method, NotDeclared, Policy, ProcessorDeclaration, Setting,
};

const MANIFEST: &str = r#"
name = "example"
version = "1.0.0"
kind = "receiver"
description = "An example"
license = "Apache-2.0"
wit = "0.1"

[config]
type = "object"
[config.properties.host]
type = "string"

[[requests.http]]
origin = "${config.host}"
methods = ["GET", "POST"]
paths = ["/api/*"]
credential = "${config.token}"
reason = "reads jobs"

[requests.state]
reason = "counts each run once"
"#;

fn resolve(host: &str, grants: serde_json::Value, explicit: bool) -> Result<Policy, String> {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let grants: Grants = serde_json::from_value(grants).unwrap();
    Policy::resolve(&manifest, &grants, explicit, |path| (path == "host").then_some(Setting::text(host)))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn check(policy: &Policy, method: Method, url: &str) -> Result<(), Denial> {
    policy.check(method, &url::Url::parse(url).unwrap()).map(|_| ())
}

#[test]
fn typing_a_host_grants_that_origin_and_nothing_else() {
    let policy = resolve("https://a.example.com/", serde_json::json!({}), false).unwrap();
    assert_eq!(check(&policy, Method::Get, "https://a.example.com/api/2.2/jobs/list?limit=100"), Ok(()));
    assert!(matches!(check(&policy, Method::Get, "https://b.example.com/api/x"), Err(Denial::Origin(_))));
    assert!(matches!(check(&policy, Method::Get, "http://a.example.com/api/x"), Err(Denial::Origin(_))));
    assert!(matches!(check(&policy, Method::Get, "https://a.example.com:444/api/x"), Err(Denial::Origin(_))));
    assert!(matches!(check(&policy, Method::Get, "https://a.example.com/api/../admin"), Err(Denial::Path { .. })));
    assert!(matches!(check(&policy, Method::Get, "https://a.example.com/api/%2e%2e/admin"), Err(Denial::Path { .. })));
    assert!(matches!(check(&policy, Method::Delete, "https://a.example.com/api/x"), Err(Denial::Method { .. })));
    assert!(matches!(check(&policy, Method::Get, "https://x@a.example.com/api/x"), Err(Denial::NotAnOrigin(_))));
}

#[test]
fn with_explicit_grants_nothing_is_derived() {
    let error = resolve("https://a.example.com", serde_json::json!({ "state": true }), true).unwrap_err();
    assert!(
        error.contains(r#"http: [ { origin: "https://a.example.com", methods: [GET, POST], paths: ["/api/*"] } ]"#),
        "{error}"
    );
    let granted = serde_json::json!({ "http": [{ "origin": "https://a.example.com" }], "state": true });
    assert!(resolve("https://a.example.com", granted, true).is_ok());
}

#[test]
fn loopback_needs_its_own_grant_and_the_error_prints_it() {
    for host in ["http://127.0.0.1:4040", "http://localhost:4040", "http://[::1]:4040", "http://10.0.0.7:4040"] {
        let error = resolve(host, serde_json::json!({}), false).unwrap_err();
        let needs = if host.contains("10.0") { "private" } else { "loopback" };
        assert!(error.contains(&format!("origin: \"{host}\", addresses: [{needs}]")), "{error}");
        let granted = serde_json::json!({ "http": [{ "origin": host, "addresses": [needs] }] });
        assert!(resolve(host, granted, false).is_ok());
    }
}

#[test]
fn a_metadata_service_cannot_be_granted() {
    let granted =
        serde_json::json!({ "http": [{ "origin": "http://169.254.169.254", "addresses": ["0.0.0.0/0", "private"] }] });
    let error = resolve("http://169.254.169.254", granted, false).unwrap_err();
    assert!(error.contains("cloud metadata service, which no plugin may reach"), "{error}");
}

#[test]
fn an_explicit_grant_narrows_the_derived_one() {
    let narrowed = serde_json::json!({ "http": [{ "origin": "https://a.example.com", "methods": ["GET"], "paths": ["/api/2.0/*"] }] });
    let policy = resolve("https://a.example.com", narrowed, false).unwrap();
    assert_eq!(check(&policy, Method::Get, "https://a.example.com/api/2.0/x"), Ok(()));
    assert!(check(&policy, Method::Get, "https://a.example.com/api/2.1/x").is_err());
    assert!(check(&policy, Method::Post, "https://a.example.com/api/2.0/x").is_err());
}

#[test]
fn state_is_withheld_when_the_operator_says_so() {
    let error = resolve("https://a.example.com", serde_json::json!({ "state": false }), false).unwrap_err();
    assert!(error.contains("requests state (counts each run once)"), "{error}");
}

#[test]
fn a_grant_nobody_asked_for_is_pointed_out() {
    let granted = serde_json::json!({ "http": [{ "origin": "https://typo.example.com" }] });
    let policy = resolve("https://a.example.com", granted, false).unwrap();
    assert_eq!(
        policy.unused_grants().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["https://typo.example.com"]
    );
}

#[test]
fn a_grant_key_that_is_not_enforced_is_not_accepted() {
    assert!(serde_json::from_value::<Grants>(serde_json::json!({ "cpu": 1 })).is_err());
    assert!(
        serde_json::from_value::<Grants>(serde_json::json!({ "http": [{ "origin": "https://a.b", "rate": 1 }] }))
            .is_err()
    );
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let with =
        |extra: &str| Manifest::parse(&format!("{MANIFEST}\n{extra}")).map(|_| ()).map_err(|error| error.to_string());
    let metric = |body: &str| with(&format!("[telemetry.metrics.\"a.b\"]\nunit = \"s\"\ndescription = \"x\"\n{body}"));
    assert_eq!(metric("kind = \"histogram\"\nbounds = [1, 2.5]"), Ok(()));
    assert!(metric("kind = \"histogram\"").unwrap_err().contains("needs `bounds`"));
    assert!(metric("kind = \"histogram\"\nbounds = [2, 1]").unwrap_err().contains("increasing"));
    assert!(metric("kind = \"gauge\"\nmonotonic = true").unwrap_err().contains("only a sum"));
    assert_eq!(metric("kind = \"gauge\"\nsource = \"GET /x\"\nsince = \"4.0\"\nenable = \"x.enabled=true\""), Ok(()));
    for key in ["source", "since", "enable"] {
        assert!(metric(&format!("kind = \"gauge\"\n{key} = \" \"")).unwrap_err().contains("is empty"));
    }
    assert!(metric("kind = \"gauge\"\norigin = \"GET /x\"").unwrap_err().contains("origin"));
    assert!(metric("kind = \"gauge\"\nattributes = [\"nope\"]").unwrap_err().contains("`nope` is not declared"));
    assert!(with("[processor]\nlevel = \"resource\"\nreads = []\nwrites = []").unwrap_err().contains("receiver"));
    assert!(with("surprise = 1").unwrap_err().contains("surprise"));
    let processor = |body: &str| {
        let text = format!("{MANIFEST}\n[processor]\nreads = []\nwrites = []\n{body}");
        Manifest::parse(&text.replace("kind = \"receiver\"", "kind = \"processor\""))
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(processor("level = \"metric\"\nedits = [\"drop-metric\", \"aggregate\"]"), Ok(()));
    let below = processor("level = \"metric\"\nedits = [\"drop-point\"]").unwrap_err();
    assert_eq!(below, "an edit `drop-point` needs level = \"point\", and the manifest says `metric`");
    assert!(processor("level = \"resource\"\nedits = [\"rename-metric\"]").unwrap_err().contains("needs level"));
    assert!(processor("level = \"point\"\nedits = [\"drop-resource\"]").unwrap_err().contains("drop-resource"));
}

/// Scenario: processors of each level, with and without the keys and kinds of edits.
/// Guarantees: an edit below the level, of a key that is not written or of a kind that is not listed is refused.
#[test]
fn an_edit_keeps_to_what_is_declared() {
    let declared = |level, writes: &[&str], edits: &[EditKind]| ProcessorDeclaration {
        level,
        reads: vec!["seen".to_owned()],
        writes: writes.iter().map(ToString::to_string).collect(),
        edits: edits.iter().copied().collect(),
    };
    let metric = declared(Level::Metric, &["a"], &[EditKind::Aggregate]);
    assert!(metric.reads("seen") && !metric.reads("a"));
    assert_eq!(metric.check_attribute(Level::Resource, "a"), Ok(()));
    assert_eq!(metric.check_attribute(Level::Resource, "b"), Err(NotDeclared::Key("b".to_owned())));
    assert_eq!(metric.check_attribute(Level::Point, "a"), Err(NotDeclared::Level(Level::Metric)));
    assert_eq!(metric.check_aggregate(&["a".to_owned()]), Ok(()));
    assert_eq!(metric.check_aggregate(&["b".to_owned()]), Err(NotDeclared::Key("b".to_owned())));
    assert_eq!(metric.check_kind(EditKind::DropMetric), Err(NotDeclared::Kind(EditKind::DropMetric)));
    let point = declared(Level::Point, &["*"], &[]);
    assert_eq!(point.check_attribute(Level::Point, "whatever"), Ok(()));
    assert_eq!(point.check_aggregate(&[]), Err(NotDeclared::Kind(EditKind::Aggregate)));
}

/// Scenario: manifests of plugins; one that begins with a text of several lines in which a table seems to begin; some that
/// name nothing.
/// Guarantees: the name is the one that reading the whole gives, or none.
#[test]
fn a_name_is_read_without_the_rest() {
    let head = |line: &str| {
        format!(
            "description = '''\n{line}\n'''\nname = \"odd\"\nversion = \"1\"\nkind = \"receiver\"\nlicense = \"MIT\"\nwit = \"0.1\"\n"
        )
    };
    for manifest in [MANIFEST, &head("x"), include_str!("../../../plugins/spark/plugin.toml")] {
        assert_eq!(Manifest::name_of(manifest), Some(Manifest::parse(manifest).unwrap().name));
    }
    assert_eq!(Manifest::parse(&head("[x]")).unwrap().name.as_str(), "odd");
    for manifest in [&head("[x]"), "", "version = \"1\"\n[name]\n", "name = \"No Name\"", "\u{0}"] {
        assert_eq!(Manifest::name_of(manifest), None);
    }
    let endless = format!("name = \"odd\"\n#{}", "x".repeat(1024 * 1024));
    assert_eq!(Manifest::name_of(&endless), None);
}
