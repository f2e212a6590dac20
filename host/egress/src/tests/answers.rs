//! How much of an answer is taken in, and in what form.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln_policy::Method;

use super::server::{Answer, Server, ok, response};
use super::world::{World, loopback};
use super::{get, request};
use crate::{EgressLimits, Error};

const CAP: u64 = 1 << 20;

fn capped() -> EgressLimits {
    EgressLimits { response_bytes: CAP, ..EgressLimits::default() }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The most memory the process has had, in bytes.
#[cfg(target_os = "linux")]
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn status_and_headers_come_through() {
    let server = Server::start(|_, _| {
        Answer::Bytes(response("404 Not Found", "X-Thing: a\r\nx-thing: b\r\nx-latin: \u{fc}\r\n", "none"))
    })
    .await;
    let world = World::new();
    let response = world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (404, &b"none"[..]));
    let values = |name: &str| -> Vec<String> {
        response.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(values("x-thing"), ["a", "b"]);
    assert_eq!(values("x-latin"), ["\u{fc}"]);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"http_error\""), 1);
    assert_eq!(world.metric("kiln_egress_received_bytes_total", ""), 4);
}

#[tokio::test]
async fn a_compressed_body_arrives_decompressed() {
    let server = Server::start(|_, request| {
        assert_eq!(request.header("accept-encoding"), ["gzip"]);
        Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", gzip(b"hello hello hello")))
    })
    .await;
    let response = World::new().egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
    assert_eq!(&response.body[..], b"hello hello hello");
    assert!(response.headers.iter().all(|(name, _)| name != "content-encoding" && name != "content-length"));
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let server = Server::start(|_, request| {
        let extra = usize::from(request.line().ends_with("more"));
        let body = vec![b'x'; usize::try_from(CAP).unwrap() + extra];
        if request.line().contains("gzip") {
            Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", gzip(&body)))
        } else if request.line().contains("chunked") {
            let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            Answer::Bytes([&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..], &chunked].concat())
        } else {
            Answer::Bytes(ok(body))
        }
    })
    .await;
    let egress = World::new().limited(loopback(server.port), capped());
    for kind in ["length", "chunked", "gzip"] {
        let body = egress.send(get(server.url(&format!("/{kind}/all")))).await.unwrap().body;
        assert_eq!(body.len() as u64, CAP, "{kind}");
        let error = egress.send(get(server.url(&format!("/{kind}/more")))).await;
        assert_eq!(error, Err(Error::TooLarge(CAP)), "{kind}");
    }
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_not_read() {
    let server = Server::start(|_, _| {
        Answer::Endless(
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", CAP + 1).into_bytes(),
            b"x".repeat(1024),
        )
    })
    .await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), capped());
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooLarge(CAP)));
    assert_eq!(world.metric("kiln_egress_received_bytes_total", ""), 0);

    // The answer to HEAD has the length of a body and no body.
    let server = Server::start(|_, _| {
        Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", CAP + 1).into_bytes())
    })
    .await;
    let egress = world.limited(loopback(server.port), capped());
    assert_eq!(egress.send(request(Method::Head, server.url("/"))).await.unwrap().body.len(), 0);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let server = Server::start(|_, _| {
        let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
        Answer::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunk)
    })
    .await;
    let egress = World::new().limited(loopback(server.port), capped());
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooLarge(CAP)));
    // The connection is closed, so the server does not go on for ever.
    server.until_gone(1).await;
    assert!(server.written() < 64 << 20, "{}", server.written());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_gigabyte_folded_into_a_megabyte_takes_up_no_memory() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 1 << 30), &mut bomb).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 8 << 20, "{}", bomb.len());
    let server = Server::start(move |_, _| Answer::Last(response("200 OK", "content-encoding: gzip\r\n", &bomb))).await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), capped());
    let before = peak_memory();
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooLarge(CAP)));
    let grown = peak_memory() - before;
    assert!(grown < 64 << 20, "{grown}");
    assert!(world.metric("kiln_egress_received_bytes_total", "") < CAP + (1 << 20));
}

