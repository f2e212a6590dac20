//! How many requests, and how fast.

use std::num::NonZeroU32;

use serde_json::json;

use super::get;
use super::server::{Answer, Server, ok, response};
use super::world::{World, everything, loopback, policy};
use crate::{EgressLimits, Error};

fn at_most(requests_per_call: u32) -> EgressLimits {
    EgressLimits { requests_per_call, ..EgressLimits::default() }
}

fn a_second(requests: u32) -> EgressLimits {
    EgressLimits { requests_per_second: NonZeroU32::new(requests).unwrap(), ..EgressLimits::default() }
}

/// Scenario: a plugin makes one request more than a call may, and then begins another call.
/// Guarantees: the one is refused and counted as a limit; the next call has its requests.
#[tokio::test]
async fn a_call_makes_so_many_requests_and_the_next_one_as_many_again() {
    let server = Server::saying("").await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), at_most(3));
    for _ in 0..2 {
        egress.begin_call();
        for _ in 0..3 {
            assert!(egress.send(get(server.url("/"))).await.is_ok());
        }
        assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooManyRequests(3)));
        assert_eq!(egress.open(get(server.url("/"))).await.unwrap_err(), Error::TooManyRequests(3));
    }
    assert_eq!(server.lines().len(), 6);
    assert_eq!(world.metric("kiln_instance_limit_hits_total", ",limit=\"http_requests\""), 4);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"limit\""), 4);
}

/// Guarantees: what is denied counts too, so that a plugin cannot ask for ever; and all of `send_all` does.
#[tokio::test]
async fn requests_count_whatever_becomes_of_them() {
    let server = Server::saying("").await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), at_most(4));
    assert!(matches!(egress.send(get("http://elsewhere.example/")).await, Err(Error::Denied(_))));
    let answers = egress.send_all(vec![get(server.url("/")); 5]).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(Error::TooManyRequests(4))).count(), 2);
}

#[tokio::test]
async fn a_redirect_that_is_followed_is_a_request() {
    let server = Server::start(|_, _| Answer::Bytes(response("302 Found", "location: /again\r\n", ""))).await;
    let grants = json!([{ "origin": server.url(""), "addresses": ["loopback"], "redirects": 3 }]);
    let egress = World::new().limited(policy(&everything(&server.url("")), grants), at_most(2));
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooManyRequests(2)));
    assert_eq!(server.lines().len(), 2);
}

/// Scenario: six requests where one a second is allowed.
/// Guarantees: the first goes at once and each further one waits its turn, which is counted; another origin is not
/// concerned.
#[tokio::test]
async fn an_origin_is_asked_so_often_in_a_second() {
    let (server, other) = (Server::saying("").await, Server::saying("").await);
    let world = World::new();
    let requests = everything(&server.url("")) + &everything(&other.url(""));
    let grants = json!([
        { "origin": server.url(""), "addresses": ["loopback"] },
        { "origin": other.url(""), "addresses": ["loopback"] },
    ]);
    let egress = world.limited(policy(&requests, grants), a_second(1));
    egress.send(get(server.url("/"))).await.unwrap();
    egress.send(get(other.url("/"))).await.unwrap();
    assert!(world.waits().is_empty());
    for _ in 0..5 {
        egress.send(get(server.url("/"))).await.unwrap();
    }
    assert_eq!(server.lines().len(), 6);
    let waits = world.waits();
    assert!(!waits.is_empty() && waits.iter().all(|wait| *wait <= 1000), "{waits:?}");
    let hits = world.metric("kiln_instance_limit_hits_total", ",limit=\"http_requests_per_second\"");
    assert_eq!(hits, waits.len() as u64);
}

/// Scenario: a compressed body that never decompresses to anything, and one that is padded to be larger than allowed.
/// Guarantees: what comes from the network is counted, and reading ends at the limit.
#[tokio::test]
async fn a_body_is_counted_before_it_is_decompressed() {
    const CAP: u64 = 1 << 20;
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    // The header of a gzip stream, then stored blocks of length zero (RFC 1951 §3.2.4) for ever.
    let begin = [&b"a\r\n"[..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], b"\r\n"].concat();
    let nothing = [&b"5000\r\n"[..], &[0, 0, 0, 0xff, 0xff].repeat(0x1000), b"\r\n"].concat();
    let first = [head, begin].concat();
    let server = Server::start(move |_, _| Answer::Endless(first.clone(), nothing.clone())).await;
    let world = World::new();
    let limits = EgressLimits { response_bytes: CAP, stream_bytes: CAP, ..EgressLimits::default() };
    let egress = world.limited(loopback(server.port), limits);
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::TooLarge(CAP)));
    let mut opened = egress.open(get(server.url("/"))).await.unwrap();
    assert_eq!(opened.body.read().await, Err(Error::TooLarge(CAP)));
    assert_eq!(world.metric("kiln_egress_received_bytes_total", ""), 0);
    assert_eq!(world.metric("kiln_instance_limit_hits_total", ",limit=\"response_bytes\""), 1);
    assert_eq!(world.metric("kiln_instance_limit_hits_total", ",limit=\"http_stream_bytes\""), 1);
}

#[tokio::test]
async fn what_says_it_is_compressed_and_is_not_is_an_error() {
    let server = Server::start(|_, request| match request.line() {
        "GET /empty" => Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", "")),
        "GET /identity" => Answer::Bytes(ok("plain")),
        _ => Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", "plain")),
    })
    .await;
    let egress = World::new().egress(loopback(server.port));
    assert!(egress.send(get(server.url("/empty"))).await.unwrap().body.is_empty());
    assert_eq!(&egress.send(get(server.url("/identity"))).await.unwrap().body[..], b"plain");
    assert!(matches!(egress.send(get(server.url("/plain"))).await, Err(Error::Protocol(_))));
}
