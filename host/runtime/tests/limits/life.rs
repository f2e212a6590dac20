//! How an instance fails, pauses, is quarantined, is recycled, and what it remembers through all of it.

use std::time::Duration;

use kiln_config::Limits;
use kiln_runtime::{CallError, StateStore};

use crate::guest::Guest;
use crate::memory_image::MemoryImage;
use crate::world::{Hostile, World, limits};

/// Scenario: a plugin traps whenever it is asked to collect; with a paused clock, so that pauses cost nothing.
/// Guarantees: after `quarantine_after` failures it is left alone for `quarantine_period` and says so, has one try then,
/// and is quarantined again. The other instance collects all the while.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_only_fails_is_quarantined_and_gets_one_try_later() {
    let world = World::new().await;
    let plugin = Guest { collect: "(unreachable)", ..Guest::default() }.plugin();
    let period = Duration::from_secs(3600);
    let limits = Limits { quarantine_after: 3, quarantine_period: period, ..limits() };
    let instance = world.hostile(&plugin, &limits).await;
    for failure in 1..=3 {
        let error = world.collect(&instance).await.0.map(|_| ()).unwrap_err();
        match failure {
            3 => assert!(matches!(error, CallError::Quarantined { failures: 3, .. }), "{error}"),
            _ => assert_eq!(error.error_type(), "trap"),
        }
        assert_eq!(world.of_hostile("kiln_instance_quarantined"), u64::from(failure == 3));
        assert_eq!(world.of_hostile("kiln_instance_restarts_total"), failure - 1);
        if failure < 3 {
            assert!(matches!(instance.collect().await, Err(CallError::Pausing(_))));
            tokio::time::advance(Duration::from_secs(10)).await;
        }
    }
    tokio::time::advance(period / 2).await;
    let error = world.collect(&instance).await.0.map(|_| ()).unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("one more try in 30 minutes"), "{error}");
    assert_eq!(world.errors("trap"), 3, "it was not called");
    tokio::time::advance(period / 2).await;
    let error = world.collect(&instance).await.0.map(|_| ()).unwrap_err();
    assert!(matches!(error, CallError::Quarantined { .. }));
    assert_eq!((world.errors("trap"), world.of_hostile("kiln_instance_quarantined")), (4, 1));
}

/// Reads a number from state, adds one and writes it back; takes `pages` more of memory; emits nothing.
fn counting(memory: &mut MemoryImage, pages: u32) -> String {
    let key = memory.text("count");
    format!(
        "(call $get (i32.const {0}) (i32.const {1}) (i32.const 512))
         (i32.store (i32.const 600) (i32.const 0))
         (if (i32.load8_u (i32.const 516)) (then (i32.store (i32.const 600) (i32.load (i32.load (i32.const 520))))))
         (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1)))
         (call $set (i32.const {0}) (i32.const {1}) (i32.const 600) (i32.const 4) (i32.const 512))
         (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then (unreachable)))",
        key.0, key.1
    )
}

/// Scenario: a plugin that takes a mebibyte more with every collection and never gives one back collects two hundred
/// times, which is more than it may have ten times over. It counts its collections in its state.
/// Guarantees: it is started afresh before it comes to its limit, as often as it must, it never fails, and its count is
/// exact.
#[tokio::test]
async fn a_leaking_plugin_lives_on_and_counts_exactly() {
    let world = World::new().await;
    let mut memory = MemoryImage::default();
    let collect = counting(&mut memory, 16);
    let plugin = Guest { memory, collect: &collect, pages: 16, ..Guest::default() }.plugin();
    let limits = Limits { memory: 16 << 20, recycle_memory: 12 << 20, ..limits() };
    let state = StateStore::in_memory();
    let instance = world.hostile_with(Hostile { limits, state: state.clone(), ..Hostile::new(&plugin) }).await;
    for collection in 1..=200_u64 {
        let collected = world.collect(&instance).await.0.unwrap();
        assert_eq!(collected.checkpoint.sequence(), collection);
        collected.checkpoint.commit().unwrap();
        assert_eq!(world.of_hostile("kiln_instance_state_bytes"), 9, "{collection}");
    }
    assert!(world.of_hostile("kiln_instance_recycles_total") >= 15);
    assert_eq!((world.of_hostile("kiln_instance_restarts_total"), world.hits("memory")), (0, 0));
    drop(instance);
    expect_count(&world, &state, 200).await;
}

