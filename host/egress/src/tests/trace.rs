//! What an operator can see afterwards.

use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::server::{Answer, Server, ok, response};
use super::sign_in::signing_in;
use super::world::{INSTANCE, World, everything, everything_with, policy};
use super::{get, with_header};
use crate::{Credentials, EgressLimits};

#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn of_egress(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_egress = |event: &Value| event["target"] == "kiln::egress" || event["target"] == "kiln::denials";
        events.filter(of_egress).collect()
    }
}

/// What is logged while the guards live. One test at a time: whether a line is of interest is decided for the process.
async fn capture() -> (Lines, (tracing::subscriber::DefaultGuard, MutexGuard<'static, ()>)) {
    static CAPTURING: Mutex<()> = Mutex::const_new(());
    let alone = CAPTURING.lock().await;
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    (lines, (tracing::subscriber::set_default(subscriber), alone))
}

#[tokio::test]
async fn every_request_and_every_denial_is_logged_without_secrets() {
    let (lines, _guard) = capture().await;
    let server = Server::saying("hello").await;
    let origin = server.url("");
    let mut credentials = Credentials::default();
    credentials.insert("token", "dapi-s3cret");
    let grants = serde_json::json!([{ "origin": origin, "addresses": ["loopback"], "paths": ["/api/*"] }]);
    let policy = policy(&everything_with(&origin, "token"), grants);
    let egress = World::new().build(policy, &credentials, EgressLimits::default());
    egress.send(get(server.url("/api/x?key=s3cret"))).await.unwrap();
    egress.send(get(server.url("/admin?key=s3cret"))).await.unwrap_err();
    egress.send(with_header("cookie", "s3cret", server.url("/api/x"))).await.unwrap_err();
    for elsewhere in ["file:///etc/passwd", "http://me:s3cret@a.example:81/x?s3cret", "data:text/plain,s3cret"] {
        egress.send(get(elsewhere)).await.unwrap_err();
    }

    let events = lines.of_egress();
    let fields: Vec<_> = events.iter().map(|event| &event["fields"]).collect();
    assert_eq!(fields.len(), 11, "{events:#?}");
    assert_eq!(
        [&fields[0]["instance"], &fields[0]["method"], &fields[0]["origin"], &fields[0]["path"]],
        [INSTANCE, "GET", &origin, "/api/x"]
    );
    assert_eq!((&fields[0]["status"], &fields[0]["bytes"]), (&Value::from(200), &Value::from(5)));
    assert!(fields[0]["ms"].is_u64());
    assert_eq!((&events[0]["level"], &events[1]["level"]), (&Value::from("DEBUG"), &Value::from("WARN")));

    assert_eq!(
        [&fields[1]["instance"], &fields[1]["capability"], &fields[1]["target"], &fields[1]["reason"]],
        [INSTANCE, "http", &format!("{origin}/admin"), "path"]
    );
    assert_eq!(fields[1]["text"], format!("path /admin of {origin} is not both requested and granted"));
    assert_eq!(fields[2]["outcome"], "Denied");
    assert_eq!((&fields[3]["reason"], &fields[4]["outcome"]), (&"header".into(), &"InvalidRequest".into()));
    assert_eq!(
        [&fields[5]["target"], &fields[7]["target"], &fields[9]["target"]],
        ["file:///etc/passwd", "http://a.example:81/x", "data:"]
    );

    let everything = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let own: Vec<_> = everything.lines().filter(|line| line.contains("kiln::egress")).collect();
    assert!(own.iter().all(|line| !line.contains("s3cret")));
    assert!(!everything.contains("dapi-s3cret"), "a library below logs the credential");
}

/// Whoever signs in however, whether or not it works: no log line of Kiln or of a library below holds what it takes.
#[tokio::test]
async fn signing_in_is_logged_without_secrets_and_without_tokens() {
    let (lines, _guard) = capture().await;
    // As it is configured, as it stands in a form, and as it stands in a header behind `me:`.
    let secret = "s3cret+x/y";
    let secrets = [secret, "s3cret%2Bx%2Fy", "bWU6czNjcmV0JTJCeCUyRnk=", "t0ken", "f1le-token"];
    let server = Server::start(|number, request| match request.line() {
        "POST /good" => Answer::Bytes(ok(format!(r#"{{"access_token":"t0ken-{number}"}}"#))),
        "POST /bad" => {
            let echo =
                format!("{} {}", request.header("authorization").concat(), String::from_utf8_lossy(&request.body));
            let body = format!(r#"{{"error":"invalid_client","error_description":"got {echo} and s3cret+x/y"}}"#);
            Answer::Bytes(response("401 Unauthorized", "", body))
        }
        "POST /html" => Answer::Bytes(ok("t0ken <html>")),
        _ => Answer::Bytes(response("401 Unauthorized", "", "")),
    })
    .await;
    let origin = server.url("");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f1le-token-path");
    std::fs::write(&file, "f1le-token\n").unwrap();
    let mut credentials = Credentials::default();
    credentials.insert("id", "me");
    credentials.insert("secret", secret);
    credentials.insert("file", file.to_str().unwrap());
    let grants = serde_json::json!([{ "origin": origin, "addresses": ["loopback"] }]);
    let mut failures = Vec::new();
    for endpoint in ["good", "bad", "html"] {
        for authentication in ["basic", "post"] {
            let endpoint = format!("token_url = '{origin}/{endpoint}', client_authentication = '{authentication}'");
            let policy = policy(&signing_in(&origin, &endpoint), grants.clone());
            let egress = World::new().build(policy, &credentials, EgressLimits::default());
            failures.extend(egress.send(get(server.url("/api"))).await.err());
        }
    }
    let requests =
        format!("{}credential = [{{ type = 'bearer', token_file = '${{config.file}}' }}]", everything(&origin));
    let egress = World::new().build(policy(&requests, grants), &credentials, EgressLimits::default());
    egress.send(get(server.url("/api"))).await.unwrap();
    assert_eq!(failures.len(), 4);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let shown = format!("{text} {failures:?} {credentials:?}");
    for secret in secrets {
        let around = shown.find(secret).map(|at| &shown[at.saturating_sub(300)..at + 20]);
        assert_eq!(around, None, "{secret}");
    }
    let events = lines.of_egress();
    let refusals: Vec<_> = events.iter().filter(|event| event["fields"]["message"] == "no access token").collect();
    assert_eq!(refusals.len(), 4);
    assert_eq!(refusals[0]["fields"]["outcome"], "Refused");
    assert_eq!(refusals[0]["fields"]["place"], format!("{origin}/bad"));
    let said = refusals[0]["fields"]["said"].as_str().unwrap();
    assert!(said.starts_with("got Basic [REDACTED] ") && said.ends_with(" and [REDACTED]"), "{said}");
}
