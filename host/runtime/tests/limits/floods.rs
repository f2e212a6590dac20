//! Too many of what is harmless one by one: messages, entries, attributes, failures; and too long.

use std::net::TcpListener;
use std::time::Duration;

use kiln_config::Limits;

use crate::guest::{Guest, repeat};
use crate::memory_image::{List, MemoryImage};
use crate::world::{Hostile, World, emit, limits};

/// Collects, expects nothing worse than that, and says how many points came of it.
async fn survives(world: &World, guest: &Guest<'_>, limits: &Limits) -> usize {
    let instance = world.hostile(&guest.plugin(), limits).await;
    let collection = world.collect(&instance).await.0.unwrap();
    collection.batches.iter().map(|batch| batch.items).sum()
}

fn log(memory: &mut MemoryImage, message: &str, attributes: List) -> String {
    let message = memory.text(message);
    format!(
        "(call $log (i32.const 2) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}))",
        message.0, message.1, attributes.0, attributes.1
    )
}

/// Scenario: a thousand messages at once, a few long ones, and some with attributes of a mebibyte each.
/// Guarantees: the operator's log gets its share of them, in number, in bytes and in length; the plugin lives on.
#[tokio::test]
async fn a_flood_of_log_messages_is_held_back() {
    let world = World::new().await;
    let mut memory = MemoryImage::default();
    let collect = repeat(1000, &log(&mut memory, "again", (0, 0)));
    survives(&world, &Guest { memory, collect: &collect, ..Guest::default() }, &limits()).await;
    assert_eq!((world.hits("log_messages"), world.hits("log_bytes"), world.hits("log_message_bytes")), (1, 0, 0));

    let world = World::new().await;
    let mut memory = MemoryImage::default();
    let text = memory.raw(&vec![b'x'; 1 << 20]);
    let key = memory.text("key");
    let attributes = memory.list(&vec![MemoryImage::attribute(key, 0, text); 10_000]);
    let collect = repeat(10, &log(&mut memory, &"long ".repeat(10_000), attributes));
    let limits = Limits { log_bytes: 4096, ..limits() };
    survives(&world, &Guest { memory, collect: &collect, ..Guest::default() }, &limits).await;
    assert_eq!((world.hits("log_messages"), world.hits("log_bytes")), (0, 1));
    assert!(world.hits("log_message_bytes") >= 1);
}

/// Writes a value of so many bytes under a key that is the number of the round.
fn set(bytes: u32) -> String {
    format!(
        "(i32.store (i32.const 600) (i32.or (local.get $i) (i32.const 0x40404040)))
         (call $set (i32.const 600) (i32.const 4) (i32.const 1024) (i32.const {bytes}) (i32.const 512))
         (global.set $refused (i32.or (global.get $refused) (i32.load8_u (i32.const 512))))"
    )
}

const REFUSED: &str = "(global $refused (mut i32) (i32.const 0))";
const EXPECT_REFUSAL: &str = "(if (i32.eqz (global.get $refused)) (then (unreachable)))";

/// Scenario: more keys than `state_entries`, more bytes than `state_bytes`, and a key that is no key.
/// Guarantees: the plugin is told each time, lives on, and what it was refused is not there.
#[tokio::test]
async fn a_flood_of_state_is_held_back() {
    let world = World::new().await;
    let collect = format!("{} {EXPECT_REFUSAL}", repeat(60, &set(0)));
    let guest = Guest { fields: REFUSED, collect: &collect, ..Guest::default() };
    survives(&world, &guest, &Limits { state_entries: 50, ..limits() }).await;
    assert_eq!((world.hits("state_entries"), world.hits("state_bytes")), (10, 0));
    assert_eq!(world.of_hostile("kiln_instance_state_bytes"), 50 * 4);

    let world = World::new().await;
    let collect = format!("{} {EXPECT_REFUSAL}", repeat(60, &set(996)));
    let guest = Guest { fields: REFUSED, collect: &collect, ..Guest::default() };
    survives(&world, &guest, &Limits { state_bytes: 50_000, ..limits() }).await;
    assert_eq!((world.hits("state_entries"), world.hits("state_bytes")), (0, 10));
    assert_eq!(world.of_hostile("kiln_instance_state_bytes"), 50_000);

    let world = World::new().await;
    let mut memory = MemoryImage::default();
    let key = memory.text(&"k".repeat(1025));
    let collect =
        format!("(call $set (i32.const {}) (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 512))", key.0, key.1);
    survives(&world, &Guest { memory, collect: &collect, ..Guest::default() }, &limits()).await;
    assert_eq!(world.hits("key_bytes"), 1);
}

/// A gauge of one point with these attributes, each with a text of its own.
fn point_with(keys: &[String], text: &str) -> (MemoryImage, String) {
    let mut memory = MemoryImage::default();
    let text = memory.text(text);
    let attributes: Vec<_> = keys.iter().map(|key| MemoryImage::attribute(memory.text(key), 0, text)).collect();
    let attributes = memory.list(&attributes);
    let points = memory.list(&[MemoryImage::point(attributes)]);
    let batch = memory.batch(points);
    (memory, emit(batch))
}

