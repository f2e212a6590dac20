//! What is tried again, how often, and when it is too late.

use std::time::Duration;

use kiln_policy::Method;

use super::server::{Answer, Server, ok, response};
use super::world::{TODAY, World, loopback, reaching};
use super::{get, request};
use crate::{EgressLimits, Error};

/// Busy at first, in the given way, and well from request number `well` on.
async fn busy(status: &'static str, headers: &'static str, well: usize) -> Server {
    Server::start(move |number, _| {
        Answer::Bytes(if number < well { response(status, headers, "busy") } else { ok("well") })
    })
    .await
}

#[tokio::test]
async fn a_busy_server_is_asked_again_after_the_seconds_it_names() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let server = busy(status, "retry-after: 7\r\n", 2).await;
        let world = World::new();
        let response = world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
        assert_eq!(&response.body[..], b"well");
        assert_eq!(world.waits(), [7000, 7000]);
        assert_eq!(world.metric("kiln_egress_retries_total", ""), 2);
        assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"ok\""), 1);
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_at_the_date_it_names() {
    assert_eq!(httpdate::fmt_http_date(std::time::UNIX_EPOCH + TODAY), "Sun, 06 Nov 1994 08:49:37 GMT");
    let server = busy("429 Too Many Requests", "retry-after: Sun, 06 Nov 1994 08:49:42 GMT\r\n", 1).await;
    let world = World::new();
    assert_eq!(world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap().status, 200);
    assert_eq!(world.waits(), [5000]);
}

#[tokio::test]
async fn a_busy_server_that_names_nothing_is_asked_again_after_a_growing_wait() {
    for headers in ["", "retry-after: soon\r\n"] {
        let server = busy("503 Service Unavailable", headers, 2).await;
        let world = World::new();
        assert_eq!(world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap().status, 200);
        assert_eq!(world.waits(), [500, 1000]);
    }
}

#[tokio::test]
async fn after_three_tries_the_last_answer_is_the_answer() {
    let server = busy("429 Too Many Requests", "retry-after: 1\r\n", usize::MAX).await;
    let world = World::new();
    let response = world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (429, &b"busy"[..]));
    assert_eq!((server.lines().len(), world.waits().len()), (3, 2));
}

#[tokio::test]
async fn a_server_that_asks_for_more_time_than_there_is_gets_it_from_the_plugin() {
    let limits = EgressLimits { request_timeout: Duration::from_secs(30), ..EgressLimits::default() };

    let server = busy("503 Service Unavailable", "retry-after: 30\r\n", usize::MAX).await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), limits.clone());
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::RateLimited(Some(30))));
    assert_eq!((server.lines().len(), world.waits().len()), (1, 0));
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"rate_limited\""), 1);

    // Twenty seconds fit once, not twice.
    let server = busy("429 Too Many Requests", "retry-after: 20\r\n", usize::MAX).await;
    let world = World::new();
    let egress = world.limited(loopback(server.port), limits);
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::RateLimited(Some(20))));
    assert_eq!(world.waits(), [20_000]);
}

#[tokio::test]
async fn other_statuses_are_answers_at_once() {
    for status in ["400 Bad Request", "401 Unauthorized", "500 Internal Server Error", "502 Bad Gateway"] {
        let server = busy(status, "retry-after: 1\r\n", usize::MAX).await;
        let response = World::new().egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(server.lines().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn only_what_may_be_sent_twice_is_sent_twice() {
    for method in Method::ALL {
        let expected = if method.is_idempotent() { 3 } else { 1 };
        let world = World::new();

        let server = busy("503 Service Unavailable", "retry-after: 60\r\n", usize::MAX).await;
        let limits = EgressLimits { request_timeout: Duration::from_secs(600), ..EgressLimits::default() };
        let response = world.limited(loopback(server.port), limits).send(request(method, server.url("/"))).await;
        assert_eq!((response.unwrap().status, server.lines().len()), (503, expected), "{method}");

        let server = Server::start(|_, _| Answer::Reset).await;
        let error = world.egress(loopback(server.port)).send(request(method, server.url("/"))).await;
        assert!(matches!(error, Err(Error::Protocol(_))), "{method}: {error:?}");
        assert_eq!(server.lines().len(), expected, "{method}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_made_anew() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Reset,
        1 => Answer::Last(Vec::new()),
        _ => Answer::Bytes(ok("well")),
    })
    .await;
    let world = World::new();
    let response = world.egress(loopback(server.port)).send(get(server.url("/"))).await.unwrap();
    assert_eq!(&response.body[..], b"well");
    assert_eq!((world.waits(), server.connections()), (vec![500, 1000], 3));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let server = Server::start(|_, _| Answer::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec())).await;
    let error = World::new().egress(loopback(server.port)).send(get(server.url("/"))).await;
    assert!(matches!(error, Err(Error::Protocol(_))), "{error:?}");
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let port = Server::saying("").await.port;
    let origin = format!("http://plugin.example:{port}");
    let world = World::new().resolving(&["127.0.0.1"]).resolving(&["127.0.0.1"]).resolving(&["127.0.0.1"]);
    let error = world.egress(reaching(&origin, &["loopback"])).send(get(format!("{origin}/?k=v"))).await;
    let Err(Error::Connect(text)) = error else { panic!("{error:?}") };
    assert!(text.starts_with(&format!("{origin}: Connection refused")), "{text}");
    assert_eq!(world.waits(), [500, 1000]);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"connect\""), 1);
}

/// Guarantees: where nobody listens on this machine nobody is waited for.
#[tokio::test]
async fn nobody_listening_on_this_machine_is_not_asked_again() {
    // Closed at once, where a server would need a moment.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let origin = format!("http://{host}:{port}");
        let world = World::new().resolving(&["127.0.0.1"]);
        let error = world.egress(reaching(&origin, &["loopback"])).send(get(format!("{origin}/?k=v"))).await;
        let Err(Error::Connect(text)) = error else { panic!("{error:?}") };
        assert!(text.starts_with(&format!("{origin}: Connection refused")), "{text}");
        assert_eq!(world.waits(), [0; 0]);
        assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"connect\""), 1);
    }
}

#[tokio::test]
async fn a_slow_answer_runs_out_of_time_in_its_head_and_in_its_body() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec();
    for sent in [Vec::new(), begun] {
        let server = Server::start(move |_, _| Answer::Stall(sent.clone())).await;
        let world = World::new();
        let limits = EgressLimits { request_timeout: Duration::from_millis(200), ..EgressLimits::default() };
        let error = world.limited(loopback(server.port), limits).send(get(server.url("/"))).await;
        assert_eq!(error, Err(Error::Timeout));
        assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"timeout\""), 1);
        assert_eq!(server.lines().len(), 1);
        server.until_gone(1).await;
    }
}
