//! Servers that are granted and turn against whoever asks.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::arena::{Arena, DENIALS, Stopped};
use crate::attack::attacks;
use crate::hostile_server::{Connection, HostileServer};

attacks!(
    "answers",
    "answers.rs",
    running: [
        redirect_to_the_metadata_service,
        redirect_in_a_circle,
        granted_redirect_to_the_metadata_service,
        granted_redirect_in_a_circle,
        granted_redirect_to_another_server,
        body_without_end,
        body_without_end_in_pieces,
        body_longer_than_the_world,
        gzip_bomb,
        gzip_bomb_in_gzip_bomb,
        thousands_of_headers,
        header_of_a_megabyte,
        head_without_end,
        body_byte_by_byte,
        head_byte_by_byte,
        interim_answers_for_ever,
        chunks_that_break_off,
        chunk_of_a_negative_size,
        two_lengths,
        bytes_that_are_no_http,
        come_back_in_a_thousand_years,
        secret_in_the_answer,
    ],
    refused: [],
);

/// The probe asks a server that answers so; its request has to end as `outcome`.
fn ends(
    arena: &mut Arena,
    lines: &str,
    outcome: &'static str,
    answer: impl Fn(&mut Connection) + Send + Sync + 'static,
) -> Result<Stopped, String> {
    let server = HostileServer::start(answer)?;
    arena.probe(&server, lines)?;
    arena.start()?;
    arena.says(&["probe", "no answer: "])?;
    arena.stopped(outcome, "kiln_egress_requests_total", &["probe", &format!("outcome=\"{outcome}\"")])
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";

/// Scenario: a granted server redirects to the metadata service of a cloud.
/// Guarantees: the redirect is not followed: the plugin sees it, and could not follow it either.
fn redirect_to_the_metadata_service(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| {
        connection.send("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n");
    })?;
    arena.probe(&server, "")?;
    arena.start()?;
    arena.says(&["probe", "answered 302"])?;
    arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])
}

/// Scenario: a granted server redirects to itself, for ever.
/// Guarantees: one request of the plugin is one request to the server.
fn redirect_in_a_circle(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| {
        connection.send("HTTP/1.1 307 Again\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n");
    })?;
    arena.probe(&server, "")?;
    arena.start()?;
    arena.says(&["probe", "answered 307"])?;
    let stopped = arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])?;
    match server.heads().iter().find(|head| head.starts_with("GET /again")) {
        Some(_) => Err("the redirect was followed".to_owned()),
        None => Ok(stopped),
    }
}

/// Scenario: a server whose redirects are followed redirects to the metadata service of a cloud.
/// Guarantees: the hop is judged as a request of the plugin, and denied.
fn granted_redirect_to_the_metadata_service(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| {
        connection.send("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n");
    })?;
    arena.probe_origin(&server.url(), "addresses: [loopback], redirects: 3", "")?;
    arena.start()?;
    arena.says(&["probe", "no answer: ", "Denied"])?;
    arena.stopped("denied", DENIALS, &["probe", "reason=\"origin\""])
}

/// Scenario: a server whose redirects are followed redirects to itself, for ever.
/// Guarantees: so many hops as are granted, and no more; then the redirect is the answer.
fn granted_redirect_in_a_circle(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(|connection| {
        connection
            .send("HTTP/1.1 307 Again\r\nlocation: /open/again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    })?;
    arena.probe_origin(&server.url(), "addresses: [loopback], redirects: 2", "collection_interval: 1h")?;
    arena.start()?;
    arena.says(&["probe", "answered 307"])?;
    let stopped = arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])?;
    match server.heads().len() {
        3 => Ok(stopped),
        other => Err(format!("{other} requests arrived")),
    }
}

/// Scenario: a server whose redirects are followed redirects to one that is not granted, with the credential it was sent
/// in mind.
/// Guarantees: denied; the other server is not even connected to.
fn granted_redirect_to_another_server(arena: &mut Arena) -> Result<Stopped, String> {
    let other = HostileServer::start(|connection| connection.answer(200, "thank you"))?;
    let location = other.url();
    let server = HostileServer::start(move |connection| {
        connection.send(format!("HTTP/1.1 302 Found\r\nlocation: {location}/\r\ncontent-length: 0\r\n\r\n"));
    })?;
    arena.probe_origin(&server.url(), "addresses: [loopback], redirects: 3", "token: dapi-c0ffee-5eca7e-0ddba11")?;
    arena.start()?;
    arena.says(&["probe", "no answer: ", "Denied"])?;
    let stopped = arena.stopped("denied", DENIALS, &["probe", "reason=\"origin\""])?;
    match other.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None => Ok(stopped),
    }
}

