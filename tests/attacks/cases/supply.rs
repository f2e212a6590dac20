//! Plugins that are not the ones that were reviewed.

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, MANIFEST};

attacks!(
    "supply",
    "supply.rs",
    running: [
        name_nobody_allowed,
        digest_of_another_file,
        signature_that_is_missing,
        signature_of_another_key,
        signature_that_is_no_signature,
    ],
    refused: [lock_that_says_otherwise],
);

/// A minisign public key whose secret half signed nothing here.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// The attacker is refused under a rule of `policy.plugins`, beside the neighbour, which is allowed.
fn not_allowed(arena: &mut Arena, rule: &str, words: &[&str]) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").pack(), "")?;
    arena.top(&format!("policy: {{ plugins: {{ steady: {{}}{rule} }} }}"));
    arena.start()?;
    arena.is_broken(words)?;
    arena.stopped("refused", "kiln_instance_up", &["steady"])
}

/// Scenario: a plugin that is in the directory and configured, but not among those that may run.
/// Guarantees: refused by its name; it is not compiled.
fn name_nobody_allowed(arena: &mut Arena) -> Result<Stopped, String> {
    not_allowed(arena, "", &["policy.plugins"])
}

/// Scenario: a plugin of an allowed name whose file is another one than was reviewed.
/// Guarantees: refused by its digest.
fn digest_of_another_file(arena: &mut Arena) -> Result<Stopped, String> {
    let digest = "0123456789abcdef".repeat(4);
    not_allowed(arena, &format!(", attacker: {{ digests: [ \"sha256:{digest}\" ] }}"), &["sha256:"])
}

/// Scenario: a plugin without signature where one is asked for.
/// Guarantees: refused.
fn signature_that_is_missing(arena: &mut Arena) -> Result<Stopped, String> {
    not_allowed(arena, &format!(", attacker: {{ signing_keys: [ {KEY} ] }}"), &["sign"])
}

/// Scenario: a plugin with a well-formed signature of a key nobody trusts.
/// Guarantees: refused.
fn signature_of_another_key(arena: &mut Arena) -> Result<Stopped, String> {
    let signature = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1556193335\tfile:test\n\
        y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";
    arena.write("plugins/attacker.wasm.minisig", signature)?;
    not_allowed(arena, &format!(", attacker: {{ signing_keys: [ {KEY} ] }}"), &["sign"])
}

/// Scenario: a signature file that is a device's worth of nothing.
/// Guarantees: refused, and no more is read of it than a signature has.
fn signature_that_is_no_signature(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm.minisig", vec![0; 50 << 20])?;
    not_allowed(arena, &format!(", attacker: {{ signing_keys: [ {KEY} ] }}"), &["sign"])
}

/// Scenario: after everything was locked, a plugin is replaced by one that asks for more.
/// Guarantees: `kiln run --locked` does not start, and says which line differs.
fn lock_that_says_otherwise(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").pack(), "")?;
    arena.write("kiln.yaml", arena.configuration())?;
    let locked = arena.command(&["plugin", "lock"])?.output().map_err(|error| error.to_string())?;
    if !locked.status.success() {
        return Err(format!("nothing was locked: {}", String::from_utf8_lossy(&locked.stderr)));
    }
    let requests = format!("{MANIFEST}[requests.state]\nreason = \"to remember\"\n");
    arena.write("plugins/attacker.wasm", Guest::collecting("").manifest(requests).pack())?;
    arena.argument("--locked");
    match arena.must_not_start()? {
        64 if arena.log().contains("plugins.attacker.digest") => {
            Ok(Stopped { class: "refused", counter: "exit code".to_owned(), value: 64.0 })
        }
        code => Err(format!("ended with {code}")),
    }
}
