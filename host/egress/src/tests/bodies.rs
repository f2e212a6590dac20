//! Bodies that are read piece by piece: as large as their own limit, in bounded memory, and over when they are over.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;

use super::answers::gzip;
use super::get;
use super::server::{Answer, Server, ok, response};
use super::world::{World, loopback};
use crate::{Body, EgressLimits, Error};

const CAP: u64 = 1 << 20;

fn capped() -> EgressLimits {
    EgressLimits { response_bytes: 10, stream_bytes: CAP, ..EgressLimits::default() }
}

async fn rest(body: &mut Body) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.read().await? {
        assert!((1..=64 << 10).contains(&piece.len()), "{}", piece.len());
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test]
async fn the_head_comes_first_and_the_body_in_pieces() {
    let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let server = {
        let sent = sent.clone();
        Server::start(move |_, _| Answer::Bytes(response("404 Not Found", "X-Thing: a\r\n", &sent))).await
    };
    let world = World::new();
    let egress = world.limited(loopback(server.port), capped());
    let mut opened = egress.open(get(server.url("/"))).await.unwrap();
    assert_eq!(opened.status, 404);
    assert!(opened.headers.contains(&("x-thing".to_owned(), "a".to_owned())));
    assert_eq!(rest(&mut opened.body).await.unwrap(), sent);
    assert_eq!(opened.body.read().await, Ok(None));
    drop(opened);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"http_error\""), 1);
    assert_eq!(world.metric("kiln_egress_received_bytes_total", ""), sent.len() as u64);
}

#[tokio::test]
async fn a_body_has_its_own_limit_after_decompression() {
    let server = Server::start(|_, request| {
        let body = vec![b'x'; usize::try_from(CAP).unwrap() + usize::from(request.line().ends_with("more"))];
        if request.line().contains("gzip") {
            Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", gzip(&body)))
        } else {
            Answer::Bytes(ok(body))
        }
    })
    .await;
    let egress = World::new().limited(loopback(server.port), capped());
    for kind in ["length", "gzip"] {
        let mut fits = egress.open(get(server.url(&format!("/{kind}/all")))).await.unwrap();
        assert_eq!(rest(&mut fits.body).await.unwrap().len() as u64, CAP, "{kind}");
    }
    // What is announced is not even begun.
    assert_eq!(egress.open(get(server.url("/length/more"))).await.unwrap_err(), Error::TooLarge(CAP));
    let mut exceeds = egress.open(get(server.url("/gzip/more"))).await.unwrap();
    assert_eq!(rest(&mut exceeds.body).await, Err(Error::TooLarge(CAP)));
    assert_eq!(exceeds.body.read().await, Err(Error::TooLarge(CAP)));
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit_and_closes_its_connection() {
    let server = Server::start(|_, _| {
        let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
        Answer::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), chunk)
    })
    .await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), capped());
    let mut opened = egress.open(get(server.url("/"))).await.unwrap();
    assert_eq!(rest(&mut opened.body).await, Err(Error::TooLarge(CAP)));
    // Closed although the body is still held.
    server.until_gone(1).await;
    drop(opened);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"too_large\""), 1);

    let opened = egress.open(get(server.url("/"))).await.unwrap();
    drop(opened);
    server.until_gone(2).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_nothing_is_sent_again() {
    let server = Server::start(|_, request| match request.line() {
        "GET /length" => Answer::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_vec()),
        _ => Answer::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n".to_vec()),
    })
    .await;
    let world = World::new();
    let egress = world.egress(loopback(server.port));
    for path in ["/length", "/chunked"] {
        let mut body = egress.open(get(server.url(path))).await.unwrap().body;
        assert_eq!(body.read().await, Ok(Some(Bytes::from_static(b"12345"))), "{path}");
        let error = body.read().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{path}: {error:?}");
        assert_eq!(body.read().await, Err(error), "{path}");
    }
    assert_eq!(server.lines(), ["GET /length", "GET /chunked"]);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"connect\""), 2);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_before_the_first_byte() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Bytes(response("503 Service Unavailable", "", "later")),
        _ => Answer::Bytes(ok("now")),
    })
    .await;
    let world = World::new();
    let egress = world.egress(loopback(server.port));
    let mut opened = egress.open(get(server.url("/"))).await.unwrap();
    assert_eq!(rest(&mut opened.body).await.unwrap(), b"now");
    assert_eq!(world.metric("kiln_egress_retries_total", ""), 1);
}

#[tokio::test]
async fn so_many_bodies_are_open_and_no_more() {
    let server = Server::saying("fine").await;
    let limits = EgressLimits { open_bodies: 2, concurrency: NonZeroU16::MIN, ..EgressLimits::default() };
    let egress = World::new().limited(loopback(server.port), limits);
    let open = || egress.open(get(server.url("/")));
    // One request under way at a time: an open body is none.
    let (first, _second) = (open().await.unwrap(), open().await.unwrap());
    let error = open().await.unwrap_err();
    assert_eq!(error, Error::InvalidRequest("2 bodies are open already: drop one first".to_owned()));
    assert!(egress.send(get(server.url("/"))).await.is_ok());
    drop(first);
    assert!(open().await.is_ok());
}

#[tokio::test]
async fn only_granted_requests_are_opened() {
    let server = Server::saying("fine").await;
    let world = World::new();
    let egress = world.egress(loopback(server.port));
    assert!(egress.open(get(server.url("/"))).await.is_ok());
    assert!(matches!(egress.open(get("http://not-granted.example/")).await, Err(Error::Denied(_))));
    assert!(matches!(egress.open(get("nonsense")).await, Err(Error::InvalidRequest(_))));
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"denied\""), 1);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_body_that_stalls_runs_into_the_time_of_a_request() {
    let server =
        Server::start(|_, _| Answer::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_vec())).await;
    let world = World::new();
    let limits = EgressLimits { request_timeout: Duration::from_millis(300), ..EgressLimits::default() };
    let egress = world.limited(loopback(server.port), limits);
    let mut body = egress.open(get(server.url("/"))).await.unwrap().body;
    assert_eq!(rest(&mut body).await, Err(Error::Timeout));
    drop(body);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"timeout\""), 1);
}

#[tokio::test]
async fn closing_ends_what_is_open() {
    let server =
        Server::start(|_, _| Answer::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_vec())).await;
    let egress = World::new().egress(loopback(server.port));
    let mut body = egress.open(get(server.url("/"))).await.unwrap().body;
    egress.close();
    assert_eq!(body.read().await, Err(Error::Cancelled));
    server.until_gone(1).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_body_takes_up_no_memory() {
    let piece = [&b"100000\r\n"[..], &[b'x'; 0x10_0000], b"\r\n"].concat();
    let server = Server::start(move |_, _| {
        Answer::Endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), piece.clone())
    })
    .await;
    let limits = EgressLimits { stream_bytes: 200 << 20, ..EgressLimits::default() };
    let egress = World::new().limited(loopback(server.port), limits);
    let mut body = egress.open(get(server.url("/"))).await.unwrap().body;
    let before = super::answers::peak_memory();
    let mut read = 0;
    let error = loop {
        match body.read().await {
            Ok(piece) => read += piece.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::TooLarge(200 << 20));
    let grown = super::answers::peak_memory() - before;
    assert!(read > 190 << 20 && grown < 64 << 20, "{read} {grown}");
}
