//! What happens when there is no token: who is told what, how often the endpoint is asked, and where no secret goes.

use std::time::Duration;

use super::get;
use super::server::{Answer, Server, ok, response};
use super::sign_in::{SECRET, at, credentials, egress, is_token_request, signing_in, token_requests};
use super::world::{World, policy};
use crate::{Egress, EgressLimits, Error};

/// A token endpoint that always gives this answer, beside an API that should not be asked.
async fn answering(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |_, request| if is_token_request(request) { answer() } else { Answer::Bytes(ok("")) }).await
}

async fn failure(egress: &Egress, server: &Server) -> Error {
    egress.send(get(server.url("/api"))).await.unwrap_err()
}

#[tokio::test]
async fn a_wrong_secret_is_reported_by_its_code_and_does_not_hammer_the_endpoint() {
    let body = format!(r#"{{"error":"invalid_client","error_description":"{SECRET} is wrong"}}"#);
    let server = answering(move || Answer::Bytes(response("401 Unauthorized", "", &body))).await;
    let world = World::new();
    let egress = egress(&world, &server);
    let origin = server.url("");
    let text = format!("no access token: {origin} answers 401 invalid_client");
    assert_eq!(failure(&egress, &server).await, Error::Denied(text.clone()));
    for _ in 0..5 {
        assert_eq!(failure(&egress, &server).await, Error::Denied(format!("{text}; the next try is in 1 s")));
    }
    assert_eq!(server.lines(), ["POST /token"]);

    // One second, then two, then four, ….
    for (number, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        world.pass(pause - 1);
        failure(&egress, &server).await;
        assert_eq!(token_requests(&server), number + 1, "{pause}");
        world.pass(1);
        failure(&egress, &server).await;
        assert_eq!(token_requests(&server), number + 2, "{pause}");
    }
    assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"refused\""), 9);
    assert_eq!(world.metric("kiln_egress_requests_total", ",outcome=\"connect\""), 0);
}

#[tokio::test]
async fn a_mended_endpoint_is_found_after_the_pause() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Bytes(response("500 Internal Server Error", "", "")),
        1 => Answer::Bytes(ok(r#"{"access_token":"t"}"#)),
        _ => Answer::Bytes(ok("")),
    })
    .await;
    let world = World::new();
    let egress = egress(&world, &server);
    let text = format!("no access token: {} answers 500", server.url(""));
    assert_eq!(failure(&egress, &server).await, Error::Connect(text));
    world.pass(1);
    assert!(egress.send(get(server.url("/api"))).await.is_ok());
}

#[tokio::test]
async fn a_busy_endpoint_is_left_alone_for_as_long_as_it_asks() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let server = answering(move || Answer::Bytes(response(status, "retry-after: 120\r\n", ""))).await;
        let world = World::new();
        let egress = egress(&world, &server);
        assert_eq!(failure(&egress, &server).await, Error::RateLimited(Some(120)));
        world.pass(100);
        assert_eq!(failure(&egress, &server).await, Error::RateLimited(Some(20)));
        assert_eq!(token_requests(&server), 1);
        world.pass(20);
        failure(&egress, &server).await;
        assert_eq!(token_requests(&server), 2);
        assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"rate_limited\""), 2);

        // One that does not say for how long gets the usual pause.
        let server = answering(move || Answer::Bytes(response(status, "", ""))).await;
        let world = World::new();
        let egress = super::sign_in::egress(&world, &server);
        assert!(matches!(failure(&egress, &server).await, Error::Connect(text) if text.contains("is busy")));
    }
}

#[tokio::test]
async fn what_is_no_token_is_said_to_be_none() {
    let json = |length: usize| {
        let json = r#"{"access_token":"t"}"#;
        format!("{json}{}", " ".repeat(length - json.len()))
    };
    let html = "<html>Please sign in</html>".to_owned();
    for (body, outcome) in [
        (json(64 << 10), None),
        (json((64 << 10) + 1), Some("more than a token takes up")),
        (html, Some("something that is not JSON: is this a token endpoint?")),
        ("{}".to_owned(), Some("JSON without a usable `access_token`")),
        (r#"{"access_token":"t","token_type":"mac"}"#.to_owned(), Some("a token that is not of type Bearer")),
    ] {
        let server = answering(move || Answer::Bytes(ok(&body))).await;
        let world = World::new();
        let answer = egress(&world, &server).send(get(server.url("/api"))).await;
        match outcome {
            None => assert!(answer.is_ok(), "{answer:?}"),
            Some(what) => {
                let text = format!("no access token: {} answers with {what}", server.url(""));
                assert_eq!(answer, Err(Error::Denied(text)));
                assert_eq!(server.lines(), ["POST /token"]);
                assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"invalid_answer\""), 1);
            }
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let server = answering(move || Answer::Endless(head.clone(), b"4\r\nabcd\r\n".to_vec())).await;
    let world = World::new();
    let error = failure(&egress(&world, &server), &server).await;
    assert!(matches!(&error, Error::Denied(text) if text.contains("more than a token takes up")), "{error:?}");
    server.until_gone(1).await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_costs_no_more_than_its_time() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec();
    for sent in [Vec::new(), begun] {
        let server = answering(move || Answer::Stall(sent.clone())).await;
        let world = World::new();
        let limits = EgressLimits { token_timeout: Duration::from_millis(200), ..EgressLimits::default() };
        let egress = world.build(at(&server), &credentials(), limits);
        let text = format!("no access token: {}: no answer within 200ms", server.url(""));
        assert_eq!(failure(&egress, &server).await, Error::Connect(text));
        assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"timeout\""), 1);
        server.until_gone(1).await;
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let api = Server::saying("").await;
    let unused = Server::saying("").await.url("");
    let requests = signing_in(&api.url(""), &format!("token_url = '{unused}/token'"));
    let grants = serde_json::json!([
        { "origin": api.url(""), "addresses": ["loopback"] },
        { "origin": unused, "addresses": ["loopback"] },
    ]);
    let egress = World::new().build(policy(&requests, grants), &credentials(), EgressLimits::default());
    let error = failure(&egress, &api).await;
    let expected = format!("no access token: {unused}: Connection refused");
    assert!(matches!(&error, Error::Connect(text) if text.starts_with(&expected)), "{error:?}");
    assert_eq!(api.connections(), 0);
}