/// Scenario: a point with one attribute more than it may have, with a key that is too long, with a text that is; and
/// each with as many or as much as it may.
/// Guarantees: the plugin is told of the limit and the point is not there; at the limit it is.
#[tokio::test]
async fn attributes_have_a_largest_number_and_length() {
    let keys = |number: usize| (0..number).map(|number| format!("key{number}")).collect::<Vec<_>>();
    let (most, too_many) = (keys(128), keys(129));
    let (longest, too_long) = (vec!["k".repeat(1024)], vec!["k".repeat(1025)]);
    let (text, long_text) = ("t".repeat(2048), "t".repeat(2049));
    for (keys, text, limit) in [
        (&most, "", None),
        (&too_many, "", Some("attributes")),
        (&longest, "", None),
        (&too_long, "", Some("key_bytes")),
        (&longest, text.as_str(), None),
        (&longest, long_text.as_str(), Some("string_bytes")),
    ] {
        let world = World::new().await;
        let (memory, collect) = point_with(keys, text);
        let guest = Guest { memory, collect: &collect, ..Guest::default() };
        let points = survives(&world, &guest, &Limits { string_bytes: 2048, ..limits() }).await;
        assert_eq!(points, usize::from(limit.is_none()), "{limit:?}");
        if let Some(limit) = limit {
            assert_eq!(world.hits(limit), 1, "{limit}");
        }
    }
}

/// Scenario: points without end, and bytes without end.
/// Guarantees: the plugin is told, and what it emitted before stays.
#[tokio::test]
async fn output_ends_at_its_limits() {
    let many = |memory: &mut MemoryImage, text: &str| {
        let (key, text) = (memory.text("key"), memory.text(text));
        let attributes = memory.list(&[MemoryImage::attribute(key, 0, text)]);
        let points = memory.list(&vec![MemoryImage::point(attributes); 100]);
        memory.batch(points)
    };
    for (text, limit) in [("", "output_points"), ("a text of some length, to fill up bytes", "output_bytes")] {
        let mut memory = MemoryImage::default();
        let batch = many(&mut memory, text);
        let collect = repeat(10, &emit(batch));
        let world = World::new().await;
        let guest = Guest { memory, collect: &collect, ..Guest::default() };
        let points = survives(&world, &guest, &Limits { output_points: 500, output_bytes: 30_000, ..limits() }).await;
        assert!(points > 0 && points <= 500, "{points}");
        assert!(world.hits(limit) >= 1, "{limit}");
    }
}

/// Scenario: a thousand partial failures, with control characters in them and longer than anybody reads.
/// Guarantees: all are counted, a hundred are told, each on a line of bounded length.
#[tokio::test]
async fn a_flood_of_partial_failures_is_held_back() {
    let mut memory = MemoryImage::default();
    let text = memory.text(&"line\n\u{1b}[2J".repeat(1000));
    let failures = memory.list(&vec![[text.0, text.1, text.0, text.1]; 1000]);
    let outcome = memory.list(&[[0, failures.0, failures.1, 0]]);
    let world = World::new().await;
    let guest = Guest { memory, outcome: outcome.0, ..Guest::default() };
    let instance = world.hostile(&guest.plugin(), &limits()).await;
    let collection = world.collect(&instance).await.0.unwrap();
    assert_eq!((collection.failure_count, collection.failures.len(), world.hits("failures")), (1000, 100, 1));
    let failure = &collection.failures[0];
    assert!(failure.message.len() < 5000 && !failure.message.chars().any(char::is_control), "{failure:?}");
}

/// Scenario: a plugin waits for a server that accepts and never answers, without computing at all.
/// Guarantees: it is stopped when its time is up, and the other one collects all the while.
#[tokio::test]
async fn waiting_ends_with_the_call() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let mut memory = MemoryImage::default();
    let url = memory.text(&format!("{endpoint}/"));
    let collect = format!(
        "(call $send (i32.const 0) (i32.const {}) (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) \
         (i32.const 0) (i32.const 512))",
        url.0, url.1
    );
    let plugin = Guest { memory, collect: &collect, ..Guest::default() }.plugin();
    let world = World::new().await;
    let hostile = Hostile { timeout: Duration::from_millis(300), limits: limits(), endpoint, ..Hostile::new(&plugin) };
    let instance = world.hostile_with(hostile).await;
    let (result, witnessed) = world.collect(&instance).await;
    assert_eq!(result.map(|_| ()).unwrap_err().error_type(), "limit_timeout");
    assert_eq!((world.hits("timeout"), world.errors("limit_timeout")), (1, 1));
    assert!(witnessed >= 3, "{witnessed}");
}
