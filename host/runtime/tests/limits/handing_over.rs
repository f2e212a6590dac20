//! Handing the host what is no value, or more than anybody needs.

use crate::guest::{Guest, repeat};
use crate::memory_image::{List, MemoryImage};
use crate::world::{World, emit, limits};

const MEBIBYTE: usize = 1 << 20;

async fn expect_of_emit(memory: MemoryImage, batch: List, error_type: &str) {
    let world = World::new().await;
    let guest = Guest { memory, collect: &emit(batch), ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), error_type).await;
}

/// Scenario: lists that lie outside of memory, end outside of it, wrap around, or are not aligned; and texts likewise.
/// Guarantees: the plugin traps, the host does not.
#[tokio::test]
async fn lists_and_texts_outside_of_memory_trap() {
    for batch in [(u32::MAX - 7, 1), (64 << 16, 1), (1024, u32::MAX), ((64 << 16) - 8, 1), (1025, 1)] {
        expect_of_emit(MemoryImage::default(), batch, "trap").await;
    }
    for name in [(u32::MAX, 1), ((64 << 16) - 1, 2), (8, u32::MAX)] {
        let mut memory = MemoryImage::default();
        let metrics = memory.list(&[MemoryImage::gauge(name, (0, 0))]);
        let batch = memory.list(&[MemoryImage::resource_metrics((0, 0), metrics)]);
        expect_of_emit(memory, batch, "trap").await;
    }
}

/// Scenario: a name that is no UTF-8, a variant's case that does not exist.
/// Guarantees: the plugin traps.
#[tokio::test]
async fn what_is_no_value_of_its_type_traps() {
    let mut memory = MemoryImage::default();
    let name = memory.raw(&[b'k', 0xff, 0xfe]);
    let metrics = memory.list(&[MemoryImage::gauge(name, (0, 0))]);
    let batch = memory.list(&[MemoryImage::resource_metrics((0, 0), metrics)]);
    expect_of_emit(memory, batch, "trap").await;
    let mut memory = MemoryImage::default();
    let key = memory.text("key");
    let attributes = memory.list(&[MemoryImage::attribute(key, 200, (0, 0))]);
    let points = memory.list(&[MemoryImage::point(attributes)]);
    let batch = memory.batch(points);
    expect_of_emit(memory, batch, "trap").await;
}

/// Scenario: results that lie outside of memory or are not aligned.
/// Guarantees: the plugin traps.
#[tokio::test]
async fn a_result_outside_of_memory_traps() {
    for outcome in [u32::MAX - 3, 64 << 16, 17] {
        let world = World::new().await;
        world.expect(&Guest { outcome, ..Guest::default() }.plugin(), &limits(), "trap").await;
    }
}

/// Scenario: two lists that overlap, and a place for the result in the middle of the argument.
/// Guarantees: that is the plugin's own business: the host reads what is there and goes on.
#[tokio::test]
async fn overlapping_lists_are_read_as_they_are() {
    let mut memory = MemoryImage::default();
    let point = MemoryImage::point((0, 0));
    let points = memory.list(&[point, point]);
    let overlapping = (points.0 + 56, 1);
    let name = memory.text("kiln.test.value");
    let metrics = memory.list(&[MemoryImage::gauge(name, points), MemoryImage::gauge(name, overlapping)]);
    let batch = memory.list(&[MemoryImage::resource_metrics((0, 0), metrics)]);
    let collect = format!("(call $metrics (i32.const {0}) (i32.const 1) (i32.const {0}))", batch.0);
    let world = World::new().await;
    let guest = Guest { memory, collect: &collect, ..Guest::default() };
    let instance = world.hostile(&guest.plugin(), &limits()).await;
    assert_eq!(world.collect(&instance).await.0.unwrap().batches[0].items, 3);
}

/// A text of a mebibyte, and a hundred thousand pointers to it.
fn amplified(memory: &mut MemoryImage) -> List {
    let text = memory.raw(&vec![b'x'; MEBIBYTE]);
    memory.list(&vec![[text.0, text.1]; 100_000])
}