/// Scenario: a body that never ends.
/// Guarantees: it is read up to the limit and no further; it is never in memory beyond that.
fn body_without_end(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "limits: { response_bytes: 1MiB }", "too_large", |connection| {
        connection.send(format!("{OK}\r\n"));
        connection.send_for_ever([b'x'; 65536]);
    })
}

/// Scenario: the same, read in pieces.
/// Guarantees: pieces have a limit of their own.
fn body_without_end_in_pieces(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "in_pieces: true\nlimits: { http_stream_bytes: 1MiB }", "too_large", |connection| {
        connection.send(format!("{OK}\r\n"));
        connection.send_for_ever([b'x'; 65536]);
    })
}

/// Scenario: a body that announces the largest length there is.
/// Guarantees: nothing is set aside for it: it is refused by its length, or when it is larger than allowed.
fn body_longer_than_the_world(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "limits: { response_bytes: 1MiB }", "too_large", |connection| {
        connection.send(format!("{OK}content-length: 9223372036854775807\r\n\r\n"));
        connection.send_for_ever([b'x'; 65536]);
    })
}

fn compressed(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..times {
        gzip.write_all(bytes).expect("a vector takes all");
    }
    gzip.finish().expect("a vector takes all")
}

fn send_compressed(connection: &mut Connection, body: &[u8]) {
    connection.send(format!("{OK}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len()));
    connection.send(body);
}

/// Scenario: a quarter of a megabyte that decompresses to 256.
/// Guarantees: what is limited is what it decompresses to, while it does.
fn gzip_bomb(arena: &mut Arena) -> Result<Stopped, String> {
    let bomb = compressed(&vec![0; 1 << 20], 256);
    ends(arena, "limits: { response_bytes: 1MiB }", "too_large", move |connection| send_compressed(connection, &bomb))
}

/// Scenario: a bomb within a bomb, declared as compressed twice.
/// Guarantees: at most one layer is ever taken off, and that one within the limit.
fn gzip_bomb_in_gzip_bomb(arena: &mut Arena) -> Result<Stopped, String> {
    let bomb = compressed(&compressed(&vec![0; 1 << 20], 64), 1);
    let server = HostileServer::start(move |connection| {
        connection.send(format!("{OK}content-encoding: gzip, gzip\r\ncontent-length: {}\r\n\r\n", bomb.len()));
        connection.send(&bomb);
    })?;
    arena.probe(&server, "limits: { response_bytes: 1MiB }")?;
    arena.start()?;
    arena.says(&["probe", "answer"])?;
    arena.stopped("harmless", "kiln_egress_requests_total", &["probe"])
}

/// Scenario: five thousand headers.
/// Guarantees: the head is refused as a whole.
fn thousands_of_headers(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "", "connect", |connection| {
        let headers: String = (0..5000).map(|n| format!("x-{n}: y\r\n")).collect();
        connection.send(format!("{OK}{headers}content-length: 0\r\n\r\n"));
    })
}

/// Scenario: one header of a megabyte.
/// Guarantees: the head is refused as a whole.
fn header_of_a_megabyte(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "", "connect", |connection| {
        connection.send(format!("{OK}x: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(1_000_000)));
    })
}

/// Scenario: a head that never ends.
/// Guarantees: reading it ends where a head is too large.
fn head_without_end(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "", "connect", |connection| {
        connection.send(OK);
        connection.send_for_ever("x: y\r\n".repeat(1000));
    })
}

/// Scenario: a body that comes byte by byte, so that the connection is never idle.
/// Guarantees: the time of a request is for all of it.
fn body_byte_by_byte(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "timeout", |connection| {
        connection.send(format!("{OK}\r\n"));
        connection.drip("x", Duration::from_millis(20));
    })
}

