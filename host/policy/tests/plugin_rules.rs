//! Which plugin files may run, told file by file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Cursor;
use std::sync::LazyLock;

use kiln_policy::{
    ConfigLine, Digest, ListedPlugins, PluginFile, PluginName, PluginRule, PluginRules, SignatureError, SignatureFile,
    SigningKey, ValidSignature, read_signature, verify_signature,
};
use minisign::KeyPair;
use proptest::prelude::*;

const BYTES: &[u8] = b"a plugin";
const OTHER: &[u8] = b"other";

static TRUSTED: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_unencrypted_keypair().unwrap());
static STRANGER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_unencrypted_keypair().unwrap());

static SIGNED: LazyLock<String> = LazyLock::new(|| signed(&TRUSTED, BYTES));

fn key(pair: &KeyPair) -> SigningKey {
    pair.pk.to_base64().parse().unwrap()
}

fn signed(pair: &KeyPair, bytes: &[u8]) -> String {
    minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some("version 1"), None).unwrap().to_string()
}

fn line(key: &str) -> ConfigLine {
    ConfigLine { file: "kiln.yaml".into(), line: 3, column: 5, key: key.to_owned() }
}

fn name(name: &str) -> PluginName {
    name.to_owned().try_into().unwrap()
}

/// `policy.plugins` with one rule, that of `spark`.
fn listed(digests: Option<&[&[u8]]>, signing_keys: Option<Vec<SigningKey>>) -> Option<ListedPlugins> {
    let digests = digests.map(|files| files.iter().map(|bytes| Digest::of(bytes)).collect());
    let rule = PluginRule { digests, signing_keys, written: line("policy.plugins.spark") };
    Some(ListedPlugins { rules: [(name("spark"), rule)].into(), written: line("policy.plugins") })
}

fn judge(rules: &PluginRules, plugin: &str, signature: SignatureFile) -> Result<Option<ValidSignature>, String> {
    let name = name(plugin);
    let file = PluginFile { name: &name, bytes: BYTES, digest: Digest::of(BYTES), signature: &signature };
    rules.check(&file).map_err(|error| error.to_string())
}

fn allows(rules: &PluginRules) -> bool {
    judge(rules, "spark", SignatureFile::Absent).is_ok()
}

fn refusal(rules: &PluginRules, signature: SignatureFile) -> String {
    judge(rules, "spark", signature).unwrap_err()
}

/// Scenario: nothing is said about plugin files.
/// Guarantees: every file may run, and a signature is not looked at.
#[test]
fn without_rules_every_file_may_run() {
    let broken = SignatureFile::Text("nonsense".to_owned());
    assert_eq!(judge(&PluginRules::default(), "spark", broken), Ok(None));
}

/// Scenario: `policy.plugins` lists one plugin.
/// Guarantees: it may run and no other may, and the refusal prints the line that is missing; an empty list allows none.
#[test]
fn only_listed_plugins_may_run() {
    let rules = PluginRules { plugins: listed(None, None), ..PluginRules::default() };
    assert!(allows(&rules));
    let refused = judge(&rules, "databricks", SignatureFile::Absent).unwrap_err();
    let digest = Digest::of(BYTES);
    let line = format!(
        "kiln.yaml:3:5: policy.plugins does not list it; to allow this file, add there\n    databricks: {{ digests: [\"{digest}\"] }}"
    );
    assert!(refused.ends_with(&line), "{refused}");

    let none = ListedPlugins { rules: [].into(), written: self::line("policy.plugins") };
    assert!(!allows(&PluginRules { plugins: Some(none), ..PluginRules::default() }));
}

/// Scenario: a rule lists digests.
/// Guarantees: each of these files may run; another, of the same name, may not.
#[test]
fn a_digest_lets_one_file_run() {
    for (files, allowed) in [(&[BYTES][..], true), (&[OTHER, BYTES][..], true), (&[OTHER][..], false)] {
        let rules = PluginRules { plugins: listed(Some(files), None), ..PluginRules::default() };
        assert_eq!(allows(&rules), allowed);
    }
    let rules = PluginRules { plugins: listed(Some(&[]), None), ..PluginRules::default() };
    let refused = refusal(&rules, SignatureFile::Absent);
    assert!(refused.contains("policy.plugins.spark.digests lists other files"), "{refused}");
}

/// Scenario: a digest is required, and none is given: without a list, without a rule's digests.
/// Guarantees: nothing runs, and the refusal prints what to add; with the digest it runs.
#[test]
fn a_digest_that_is_required_and_not_given_refuses() {
    for plugins in [None, listed(None, None)] {
        let rules = PluginRules { plugins, require_digest: true, ..PluginRules::default() };
        let refused = refusal(&rules, SignatureFile::Absent);
        assert!(refused.contains(&format!("spark: {{ digests: [\"{}\"] }}", Digest::of(BYTES))), "{refused}");
    }
    let rules = PluginRules { plugins: listed(Some(&[BYTES]), None), require_digest: true, ..PluginRules::default() };
    assert!(allows(&rules));
}

/// Scenario: a signature is required and no key is given.
/// Guarantees: nothing runs, not even what is signed.
#[test]
fn a_signature_that_is_required_without_a_key_refuses() {
    let text = SignatureFile::Text(signed(&TRUSTED, BYTES));
    let rules = PluginRules { require_signature: true, ..PluginRules::default() };
    assert!(refusal(&rules, text.clone()).contains("signing_keys: ["));
    let rules = PluginRules { plugins: listed(None, Some(Vec::new())), ..PluginRules::default() };
    assert!(refusal(&rules, text).contains("signing_keys: ["));
}

