//! Nothing is lost: an account of every item, whatever goes wrong between a receiver and a backend.
//!
//! Every schedule runs the real binary with a ledger to tell, over HTTP and over gRPC, with its queue in memory and on disk. In
//! the end every entry of the ledger has been delivered, or was refused for good by the backend, or was dropped for a reason
//! that the settings allow and that was counted; and with a queue on disk what had not been delivered when Kiln ended, however it
//! ended, is delivered by the next one, which collects nothing.
//!
//! Each trial prints the seed it ran with. `KILN_ORACLE_SEEDS=100` runs everything at random with as many seeds,
//! `KILN_ORACLE_SEED=7` begins at that one; `KILN_WRITE_DOCS=1` writes the table into docs/delivery.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod dice;
mod ledger;
mod machine;
#[path = "../process/mod.rs"]
mod process;
mod run;
mod schedule;
mod table;

use libtest_mimic::{Arguments, Trial as Test};

use crate::run::Trial;
use crate::schedule::Kind;

/// How many seeds everything is run with unless somebody says otherwise.
const SEEDS: u64 = 2;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is '{text}', which is no number")))
}

fn trials() -> Vec<Trial> {
    let first = number("KILN_ORACLE_SEED", 1);
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        let seeds = if kind == Kind::Everything { number("KILN_ORACLE_SEEDS", SEEDS) } else { 1 };
        for on_disk in [false, true] {
            for exporter in ["otlp_http", "otlp"] {
                if on_disk || !kind.needs_disk() {
                    let seeded = (first..first + seeds).map(|seed| Trial { kind, exporter, on_disk, seed });
                    trials.extend(seeded);
                }
            }
        }
    }
    trials
}

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait more than they compute.
    arguments.test_threads = arguments.test_threads.or(Some(6));
    let trials = trials();
    let tests = trials.iter().map(|trial| {
        let trial = *trial;
        Test::test(table::name(trial), move || {
            table::note(trial, &trial.run());
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, tests.collect());
    if !arguments.list {
        table::publish(&trials).expect("the table can be written");
    }
    conclusion.exit();
}
