//! Origins that come from lists, from names and in ranges: what each stands for, and what grants it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use kiln_policy::{Grants, Manifest, ManifestError, Policy, Setting};
use serde_json::{Value, json};

const HEAD: &str = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\n\
                    license = 'Apache-2.0'\nwit = '0.1'\n";

fn manifest(origin: &str, extra: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(&format!(
        "{HEAD}[[requests.http]]\norigin = '{origin}'\nmethods = ['GET']\npaths = ['/metrics']\nreason = 'reads'\n{extra}"
    ))
}

fn resolve(manifest: &Manifest, settings: &Value, grants: Value, explicit: bool) -> Result<Policy, String> {
    let grants: Grants = serde_json::from_value(json!({ "http": grants })).unwrap();
    let setting = |path: &str| match path {
        "token" => settings.get("token").map(|_| Setting::secret()),
        _ => Setting::find(settings, path),
    };
    Policy::resolve(manifest, &grants, explicit, setting)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn origins(policy: &Policy) -> Vec<String> {
    policy.http_rules().iter().map(|rule| rule.origin.to_string()).collect()
}

const TARGETS: &str = "${config.scrape_configs.static_configs.targets}";

fn scraping(targets: &[&str]) -> Value {
    json!({ "scrape_configs": [{ "static_configs": [{ "targets": targets }] }] })
}

#[test]
fn every_target_of_every_list_is_granted_by_typing_it() {
    let manifest = manifest(TARGETS, "").unwrap();
    let settings = json!({ "scrape_configs": [
        { "static_configs": [{ "targets": ["a.example:9090", "http://b.example:1/x"] }] },
        { "static_configs": [{ "targets": ["a.example:9090"] }, { "targets": ["https://c.example"] }] },
    ] });
    let policy = resolve(&manifest, &settings, json!([]), false).unwrap();
    let expected = ["http://a.example:9090", "https://a.example:9090", "http://b.example:1", "https://c.example"];
    assert_eq!(origins(&policy), expected);
    // And by nothing else.
    let error = resolve(&manifest, &settings, json!([]), true).unwrap_err();
    assert!(error.contains("requests http://b.example:1, https://c.example (reads), which are not granted"), "{error}");
    assert_eq!(origins(&resolve(&manifest, &json!({}), json!([]), false).unwrap()), [""; 0]);
}

#[test]
fn a_target_on_this_machine_needs_a_grant_for_one_of_its_schemes() {
    let manifest = manifest(TARGETS, "").unwrap();
    let settings = scraping(&["localhost:9090", "a.example:1"]);
    let error = resolve(&manifest, &settings, json!([]), false).unwrap_err();
    assert!(error.contains("{ origin: \"http://localhost:9090\", addresses: [loopback]"), "{error}");
    assert!(error.ends_with("or the same with https"), "{error}");
    for scheme in ["http", "https"] {
        let origin = format!("{scheme}://localhost:9090");
        let granted = json!([{ "origin": origin, "addresses": ["loopback"] }]);
        let policy = resolve(&manifest, &settings, granted, false).unwrap();
        assert_eq!(origins(&policy), [origin.as_str(), "http://a.example:1", "https://a.example:1"]);
    }
}

/// An operator who narrows `http` has not left `https` wide open.
#[test]
fn an_explicit_grant_takes_the_place_of_both_schemes() {
    let manifest = manifest(TARGETS, "").unwrap();
    let granted = json!([{ "origin": "http://a.example:1", "paths": ["/metrics"] }]);
    let policy = resolve(&manifest, &scraping(&["a.example:1"]), granted, false).unwrap();
    assert_eq!(origins(&policy), ["http://a.example:1"]);
}

#[test]
fn a_secret_is_not_sent_unencrypted_because_a_scheme_was_left_out() {
    let manifest = manifest(TARGETS, "credential = '${config.token}'").unwrap();
    let mut settings = scraping(&["a.example:1"]);
    settings["token"] = json!("x");
    let signs_in = |grants| {
        let policy = resolve(&manifest, &settings, grants, false).unwrap();
        policy.http_rules().iter().map(|rule| rule.credential.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(signs_in(json!([])), [false, true]);
    assert_eq!(signs_in(json!([{ "origin": "http://a.example:1" }])), [true]);
}

#[test]
fn what_is_no_origin_is_named_by_its_place() {
    let manifest = manifest(TARGETS, "").unwrap();
    for wrong in ["", "a b", "a/metrics", "u:p@a", "a:99999", "ftp://a", "http://"] {
        let error = resolve(&manifest, &scraping(&["a.example", wrong]), json!([]), false).unwrap_err();
        assert!(error.starts_with("`scrape_configs[0].static_configs[0].targets[1]`: "), "{wrong:?}: {error}");
    }
    let many: Vec<String> = (0..257).map(|number| format!("h{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(resolve(&manifest, &scraping(&many[..256]), json!([]), false).is_ok());
    let error = resolve(&manifest, &scraping(&many), json!([]), false).unwrap_err();
    assert!(error.contains("more than 256 origins"), "{error}");
}

#[test]
fn only_an_item_of_a_list_may_leave_out_the_scheme() {
    let manifest = manifest("${config.host}", "").unwrap();
    let of = |settings: Value| resolve(&manifest, &settings, json!([]), false);
    assert!(of(json!({ "host": "https://a.example" })).is_ok() && of(json!({ "host": ["a.example:1"] })).is_ok());
    assert!(of(json!({ "host": "a.example:1" })).is_err());
}

fn named() -> Manifest {
    let ports: Vec<_> = (4040..4050).map(|port| format!("'http://localhost:{port}'")).collect();
    manifest("${config.endpoint}", &format!("names = {{ auto = [{}] }}", ports.join(", "))).unwrap()
}

#[test]
fn a_name_stands_for_its_origins_which_typing_it_does_not_grant() {
    let (manifest, auto) = (named(), json!({ "endpoint": "auto" }));
    let error = resolve(&manifest, &auto, json!([]), false).unwrap_err();
    let entry = "http: [ { origin: \"http://localhost:4040-4049\", addresses: [loopback], methods: [GET]";
    assert!(error.contains(entry) && error.matches("requests").count() == 1, "{error}");
    let granted = json!([{ "origin": "http://localhost:4040-4049", "addresses": ["loopback"] }]);
    let policy = resolve(&manifest, &auto, granted.clone(), false).unwrap();
    assert_eq!(origins(&policy).len(), 10);
    assert!(policy.unused_grants().is_empty());
    // Any other value is an origin, or wrong.
    let other = resolve(&manifest, &json!({ "endpoint": "http://a.example" }), granted, false).unwrap();
    assert_eq!(origins(&other), ["http://a.example"]);
    assert_eq!(
        other.unused_grants().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["http://localhost:4040-4049"]
    );
    assert!(resolve(&manifest, &json!({ "endpoint": "automatic" }), json!([]), false).is_err());
}

#[test]
fn the_ports_that_are_missing_from_a_range_are_asked_for() {
    let granted = json!([{ "origin": "http://localhost:4040-4047", "addresses": ["loopback"] }]);
    let error = resolve(&named(), &json!({ "endpoint": "auto" }), granted, false).unwrap_err();
    assert!(
        error.contains("requests http://localhost:4048-4049 (reads), but 127.0.0.1 needs `addresses: [loopback]`"),
        "{error}"
    );
}

#[test]
fn names_belong_to_the_value_of_a_field() {
    assert!(manifest("${config.a}", "names = { auto = ['http://localhost:1'] }").is_ok());
    let error = manifest("http://localhost:1", "names = { auto = ['http://localhost:1'] }").unwrap_err();
    assert!(error.to_string().contains("has names"), "{error}");
    assert!(manifest("${config.a}", "names = { auto = ['localhost:1'] }").is_err());
}

/// Scenario: the address is left to the host, for a name as it should be; then beside another address, with a port, for an
/// encrypted origin, for a name or an address that needs no finding.
/// Guarantees: the first is granted with what it says; the others are faults, with the remedy.
#[test]
fn what_the_host_finds_is_granted_for_a_name_and_for_nothing_else() {
    let manifest = manifest("${config.endpoint}", "").unwrap();
    let resolved = |origin: &str, addresses: Value| {
        let grants = json!([{ "origin": origin, "addresses": addresses }]);
        resolve(&manifest, &json!({ "endpoint": origin }), grants, false)
    };
    let policy = resolved("http://spark-ui.internal", json!(["spark_ui"])).unwrap();
    assert_eq!(policy.http_rules()[0].addresses.to_string(), "[spark_ui]");
    assert!(policy.http_rules()[0].addresses.is_found_by_host());
    for (origin, addresses) in [
        ("http://spark-ui.internal", json!(["spark_ui", "private"])),
        ("http://spark-ui.internal:4040", json!(["spark_ui"])),
        ("https://spark-ui.internal", json!(["spark_ui"])),
        ("http://localhost", json!(["spark_ui"])),
        ("http://10.0.0.1", json!(["spark_ui"])),
    ] {
        let error = resolved(origin, addresses).unwrap_err();
        assert!(
            error.contains("write that alone, for a name without a port such as http://spark-ui.internal"),
            "{error}"
        );
    }
}
