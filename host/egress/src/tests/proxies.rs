//! Who is asked in place of the server, and who is not.

use serde_json::json;

use super::get;
use super::server::{Answer, Server, response};
use super::world::{World, everything, policy, reaching};
use crate::Error;

/// Scenario: a proxy is configured, and a plugin asks an origin that may be anywhere public.
/// Guarantees: the proxy is asked for it, with its password; the name of the origin is not looked up, for the proxy does that.
#[tokio::test]
async fn a_public_origin_is_asked_through_the_proxy() {
    let proxy = Server::saying("through the proxy").await;
    let world = World::behind(&format!("http://me:pass%20word@127.0.0.1:{}", proxy.port));
    let egress = world.egress(reaching("http://weather.example", &["public"]));
    let answer = egress.send(get("http://weather.example/today?a=b")).await.unwrap();
    assert_eq!(&answer.body[..], b"through the proxy");
    assert!(world.looked_up().is_empty());
    proxy.received(|received| {
        assert_eq!(received[0].line(), "GET http://weather.example/today?a=b");
        // me:pass word
        assert_eq!(received[0].header("proxy-authorization"), ["Basic bWU6cGFzcyB3b3Jk"]);
    });
    for form in ["pass word", "bWU6cGFzcyB3b3Jk"] {
        assert_eq!(world.redaction.text(form), "[REDACTED]");
    }
}

/// Scenario: the same over TLS.
/// Guarantees: the proxy is asked for a tunnel to the origin, and sees nothing of the request; a proxy that refuses is an error
/// that shows no password.
#[tokio::test]
async fn an_https_origin_is_asked_through_a_tunnel() {
    let proxy = Server::start(|_, _| Answer::Last(response("403 Forbidden", "", ""))).await;
    let world = World::behind(&format!("http://me:pass-word@127.0.0.1:{}", proxy.port));
    let egress = world.egress(reaching("https://weather.example", &["public"]));
    let Err(Error::Connect(text)) = egress.send(get("https://weather.example/secret")).await else { panic!() };
    assert!(text.starts_with("https://weather.example: ") && !text.contains("pass-word"), "{text}");
    assert!(world.looked_up().is_empty());
    proxy.received(|received| {
        assert!(received.iter().all(|request| request.line() == "CONNECT weather.example:443"));
        assert!(!received.is_empty());
    });
}

/// Scenario: the name of the proxy leads to this machine, which no plugin is granted.
/// Guarantees: it is dialled: the proxy is the operator's. Its name is the only one that is looked up.
#[tokio::test]
async fn the_proxy_itself_is_not_judged() {
    let proxy = Server::saying("through the proxy").await;
    let world = World::behind(&format!("http://proxy.example:{}", proxy.port)).resolving(&["127.0.0.1"]);
    let egress = world.egress(reaching("http://weather.example", &["public"]));
    assert!(egress.send(get("http://weather.example/")).await.is_ok());
    assert_eq!(world.looked_up(), ["proxy.example"]);
}

/// Scenario: origins that are granted as loopback, as private or by a block, besides the proxy.
/// Guarantees: they are dialled directly, and their addresses checked: what a proxy dials cannot be.
#[tokio::test]
async fn what_is_not_simply_public_is_dialled_and_checked() {
    let proxy = Server::saying("through the proxy").await;
    let server = Server::saying("directly").await;
    let origin = format!("http://plugin.example:{}", server.port);
    for scope in [&["loopback"][..], &["127.0.0.0/8"], &["public", "loopback"]] {
        let world = World::behind(&format!("http://127.0.0.1:{}", proxy.port)).resolving(&["127.0.0.1"]);
        let answer = world.egress(reaching(&origin, scope)).send(get(format!("{origin}/"))).await.unwrap();
        assert_eq!(&answer.body[..], b"directly");
    }
    let world = World::behind(&format!("http://127.0.0.1:{}", proxy.port)).resolving(&["127.0.0.1"]);
    let denied = world.egress(reaching(&origin, &["private"])).send(get(format!("{origin}/"))).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
    assert_eq!(proxy.connections(), 0);
}

/// Scenario: behind a proxy, requests that are not granted, and an origin that is an address nobody may reach.
/// Guarantees: the proxy is no way around a grant: it hears of none of them.
#[tokio::test]
async fn a_proxy_is_no_way_around_a_grant() {
    let proxy =
        Server::start(|_, _| Answer::Bytes(response("302 Found", "location: http://other.example/\r\n", ""))).await;
    let requests = everything("http://weather.example");
    let grants = json!([{ "origin": "http://weather.example", "paths": ["/open/*"], "redirects": 1 }]);
    let egress = World::behind(&format!("http://127.0.0.1:{}", proxy.port)).egress(policy(&requests, grants));
    for url in ["http://other.example/", "http://weather.example/closed", "http://169.254.169.254/latest/meta-data"] {
        assert!(matches!(egress.send(get(url)).await, Err(Error::Denied(_))), "{url}");
    }
    assert_eq!(proxy.connections(), 0);
    // A redirect is judged as well.
    assert!(matches!(egress.send(get("http://weather.example/open/x")).await, Err(Error::Denied(_))));
    assert_eq!(proxy.lines(), ["GET http://weather.example/open/x"]);
}
