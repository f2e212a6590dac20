//! Whatever a guest makes up.

use std::sync::Arc;

use kiln_policy::{Method, Policy};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::server::Server;
use super::world::{World, policy};
use crate::{Egress, Request};

fn narrow(origin: &str) -> Arc<Policy> {
    let requests = format!(
        "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET', 'PUT']\npaths = ['/granted/*']\nreason = 'a test'\n"
    );
    policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]))
}

fn urls(port: u16) -> impl Strategy<Value = String> {
    let scheme = prop_oneof![6 => Just("http"), 1 => Just("https"), 1 => Just("HTTP"), 1 => Just("ws"), 1 => Just("")];
    let separator = prop_oneof![8 => Just("://"), 1 => Just(":/"), 1 => Just(":\\\\"), 1 => Just(":")];
    let host = prop_oneof![
        8 => Just(format!("127.0.0.1:{port}")),
        1 => Just(format!("0x7f.1:{port}")),
        1 => Just(format!("localhost:{port}")),
        1 => Just(format!("[::ffff:7f00:1]:{port}")),
        1 => Just(format!("user:pass@127.0.0.1:{port}")),
        1 => Just(format!("127.0.0.1:{port}@evil.example")),
        1 => "\\PC{0,12}",
    ];
    let piece = prop_oneof![
        4 => Just("/granted/".to_owned()),
        1 => Just("/".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just("%2e%2e/".to_owned()),
        1 => Just("%2f".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("\r\nhost: evil\r\n".to_owned()),
        1 => Just(" HTTP/1.1\r\n\r\nGET /admin".to_owned()),
        1 => Just("?".to_owned()),
        1 => Just("#".to_owned()),
        1 => "\\PC{0,8}",
        1 => any::<String>(),
    ];
    let built = (scheme, separator, host, prop::collection::vec(piece, 0..5))
        .prop_map(|(scheme, separator, host, pieces)| format!("{scheme}{separator}{host}{}", pieces.concat()));
    prop_oneof![8 => built, 1 => any::<String>()]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        4 => "[a-zA-Z][a-zA-Z-]{0,10}",
        1 => Just("Authorization".to_owned()),
        1 => Just("content-length".to_owned()),
        1 => Just("x\r\nauthorization".to_owned()),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        4 => "[ -~]{0,20}",
        1 => Just("1\r\nauthorization: mine".to_owned()),
        1 => any::<String>(),
    ];
    prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec((name, value), 0..4)]
}

fn requests(port: u16) -> impl Strategy<Value = Request> {
    let body = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    (prop::sample::select(Method::ALL.to_vec()), urls(port), headers(), body)
        .prop_map(|(method, url, headers, body)| Request { method, url, headers, body })
}

fn judge(runtime: &Runtime, server: &Server, egress: &Egress, request: Request) -> Result<bool, TestCaseError> {
    let before = server.received(<[_]>::len);
    let (method, sent) = (request.method, request.headers.clone());
    let result = runtime.block_on(egress.send(request));
    server.received(|received| {
        let arrived = &received[before..];
        prop_assert_eq!(arrived.len(), usize::from(result.is_ok()), "{:?}", result);
        for request in arrived {
            let (verb, path) = request.line().split_once(' ').unwrap();
            prop_assert_eq!(verb, method.name());
            prop_assert!(["GET", "PUT"].contains(&verb));
            prop_assert!(path.starts_with("/granted/"), "{}", path);
            prop_assert_eq!(request.header("host").len(), 1);
            prop_assert!(request.header("authorization").is_empty());
            // The host's own: accept, accept-encoding, user-agent, host, content-length.
            prop_assert!(request.head.lines().count() <= 1 + 5 + sent.len(), "{}", request.head);
        }
        Ok(!arrived.is_empty())
    })
}

#[test]
fn nothing_a_guest_makes_up_panics_or_arrives_without_a_grant() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::saying(""));
    let egress = World::new().egress(narrow(&server.url("")));
    let arrived = std::cell::Cell::new(0_u32);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&requests(server.port), |request| {
        arrived.set(arrived.get() + u32::from(judge(&runtime, &server, &egress, request)?));
        Ok(())
    });
    outcome.unwrap();
    // Otherwise the property would hold for want of requests.
    assert!(arrived.get() > 20, "{}", arrived.get());
}
