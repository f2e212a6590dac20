//! Name servers under an attacker's control.

use crate::arena::{Arena, DENIALS, Stopped};
use crate::attack::attacks;
use crate::hostile_server::HostileServer;

attacks!(
    "names",
    "names.rs",
    running: [
        name_of_the_loopback_address,
        name_of_the_metadata_service,
        name_of_a_mapped_address,
        name_of_a_nat64_address,
        name_of_a_6to4_address,
        name_among_others,
        name_that_changes,
        name_with_a_thousand_addresses,
    ],
    refused: [],
);

/// A server at loopback, which the probe asks for by a name that resolves so.
fn resolves(arena: &mut Arena, answers: &str, grant: &str) -> Result<(HostileServer, String), String> {
    let server = HostileServer::start(|connection| connection.answer(200, "reached"))?;
    let origin = format!("http://metrics.example:{}", server.port());
    arena.names(&format!("metrics.example {answers}\n"))?;
    arena.probe_origin(&origin, grant, "")?;
    arena.start()?;
    Ok((server, origin))
}

const EVERYTHING: &str = "addresses: [public, private, loopback, 0.0.0.0/0, \"::/0\"]";

fn denied(arena: &mut Arena, answers: &str, grant: &str) -> Result<Stopped, String> {
    let (server, _) = resolves(arena, answers, grant)?;
    arena.says(&["probe", "no answer: ", "Denied"])?;
    let stopped = arena.stopped("denied", DENIALS, &["probe", "reason=\"address\""])?;
    match server.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None if arena.lookups() == 0 => Err("the name was not looked up: the case tests nothing".to_owned()),
        None => Ok(stopped),
    }
}

/// Scenario: a granted name resolves to the loopback address, which is not granted.
/// Guarantees: denied: a name is not an address.
fn name_of_the_loopback_address(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, "127.0.0.1", "addresses: [public]")
}

/// Scenario: a granted name resolves to the metadata service of a cloud, and every address there is was granted.
/// Guarantees: denied: no grant reaches it.
fn name_of_the_metadata_service(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, "169.254.169.254", EVERYTHING)
}

/// Scenario: the same, as an IPv4 address mapped to IPv6.
/// Guarantees: denied: it is judged as the address it maps.
fn name_of_a_mapped_address(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, "::ffff:169.254.169.254", EVERYTHING)
}

/// Scenario: the same, as an address that a NAT64 gateway translates.
/// Guarantees: denied.
fn name_of_a_nat64_address(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, "64:ff9b::a9fe:a9fe", EVERYTHING)
}

/// Scenario: the same, as an address of 6to4.
/// Guarantees: denied.
fn name_of_a_6to4_address(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, "2002:a9fe:a9fe::1", EVERYTHING)
}

/// Scenario: among the addresses of a name one is granted, and a server listens at another one.
/// Guarantees: only the granted one is dialled.
fn name_among_others(arena: &mut Arena) -> Result<Stopped, String> {
    let (server, _) = resolves(arena, "169.254.169.254,127.0.0.1,127.0.0.2", "addresses: [127.0.0.2/32]")?;
    // Nobody listens at 127.0.0.2, so the connection is refused, and nothing else is tried.
    arena.says(&["probe", "no answer: ", "Connect"])?;
    let stopped = arena.stopped("connect", "kiln_egress_requests_total", &["probe", "outcome=\"connect\""])?;
    match server.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None => Ok(stopped),
    }
}

/// Scenario: a name resolves to a granted address when it is checked, and to another one when it is looked up again.
/// Guarantees: it is looked up once for a connection, and the address that was checked is the one that is dialled; the next
/// look-up is checked again.
fn name_that_changes(arena: &mut Arena) -> Result<Stopped, String> {
    let granted = HostileServer::start_on("127.0.0.2:0", |connection| connection.answer(200, "granted"))?;
    let forbidden = HostileServer::start_on(&format!("127.0.0.1:{}", granted.port()), |connection| {
        connection.answer(200, "forbidden")
    })?;
    let origin = format!("http://metrics.example:{}", granted.port());
    arena.names("metrics.example 127.0.0.2 127.0.0.1\n")?;
    arena.probe_origin(&origin, "addresses: [127.0.0.2/32]", "")?;
    arena.start()?;
    arena.says(&["probe", "answered 200: granted"])?;
    arena.says(&["probe", "no answer: ", "Denied"])?;
    let stopped = arena.stopped("denied", DENIALS, &["probe", "reason=\"address\""])?;
    match forbidden.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None if granted.heads().is_empty() => Err("the granted address was not asked".to_owned()),
        None => Ok(stopped),
    }
}

/// Scenario: a name that resolves to hundreds of addresses, all of them where nothing is granted.
/// Guarantees: denied, and nobody else waits for it.
fn name_with_a_thousand_addresses(arena: &mut Arena) -> Result<Stopped, String> {
    let addresses: Vec<_> = (1..200).map(|n| format!("127.0.1.{n}")).collect();
    denied(arena, &addresses.join(","), "addresses: [public]")
}
