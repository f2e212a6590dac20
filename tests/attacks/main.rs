//! Attacks on a running Kiln. One function is one attack; `attack.rs` says what it looks like, `arena.rs` what it has.
//!
//! Every attack has to be *stopped*, with a metric that says so, and *survived*: a neighbour in the same process goes on
//! collecting on schedule, and Kiln ends cleanly when it is asked to. What was tried and what stopped it is printed as a
//! table. `KILN_BIN`, `KILN_PLUGINS` and `KILN_TEST_PLUGINS` say where the binary and the packed plugins are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps,
    missing_docs
)]

mod arena;
mod attack;
mod cases;
mod guest;
mod hostile_resolver;
mod hostile_server;
mod pages;
mod process;
mod table;
mod warm_cache;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let attacks = cases::all();
    let trial = |attack: &attack::Attack| {
        let attack = attack.clone();
        Trial::test(format!("{}::{}", attack.group, attack.name), move || attack.try_it().map_err(Failed::from))
    };
    let mut trials: Vec<_> = attacks.iter().map(trial).collect();
    let (told, promised) = (attacks.clone(), attacks.clone());
    trials.push(Trial::test("the_page_of_attacks_has_every_case", move || pages::attacks_are_current(&told)));
    trials.push(Trial::test("every_promise_names_tests_that_exist", move || pages::promises_are_tested(&promised)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        table::publish(&attacks).expect("the table can be written");
    }
    conclusion.exit();
}

/// Asked for when run, not when built: clones that share a target directory share this binary.
fn repository() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR: run `cargo test`");
    Path::new(&manifest).join("../..")
}
