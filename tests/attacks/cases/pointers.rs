//! Plugins that lie about where things are and how long they are.

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::Guest;

attacks!(
    "pointers",
    "pointers.rs",
    running: [
        list_beyond_memory,
        list_that_wraps_around,
        list_not_aligned,
        list_of_two_billion,
        result_beyond_memory,
        text_that_is_not_utf8,
        same_megabyte_a_hundred_thousand_times,
        same_megabyte_in_attributes,
        realloc_that_lies,
        variant_out_of_range,
    ],
    refused: [],
);

/// A guest whose one call into the host must end it.
fn trapped(arena: &mut Arena, guest: &Guest) -> Result<Stopped, String> {
    arena.attacker(guest.pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "trapped"])?;
    arena.failed("attacker", "trap")
}

/// As [`trapped`], by handing over more than the host takes.
fn too_much(arena: &mut Arena, guest: &Guest) -> Result<Stopped, String> {
    arena.attacker(guest.pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "hands over more than"])?;
    arena.failed("attacker", "limit_host_call_bytes")
}

/// Scenario: `emit` is given a list that begins in the last bytes of memory.
/// Guarantees: a trap; nothing beyond the memory is read.
fn list_beyond_memory(arena: &mut Arena) -> Result<Stopped, String> {
    let emit = "(call $emit (i32.const 262136) (i32.const 1000) (i32.const 64))";
    trapped(arena, &Guest::collecting(emit).with_emit())
}

/// Scenario: `emit` is given a list whose end, computed in 32 bits, comes before its beginning.
/// Guarantees: a trap; lengths are not computed in 32 bits.
fn list_that_wraps_around(arena: &mut Arena) -> Result<Stopped, String> {
    let emit = "(call $emit (i32.const 0x10000) (i32.const 0x0fffffff) (i32.const 64))";
    trapped(arena, &Guest::collecting(emit).with_emit())
}

/// Scenario: `emit` is given a list at an odd address.
/// Guarantees: a trap.
fn list_not_aligned(arena: &mut Arena) -> Result<Stopped, String> {
    let emit = "(call $emit (i32.const 65537) (i32.const 1) (i32.const 64))";
    trapped(arena, &Guest::collecting(emit).with_emit())
}

/// Scenario: `log` is given a message of two billion bytes.
/// Guarantees: a trap before anything is allocated for it.
fn list_of_two_billion(arena: &mut Arena) -> Result<Stopped, String> {
    let log = "(call $log (i32.const 2) (i32.const 65536) (i32.const 0x7fffffff) (i32.const 0) (i32.const 0))";
    trapped(arena, &Guest::collecting(log).with_log())
}

/// Scenario: `collect` returns a list of failures that is not in its memory.
/// Guarantees: a trap, although the plugin's own code has ended by then.
fn result_beyond_memory(arena: &mut Arena) -> Result<Stopped, String> {
    let lie = "(i32.store (i32.const 20) (i32.const 0x7ffffff0)) (i32.store (i32.const 24) (i32.const 100))";
    trapped(arena, &Guest::collecting(lie))
}

/// Scenario: `log` is given bytes that are no text.
/// Guarantees: a trap; what is text in the host is text.
fn text_that_is_not_utf8(arena: &mut Arena) -> Result<Stopped, String> {
    let log = r#"(i32.store (i32.const 65536) (i32.const -1))
        (call $log (i32.const 2) (i32.const 65536) (i32.const 4) (i32.const 0) (i32.const 0))"#;
    trapped(arena, &Guest::collecting(log).with_log())
}

/// Scenario: `collect` returns a hundred thousand failures whose texts are all the same megabyte.
/// Guarantees: what the host copies is counted, not what the plugin has; a trap instead of 200 GB.
fn same_megabyte_a_hundred_thousand_times(arena: &mut Arena) -> Result<Stopped, String> {
    // A failure is two texts, 16 bytes; they begin at 65536, and so does the megabyte, which is text by these very numbers.
    let point_at_the_same = r#"(loop $l
        (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 8))) (i32.const 65536))
        (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 8))) (i32.const 1000000))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 200000))))
        (i32.store (i32.const 20) (i32.const 65536))
        (i32.store (i32.const 24) (i32.const 100000))"#;
    too_much(arena, &Guest::collecting(point_at_the_same).memory("40"))
}

/// Scenario: `log` is given a hundred thousand attributes whose keys are all the same megabyte.
/// Guarantees: no more of a message is read than is shown, so that the rest costs nothing.
fn same_megabyte_in_attributes(arena: &mut Arena) -> Result<Stopped, String> {
    // An attribute is a key and a value, 24 bytes; a value of zeros is an empty text.
    let point_at_the_same = r#"(loop $l
        (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 24))) (i32.const 1000000))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 100000))))
        (call $log (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 65536) (i32.const 100000))"#;
    arena.attacker(Guest::collecting(point_at_the_same).with_log().memory("40").pack(), "")?;
    arena.start()?;
    arena.stopped("limit", "kiln_instance_limit_hits_total", &["attacker", "limit=\"log_message_bytes\""])
}

/// Scenario: the function that makes room for the configuration says it is beyond the end of memory.
/// Guarantees: a trap; the host writes nowhere else.
fn realloc_that_lies(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(
        Guest::collecting("").with("(start $lie) (func $lie (global.set $free (i32.const -4096)))").pack(),
        "",
    )?;
    arena.start()?;
    arena.says(&["attacker", "trapped"])?;
    arena.failed("attacker", "trap")
}

/// Scenario: `log` is given a level there is none of.
/// Guarantees: a trap.
fn variant_out_of_range(arena: &mut Arena) -> Result<Stopped, String> {
    let log = "(call $log (i32.const 77) (i32.const 65536) (i32.const 1) (i32.const 0) (i32.const 0))";
    trapped(arena, &Guest::collecting(log).with_log())
}