/// Lets a plugin that traps unless the count is this one collect.
async fn expect_count(world: &World, state: &StateStore, count: u32) {
    let mut memory = MemoryImage::default();
    let key = memory.text("count");
    let collect = format!(
        "(call $get (i32.const {}) (i32.const {}) (i32.const 512))
         (if (i32.ne (i32.load (i32.load (i32.const 520))) (i32.const {count})) (then (unreachable)))",
        key.0, key.1
    );
    let plugin = Guest { memory, collect: &collect, ..Guest::default() }.plugin();
    let instance = world.hostile_with(Hostile { state: state.clone(), ..Hostile::new(&plugin) }).await;
    world.collect(&instance).await.0.unwrap();
}

/// Scenario: a collection is not delivered, and the plugin is recycled between that one and the next.
/// Guarantees: what was not committed is not there for the fresh one either: the cycle is repeated, not skipped.
#[tokio::test]
async fn what_was_not_committed_does_not_survive_a_recycle() {
    let world = World::new().await;
    let mut memory = MemoryImage::default();
    let collect = counting(&mut memory, 16);
    let plugin = Guest { memory, collect: &collect, pages: 16, ..Guest::default() }.plugin();
    let limits = Limits { memory: 16 << 20, recycle_memory: 1 << 20, ..limits() };
    let state = StateStore::in_memory();
    let instance = world.hostile_with(Hostile { limits, state: state.clone(), ..Hostile::new(&plugin) }).await;
    for _ in 0..3 {
        world.collect(&instance).await.0.unwrap().checkpoint.commit().unwrap();
    }
    for _ in 0..3 {
        drop(world.collect(&instance).await.0.unwrap());
    }
    assert!(world.of_hostile("kiln_instance_recycles_total") >= 2);
    expect_count(&world, &state, 3).await;
    world.collect(&instance).await.0.unwrap().checkpoint.commit().unwrap();
    expect_count(&world, &state, 4).await;
}

/// Scenario: an instance is made ready beside one with the same state, which collects once more: what that changes is committed,
/// or is not.
/// Guarantees: if it is, the new one is started again before it collects, since it may have looked already; if not, it is not.
#[tokio::test]
async fn one_that_was_made_ready_too_early_is_started_again() {
    for (commits, starts) in [(true, 3), (false, 2)] {
        let world = World::new().await;
        let mut memory = MemoryImage::default();
        let collect = counting(&mut memory, 0);
        let plugin = Guest { memory, collect: &collect, ..Guest::default() }.plugin();
        let state = StateStore::in_memory();
        let with_state = || Hostile { state: state.clone(), ..Hostile::new(&plugin) };
        let former = world.hostile_with(with_state()).await;
        former.collect().await.unwrap().checkpoint.commit().unwrap();
        let next = world.hostile_with(with_state()).await;
        next.start().await.unwrap();
        let last = former.collect().await.unwrap().checkpoint;
        if commits {
            last.commit().unwrap();
        }
        next.collect().await.unwrap().checkpoint.commit().unwrap();
        assert_eq!(world.configured(), starts);
        expect_count(&world, &state, if commits { 3 } else { 2 }).await;
        next.collect().await.unwrap().checkpoint.commit().unwrap();
        assert_eq!(world.configured(), starts + 1, "that of what expects the count");
    }
}

/// Scenario: a plugin that needs much memory from its first collection on, beyond `recycle_memory`, and no more later.
/// Guarantees: it is left alone: started afresh it would need as much again.
#[tokio::test]
async fn a_plugin_that_needs_much_but_does_not_grow_is_not_recycled() {
    let world = World::new().await;
    let collect = "(if (i32.lt_u (memory.size) (i32.const 240)) (then (drop (memory.grow (i32.const 200)))))";
    let plugin = Guest { collect, ..Guest::default() }.plugin();
    let limits = Limits { memory: 32 << 20, recycle_memory: 12 << 20, ..limits() };
    let instance = world.hostile(&plugin, &limits).await;
    for _ in 0..5 {
        world.collect(&instance).await.0.unwrap();
    }
    assert_eq!(world.of_hostile("kiln_instance_recycles_total"), 0);
}
