//! How the host gets a token for a plugin's requests, and when it gets another.

use std::sync::Arc;
use std::time::Duration;

use kiln_policy::{Method, Policy};

use super::server::{Answer, Received, Server, ok, response};
use super::world::{World, everything, policy};
use super::{get, request};
use crate::{Credentials, Egress, EgressLimits, Error};

pub const SECRET: &str = "p+w d/%s3cret";

pub fn credentials() -> Credentials {
    let mut credentials = Credentials::default();
    credentials.insert("id", "my id:1");
    credentials.insert("secret", SECRET);
    credentials
}

/// A request to `api` that signs in at `endpoint`: `discovery = '…'` or `token_url = '…'`, and what else there is.
pub fn signing_in(api: &str, endpoint: &str) -> String {
    format!(
        "{}credential = [{{ type = 'oauth2_client_credentials', client_id = '${{config.id}}', \
         client_secret = '${{config.secret}}', {endpoint} }}]\n",
        everything(api)
    )
}

/// The policy of a server that is both API and token endpoint.
pub fn at(server: &Server) -> Arc<Policy> {
    let origin = server.url("");
    let requests = signing_in(&origin, &format!("token_url = '{origin}/token', scopes = ['a', 'b']"));
    policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]))
}

pub fn egress(world: &World, server: &Server) -> Egress {
    world.build(at(server), &credentials(), EgressLimits::default())
}

pub fn token(token: impl std::fmt::Display, life: u64) -> Answer {
    Answer::Bytes(ok(format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{life}}}"#)))
}

pub fn is_token_request(request: &Received) -> bool {
    request.line() == "POST /token"
}

/// Issues `t1`, `t2`, … for `life` seconds each, and answers everything else with `api`.
pub async fn issuing(life: u64, api: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Server {
    let issued = std::sync::atomic::AtomicU64::new(0);
    Server::start(move |_, request| {
        if is_token_request(request) {
            let number = issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            token(format_args!("t{number}"), life)
        } else {
            api(request)
        }
    })
    .await
}

pub async fn lenient(life: u64) -> Server {
    issuing(life, |_| Answer::Bytes(ok("welcome"))).await
}

/// How often the server was asked for a token.
pub fn token_requests(server: &Server) -> usize {
    server.received(|received| received.iter().filter(|request| is_token_request(request)).count())
}

/// What the requests for anything else were authorized with.
pub fn authorizations(server: &Server) -> Vec<String> {
    server.received(|received| {
        let api = received.iter().filter(|request| !is_token_request(request));
        api.map(|request| request.header("authorization").join(",")).collect()
    })
}

#[tokio::test]
async fn a_token_is_fetched_at_the_first_request_and_sent_with_each() {
    let server = lenient(3600).await;
    let world = World::new();
    let egress = egress(&world, &server);
    assert_eq!(server.connections(), 0);
    for method in Method::ALL {
        assert_eq!(egress.send(request(method, server.url("/x"))).await.unwrap().status, 200);
    }
    assert_eq!(authorizations(&server), ["Bearer t1"; 6]);
    assert_eq!(world.metric("kiln_egress_token_refreshes_total", ",outcome=\"ok\""), 1);
    server.received(|received| {
        let asked = &received[0];
        assert_eq!(asked.line(), "POST /token");
        // `my id:1` and the secret, each encoded as in a form before they are joined (RFC 6749 §2.3.1).
        let basic = "Basic bXkraWQlM0ExOnAlMkJ3K2QlMkYlMjVzM2NyZXQ=";
        assert_eq!(asked.header("authorization"), [basic]);
        assert_eq!(asked.header("content-type"), ["application/x-www-form-urlencoded"]);
        assert_eq!(asked.header("accept"), ["application/json"]);
        assert_eq!(asked.body, b"grant_type=client_credentials&scope=a+b");
    });
}

#[tokio::test]
async fn client_credentials_are_sent_in_the_form_where_the_manifest_says_so() {
    let server = lenient(3600).await;
    let origin = server.url("");
    let requests = signing_in(&origin, &format!("token_url = '{origin}/token', client_authentication = 'post'"));
    let policy = policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]));
    let egress = World::new().build(policy, &credentials(), EgressLimits::default());
    egress.send(get(server.url("/x"))).await.unwrap();
    server.received(|received| {
        assert!(received[0].header("authorization").is_empty());
        let body = "grant_type=client_credentials&client_id=my+id%3A1&client_secret=p%2Bw+d%2F%25s3cret";
        assert_eq!(String::from_utf8_lossy(&received[0].body), body);
    });
}

