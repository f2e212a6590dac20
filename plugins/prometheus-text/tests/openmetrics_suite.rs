//! The test suite of OpenMetrics: a parser conforms if it accepts and rejects what the suite says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_prometheus_text::{Feed, Format, LineError, Options, Parser};

struct Case {
    name: String,
    page: Vec<u8>,
    is_valid: bool,
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The copy in this repository.
fn vendored() -> Vec<Case> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openmetrics");
    let cases = |folder: &str, is_valid| {
        entries(&suite.join(folder)).into_iter().map(move |path| Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            page: fs::read(&path).unwrap(),
            is_valid,
        })
    };
    cases("accepted", true).chain(cases("rejected", false)).collect()
}

/// A checkout, as it is.
fn checkout(suite: &Path) -> Vec<Case> {
    let folders = entries(suite).into_iter().filter(|path| path.join("test.json").exists());
    let case = |folder: PathBuf| {
        let told: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("test.json")).unwrap()).unwrap();
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            page: fs::read(folder.join(told["file"].as_str().unwrap())).unwrap(),
            is_valid: told["shouldParse"].as_bool().unwrap(),
        }
    };
    folders.map(case).collect()
}

fn read(page: &[u8]) -> Result<usize, LineError> {
    let options = Options::new(Format::OpenMetrics);
    let whole = Parser::new(page, options).try_fold(0, |count, entry| entry.map(|_| count + 1));
    let mut feed = Feed::new(options);
    let mut in_pieces = Ok(0);
    let mut drain = |feed: &mut Feed| {
        while let Some(entry) = feed.next_entry() {
            in_pieces = in_pieces.and_then(|count: usize| entry.map(|_| count + 1));
        }
    };
    for byte in page {
        feed.push(&[*byte]);
        drain(&mut feed);
    }
    feed.finish();
    drain(&mut feed);
    assert_eq!(whole, in_pieces);
    whole
}

fn run(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        match (read(&case.page), case.is_valid) {
            (Ok(_), true) | (Err(_), false) => {}
            (Ok(_), false) => wrong.push(format!("{} was accepted", case.name)),
            (Err(error), true) => wrong.push(format!("{} was rejected: {error}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn all_211_cases_of_the_suite_are_judged_as_it_says() {
    let cases = vendored();
    let valid = cases.iter().filter(|case| case.is_valid).count();
    assert_eq!((valid, cases.len() - valid), (44, 167));
    run(&cases);
}

#[test]
#[allow(clippy::print_stderr)]
fn all_cases_of_a_checkout_are_judged_as_it_says() {
    let Some(suite) = std::env::var_os("KILN_OPENMETRICS_SUITE") else {
        eprintln!("KILN_OPENMETRICS_SUITE names no checkout of the suite: only the copy here was run");
        return;
    };
    let cases = checkout(Path::new(&suite));
    assert!(!cases.is_empty(), "{} holds no cases", suite.display());
    run(&cases);
}
