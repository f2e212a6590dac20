//! Plugins that do not come back, or come back as something else.

use std::time::Duration;

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, packed};
use crate::hostile_server::{Connection, HostileServer};

attacks!(
    "calls",
    "calls.rs",
    running: [
        loop_in_collect,
        loop_in_start,
        loop_in_configure,
        loop_of_host_calls,
        more_for_ever,
        unreachable_code,
        deep_recursion,
        wait_for_a_server_for_ever,
        trap_again_and_again,
        trap_too_often,
    ],
    refused: [],
);

const CPU: &str = "limits: { cpu: 100ms }";

/// Scenario: `collect` computes for ever.
/// Guarantees: it is interrupted when its computing time is used up.
fn loop_in_collect(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("(loop $l (br $l))").pack(), CPU)?;
    arena.start()?;
    arena.says(&["attacker", "used more than 100ms of CPU"])?;
    arena.failed("attacker", "limit_cpu")
}

/// Scenario: the module's start function, which runs before anything is called, computes for ever.
/// Guarantees: instantiation has the same computing time as a call.
fn loop_in_start(arena: &mut Arena) -> Result<Stopped, String> {
    let guest = Guest::collecting("").with("(func $begin (loop $l (br $l))) (start $begin)");
    arena.attacker(guest.pack(), CPU)?;
    arena.start()?;
    arena.says(&["attacker", "used more than 100ms of CPU"])?;
    arena.failed("attacker", "limit_cpu")
}

/// Scenario: `configure` computes for ever.
/// Guarantees: it is interrupted; Kiln starts all the same.
fn loop_in_configure(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").configuring("(loop $l (br $l))").pack(), CPU)?;
    arena.start()?;
    arena.says(&["attacker", "used more than 100ms of CPU"])?;
    arena.failed("attacker", "limit_cpu")
}

/// Scenario: `collect` calls the host without end, each call short, so that it is never caught computing for long.
/// Guarantees: time between calls adds up, and is used up.
fn loop_of_host_calls(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("(loop $l (drop (call $now)) (br $l))").with_clock().pack(), CPU)?;
    arena.start()?;
    arena.says(&["attacker", "used more than 100ms of CPU"])?;
    arena.failed("attacker", "limit_cpu")
}

/// Scenario: `collect` always says that there is more and wants to be called again at once.
/// Guarantees: it is, and takes nobody else's turn by it.
fn more_for_ever(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("(i32.store8 (i32.const 28) (i32.const 1))").pack(), "")?;
    arena.start()?;
    let labels = ["attacker", "function=\"collect\"", "outcome=\"ok\""];
    arena.stopped_times("harmless", "kiln_instance_calls_total", &labels, 1000.0)
}

/// Scenario: `collect` executes `unreachable`.
/// Guarantees: the trap is an error of this call; the instance is started afresh.
fn unreachable_code(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("unreachable").pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "trapped"])?;
    arena.failed("attacker", "trap")
}

/// Scenario: `collect` calls itself without end.
/// Guarantees: its stack ends before the host's does.
fn deep_recursion(arena: &mut Arena) -> Result<Stopped, String> {
    let guest = Guest::collecting("(call $deeper)").with("(func $deeper (call $deeper) (drop (i32.const 0)))");
    arena.attacker(guest.pack(), "")?;
    arena.start()?;
    arena.says(&["attacker", "bytes of stack"])?;
    arena.failed("attacker", "limit_stack")
}

/// Scenario: `collect` waits for a server that takes the connection and never answers.
/// Guarantees: waiting costs no computing time, and the request ends with its time; `timeout` ends the call.
fn wait_for_a_server_for_ever(arena: &mut Arena) -> Result<Stopped, String> {
    let server = HostileServer::start(Connection::keep_silent)?;
    arena.probe(&server, "timeout: 900ms\ntimes: 100")?;
    arena.start()?;
    arena.says(&["probe", "took more than 900ms"])?;
    arena.failed("probe", "limit_timeout")
}

/// Scenario: a plugin traps with every collection, as often as it is let.
/// Guarantees: pauses grow between one start and the next: in two seconds it has had three tries at most.
fn trap_again_and_again(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/misbehaving.wasm", packed("misbehaving")?)?;
    arena.receiver("misbehaving", "mode: trap\nendpoint: https://granted.example");
    arena.start()?;
    arena.says(&["misbehaving", "trapped"])?;
    let began = std::time::Instant::now();
    let stopped = arena.stopped("trap", "kiln_instance_restarts_total", &["misbehaving"])?;
    match stopped.value {
        tries if tries <= 3.0 || began.elapsed() > Duration::from_secs(2) => Ok(stopped),
        tries => Err(format!("{tries} restarts in {:?}", began.elapsed())),
    }
}

/// Scenario: a plugin traps with every collection, and is let so often.
/// Guarantees: it is quarantined: it rests, the process is not ready, and the page says why.
fn trap_too_often(arena: &mut Arena) -> Result<Stopped, String> {
    let limits = "limits: { quarantine_after: 2, quarantine_period: 1h }";
    arena.attacker(Guest::collecting("unreachable").pack(), limits)?;
    arena.start()?;
    arena.is_broken(&["quarantined"])?;
    arena.stopped("quarantined", "kiln_instance_quarantined", &["attacker"])
}
