//! Lists that come in pages, and how far a receiver has come, over collections that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_plugin::http::{Pages, with_query};
use kiln_plugin::testing::{Instance, Reply, TestHost};
use kiln_plugin::{Checkpoint, CollectError, ConfigError, Host, Outcome, Receiver};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

kiln_plugin::manifest!("tests/example/plugin.toml");

const LIST: &str = "https://queue.example/api/messages";

#[derive(Deserialize)]
struct Messages {
    messages: Vec<i64>,
    next: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    sum: i64,
    #[serde(default)]
    rounds: u32,
}

/// Adds up a list in every collection, by tokens or by links, and fails at a sum of 13.
struct Adder {
    by_links: bool,
}

impl Receiver for Adder {
    type Config = Value;

    fn configure(config: Value) -> Result<Self, ConfigError> {
        Ok(Self { by_links: config["host"] == "https://queue.example/" })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let mut progress = Checkpoint::load(host.state(), "progress", Progress::default)?;
        let mut pages = host.http().pages(3);
        progress.sum += if self.by_links { by_links(&mut pages)? } else { by_tokens(&mut pages)? };
        progress.rounds += 1;
        progress.save(host.state())?;
        match progress.sum {
            13 => Err(CollectError::Unavailable("unlucky".to_owned())),
            _ => Ok(Outcome::complete()),
        }
    }
}

fn by_tokens(pages: &mut Pages<'_>) -> Result<i64, CollectError> {
    let (mut sum, mut next) = (0, Some(LIST.to_owned()));
    while let Some(url) = next {
        let page: Messages = pages.get_json(&url)?;
        sum += page.messages.iter().sum::<i64>();
        next = page.next.map(|token| with_query(LIST, &[("after", &token)]));
    }
    Ok(sum)
}

fn by_links(pages: &mut Pages<'_>) -> Result<i64, CollectError> {
    let (mut sum, mut next) = (0, Some(LIST.to_owned()));
    while let Some(url) = next {
        let page = pages.get(&url)?;
        sum += page.json::<Messages>()?.messages.iter().sum::<i64>();
        next = page.next_link();
    }
    Ok(sum)
}

fn adder(host: &TestHost, origin: &str) -> Instance<Adder> {
    host.configure(json!({ "host": origin, "token": "secret" })).unwrap()
}

fn page(messages: &[i64], next: Option<&str>) -> Reply {
    Reply::json(&json!({ "messages": messages, "next": next }))
}

#[test]
fn a_list_is_read_to_its_end_by_tokens() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/messages", page(&[1, 2], Some("a b&")));
    host.on_get("/api/messages?after=a%20b%26", page(&[3], None));
    adder(&host, "https://queue.example").collect().unwrap();
    assert_eq!(host.state("progress"), Some(json!({ "sum": 6, "rounds": 1 })));
}

#[test]
fn a_list_is_read_to_its_end_by_links() {
    let host = TestHost::new(telemetry::MANIFEST);
    let first = page(&[1, 2], None)
        .with_header("link", "</api/messages?page=2>; rel=\"next\", </api/messages?page=9>; rel=last");
    host.on_get("/api/messages", first);
    host.on_get("/api/messages?page=2", page(&[4], None));
    adder(&host, "https://queue.example/").collect().unwrap();
    assert_eq!(host.state("progress"), Some(json!({ "sum": 7, "rounds": 1 })));
}

/// Scenario: a server whose list leads back to itself, and one whose list is longer than the plugin reads.
/// Guarantees: both end with an error that says so, and nothing is remembered of the half that was read.
#[test]
fn a_list_without_an_end_is_an_error() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/messages", page(&[1], Some("x")));
    host.on_get("/api/messages?after=x", page(&[1], Some("x")));
    let error = adder(&host, "https://queue.example").collect().unwrap_err();
    let endless = "/api/messages: the list leads to a page it has led to before";
    assert_eq!(error, CollectError::InvalidData(endless.to_owned()));
    for (at, next) in [("x", "y"), ("y", "z")] {
        host.on_get(&format!("/api/messages?after={at}"), page(&[1], Some(next)));
    }
    let error = adder(&host, "https://queue.example").collect().unwrap_err();
    assert_eq!(error, CollectError::Failed("/api/messages: the list has more than 3 pages".to_owned()));
    assert_eq!(host.state("progress"), None);
}

/// Scenario: a collection that fails after it has saved, between two that do not.
/// Guarantees: the next one goes on from the last that succeeded, whatever the failed one had come to.
#[test]
fn a_checkpoint_is_what_the_last_good_collection_saved() {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut adder = adder(&host, "https://queue.example");
    host.on_get("/api/messages", page(&[6], None).then(page(&[7], None)).then(page(&[8], None)));
    adder.collect().unwrap();
    adder.collect().unwrap_err();
    assert_eq!(host.state("progress"), Some(json!({ "sum": 6, "rounds": 1 })));
    adder.collect().unwrap();
    assert_eq!(host.state("progress"), Some(json!({ "sum": 14, "rounds": 2 })));
}

#[test]
fn a_checkpoint_of_an_older_version_is_read_and_another_thing_is_an_error() {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get("/api/messages", page(&[1], None));
    host.set_state("progress", &json!({ "sum": 41 }));
    adder(&host, "https://queue.example").collect().unwrap();
    assert_eq!(host.state("progress"), Some(json!({ "sum": 42, "rounds": 1 })));
    host.set_state("progress", &json!("text"));
    let error = adder(&host, "https://queue.example").collect().unwrap_err();
    assert!(
        matches!(&error, CollectError::Failed(text) if text.starts_with("state `progress` does not hold")),
        "{error:?}"
    );
}
