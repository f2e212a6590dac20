//! `docs/plugin-contract.md` numbers its rules without a gap, and every test it names exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR: run `cargo test`");
    Path::new(&manifest).join("../..")
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(repository().join(path)).ok()
}

/// The rules of the page: number, sentence, tests.
fn rules() -> Vec<(usize, String, Vec<String>)> {
    let page = read("docs/plugin-contract.md").unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ");
        let number = cells.next()?.parse().ok()?;
        let rule = cells.next()?.to_owned();
        let tests = cells.last()?.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        Some((number, rule, tests))
    });
    rows.collect()
}

/// Where a test ought to be and is not.
fn missing(test: &str) -> Option<String> {
    let there = if let Some(case) = test.strip_prefix("cases::") {
        repository().join("tests/cases").join(case).join("case.toml").is_file()
    } else if let Some((group, name)) = test.strip_prefix("attacks::").and_then(|test| test.split_once("::")) {
        read(&format!("tests/attacks/cases/{group}.rs")).is_some_and(|source| source.contains(&format!("fn {name}(")))
    } else if let Some((path, name)) = test.split_once(".rs::") {
        read(&format!("{path}.rs")).is_some_and(|source| source.contains(&format!("fn {name}(")))
    } else {
        false
    };
    (!there).then(|| test.to_owned())
}

#[test]
fn every_rule_has_its_number_and_says_must() {
    let rules = rules();
    let numbers: Vec<_> = rules.iter().map(|(number, _, _)| *number).collect();
    assert_eq!(numbers, (1..=rules.len()).collect::<Vec<_>>());
    assert!(rules.len() >= 40);
    let vague: Vec<_> = rules.iter().filter(|(_, rule, _)| !rule.contains("MUST")).collect();
    assert!(vague.is_empty(), "{vague:?}");
}

#[test]
fn every_rule_names_tests_that_exist() {
    let rules = rules();
    let untested: Vec<_> = rules.iter().filter(|(_, _, tests)| tests.is_empty()).collect();
    assert!(untested.is_empty(), "{untested:?}");
    let missing: Vec<_> = rules.iter().flat_map(|(_, _, tests)| tests).filter_map(|test| missing(test)).collect();
    assert!(missing.is_empty(), "docs/plugin-contract.md names tests that are not there: {missing:?}");
    assert_eq!(missing_of_nothing(), ["cases::no-such-case", "host/otlp/src/lib.rs::no_such_test", "no test"]);
}

/// That what is not there is noticed.
fn missing_of_nothing() -> Vec<String> {
    ["cases::no-such-case", "cases::usage", "host/otlp/src/lib.rs::no_such_test", "no test"]
        .iter()
        .filter_map(|test| missing(test))
        .collect()
}
