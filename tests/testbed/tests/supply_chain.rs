//! Which plugin files run, as the command line tells it: rules, signatures, lock file, comparison.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use minisign::KeyPair;
use tempfile::TempDir;

/// A folder with a configuration and one plugin, and a way to ask kiln about it.
struct Desk(TempDir);

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new(policy: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir(desk.path("plugins")).unwrap();
        fs::copy(plugin(), desk.path("plugins/misbehaving.wasm")).unwrap();
        desk.configure(policy, "    mode: ok\n    endpoint: https://granted.example\n");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, policy: &str, settings: &str) {
        let text = format!(
            "{policy}\nreceivers:\n  misbehaving:\n{settings}exporters: {{ debug: {{}} }}\nservice:\n  telemetry: \
             {{ endpoint: 127.0.0.1:0 }}\n  pipelines:\n    metrics: {{ receivers: [misbehaving], exporters: [debug] }}\n"
        );
        fs::write(self.path("kiln.yaml"), text).unwrap();
    }

    fn sign(&self, pair: &KeyPair, bytes: &[u8]) {
        let signature = minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some("reviewed"), None).unwrap();
        fs::write(self.path("plugins/misbehaving.wasm.minisig"), signature.to_string()).unwrap();
    }

    fn ask(&self, arguments: &[&str]) -> Answer {
        let binary = std::env::var("KILN_BIN").expect("KILN_BIN: run `scripts/test cases`");
        let output = Command::new(binary).args(arguments).current_dir(self.0.path()).env_clear().output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Answer {
    #[track_caller]
    fn is(&self, code: i32, texts: &[&str]) {
        let said = format!("{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{said}");
        for text in texts {
            assert!(said.contains(text), "{text} is not in:\n{said}");
        }
    }
}

fn plugin() -> PathBuf {
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    Path::new(&plugins).join("misbehaving.wasm")
}

fn digest(desk: &Desk) -> String {
    let said = desk.ask(&["plugin", "inspect", "plugins/misbehaving.wasm", "--json"]).stdout;
    let inspection: serde_json::Value = serde_json::from_str(&said).unwrap();
    inspection["digest"].as_str().unwrap().to_owned()
}

/// Scenario: a plugin that `policy.plugins` lists, does not list, and lists with the digest of another file.
/// Guarantees: only the first runs; `validate` names the rule, its line, and what to add; what it says to add is enough.
#[test]
fn a_plugin_runs_if_the_rules_allow_it() {
    let desk = Desk::new("policy: { plugins: { spark: {} } }");
    let digest = digest(&desk);
    let line = format!("misbehaving: {{ digests: [\"{digest}\"] }}");
    desk.ask(&["validate"]).is(64, &["kiln.yaml:1:20: policy.plugins does not list it", &line]);
    desk.configure(
        &format!("policy:\n  plugins:\n    {line}"),
        "    mode: ok\n    endpoint: https://granted.example\n",
    );
    desk.ask(&["validate"]).is(0, &[]);
    let other = format!("sha256:{}", "0".repeat(64));
    desk.configure(
        &format!("policy: {{ plugins: {{ misbehaving: {{ digests: [\"{other}\"] }} }} }}"),
        "    mode: ok\n    endpoint: https://granted.example\n",
    );
    desk.ask(&["validate"]).is(64, &["policy.plugins.misbehaving.digests lists other files", &digest]);
    desk.ask(&["run"]).is(64, &["policy.plugins.misbehaving.digests lists other files", "no receiver can run"]);
}

/// Scenario: `policy.signing_keys` with a key from a file; the plugin is unsigned, signed, signed by a stranger, changed.
/// Guarantees: only the signed one runs, and `kiln plugin verify` says the same of each.
#[test]
fn a_plugin_runs_if_it_is_signed() {
    let desk = Desk::new("policy: { signing_keys: [ \"${file:ops.pub}\" ] }");
    let (pair, stranger) =
        (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
    fs::write(desk.path("ops.pub"), pair.pk.to_box().unwrap().into_string()).unwrap();
    let bytes = fs::read(plugin()).unwrap();
    let verify = || desk.ask(&["plugin", "verify", "plugins/misbehaving.wasm", "--key", "ops.pub"]);

    desk.ask(&["validate"]).is(64, &["it is not signed"]);
    verify().is(1, &["not signed"]);
    desk.sign(&pair, &bytes);
    desk.ask(&["validate"]).is(0, &[]);
    verify().is(0, &["valid, by the key", "reviewed", "sha256:"]);
    desk.sign(&stranger, &bytes);
    desk.ask(&["validate"]).is(64, &["if you trust that key"]);
    verify().is(1, &["INVALID"]);
    desk.sign(&pair, b"another plugin");
    desk.ask(&["validate"]).is(64, &["does not fit"]);
    verify().is(1, &["INVALID"]);
}

/// Scenario: digests, signatures and lists that are required and not given, empty, or misspelt.
/// Guarantees: nothing runs, and each says what to add.
#[test]
fn what_is_required_and_not_given_refuses() {
    for (policy, said) in [
        ("policy: { require_digest: true }", "`policy.require_digest` is set and no digest is given"),
        ("policy: { require_signature: true }", "a signature is required and no key is given"),
        ("policy: { plugins: {} }", "policy.plugins does not list it"),
        ("policy: { plugins: }", "policy.plugins: needs a value"),
        ("policy: { signing_keys: [] }", "needs at least one minisign public key"),
        ("policy: { plugins: { misbehaving: { digests: [] } } }", "needs at least one digest"),
        ("policy: { plugins: { misbehaving: { digest: x } } }", "did you mean `digests`?"),
        ("policy: { plugins: { misbehaving: { digests: [abc] } } }", "`abc` is no digest: write `sha256:`"),
        ("policy: { signing_keys: [abc] }", "`abc` is no minisign public key"),
        ("policy: { require_signatures: true }", "did you mean `require_signature`?"),
    ] {
        Desk::new(policy).ask(&["validate"]).is(64, &[said]);
    }
}

/// Scenario: a locked configuration is started again, unchanged, with a comment, with another plugin file, with a grant
/// more, and without its lock file.
/// Guarantees: the first two are as they were; `run --locked` and `validate --locked` refuse the others and name each
/// thing that differs; without `--locked` nobody asks.
#[test]
fn what_is_locked_does_not_drift() {
    let desk = Desk::new("");
    desk.ask(&["validate", "--locked"]).is(64, &["kiln.lock cannot be read", "kiln plugin lock --config kiln.yaml"]);
    desk.ask(&["plugin", "lock"]).is(0, &["kiln.lock: written (plugin instances: 1)"]);
    let locked = fs::read_to_string(desk.path("kiln.lock")).unwrap();
    desk.ask(&["validate", "--locked"]).is(0, &[]);
    desk.configure("# a comment\n", "    mode: ok\n    endpoint: https://granted.example\n");
    desk.ask(&["validate", "--locked"]).is(0, &[]);
    desk.ask(&["plugin", "lock"]).is(0, &[]);
    assert_eq!(fs::read_to_string(desk.path("kiln.lock")).unwrap(), locked);

    desk.configure("", "    mode: ok\n    endpoint: https://other.example\n");
    let drift = "receivers.misbehaving.grants: not locked: http GET https://other.example /*";
    desk.ask(&["validate", "--locked"]).is(64, &["kiln.lock says otherwise", drift]);
    desk.ask(&["run", "--locked"]).is(64, &["kiln.lock says otherwise", drift]);
    desk.ask(&["validate"]).is(0, &[]);

    desk.configure("", "    mode: ok\n    endpoint: https://granted.example\n");
    let mut bytes = fs::read(plugin()).unwrap();
    // An empty custom section at the end: another file, and the same plugin.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(desk.path("plugins/misbehaving.wasm"), bytes).unwrap();
    desk.ask(&["run", "--locked"]).is(64, &["plugins.misbehaving.digest: locked is sha256:"]);
}

/// Scenario: a configuration of which an instance is refused.
/// Guarantees: it cannot be locked.
#[test]
fn what_does_not_run_is_not_locked() {
    let desk = Desk::new("policy: { explicit_grants: true }");
    desk.ask(&["plugin", "lock"]).is(64, &["which is not granted"]);
    assert!(!desk.path("kiln.lock").exists());
}

/// Scenario: a plugin compared with itself, and inspected with and without a configuration that grants it everything.
/// Guarantees: the same asks for no more; with the configuration each grant has its line; the page needs nothing else.
#[test]
fn a_plugin_is_shown_and_compared() {
    let desk = Desk::new("");
    let file = "plugins/misbehaving.wasm";
    desk.ask(&["plugin", "diff", file, file]).is(0, &["ASKS FOR MORE\n  nothing"]);
    desk.ask(&["plugin", "inspect", file]).is(0, &["IMPORTS", "kiln:plugin/http@0.1", "not signed", "NOT REQUESTED"]);
    // What its schema has as a default is typed by nobody, and grants nothing.
    desk.configure("", "    mode: ok\n");
    let refused = desk.ask(&["plugin", "inspect", file, "--config", "kiln.yaml"]);
    refused.is(
        1,
        &["receivers.misbehaving (kiln.yaml:3:3)", "REFUSED: requests https://granted.example", "which is not granted"],
    );
    desk.configure("", "    mode: ok\n    endpoint: https://other.example\n");
    let granted = desk.ask(&["plugin", "inspect", file, "--config", "kiln.yaml"]);
    granted.is(
        0,
        &["GET https://other.example", "the value of `endpoint`, kiln.yaml:5:15: receivers.misbehaving.endpoint"],
    );
    let page = desk.ask(&["plugin", "inspect", file, "--config", "kiln.yaml", "--html"]);
    page.is(0, &["<!doctype html>", "Content-Security-Policy", "kiln.yaml:5:15: receivers.misbehaving.endpoint"]);
    assert!(!page.stdout.contains("<script") && !page.stdout.contains("src="));
}