#[tokio::test]
async fn a_secret_is_not_sent_where_a_server_points() {
    let thief = Server::saying(r#"{"access_token":"t"}"#).await;
    let elsewhere = thief.url("/token");
    let server = Server::start(move |_, request| match request.line() {
        "GET /metadata" => Answer::Bytes(ok(format!(r#"{{"token_endpoint":"{elsewhere}"}}"#))),
        // A redirect would take the form with it.
        "POST /token" => Answer::Bytes(response("307 Temporary Redirect", &format!("location: {elsewhere}\r\n"), "")),
        _ => Answer::Bytes(ok("")),
    })
    .await;
    let origin = server.url("");
    // Even though the plugin may talk to both.
    let grants = serde_json::json!([
        { "origin": origin, "addresses": ["loopback"] },
        { "origin": thief.url(""), "addresses": ["loopback"] },
    ]);
    let error = |endpoint: String| {
        let requests = signing_in(&origin, &endpoint) + &super::world::everything(&thief.url(""));
        let egress = World::new().build(policy(&requests, grants.clone()), &credentials(), EgressLimits::default());
        let request = get(server.url("/api"));
        async move { egress.send(request).await.unwrap_err() }
    };
    let text = format!(
        "no access token: {origin} names a token endpoint elsewhere, at {}, where no secret is sent",
        thief.url("")
    );
    assert_eq!(error("discovery = '/metadata'".to_owned()).await, Error::Denied(text));
    let text = format!("no access token: {origin} answers 307");
    assert_eq!(error(format!("token_url = '{origin}/token'")).await, Error::Denied(text));
    assert_eq!(thief.connections(), 0);
    assert_eq!(server.lines(), ["GET /metadata", "POST /token"]);
}

#[tokio::test]
async fn a_token_endpoint_is_reached_only_at_addresses_that_are_granted() {
    let server = Server::start(|_, request| {
        Answer::Bytes(ok(if is_token_request(request) { r#"{"access_token":"t"}"# } else { "" }))
    })
    .await;
    let (api, id) = (server.url(""), format!("http://id.example:{}", server.port));
    let resolved = |addresses: &'static [&'static str], scope: &'static str| {
        let requests = signing_in(&api, &format!("token_url = '{id}/token'"));
        let grants = serde_json::json!([
            { "origin": api, "addresses": ["loopback"] },
            { "origin": id, "addresses": [scope] },
        ]);
        let world = World::new().resolving(addresses);
        let egress = world.build(policy(&requests, grants), &credentials(), EgressLimits::default());
        let request = get(server.url("/api"));
        async move { (egress.send(request).await.map(|answer| answer.status), world) }
    };
    assert_eq!(resolved(&["127.0.0.1"], "loopback").await.0, Ok(200));
    assert_eq!(server.lines(), ["POST /token", "GET /api"]);

    let (error, world) = resolved(&["127.0.0.1"], "public").await;
    let text = format!("no access token: {id}: 127.0.0.1 needs `addresses: [loopback]` in the grant");
    assert_eq!(error, Err(Error::Denied(text)));
    assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"denied\""), 1);
    for metadata in [&["169.254.169.254"][..], &["::ffff:169.254.169.254"], &["fd00:ec2::254"]] {
        let (error, _) = resolved(metadata, "0.0.0.0/0").await;
        assert!(matches!(&error, Err(Error::Denied(text)) if text.ends_with("which no plugin may reach")), "{error:?}");
    }
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_value_that_cannot_be_sent_is_the_operators_error_at_start() {
    let server = Server::saying("").await;
    let build = |id: &str, secret: &str| {
        let mut credentials = crate::Credentials::default();
        credentials.insert("id", id);
        credentials.insert("secret", secret);
        let egress = Egress::new(World::new().spec(at(&server), &credentials, EgressLimits::default()));
        egress.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build("me", "s3cret with spaces"), Ok(()));
    assert!(build("", "s3cret").unwrap_err().starts_with("`id` is empty"));
    for secret in ["s3cret\n", "s3cr\u{e9}t", "s3cret\0"] {
        let error = build("me", secret).unwrap_err();
        assert!(error.starts_with("`secret` contains a line break") && !error.contains("s3cr"), "{error}");
    }
    let none = crate::Credentials::default();
    let egress = Egress::new(World::new().spec(at(&server), &none, EgressLimits::default()));
    assert_eq!(egress.err().unwrap().to_string(), "`id` has no value");
}