#[tokio::test]
async fn the_responses_of_one_call_share_an_allowance() {
    let server = Server::start(|_, _| Answer::Bytes(ok([b'x'; 400]))).await;
    let limits = EgressLimits { call_bytes: 1000, concurrency: std::num::NonZeroU16::MIN, ..EgressLimits::default() };
    let egress = World::new().limited(loopback(server.port), limits);
    let answers = egress.send_all(vec![get(server.url("/")); 4]).await;
    assert!(answers[0].is_ok() && answers[1].is_ok());
    assert_eq!(answers[2..], [Err(Error::TooLarge(200)), Err(Error::TooLarge(200))]);
    // Each call has its own.
    assert!(egress.send_all(vec![get(server.url("/")); 2]).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_head_of_a_response_has_its_limits() {
    let server = Server::start(|_, request| {
        let headers = match request.line() {
            "GET /count/all" => "a: b\r\n".repeat(9),
            "GET /count/more" => "a: b\r\n".repeat(10),
            "GET /bytes/all" => format!("a: {}\r\n", "b".repeat(1000 - 16)),
            "GET /bytes/more" => format!("a: {}\r\n", "b".repeat(1000 - 15)),
            _ => "a: b\r\n".repeat(100_000),
        };
        Answer::Last(response("200 OK", &headers, ""))
    })
    .await;
    // With "content-length: 0" there is one header of 15 bytes more than those above.
    let limits = EgressLimits { header_count: 10, header_bytes: 1000, ..EgressLimits::default() };
    let world = World::new();
    let egress = world.limited(loopback(server.port), limits);
    for fits in ["/count/all", "/bytes/all"] {
        assert!(egress.send(get(server.url(fits))).await.is_ok(), "{fits}");
    }
    for exceeds in ["/count/more", "/bytes/more", "/endless"] {
        let error = egress.send(get(server.url(exceeds))).await;
        let expected = format!("{}: the head of the response is larger than allowed", server.url(""));
        assert_eq!(error, Err(Error::Protocol(expected)), "{exceeds}");
    }
    assert_eq!(server.lines().len(), 5);
    assert_eq!(world.metric("kiln_instance_limit_hits_total", ",limit=\"response_head_bytes\""), 3);
}

#[tokio::test]
async fn an_operator_may_allow_more_headers_than_the_http_library_would() {
    let server = Server::start(|_, _| Answer::Bytes(response("200 OK", &"a: b\r\n".repeat(149), ""))).await;
    let limits = |header_count| EgressLimits { header_count, ..EgressLimits::default() };
    let world = World::new();
    let response = world.limited(loopback(server.port), limits(150)).send(get(server.url("/"))).await.unwrap();
    assert_eq!(response.headers.len(), 150);
    let error = world.limited(loopback(server.port), limits(149)).send(get(server.url("/"))).await;
    assert!(matches!(error, Err(Error::Protocol(_))), "{error:?}");
}

#[tokio::test]
async fn what_is_not_http_is_said_to_be_so_and_not_asked_for_again() {
    let server = Server::start(|_, _| Answer::Last(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())).await;
    let world = World::new();
    let error = world.egress(loopback(server.port)).send(get(server.url("/"))).await;
    assert!(matches!(error, Err(Error::Protocol(_))), "{error:?}");
    assert_eq!((server.lines().len(), world.waits().len()), (1, 0));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_a_short_body() {
    let server = Server::start(|_, request| match request.line() {
        "GET /length" => Answer::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_vec()),
        "GET /chunked" => Answer::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n".to_vec()),
        _ => {
            let mut short = gzip(b"hello hello hello");
            short.truncate(20);
            Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", short))
        }
    })
    .await;
    let egress = World::new().egress(loopback(server.port));
    for path in ["/length", "/chunked", "/gzip"] {
        let error = egress.send(get(server.url(path))).await;
        assert!(matches!(error, Err(Error::Protocol(_))), "{path}: {error:?}");
    }
}
