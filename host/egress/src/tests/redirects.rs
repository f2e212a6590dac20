//! Redirects: answers like any other, unless a grant says that they are followed; and then under every rule there is.

use std::sync::Arc;

use kiln_policy::{Method, Policy};
use serde_json::{Value, json};

use super::server::{Answer, Server, ok, response};
use super::world::{World, everything, everything_with, policy};
use super::{get, request};
use crate::{Credentials, Egress, EgressLimits, Error, Request};

/// Sends on what asks for `/to` to the path or URL in the query, counts `/hop/3` down to `/hop/0`, and answers the rest.
async fn redirecting() -> Server {
    Server::start(|_, request| {
        let (_, path) = request.line().split_once(' ').unwrap();
        let hops = path.strip_prefix("/hop/").map_or(0, |hops| hops.parse().unwrap());
        let target = match path.split_once("/to?") {
            Some((_, target)) => target.to_owned(),
            None if hops > 0 => format!("/hop/{}", hops - 1),
            None => return Answer::Bytes(ok("arrived")),
        };
        Answer::Bytes(response("302 Found", &format!("location: {target}\r\n"), "elsewhere"))
    })
    .await
}

fn grant(server: &Server, redirects: u8) -> Value {
    json!({ "origin": server.url(""), "addresses": ["loopback"], "redirects": redirects })
}

fn at(server: &Server, redirects: u8) -> Arc<Policy> {
    policy(&everything(&server.url("")), json!([grant(server, redirects)]))
}

async fn body(egress: &Egress, url: String) -> Result<String, Error> {
    egress.send(get(url)).await.map(|response| String::from_utf8(response.body.to_vec()).unwrap())
}

#[tokio::test]
async fn without_a_grant_a_redirect_is_an_answer() {
    let server = redirecting().await;
    let egress = World::new().egress(at(&server, 0));
    let answer = egress.send(get(server.url("/to?/x"))).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (302, &b"elsewhere"[..]));
    assert_eq!(server.lines().len(), 1);
}

/// Scenario: a chain of redirects that is one longer than what is granted.
/// Guarantees: so many are followed, and the next one is an answer.
#[tokio::test]
async fn so_many_are_followed_as_are_granted() {
    let server = redirecting().await;
    for granted in 1..=3_u8 {
        let egress = World::new().egress(at(&server, granted));
        let status = async |hops: u8| egress.send(get(server.url(&format!("/hop/{hops}")))).await.unwrap().status;
        assert_eq!((status(granted).await, status(granted + 1).await), (200, 302), "{granted}");
    }
}

#[tokio::test]
async fn only_what_has_no_effect_is_followed() {
    let server = redirecting().await;
    let egress = World::new().egress(at(&server, 3));
    for method in Method::ALL {
        let answer = egress.send(request(method, server.url("/to?/x"))).await.unwrap();
        let follows = matches!(method, Method::Get | Method::Head);
        assert_eq!(answer.status == 200, follows, "{method}");
    }
}

/// Scenario: a server that is granted redirects to where no grant reaches: another origin, a metadata service, an
/// address on this machine, a path that was left out, a scheme that is none, and out of encryption.
/// Guarantees: each is denied and recorded as if the plugin had asked for it, and nobody is asked.
#[tokio::test]
async fn every_hop_is_checked_as_if_the_plugin_had_asked() {
    let (server, other) = (redirecting().await, Server::saying("").await);
    let requests = everything(&server.url("")).replace("'/*'", "'/to', '/open/*'");
    let world = World::new();
    let egress = world.egress(policy(&requests, json!([grant(&server, 3)])));
    assert_eq!(body(&egress, server.url("/to?/open/x")).await.unwrap(), "arrived");
    for (reason, target) in [
        ("origin", other.url("/x")),
        ("origin", "http://169.254.169.254/latest/meta-data/".to_owned()),
        ("origin", format!("http://localhost:{}/x", server.port)),
        ("path", server.url("/admin")),
        ("path", "/admin".to_owned()),
        ("path", "../admin".to_owned()),
        ("ambiguous_path", "/open/..%2fadmin".to_owned()),
        ("url", format!("http://me:s3cret@127.0.0.1:{}/open/x", server.port)),
        ("url", "file:///etc/passwd".to_owned()),
    ] {
        let before = world.denied(reason);
        let error = body(&egress, server.url(&format!("/to?{target}"))).await;
        assert!(matches!(error, Err(Error::Denied(_))), "{target}: {error:?}");
        assert_eq!(world.denied(reason), before + 1, "{target}");
    }
    assert_eq!(other.connections(), 0);
    assert!(server.lines().iter().all(|line| line.contains("/to?") || line.ends_with("/open/x")));
}

/// Scenario: a request with a credential, a key in a header of the plugin's own and an `accept` is sent on to another
/// origin that is granted, and from there back.
/// Guarantees: beyond the first origin goes the `accept` alone; nothing comes back with the request either.
#[tokio::test]
async fn nothing_that_opens_doors_is_taken_to_another_origin() {
    let (first, second) = (redirecting().await, redirecting().await);
    let requests = everything_with(&first.url(""), "token") + &everything_with(&second.url(""), "other");
    let mut credentials = Credentials::default();
    credentials.insert("token", "dapi-s3cret");
    credentials.insert("other", "0ther-s3cret");
    let policy = policy(&requests, json!([grant(&first, 3), grant(&second, 3)]));
    let egress = World::new().build(policy, &credentials, EgressLimits::default());
    let url = format!("{}/to?{}/to?{}", first.url(""), second.url(""), first.url("/end"));
    let headers = [("x-api-key", "k3y"), ("accept", "text/plain"), ("x-databricks-org-id", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let answer = egress.send(Request { headers, ..get(url) }).await.unwrap();
    assert_eq!(&answer.body[..], b"arrived");
    let seen = |server: &Server, index: usize| {
        server.received(|received| {
            let header = |name: &str| received[index].header(name).concat();
            (header("authorization"), header("x-api-key"), header("accept"))
        })
    };
    let none = || (String::new(), String::new(), "text/plain".to_owned());
    assert_eq!(seen(&first, 0), ("Bearer dapi-s3cret".into(), "k3y".into(), "text/plain".into()));
    assert_eq!(seen(&second, 0), none());
    assert_eq!(seen(&first, 1), none());
}

#[tokio::test]
async fn on_the_same_origin_everything_goes_along() {
    let server = redirecting().await;
    let mut credentials = Credentials::default();
    credentials.insert("token", "dapi-s3cret");
    let policy = policy(&everything_with(&server.url(""), "token"), json!([grant(&server, 1)]));
    let egress = World::new().build(policy, &credentials, EgressLimits::default());
    let headers = vec![("x-api-key".to_owned(), "k3y".to_owned())];
    egress.send(Request { headers, ..get(server.url("/to?/x")) }).await.unwrap();
    server.received(|received| {
        assert_eq!(received[1].header("authorization"), ["Bearer dapi-s3cret"]);
        assert_eq!(received[1].header("x-api-key"), ["k3y"]);
    });
}

#[tokio::test]
async fn a_body_that_is_read_in_pieces_may_be_redirected_to() {
    let server = redirecting().await;
    let egress = World::new().egress(at(&server, 1));
    let mut opened = egress.open(get(server.url("/to?/x"))).await.unwrap();
    assert_eq!(opened.body.read().await.unwrap().unwrap(), "arrived");
}
