//! Plugins that say too much, or what they must not.

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, packed};

attacks!(
    "output",
    "output.rs",
    running: [log_flood, log_lines_of_others, metric_nobody_declared, too_many_points, too_many_bytes, failures_in_the_log],
    refused: [],
);

fn misbehaving(arena: &mut Arena, lines: &str) -> Result<(), String> {
    arena.write("plugins/misbehaving.wasm", packed("misbehaving")?)?;
    arena.receiver("misbehaving", &format!("{lines}\nendpoint: https://granted.example"));
    arena.start()
}

/// Scenario: a plugin writes a hundred thousand log messages with every collection.
/// Guarantees: a hundred in ten seconds are written, and one line says that there are more.
fn log_flood(arena: &mut Arena) -> Result<Stopped, String> {
    misbehaving(arena, "mode: log_flood")?;
    arena.says(&["misbehaving", "log messages"])?;
    let stopped = arena.stopped("limit", "kiln_instance_limit_hits_total", &["misbehaving", "log"])?;
    let written = arena.log().lines().filter(|line| line.contains("the same again")).count();
    if written <= 200 { Ok(stopped) } else { Err(format!("{written} lines were written")) }
}

/// Scenario: a log message with line breaks and the escape sequences of a terminal, made to look like lines of Kiln's own.
/// Guarantees: it stays one line, and the terminal sees no sequence.
fn log_lines_of_others(arena: &mut Arena) -> Result<Stopped, String> {
    let guest = Guest::collecting(
        "(call $log (i32.const 2) (i32.const 65536) (i32.const 60) (i32.const 0) (i32.const 0))",
    )
    .with(r#"(data (i32.const 65536) "harmless\0a2026-01-01T00:00:00Z ERROR forged: \1b[2J\1b[31mall is lost\1b[0m")"#)
    .with_log();
    arena.attacker(guest.pack(), "")?;
    arena.start()?;
    arena.says(&["harmless", "forged"])?;
    arena.never_says("\u{1b}[2J")?;
    match arena.log().lines().find(|line| line.starts_with("2026-01-01T00:00:00Z")) {
        Some(line) => Err(format!("a forged line: {line}")),
        None => arena.stopped("harmless", "kiln_instance_log_records_total", &["attacker", "level=\"info\""]),
    }
}

/// Scenario: a metric that the manifest does not declare.
/// Guarantees: it is refused, and nothing of the collection arrives.
fn metric_nobody_declared(arena: &mut Arena) -> Result<Stopped, String> {
    misbehaving(arena, "mode: undeclared_metric")?;
    arena.says(&["misbehaving", "kiln.test.undeclared"])?;
    arena.failed("misbehaving", "failed")
}

/// Scenario: ten million points in one collection.
/// Guarantees: emitting ends at the limit, and what was emitted is discarded.
fn too_many_points(arena: &mut Arena) -> Result<Stopped, String> {
    misbehaving(arena, "mode: huge_output\nlimits: { output_points: 1000 }")?;
    arena.stopped("limit", "kiln_instance_limit_hits_total", &["misbehaving", "output_points"])
}

/// Scenario: as many bytes as a plugin can emit.
/// Guarantees: emitting ends at the limit, and what was emitted is discarded.
fn too_many_bytes(arena: &mut Arena) -> Result<Stopped, String> {
    misbehaving(arena, "mode: huge_output\nlimits: { output_bytes: 64KiB }")?;
    arena.stopped("limit", "kiln_instance_limit_hits_total", &["misbehaving", "output_bytes"])
}

/// Scenario: `collect` returns a failure whose text has line breaks and escape sequences in it.
/// Guarantees: it stays one line of the log, and the terminal sees no sequence.
fn failures_in_the_log(arena: &mut Arena) -> Result<Stopped, String> {
    let fail = r#"(i32.store (i32.const 128) (i32.const 65536)) (i32.store (i32.const 132) (i32.const 6))
        (i32.store (i32.const 136) (i32.const 65542)) (i32.store (i32.const 140) (i32.const 46))
        (i32.store (i32.const 20) (i32.const 128)) (i32.store (i32.const 24) (i32.const 1))"#;
    let guest = Guest::collecting(fail)
        .with(r#"(data (i32.const 65536) "sourcebroken\0a2026-01-01T00:00:00Z ERROR \1b[2J forged\0a")"#);
    arena.attacker(guest.pack(), "")?;
    arena.start()?;
    arena.says(&["broken", "forged"])?;
    arena.never_says("\u{1b}[2J")?;
    match arena.log().lines().find(|line| line.starts_with("2026-01-01T00:00:00Z")) {
        Some(line) => Err(format!("a forged line: {line}")),
        None => arena.stopped("harmless", "kiln_collection_partial_failures_total", &["attacker"]),
    }
}