/// Scenario: an attribute that is a list of a hundred thousand texts, all of them the same mebibyte: a hundred
/// gigabytes, of two megabytes of guest memory. Texts may be long, so that nothing else stands in the way.
/// Guarantees: the host stops reading at `host_call_bytes`, before it has taken that much memory itself.
#[tokio::test]
async fn the_same_mebibyte_a_hundred_thousand_times_is_not_read() {
    for in_resource in [true, false] {
        let mut memory = MemoryImage::default();
        let texts = amplified(&mut memory);
        let key = memory.text("key");
        let attributes = memory.list(&[MemoryImage::attribute(key, 5, texts)]);
        let points = memory.list(&[MemoryImage::point(if in_resource { (0, 0) } else { attributes })]);
        let name = memory.text("kiln.test.value");
        let metrics = memory.list(&[MemoryImage::gauge(name, points)]);
        let resource = if in_resource { attributes } else { (0, 0) };
        let batch = memory.list(&[MemoryImage::resource_metrics(resource, metrics)]);
        let world = World::new().await;
        let guest = Guest { memory, collect: &emit(batch), ..Guest::default() };
        let limits = kiln_config::Limits { string_bytes: 2 << 20, ..limits() };
        let before = resident();
        world.expect(&guest.plugin(), &limits, "limit_host_call_bytes").await;
        assert!(resident().saturating_sub(before) < 1 << 30, "{before} {}", resident());
    }
}

/// Scenario: the same with what wasmtime lifts by itself: a hundred thousand requests of which each has the mebibyte as
/// its URL.
/// Guarantees: the same.
#[tokio::test]
async fn the_same_mebibyte_in_a_hundred_thousand_requests_is_not_lifted() {
    let mut memory = MemoryImage::default();
    let url = memory.raw(&vec![b'x'; MEBIBYTE]);
    let requests = memory.list(&vec![[0, url.0, url.1, 0, 0, 0, 0, 0]; 100_000]);
    let collect = format!("(call $send_all (i32.const {}) (i32.const {}) (i32.const 512))", requests.0, requests.1);
    let world = World::new().await;
    let guest = Guest { memory, collect: &collect, pages: 128, ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), "limit_host_call_bytes").await;
}

/// Scenario: the same with what `collect` returns: a hundred thousand partial failures.
/// Guarantees: the same.
#[tokio::test]
async fn the_same_mebibyte_in_a_hundred_thousand_failures_is_not_lifted() {
    let mut memory = MemoryImage::default();
    let text = memory.raw(&vec![b'x'; MEBIBYTE]);
    let failures = memory.list(&vec![[text.0, text.1, text.0, text.1]; 100_000]);
    let outcome = memory.list(&[[0, failures.0, failures.1, 0]]);
    let world = World::new().await;
    let guest = Guest { memory, outcome: outcome.0, ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), "limit_host_call_bytes").await;
}

/// Scenario: a hundred thousand groups share one list of a hundred thousand metrics without points: ten thousand million
/// items that become nothing, and no text but one name.
/// Guarantees: items count although they are empty, and the host soon stops reading.
#[tokio::test]
async fn lists_of_nothing_within_lists_of_nothing_are_not_free() {
    let mut memory = MemoryImage::default();
    let name = memory.text("kiln.test.value");
    let metrics = memory.list(&vec![MemoryImage::gauge(name, (0, 0)); 10_000]);
    let batch = memory.list(&vec![MemoryImage::resource_metrics((0, 0), metrics); 10_000]);
    expect_of_emit(memory, batch, "limit_host_call_bytes").await;
}

/// Scenario: a mebibyte is handed over again and again, each time within what one call allows.
/// Guarantees: all calls of a collection together end at `host_call_total_bytes`; the next collection has its own share.
#[tokio::test]
async fn many_calls_together_have_their_limit() {
    let mut memory = MemoryImage::default();
    let value = memory.raw(&vec![b'x'; MEBIBYTE]);
    let set = |times| {
        let call = format!(
            "(call $set (i32.const 0) (i32.const 1) (i32.const {}) (i32.const {}) (i32.const 512))",
            value.0, value.1
        );
        repeat(times, &call)
    };
    let limits = kiln_config::Limits { host_call_total_bytes: 9 << 20, ..limits() };
    let world = World::new().await;
    let patient = set(8);
    let guest = Guest { memory, collect: &patient, ..Guest::default() };
    let instance = world.hostile(&guest.plugin(), &limits).await;
    for _ in 0..3 {
        world.collect(&instance).await.0.unwrap();
    }
    let greedy = set(10);
    let guest = Guest { collect: &greedy, ..guest };
    world.expect(&guest.plugin(), &limits, "limit_host_call_total_bytes").await;
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