/// Scenario: keys are given.
/// Guarantees: what one of them signed runs, and who signed it is told; everything else is refused for its own reason.
#[test]
fn with_keys_only_what_they_signed_may_run() {
    let rules = PluginRules { signing_keys: vec![key(&STRANGER), key(&TRUSTED)], ..PluginRules::default() };
    let text = |text: String| SignatureFile::Text(text);
    let signature = judge(&rules, "spark", text(signed(&TRUSTED, BYTES))).unwrap().unwrap();
    assert_eq!((signature.key, signature.trusted_comment.as_str()), (key(&TRUSTED).id(), "version 1"));

    let rules = PluginRules { signing_keys: vec![key(&TRUSTED)], ..PluginRules::default() };
    let changed_comment = signed(&TRUSTED, BYTES).replace("version 1", "version 2");
    for (signature, reason) in [
        (SignatureFile::Absent, "it is not signed"),
        (SignatureFile::Unreadable("gone".to_owned()), "cannot be read: gone"),
        (text("nonsense".to_owned()), "is no minisign signature"),
        (text(signed(&STRANGER, BYTES)), "if you trust that key"),
        (text(signed(&TRUSTED, b"another plugin")), "does not fit"),
        (text(changed_comment), "does not fit"),
    ] {
        let refused = refusal(&rules, signature);
        assert!(refused.contains(reason), "{refused}");
    }
}

/// Scenario: a rule has keys of its own, beside the general ones.
/// Guarantees: they take the place of the general ones, for this plugin only.
#[test]
fn a_rules_own_keys_take_the_place_of_the_general_ones() {
    let rules = PluginRules {
        plugins: listed(None, Some(vec![key(&TRUSTED)])),
        signing_keys: vec![key(&STRANGER)],
        ..PluginRules::default()
    };
    assert!(judge(&rules, "spark", SignatureFile::Text(signed(&TRUSTED, BYTES))).is_ok());
    assert!(judge(&rules, "spark", SignatureFile::Text(signed(&STRANGER, BYTES))).is_err());
}

/// Scenario: a rule has a digest and a key.
/// Guarantees: both must fit.
#[test]
fn all_that_a_rule_says_must_hold() {
    let keys = || Some(vec![key(&TRUSTED)]);
    let good = SignatureFile::Text(signed(&TRUSTED, BYTES));
    let both = PluginRules { plugins: listed(Some(&[BYTES]), keys()), ..PluginRules::default() };
    assert!(judge(&both, "spark", good.clone()).is_ok());
    assert!(judge(&both, "spark", SignatureFile::Absent).is_err());
    let other = PluginRules { plugins: listed(Some(&[OTHER]), keys()), ..PluginRules::default() };
    assert!(judge(&other, "spark", good).is_err());
}

/// Scenario: a signature made by minisign itself, and the key from its documentation, in all the forms keys are passed on.
/// Guarantees: it is accepted, its old form is not, and the id is the one minisign prints.
#[test]
fn what_minisign_writes_is_understood() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let new = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1556193335\tfile:test\n\
        y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";
    let old = "untrusted comment: signature from minisign secret key\n\
        RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
        trusted comment: timestamp:1555779966\tfile:test\n\
        QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n";
    let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{key}\n");
    for form in [key.to_owned(), format!("  {key}\n"), file] {
        let key: SigningKey = form.parse().unwrap();
        assert_eq!(key.id().to_string(), "E7620F1842B4E81F");
        let valid = verify_signature(new, b"test", std::slice::from_ref(&key)).unwrap();
        assert_eq!(valid.trusted_comment, "timestamp:1556193335\tfile:test");
        assert_eq!(verify_signature(old, b"test", &[key]), Err(SignatureError::Legacy));
    }
    for no_key in ["", "key", "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO", &format!("{key}\n{key}")] {
        assert!(no_key.parse::<SigningKey>().is_err(), "{no_key}");
    }
}

proptest! {
    /// Scenario: one bit of a signed file, or of its signature, is another.
    /// Guarantees: it is not accepted, and nothing panics.
    #[test]
    fn no_changed_bit_is_accepted(at in 0_usize..2000, bit in 0_u8..8) {
        let mut bytes = BYTES.to_vec();
        let mut text = SIGNED.clone().into_bytes();
        let untrusted = text.iter().position(|byte| *byte == b'\n').unwrap();
        let at = at % (bytes.len() + text.len());
        if at < bytes.len() {
            bytes[at] ^= 1 << bit;
        } else if at - bytes.len() > untrusted {
            text[at - bytes.len()] ^= 1 << bit;
        } else {
            return Ok(());
        }
        if let Ok(text) = String::from_utf8(text) {
            let accepted = verify_signature(&text, &bytes, &[key(&TRUSTED)]);
            // A line may end in another way: the signature is the same.
            let same = text.lines().eq(SIGNED.lines());
            prop_assert!(accepted.is_err() || same, "{accepted:?}");
        }
    }

    #[test]
    fn arbitrary_texts_are_a_signature_or_an_error(text in any::<String>()) {
        let _ = read_signature(&text);
        let _ = text.parse::<SigningKey>();
    }
}
