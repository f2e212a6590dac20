//! Which requests leave at all.

use kiln_policy::Method;

use super::server::Server;
use super::world::{World, loopback, policy};
use super::{get, request, with_header};
use crate::{EgressLimits, Error, Request};

fn narrow(origin: &str) -> std::sync::Arc<kiln_policy::Policy> {
    let requests = format!(
        "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET', 'POST']\npaths = ['/api/*']\nreason = 'a test'\n"
    );
    policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"], "paths": ["/api/v1/*"] }]))
}

#[tokio::test]
async fn what_the_policy_covers_arrives_as_it_was_sent() {
    let server = Server::saying("hello").await;
    let egress = World::new().egress(narrow(&server.url("")));
    let sent = Request {
        method: Method::Post,
        url: server.url("/api/v1/runs?limit=2&q=a%20b#here"),
        headers: vec![("X-A".into(), "1".into()), ("x-a".into(), "2".into())],
        body: Some(b"body".to_vec()),
    };
    let response = egress.send(sent).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
    server.received(|received| {
        let request = &received[0];
        assert_eq!(request.line(), "POST /api/v1/runs?limit=2&q=a%20b");
        assert_eq!(request.header("x-a"), ["1", "2"]);
        assert_eq!(request.header("host"), [format!("127.0.0.1:{}", server.port)]);
        assert_eq!(request.header("user-agent"), [concat!("kiln/", env!("CARGO_PKG_VERSION"))]);
        assert_eq!(request.header("content-length"), ["4"]);
        assert_eq!(request.body, b"body");
        for absent in ["authorization", "cookie", "referer"] {
            assert!(request.header(absent).is_empty(), "{absent}");
        }
    });
}

#[tokio::test]
async fn every_method_of_the_contract_can_be_sent() {
    let server = Server::saying("").await;
    let egress = World::new().egress(loopback(server.port));
    for method in Method::ALL {
        assert_eq!(egress.send(request(method, server.url("/x"))).await.unwrap().status, 200);
        assert_eq!(server.lines().last().unwrap(), &format!("{method} /x"));
    }
}

#[tokio::test]
async fn what_no_rule_covers_never_reaches_the_server() {
    let server = Server::saying("").await;
    let other = Server::saying("").await;
    let world = World::new();
    let egress = world.egress(narrow(&server.url("")));
    let port = server.port;
    let denied = [
        ("path", get(server.url("/admin"))),
        ("path", get(server.url("/api/v2/x"))),
        ("path", get(server.url("/api/v1/../../admin"))),
        ("path", get(server.url("/api/v1/%2e%2e/%2E%2e/admin"))),
        ("path", get(server.url("/api/v1\\..\\..\\admin"))),
        ("method", request(Method::Delete, server.url("/api/v1/x"))),
        ("method", request(Method::Head, server.url("/api/v1/x"))),
        ("origin", get(other.url("/api/v1/x"))),
        ("origin", get(format!("https://127.0.0.1:{port}/api/v1/x"))),
        ("origin", get(format!("http://127.0.0.2:{port}/api/v1/x"))),
        ("origin", get(format!("http://localhost:{port}/api/v1/x"))),
        ("origin", get(format!("http://[::ffff:127.0.0.1]:{port}/api/v1/x"))),
        ("origin", get("http://169.254.169.254/api/v1/x")),
        ("url", get(format!("http://127.0.0.1:{port}@169.254.169.254/api/v1/x"))),
        ("url", get(format!("http://user@127.0.0.1:{port}/api/v1/x"))),
        ("url", get(format!("ws://127.0.0.1:{port}/api/v1/x"))),
        ("url", get("file:///etc/passwd")),
        ("url", get("data:text/plain,x")),
    ];
    for (reason, request) in denied {
        let before = world.denied(reason);
        let shown = format!("{request:?}");
        assert!(matches!(egress.send(request).await, Err(Error::Denied(_))), "{shown}");
        assert_eq!(world.denied(reason), before + 1, "{shown}");
    }
    assert_eq!((server.connections(), other.connections()), (0, 0));

    // The same address spelled otherwise is the same origin, and covered.
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "0177.0.0.1"] {
        assert!(egress.send(get(format!("HTTP://{host}:{port}/api/v1/x"))).await.is_ok(), "{host}");
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_the_plugins_mistake() {
    let world = World::new();
    let egress = world.egress(loopback(1));
    for url in ["", "/relative", "http://", "http://[", "http://a b/", "http://127.0.0.1:99999/", "127.0.0.1:1/x y"] {
        assert!(matches!(egress.send(get(url)).await, Err(Error::InvalidRequest(_) | Error::Denied(_))), "{url:?}");
    }
    assert!(matches!(egress.send(get("http://[?token=s3cret")).await, Err(Error::InvalidRequest(_))));
}

/// Scenario: a URL, headers and a body larger than a request may have.
/// Guarantees: nothing is sent, and each is counted as the limit it breaks.
#[tokio::test]
async fn what_is_too_large_to_send_is_counted_by_its_limit() {
    let server = Server::saying("").await;
    let world = World::new();
    let limits = EgressLimits { header_count: 2, header_bytes: 20, request_bytes: 3, ..EgressLimits::default() };
    let egress = world.limited(loopback(server.port), limits);
    let with = |headers: &[(&str, &str)], body: Option<Vec<u8>>| Request {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body,
        ..get(server.url("/"))
    };
    for (limit, request) in [
        ("url_bytes", get(server.url(&format!("/{}", "a".repeat(20_000))))),
        ("header_count", with(&[("a", ""), ("b", ""), ("c", "")], None)),
        ("header_bytes", with(&[("a", "01234567890123456789")], None)),
        ("request_bytes", with(&[], Some(vec![0; 4]))),
    ] {
        assert!(matches!(egress.send(request).await, Err(Error::InvalidRequest(_))), "{limit}");
        assert_eq!(world.metric("kiln_instance_limit_hits_total", &format!(",limit=\"{limit}\"")), 1, "{limit}");
    }
    assert!(egress.send(with(&[("a", "b"), ("c", "d")], Some(vec![0; 3]))).await.is_ok());
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn line_breaks_in_a_url_stay_inside_the_request_line() {
    let server = Server::saying("").await;
    let egress = World::new().egress(loopback(server.port));
    egress.send(get(server.url("/a\r\nx-smuggled: 1\r\n\r\nGET /b?c\r\nd"))).await.unwrap();
    assert_eq!(server.lines(), ["GET /ax-smuggled:%201GET%20/b?cd"]);
    server.received(|received| assert!(received[0].header("x-smuggled").is_empty()));
}

#[tokio::test]
async fn headers_of_the_host_and_broken_headers_are_refused() {
    let server = Server::saying("").await;
    let world = World::new();
    let egress = world.egress(loopback(server.port));
    for (name, value) in [
        ("Authorization", "Bearer mine"),
        ("cookie", "a=b"),
        ("Host", "evil.example"),
        ("Proxy-Authorization", "x"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "x-removed"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Expect", "100-continue"),
        ("Keep-Alive", "1"),
        ("x-a", "b\r\nauthorization: Bearer mine"),
        ("x-a", "b\nhost: evil"),
        ("x-a: b\r\nhost", "evil"),
        ("host ", "evil"),
        ("", "b"),
    ] {
        let sent = with_header(name, value, server.url("/x"));
        assert!(matches!(egress.send(sent).await, Err(Error::InvalidRequest(_))), "{name:?}: {value:?}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(world.denied("header"), 12);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"invalid_request\""), 17);

    assert!(egress.send(with_header("x-a", "b", server.url("/x"))).await.is_ok());
}

#[tokio::test]
async fn a_request_larger_than_allowed_is_refused() {
    let server = Server::saying("").await;
    let limits = EgressLimits { request_bytes: 10, header_count: 1, header_bytes: 20, ..EgressLimits::default() };
    let egress = World::new().limited(loopback(server.port), limits);
    let put = |length| Request { body: Some(vec![b'x'; length]), ..request(Method::Put, server.url("/x")) };
    assert!(egress.send(put(10)).await.is_ok());
    assert!(matches!(egress.send(put(11)).await, Err(Error::InvalidRequest(_))));
    assert!(egress.send(with_header("x", &"y".repeat(19), server.url("/x"))).await.is_ok());
    assert!(matches!(
        egress.send(with_header("x", &"y".repeat(20), server.url("/x"))).await,
        Err(Error::InvalidRequest(_))
    ));
    let two = Request { headers: vec![("a".into(), "b".into()), ("c".into(), "d".into())], ..get(server.url("/x")) };
    assert!(matches!(egress.send(two).await, Err(Error::InvalidRequest(_))));
    assert_eq!(server.lines().len(), 2);
}
