//! Plugins that want more than they are given.

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, component_from};

attacks!(
    "memory",
    "memory.rs",
    running: [
        memory_bomb,
        memory_large_from_the_start,
        many_memories,
        many_small_memories_that_add_up,
        huge_table,
        table_bomb,
        many_instances,
        memory_beyond_4_gib,
        state_flood,
        memory_that_leaks,
    ],
    refused: [],
);

const MEMORY: &str = "limits: { memory: 16MiB }";

/// Scenario: `collect` grows its memory until it is refused, and then traps.
/// Guarantees: memory ends at the limit, and the error names it.
fn memory_bomb(arena: &mut Arena) -> Result<Stopped, String> {
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    arena.attacker(Guest::collecting(grow).pack(), MEMORY)?;
    arena.start()?;
    arena.says(&["attacker", "needs more than 16777216 bytes of memory"])?;
    arena.failed("attacker", "limit_memory")
}

/// Scenario: a module that declares 2 GiB of memory to begin with.
/// Guarantees: it is not instantiated.
fn memory_large_from_the_start(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").memory("32768").pack(), MEMORY)?;
    arena.start()?;
    arena.says(&["attacker", "needs more than 16777216 bytes of memory"])?;
    arena.failed("attacker", "limit_memory")
}

/// Scenario: a component of twenty modules with a memory each.
/// Guarantees: memories are counted over the whole component.
fn many_memories(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").with_instances(20, "(memory 1)").pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "which no plugin may"])?;
    arena.failed("attacker", "limit_memories")
}

/// Scenario: memories that are within the limit each, and beyond it together.
/// Guarantees: what is limited is their sum.
fn many_small_memories_that_add_up(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").with_instances(3, "(memory 100)").pack(), MEMORY)?;
    arena.start()?;
    arena.says(&["attacker", "needs more than 16777216 bytes of memory"])?;
    arena.failed("attacker", "limit_memory")
}

/// Scenario: a module with a table of nine million elements, which are not counted as memory.
/// Guarantees: they have a limit of their own.
fn huge_table(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").with("(table 9000000 funcref)").pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "elements in its tables"])?;
    arena.failed("attacker", "limit_table_elements")
}

/// Scenario: `collect` grows a table until it is refused, and then traps.
/// Guarantees: it ends at the limit, and the error names it.
fn table_bomb(arena: &mut Arena) -> Result<Stopped, String> {
    let grow =
        "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
    arena.attacker(Guest::collecting(grow).with("(table $t 1 funcref)").pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "elements in its tables"])?;
    arena.failed("attacker", "limit_table_elements")
}

/// Scenario: a component that instantiates an empty module five hundred times.
/// Guarantees: instances are counted over the whole component.
fn many_instances(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").with_instances(500, "").pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "which no plugin may"])?;
    arena.failed("attacker", "limit_instances")
}

/// Scenario: a module with a 64-bit memory, a proposal Kiln has no use for.
/// Guarantees: the component is not valid here, and is refused before it is compiled.
fn memory_beyond_4_gib(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(component_from("(component (core module (memory i64 1)))"), "")?;
    arena.start()?;
    arena.is_broken(&["not a valid component"])?;
    arena.refused("attacker")
}

/// Scenario: `collect` writes one megabyte of state after the other, each under another key.
/// Guarantees: state has a limit; what is beyond it is refused to the plugin, which may go on.
fn state_flood(arena: &mut Arena) -> Result<Stopped, String> {
    // The key is the number of the round, in memory at 128.
    let flood = r#"(loop $l
        (i32.store (i32.const 128) (i32.add (i32.const 0x41414141) (local.get $n)))
        (call $set (i32.const 128) (i32.const 4) (i32.const 65536) (i32.const 1000000) (i32.const 64))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 12))))"#;
    let guest = Guest::collecting(flood).with_state().memory("32");
    arena.attacker(guest.pack(), "limits: { state_bytes: 4MiB }")?;
    arena.start()?;
    arena.stopped("limit", "kiln_instance_limit_hits_total", &["attacker", "limit=\"state_bytes\""])
}

/// Scenario: `collect` leaves a megabyte behind every time.
/// Guarantees: the plugin is started afresh before it comes to its limit, and never fails.
fn memory_that_leaks(arena: &mut Arena) -> Result<Stopped, String> {
    let limits = "limits: { memory: 16MiB, recycle_memory: 4MiB }";
    arena.attacker(Guest::collecting("(drop (memory.grow (i32.const 16)))").pack(), limits)?;
    arena.start()?;
    let stopped = arena.stopped("recycled", "kiln_instance_recycles_total", &["attacker"])?;
    arena.never_says("needs more than")?;
    Ok(stopped)
}
