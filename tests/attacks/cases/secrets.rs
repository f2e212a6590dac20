//! Whoever looks for what is not theirs to know, where Kiln might have left it.

use std::path::Path;

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::packed;
use crate::hostile_server::HostileServer;
use crate::process;

attacks!(
    "secrets",
    "secrets.rs",
    running: [
        secret_in_the_memory_of_the_plugin,
        secret_in_the_data_directory,
        secret_in_a_crash,
        secret_in_a_core_dump,
    ],
    refused: [],
);

const SECRET: &str = "dapi-0ddba11-5eca7e-c0ffee";

/// Starts a probe with a credential, and waits until the server has been sent it: from here on the host uses it.
fn sign_in(arena: &mut Arena, lines: &str) -> Result<(HostileServer, Stopped), String> {
    let server = HostileServer::start(|connection| connection.answer(200, "welcome"))?;
    arena.probe(&server, &format!("token: {SECRET}\n{lines}"))?;
    arena.start()?;
    arena.says(&["probe", "answered 200"])?;
    let stopped = arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])?;
    match server.heads().iter().any(|head| head.contains(SECRET)) {
        true => Ok((server, stopped)),
        false => Err("the server was not sent the credential".to_owned()),
    }
}

/// As the probe computes it.
fn marker() -> Vec<u8> {
    (0..64_u8).map(|n| n.wrapping_mul(37) ^ 0x5a).collect()
}

/// Scenario: a plugin whose requests carry a credential searches all of its memory for it, and so does whoever else runs as
/// the user that Kiln runs as.
/// Guarantees: the credential is in the memory of the host and not in the plugin's; who is not root cannot read either.
fn secret_in_the_memory_of_the_plugin(arena: &mut Arena) -> Result<Stopped, String> {
    let (_server, stopped) = sign_in(arena, "")?;
    if !process::is_root() {
        return match process::memory(arena.process()?) {
            Ok(_) => Err("anybody can read the memory of Kiln".to_owned()),
            Err(_) => Ok(stopped),
        };
    }
    let regions = process::memory(arena.process()?)?;
    let (of_plugin, of_host): (Vec<_>, Vec<_>) = regions.iter().partition(|region| region.has(&marker()));
    if of_plugin.is_empty() {
        return Err("the memory of the plugin was not found".to_owned());
    }
    if !of_host.iter().any(|region| region.has(SECRET.as_bytes())) {
        return Err("the secret is nowhere, so that nothing follows from its not being found".to_owned());
    }
    match of_plugin.iter().find(|region| region.has(SECRET.as_bytes())) {
        Some(region) => Err(format!("the plugin has the secret, in {region}")),
        None => Ok(stopped),
    }
}

/// Scenario: whoever can read `data_dir` searches compiled plugins and state for a credential.
/// Guarantees: it is in none of them.
fn secret_in_the_data_directory(arena: &mut Arena) -> Result<Stopped, String> {
    // A plugin that has not been compiled before.
    arena.write("plugins/databricks.wasm", packed("databricks")?)?;
    arena.receiver("databricks", &format!("host: https://workspace.example\ntoken: {SECRET}"));
    arena.names("workspace.example 127.0.0.1\n")?;
    let (_server, stopped) = sign_in(arena, "")?;
    arena.says(&["databricks", "denied"])?;
    match file_with(&arena.path("data"), SECRET.as_bytes()).map_err(|error| error.to_string())? {
        Some(path) => Err(format!("{path} has the secret")),
        None => Ok(stopped),
    }
}

/// Scenario: a plugin whose requests carry a credential is ended in the middle of a request, and its error told in full.
/// Guarantees: neither the log nor a page shows the credential.
fn secret_in_a_crash(arena: &mut Arena) -> Result<Stopped, String> {
    let (_server, _) = sign_in(
        arena,
        "times: 100000\nlimits: { cpu: 20ms, http_requests: 100000, http_requests_per_second: 10000 }\ntimeout: 20s",
    )?;
    let stopped = arena.failed("probe", "limit_cpu")?;
    arena.never_says(SECRET)?;
    for page in ["/metrics", "/readyz", "/-/denials"] {
        if arena.page(page)?.contains(SECRET) {
            return Err(format!("{page} shows the secret"));
        }
    }
    Ok(stopped)
}

/// Scenario: somebody makes Kiln crash to get at what its memory holds.
/// Guarantees: there is no core dump, and its limit cannot be raised again.
fn secret_in_a_core_dump(arena: &mut Arena) -> Result<Stopped, String> {
    let (_server, stopped) = sign_in(arena, "")?;
    match process::most_core(arena.process()?)? {
        0 => Ok(stopped),
        most => Err(format!("a core dump may have {most} bytes")),
    }
}

fn file_with(directory: &Path, bytes: &[u8]) -> std::io::Result<Option<String>> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            file_with(&path, bytes)?
        } else {
            process::has(&std::fs::read(&path)?, bytes).then(|| path.display().to_string())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
