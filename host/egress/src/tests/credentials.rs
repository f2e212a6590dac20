//! Where a secret goes, and where it does not.

use kiln_policy::Method;

use super::server::{Answer, Server, response};
use super::world::{World, everything, everything_with, policy};
use super::{get, request, with_header};
use crate::{Credentials, EgressLimits, Error};

const TOKEN: &str = "dapi-s3cret";

fn credentials() -> Credentials {
    let mut credentials = Credentials::default();
    credentials.insert("token", TOKEN);
    credentials
}

#[tokio::test]
async fn a_credential_goes_to_its_origin_and_to_no_other() {
    let (own, other) = (Server::saying("").await, Server::saying("").await);
    let requests = everything_with(&own.url(""), "token") + &everything(&other.url(""));
    let grants = serde_json::json!([
        { "origin": own.url(""), "addresses": ["loopback"] },
        { "origin": other.url(""), "addresses": ["loopback"] },
    ]);
    let egress = World::new().build(policy(&requests, grants), &credentials(), EgressLimits::default());
    for method in [Method::Get, Method::Post] {
        egress.send(request(method, own.url("/x"))).await.unwrap();
        egress.send(request(method, other.url("/x"))).await.unwrap();
    }
    own.received(|received| {
        assert!(received.iter().all(|request| request.header("authorization") == [format!("Bearer {TOKEN}")]));
    });
    other.received(|received| assert!(received.iter().all(|request| !request.head.contains(TOKEN))));
}

#[tokio::test]
async fn rules_with_different_credentials_do_not_borrow_from_each_other() {
    let server = Server::saying("").await;
    let origin = server.url("");
    let rule = |path, credential| {
        format!(
            "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET']\npaths = ['{path}']\nreason = 'a test'\n\
             credential = '${{config.{credential}}}'\n"
        )
    };
    let requests = rule("/a", "token") + &rule("/b", "other") + &rule("/c", "absent");
    let grants = serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]);
    let mut credentials = credentials();
    credentials.insert("other", "0ther");
    let egress = World::new().build(policy(&requests, grants), &credentials, EgressLimits::default());
    for path in ["/a", "/b", "/c", "/a"] {
        egress.send(get(server.url(path))).await.unwrap();
    }
    server.received(|received| {
        let sent: Vec<_> = received.iter().map(|request| request.header("authorization").join(",")).collect();
        assert_eq!(sent, ["Bearer dapi-s3cret", "Bearer 0ther", "", "Bearer dapi-s3cret"]);
    });
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_carries_the_credential_nowhere() {
    let elsewhere = Server::saying("").await;
    let target = elsewhere.url("/stolen");
    let server = Server::start({
        let target = target.clone();
        move |_, request| {
            let status = &request.line()[5..];
            Answer::Bytes(response(status, &format!("location: {target}\r\n"), ""))
        }
    })
    .await;
    // Even where both ends are granted: what is not asked for is not sent.
    let requests = everything_with(&server.url(""), "token") + &everything(&elsewhere.url(""));
    let grants = serde_json::json!([
        { "origin": server.url(""), "addresses": ["loopback"] },
        { "origin": elsewhere.url(""), "addresses": ["loopback"] },
    ]);
    let egress = World::new().build(policy(&requests, grants), &credentials(), EgressLimits::default());
    for status in [301, 302, 303, 307, 308] {
        let response = egress.send(get(server.url(&format!("/{status}")))).await.unwrap();
        assert_eq!(response.status, status);
        assert!(response.headers.contains(&("location".into(), target.clone())));
    }
    assert_eq!((server.lines().len(), elsewhere.connections()), (5, 0));
}