#[tokio::test]
async fn rules_of_one_origin_share_a_token_and_rules_of_another_do_not() {
    let (server, other) = (lenient(3600).await, lenient(3600).await);
    let origin = server.url("");
    let endpoint = format!("token_url = '{origin}/token'");
    let rule = |path: &str| signing_in(&origin, &endpoint).replace("'/*'", &format!("'{path}'"));
    let requests = rule("/a") + &rule("/b") + &signing_in(&other.url(""), &endpoint);
    let grants = serde_json::json!([
        { "origin": origin, "addresses": ["loopback"] },
        { "origin": other.url(""), "addresses": ["loopback"] },
    ]);
    let egress = World::new().build(policy(&requests, grants), &credentials(), EgressLimits::default());
    egress.send(get(server.url("/a"))).await.unwrap();
    egress.send(get(server.url("/b"))).await.unwrap();
    assert_eq!(token_requests(&server), 1);
    egress.send(get(other.url("/a"))).await.unwrap();
    assert_eq!(authorizations(&other), ["Bearer t2"]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_nobody_waits_for_it() {
    // Five minutes before the end of a long life; after four fifths of a short one.
    for (life, early, late) in [(3600, 3290, 20), (100, 75, 10)] {
        let server = lenient(life).await;
        let world = World::new();
        let egress = egress(&world, &server);
        egress.send(get(server.url("/"))).await.unwrap();
        world.pass(early);
        egress.send(get(server.url("/"))).await.unwrap();
        assert_eq!(token_requests(&server), 1, "{life}");
        world.pass(late);
        egress.send(get(server.url("/"))).await.unwrap();
        egress.settle().await;
        egress.send(get(server.url("/"))).await.unwrap();
        assert_eq!(authorizations(&server), ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"], "{life}");
        assert_eq!(token_requests(&server), 2, "{life}");
    }
}

#[tokio::test]
async fn an_expired_token_is_not_sent() {
    let server = lenient(100).await;
    let world = World::new();
    let egress = egress(&world, &server);
    for _ in 0..3 {
        egress.send(get(server.url("/"))).await.unwrap();
        world.pass(101);
    }
    assert_eq!(authorizations(&server), ["Bearer t1", "Bearer t2", "Bearer t3"]);
}

#[tokio::test]
async fn a_token_without_a_life_is_renewed_within_the_hour() {
    let server = Server::start(|_, request| {
        Answer::Bytes(ok(if is_token_request(request) { r#"{"access_token":"t"}"# } else { "" }))
    })
    .await;
    let world = World::new();
    let egress = egress(&world, &server);
    for (pass, fetched) in [(0, 1), (3200, 1), (500, 2)] {
        world.pass(pass);
        egress.send(get(server.url("/"))).await.unwrap();
        assert_eq!(token_requests(&server), fetched);
    }
}

#[tokio::test]
async fn while_a_renewal_fails_the_old_token_is_used_to_its_end_and_not_beyond() {
    let server = Server::start(|number, request| match (number, is_token_request(request)) {
        (0, true) => token("t1", 100),
        (_, true) => Answer::Bytes(response("500 Internal Server Error", "", "")),
        (_, false) => Answer::Bytes(ok("")),
    })
    .await;
    let world = World::new();
    let egress = egress(&world, &server);
    egress.send(get(server.url("/"))).await.unwrap();
    world.pass(85);
    for _ in 0..3 {
        egress.send(get(server.url("/"))).await.unwrap();
        egress.settle().await;
    }
    // One attempt, and then a pause.
    assert_eq!((token_requests(&server), authorizations(&server).len()), (2, 4));
    world.pass(20);
    assert!(matches!(egress.send(get(server.url("/"))).await, Err(Error::Connect(_))));
    assert_eq!((token_requests(&server), authorizations(&server).len()), (3, 4));
}

#[tokio::test]
async fn requests_that_come_together_wait_for_one_token() {
    let server = Server::start(|_, request| {
        if is_token_request(request) { Answer::Held(ok(r#"{"access_token":"t"}"#)) } else { Answer::Bytes(ok("")) }
    })
    .await;
    let egress = Arc::new(egress(&World::new(), &server));
    let call = tokio::spawn({
        let (egress, requests) = (Arc::clone(&egress), (0..8).map(|_| get(server.url("/"))).collect());
        async move { egress.send_all(requests).await }
    });
    server.until_under_way(1).await;
    server.release();
    assert!(call.await.unwrap().iter().all(Result::is_ok));
    assert_eq!((token_requests(&server), authorizations(&server).len()), (1, 8));
}

#[tokio::test]
async fn a_request_that_goes_away_does_not_take_the_token_with_it() {
    let server =
        Server::start(
            |number, _| {
                if number == 0 { Answer::Held(ok(r#"{"access_token":"t"}"#)) } else { Answer::Bytes(ok("")) }
            },
        )
        .await;
    let egress = egress(&World::new(), &server);
    tokio::select! {
        _ = egress.send(get(server.url("/abandoned"))) => panic!("there is no token yet"),
        () = server.until_under_way(1) => {}
    }
    server.release();
    egress.settle().await;
    egress.send(get(server.url("/next"))).await.unwrap();
    assert_eq!(server.lines(), ["POST /token", "GET /next"]);
}

#[tokio::test]
async fn closing_ends_what_waits_for_a_token() {
    let server = Server::start(|_, _| Answer::Stall(Vec::new())).await;
    let egress = Arc::new(egress(&World::new(), &server));
    let call = tokio::spawn({
        let (egress, request) = (Arc::clone(&egress), get(server.url("/")));
        async move { egress.send(request).await }
    });
    server.until_under_way(1).await;
    egress.close();
    assert_eq!(call.await.unwrap(), Err(Error::Cancelled));
    // And with the instance goes the attempt.
    drop(egress);
    server.until_gone(1).await;
}

fn refusing(refused: &'static [&'static str]) -> impl Fn(&Received) -> Answer + Send + Sync {
    move |request| {
        let token = request.header("authorization").concat();
        if refused.contains(&token.as_str()) || refused.contains(&"*") {
            Answer::Bytes(response("401 Unauthorized", "x-reason: no\r\n", "who are you?"))
        } else {
            Answer::Bytes(ok("welcome"))
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_and_the_request_repeated_once() {
    for method in Method::ALL {
        let server = issuing(3600, refusing(&["Bearer t1"])).await;
        let world = World::new();
        let egress = egress(&world, &server);
        let answer = egress.send(request(method, server.url("/"))).await.unwrap();
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(authorizations(&server), ["Bearer t1", "Bearer t2"], "{method}");
        assert_eq!(world.metric("kiln_egress_retries_total", ""), 1);
        assert!(world.waits().is_empty());
    }
}

#[tokio::test]
async fn a_second_refusal_is_the_plugins_to_see() {
    let server = issuing(3600, refusing(&["*"])).await;
    let world = World::new();
    let egress = egress(&world, &server);
    let answer = egress.send(get(server.url("/"))).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (401, &b"who are you?"[..]));
    assert!(answer.headers.contains(&("x-reason".into(), "no".into())));
    assert_eq!(authorizations(&server), ["Bearer t1", "Bearer t2"]);

    // A server that refuses every token does not make the host fetch one for every request.
    for _ in 0..5 {
        assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 401);
    }
    assert_eq!(token_requests(&server), 2);
    world.pass(1);
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 401);
    assert_eq!(token_requests(&server), 3);
}

#[tokio::test]
async fn requests_refused_together_wait_for_one_replacement() {
    let server = issuing(3600, refusing(&["Bearer t1"])).await;
    let egress = egress(&World::new(), &server);
    let answers = egress.send_all((0..8).map(|_| get(server.url("/"))).collect()).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    assert_eq!(token_requests(&server), 2);
}

#[tokio::test]
async fn if_there_is_no_other_token_the_refusal_is_the_plugins_to_see() {
    let server = Server::start(|number, request| match (number, is_token_request(request)) {
        (0, true) => token("t1", 3600),
        (_, true) => Answer::Bytes(response("400 Bad Request", "", r#"{"error":"invalid_client"}"#)),
        (_, false) => Answer::Bytes(response("401 Unauthorized", "", "")),
    })
    .await;
    let egress = egress(&World::new(), &server);
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 401);
    assert_eq!(server.lines(), ["POST /token", "GET /", "POST /token"]);
}

#[tokio::test]
async fn a_fixed_token_is_not_sent_twice_to_who_refused_it() {
    let server = issuing(3600, refusing(&["*"])).await;
    let origin = server.url("");
    let requests = super::world::everything_with(&origin, "token");
    let policy = policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]));
    let mut credentials = Credentials::default();
    credentials.insert("token", "fixed");
    let egress = World::new().build(policy, &credentials, EgressLimits::default());
    assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status, 401);
    assert_eq!(authorizations(&server), ["Bearer fixed"]);
}

#[tokio::test]
async fn other_refusals_do_not_cost_the_token() {
    for status in ["403 Forbidden", "404 Not Found", "407 Proxy Authentication Required"] {
        let server = issuing(3600, move |_| Answer::Bytes(response(status, "", ""))).await;
        let egress = egress(&World::new(), &server);
        assert_eq!(egress.send(get(server.url("/"))).await.unwrap().status.to_string(), status[..3]);
        assert_eq!((token_requests(&server), authorizations(&server).len()), (1, 1));
    }
}

#[tokio::test]
async fn metadata_is_read_once_and_leads_to_the_endpoint() {
    let server = Server::start(|_, request| match request.line() {
        "GET /.well-known/x" => {
            let host = request.header("host").concat();
            Answer::Bytes(ok(format!(r#"{{"issuer":"x","token_endpoint":"http://{host}/token"}}"#)))
        }
        "POST /token" => token("t", 100),
        _ => Answer::Bytes(ok("")),
    })
    .await;
    let origin = server.url("");
    let requests = signing_in(&origin, "discovery = '/.well-known/x'");
    let policy = policy(&requests, serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]));
    let world = World::new();
    let egress = world.build(policy, &credentials(), EgressLimits::default());
    egress.send(get(server.url("/"))).await.unwrap();
    world.pass(101);
    egress.send(get(server.url("/"))).await.unwrap();
    assert_eq!(server.lines(), ["GET /.well-known/x", "POST /token", "GET /", "POST /token", "GET /"]);
    server.received(|received| assert!(received[0].header("authorization").is_empty()));
}

#[tokio::test]
async fn waiting_for_a_token_counts_as_waiting_for_the_answer() {
    let server = Server::start(|_, _| Answer::Stall(Vec::new())).await;
    let limits = EgressLimits { request_timeout: Duration::from_millis(200), ..EgressLimits::default() };
    let egress = World::new().build(at(&server), &credentials(), limits);
    assert_eq!(egress.send(get(server.url("/"))).await, Err(Error::Timeout));
}
