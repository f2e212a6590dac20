//! Grants that are not what they seem: what is not understood is not accepted.

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::packed;

attacks!(
    "configuration",
    "configuration.rs",
    running: [origin_not_granted, loopback_not_granted],
    refused: [policy_with_an_unknown_key, grant_with_an_unknown_key, grant_that_is_no_origin, limit_without_bound],
);

fn does_not_start(arena: &mut Arena, words: &str) -> Result<Stopped, String> {
    match arena.must_not_start()? {
        64 if arena.log().contains(words) => {
            Ok(Stopped { class: "refused", counter: "exit code".to_owned(), value: 64.0 })
        }
        code => Err(format!("ended with {code}, and should say: {words}")),
    }
}

/// Scenario: `policy` has a key that is misspelt, so that what was meant would not be enforced.
/// Guarantees: Kiln does not start.
fn policy_with_an_unknown_key(arena: &mut Arena) -> Result<Stopped, String> {
    arena.top("policy: { explicit_grant: true }");
    does_not_start(arena, "explicit_grant")
}

/// Scenario: a grant has a key that is misspelt, so that it would be wider than it reads.
/// Guarantees: Kiln does not start.
fn grant_with_an_unknown_key(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/probe.wasm", packed("probe")?)?;
    arena.probe_origin("https://example.com", "path: [ /open/* ]", "")?;
    does_not_start(arena, "path")
}

/// Scenario: a grant for every origin there is.
/// Guarantees: Kiln does not start: a grant names an origin.
fn grant_that_is_no_origin(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/probe.wasm", packed("probe")?)?;
    arena.receiver("probe", "origin: https://example.com\ngrants: { http: [ { origin: \"*\" } ] }");
    does_not_start(arena, "origin")
}

/// Scenario: a limit that is none.
/// Guarantees: Kiln does not start: there is no unlimited.
fn limit_without_bound(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/probe.wasm", packed("probe")?)?;
    arena.receiver("probe", "origin: https://example.com\nlimits: { memory: unlimited }");
    does_not_start(arena, "memory")
}

/// Scenario: with `policy.explicit_grants` a receiver is configured with an origin and nothing else.
/// Guarantees: its plugin is not started, and the lines to add are said.
fn origin_not_granted(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/probe.wasm", packed("probe")?)?;
    arena.top("policy: { explicit_grants: true }");
    arena.receiver("probe", "origin: https://example.com");
    arena.start()?;
    arena.page_says("/readyz", &["probe", "broken", "not granted"])?;
    arena.refused("probe")
}

/// Scenario: a receiver is configured with an origin at the loopback address, which nobody granted.
/// Guarantees: its plugin is not started, and the lines to add are said.
fn loopback_not_granted(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/probe.wasm", packed("probe")?)?;
    arena.receiver("probe", "origin: http://localhost:4040");
    arena.start()?;
    arena.page_says("/readyz", &["probe", "broken", "loopback"])?;
    arena.refused("probe")
}
