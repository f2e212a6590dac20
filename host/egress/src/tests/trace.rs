//! What an operator can see afterwards.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::server::Server;
use super::world::{INSTANCE, World, everything_with, policy};
use super::{get, with_header};
use crate::{Credentials, EgressLimits};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

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
        events.filter(|event| event["target"] == "kiln::egress").collect()
    }
}

#[tokio::test]
async fn every_request_and_every_denial_is_logged_without_secrets() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = Server::saying("hello").await;
    let origin = server.url("");
    let mut credentials = Credentials::default();
    credentials.insert_bearer("token", "dapi-s3cret").unwrap();
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