#[tokio::test]
async fn no_error_shows_a_credential_or_a_query() {
    let server = Server::start(|_, request| match request.line() {
        "GET /garbage?k=s3cret" => Answer::Last(b"\0\0\0\0 s3cret\r\n\r\n".to_vec()),
        "GET /reset?k=s3cret" => Answer::Reset,
        "GET /short?k=s3cret" => Answer::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1".to_vec()),
        "GET /gzip?k=s3cret" => Answer::Bytes(response("200 OK", "content-encoding: gzip\r\n", "not gzip at all")),
        "GET /head?k=s3cret" => Answer::Bytes(response("200 OK", &"x: s3cret\r\n".repeat(500), "not gzip at all")),
        _ => Answer::Stall(Vec::new()),
    })
    .await;
    let unused = Server::saying("").await.url("");
    let requests = everything_with(&server.url(""), "token") + &everything_with(&unused, "token");
    let grants = serde_json::json!([
        { "origin": server.url(""), "addresses": ["loopback"] },
        { "origin": unused, "addresses": ["loopback"] },
    ]);
    let limits = EgressLimits { request_timeout: std::time::Duration::from_secs(4), ..EgressLimits::default() };
    let egress = World::new().build(policy(&requests, grants), &credentials(), limits);
    let failing = [
        get(server.url("/garbage?k=s3cret")),
        get(server.url("/reset?k=s3cret")),
        get(server.url("/short?k=s3cret")),
        get(server.url("/gzip?k=s3cret")),
        get(server.url("/head?k=s3cret")),
        get(format!("{unused}/refused?k=s3cret")),
        get("http://not-granted.example/?k=s3cret"),
        get("http://[?k=s3cret"),
        with_header("authorization", "s3cret", server.url("/x?k=s3cret")),
        with_header("x", "s3cret\n", server.url("/x?k=s3cret")),
    ];
    for request in failing {
        let shown = format!("{request:?}");
        let error = egress.send(request).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{shown}: {error:?}");
        assert!(!matches!(error, Error::Timeout), "{shown}");
    }
}

/// Scenario: a name and a password are configured, the password as a value and as a file that changes.
/// Guarantees: both are sent as RFC 7617 says, and neither the password nor what is sent is printed while it is of use.
#[tokio::test]
async fn a_name_and_a_password_are_sent_encoded_and_looked_for_in_what_is_printed() {
    let server = Server::saying("").await;
    let origin = server.url("");
    let grants = serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let mut credentials = Credentials::default();
    credentials.insert("id", "Aladdin");
    credentials.insert("password", "open sesame");
    credentials.insert("file", file.to_str().unwrap());
    for password in ["password = '${config.password}'", "password_file = '${config.file}'"] {
        let requests = format!(
            "{}credential = [{{ type = 'basic', username = '${{config.id}}', {password} }}]\n",
            everything(&origin)
        );
        let world = World::new();
        let egress = world.build(policy(&requests, grants.clone()), &credentials, EgressLimits::default());
        egress.send(get(server.url("/x"))).await.unwrap();
        let sent = server.received(|received| received.last().unwrap().header("authorization").concat());
        assert_eq!(sent, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(world.redaction.text(&format!("{sent} and open sesame")), "Basic [REDACTED] and [REDACTED]");
        drop(egress);
        assert_eq!(world.redaction.text("open sesame"), "open sesame");
    }
}

#[test]
fn a_name_with_a_colon_is_no_name() {
    let requests = "[[requests.http]]\norigin = 'https://a.example'\nmethods = ['GET']\npaths = ['/*']\n\
                    reason = 'a test'\n\
                    credential = [{ type = 'basic', username = '${config.id}', password = '${config.password}' }]\n";
    let policy = policy(requests, serde_json::json!([{ "origin": "https://a.example" }]));
    let world = World::new();
    let build = |name: &str, password: &str| {
        let mut credentials = Credentials::default();
        credentials.insert("id", name);
        credentials.insert("password", password);
        let spec = world.spec(std::sync::Arc::clone(&policy), &credentials, EgressLimits::default());
        crate::Egress::within(world.ambient(), spec).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build("me", "s3cret"), Ok(()));
    assert_eq!(
        build("me:you", "s3cret").unwrap_err(),
        "`id` is no name to sign in with: it contains a colon or a control character"
    );
    assert!(build("me", "two\nlines").unwrap_err().starts_with("`password` contains a line break"));
    assert!(build("me", "").unwrap_err().starts_with("`password` is empty"));
}