/// Scenario: a head that comes byte by byte.
/// Guarantees: the time of a request is for all of it.
fn head_byte_by_byte(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "timeout", |connection| {
        connection.send(OK);
        connection.drip("x-a: b\r\n", Duration::from_millis(50));
    })
}

/// Scenario: `100 Continue` without end, which is an answer and is none.
/// Guarantees: the time of a request ends it.
fn interim_answers_for_ever(arena: &mut Arena) -> Result<Stopped, String> {
    let server =
        HostileServer::start(|connection| connection.send_for_ever("HTTP/1.1 100 Continue\r\n\r\n".repeat(100)))?;
    arena.probe(&server, "timeout: 3s")?;
    arena.start()?;
    arena.says(&["probe", "no answer: "])?;
    arena.stopped("timeout", "kiln_egress_requests_total", &["probe"])
}

/// Scenario: a chunked body that breaks off within a chunk.
/// Guarantees: half a body is an error and no answer.
fn chunks_that_break_off(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "connect", |connection| {
        connection.send(format!("{OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nff\r\nworl"));
    })
}

/// Scenario: a chunk whose size is negative, or more than fits a number.
/// Guarantees: an error.
fn chunk_of_a_negative_size(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "connect", |connection| {
        connection.send(format!("{OK}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n-1\r\n"));
    })
}

/// Scenario: two different lengths in one head, of which a proxy might believe the other one.
/// Guarantees: an error.
fn two_lengths(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "connect", |connection| {
        connection.send(format!("{OK}content-length: 5\r\ncontent-length: 50\r\n\r\nhello"));
    })
}

/// Scenario: a server that answers with bytes of another protocol.
/// Guarantees: an error.
fn bytes_that_are_no_http(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "timeout: 3s", "connect", |connection| {
        connection.send([0x16, 3, 1, 0, 0, 0xff, 0xff, 0, 1, 2, 3, b'\r', b'\n', b'\r', b'\n']);
    })
}

/// Scenario: a server that is busy and asks to be left alone for a thousand years.
/// Guarantees: nobody waits for it: the plugin is told at once.
fn come_back_in_a_thousand_years(arena: &mut Arena) -> Result<Stopped, String> {
    ends(arena, "", "rate_limited", |connection| {
        connection
            .send("HTTP/1.1 429 Busy\r\nretry-after: 31536000000\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    })
}

/// Scenario: a granted server repeats the credential it was sent, and the plugin writes the answer into the log.
/// Guarantees: the plugin sees what the server says; the log shows the secret to nobody.
fn secret_in_the_answer(arena: &mut Arena) -> Result<Stopped, String> {
    const SECRET: &str = "dapi-c0ffee-5eca7e-0ddba11";
    let server = HostileServer::start(|connection| {
        let head = connection.head.clone();
        connection.answer(200, &head);
    })?;
    arena.probe(&server, &format!("token: {SECRET}"))?;
    arena.start()?;
    arena.says(&["probe", "answered 200"])?;
    let stopped = arena.stopped("harmless", "kiln_egress_requests_total", &["probe", "outcome=\"ok\""])?;
    if !server.heads().iter().any(|head| head.contains(SECRET)) {
        return Err("the server was not sent the credential".to_owned());
    }
    arena.never_says(SECRET)?;
    for page in ["/metrics", "/readyz", "/-/denials"] {
        if arena.page(page)?.contains(SECRET) {
            return Err(format!("{page} shows the secret"));
        }
    }
    Ok(stopped)
}
