//! What only a component can do that no toolchain would make: many instances, many memories, handles of its own.

use kiln_runtime::{ComponentFile, pack};

use crate::guest::MANIFEST;
use crate::world::{World, limits};

/// A receiver of core instances, memories and functions at will. `$main` provides `collect`.
fn component(definitions: &str, imports: &str, with: &str, collect: &str) -> ComponentFile {
    let text = format!(
        r#"(component
            (type $config-error' (record (field "field" string) (field "message" string)))
            (export $config-error "config-error" (type $config-error'))
            (type $partial-failure' (record (field "source" string) (field "message" string)))
            (export $partial-failure "partial-failure" (type $partial-failure'))
            (type $outcome' (record (field "failures" (list $partial-failure)) (field "more" bool)))
            (export $outcome "outcome" (type $outcome'))
            (type $collect-error' (variant (case "unauthorized" string) (case "unavailable" string)
                (case "invalid-data" string) (case "failed" string)))
            (export $collect-error "collect-error" (type $collect-error'))
            {definitions}
            (core module $main
                {imports}
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "configure") (param i32 i32) (result i32) (i32.const 16))
                (func (export "collect") (result i32) {collect} (i32.const 16)))
            (core instance $main (instantiate $main {with}))
            (func (export "configure") (param "config" string) (result (result (error $config-error)))
                (canon lift (core func $main "configure") (memory (core memory $main "memory"))
                    (realloc (core func $main "cabi_realloc"))))
            (func (export "collect") (result (result $outcome (error $collect-error)))
                (canon lift (core func $main "collect") (memory (core memory $main "memory")))))"#
    );
    let component = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    pack(&component, MANIFEST, &[]).unwrap()
}

/// Scenario: a component of few instances, of one more than it may have, and with one memory more than it may have.
/// Guarantees: the first starts, the others do not.
#[tokio::test]
async fn instances_and_memories_are_limited_in_number() {
    let empty = "(core module $empty)";
    let with_memory = "(core module $memory (memory 1))";
    let many = |what: &str, number: usize| format!("(core instance (instantiate {what}))").repeat(number);
    let world = World::new().await;
    let plugin = component(&format!("{empty} {with_memory} {} {}", many("$empty", 20), many("$memory", 7)), "", "", "");
    let instance = world.hostile(&plugin, &limits()).await;
    world.collect(&instance).await.0.unwrap();
    let plugin = component(&format!("{empty} {}", many("$empty", 128)), "", "", "");
    world.expect(&plugin, &limits(), "limit_instances").await;
    let world = World::new().await;
    let plugin = component(&format!("{with_memory} {}", many("$memory", 8)), "", "", "");
    world.expect(&plugin, &limits(), "limit_memories").await;
}

/// Scenario: eight memories, each of which is within the limit, that together are beyond it.
/// Guarantees: memory is counted over all of them.
#[tokio::test]
async fn memories_are_counted_together() {
    let world = World::new().await;
    let memories = format!("(core module $memory (memory 50)) {}", "(core instance (instantiate $memory))".repeat(7));
    world.expect(&component(&memories, "", "", ""), &limits(), "limit_memory").await;
}

/// Scenario: a component makes handles to a resource of its own and never drops them.
/// Guarantees: it is stopped: the table of handles is the host's memory, not the plugin's.
#[tokio::test]
async fn handles_are_limited_in_number() {
    let world = World::new().await;
    let plugin = component(
        "(type $thing (resource (rep i32))) (core func $new (canon resource.new $thing))",
        r#"(import "host" "new" (func $new (param i32) (result i32)))"#,
        r#"(with "host" (instance (export "new" (func $new))))"#,
        "(loop $more (drop (call $new (i32.const 1))) (br $more))",
    );
    world.expect(&plugin, &limits(), "limit_handles").await;
}

/// Scenario: a component asks WASI for a hundred timers in each collection and keeps them all, thirty times, which is more
/// than it may have three times over.
/// Guarantees: it is started afresh before it comes to its limit, as often as it must, and never fails.
#[tokio::test]
async fn one_that_keeps_what_wasi_gives_it_is_started_afresh_in_time() {
    let plugin = component(
        r#"(import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
           (alias export $poll "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
                (alias outer 1 $pollable (type $outer))
                (export "pollable" (type $pollable (eq $outer)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
           (core func $subscribe (canon lower (func $clock "subscribe-duration")))"#,
        r#"(import "host" "subscribe" (func $subscribe (param i64) (result i32)))"#,
        r#"(with "host" (instance (export "subscribe" (func $subscribe))))"#,
        "(local $left i32)
         (local.set $left (i32.const 100))
         (loop $more
            (drop (call $subscribe (i64.const 1)))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
    );
    let world = World::new().await;
    let instance = world.hostile(&plugin, &limits()).await;
    for _ in 0..30 {
        world.collect(&instance).await.0.unwrap();
    }
    assert!(world.of_hostile("kiln_instance_recycles_total") >= 5);
    assert_eq!(world.of_hostile("kiln_instance_restarts_total"), 0);
}

/// Scenario: a component of two parts, one of which hands a text to the other; and a module that has two memories itself.
/// Guarantees: the first runs, though what copies the text sees the memories of both; the second is no plugin.
#[tokio::test]
async fn parts_may_hand_texts_to_each_other_and_no_module_may_have_two_memories() {
    let parts = r#"
        (component $library
            (core module $code
                (memory (export "memory") 1)
                (func (export "length") (param i32 i32) (result i32) (local.get 1))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
            (core instance $code (instantiate $code))
            (func (export "length") (param "text" string) (result u32)
                (canon lift (core func $code "length") (memory (core memory $code "memory"))
                    (realloc (core func $code "realloc")))))
        (component $program
            (import "length" (func $length (param "text" string) (result u32)))
            (core module $memory (memory (export "memory") 1) (data (i32.const 8) "text"))
            (core instance $memory (instantiate $memory))
            (core func $length (canon lower (func $length) (memory (core memory $memory "memory"))))
            (core module $code
                (import "library" "length" (func $length (param i32 i32) (result i32)))
                (func $begin (if (i32.ne (call $length (i32.const 8) (i32.const 4)) (i32.const 4)) (then unreachable)))
                (start $begin))
            (core instance (instantiate $code
                (with "library" (instance (export "length" (func $length)))))))
        (instance $library (instantiate $library))
        (instance (instantiate $program (with "length" (func $library "length"))))"#;
    let world = World::new().await;
    let instance = world.hostile(&component(parts, "", "", ""), &limits()).await;
    world.collect(&instance).await.0.unwrap();

    let two = wat::parse_str(r#"(component (core module (memory 1) (memory 1)))"#).unwrap();
    let refused = pack(&two, MANIFEST, &[]).unwrap_err().to_string();
    assert!(refused.contains("multiple memories"), "{refused}");
}
