//! What is released of the contract stays as it is: `wit/frozen` is what components out there were built against.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_authoring::contract::{Incompatible, Surface, page};
use wit_bindgen_core::wit_parser::{Resolve, SourceMap};

const HEADER: &str = "\
# Every name of kiln:plugin 0.1 that was released, on a line. Written by
#   KILN_WRITE_DOCS=1 cargo test --package kiln-authoring --test frozen
# which adds lines and takes none away. A line that is gone from wit/v0.1 breaks components that exist.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of the contract, by name.
fn texts() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("wit/v0.1")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read_to_string(path).unwrap())).collect()
}

fn resolve(texts: &BTreeMap<String, String>) -> Resolve {
    let mut files = SourceMap::new();
    texts.iter().for_each(|(name, text)| files.push_str(name, text.as_str()));
    let mut resolve = Resolve::default();
    let group = files.parse().map_err(|(_, error)| error).unwrap();
    resolve.push_group(group).unwrap();
    resolve
}

/// The contract with one text of one file replaced.
fn changed(file: &str, from: &str, to: &str) -> Surface {
    let mut texts = texts();
    let text = texts.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
    Surface::of(&resolve(&texts))
}

/// Scenario: the contract as it is, and as it was released.
/// Guarantees: every released name is there unchanged, nothing more is demanded of components, and what is new is recorded.
#[test]
fn what_is_released_does_not_change() {
    let path = root().join("wit/frozen/v0.1.txt");
    let now = Surface::of(&resolve(&texts()));
    let released = Surface::parse(&fs::read_to_string(&path).unwrap_or_default());
    if let Err(incompatible) = now.keeps(&released)
        && released != Surface::default()
    {
        panic!("wit/v0.1 breaks components that exist; put it into a version of its own:\n{incompatible}");
    }
    if std::env::var_os("KILN_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{HEADER}\n{now}")).unwrap();
    } else {
        assert_eq!(
            now.to_string(),
            released.to_string(),
            "something was added to wit/v0.1: say so in wit/CHANGELOG.md and record it as wit/frozen/v0.1.txt says"
        );
    }
}

/// Scenario: every kind of change that an existing component would not survive.
/// Guarantees: each is found, and named by the line that was released.
#[test]
fn incompatible_changes_are_found() {
    let released = Surface::of(&resolve(&texts()));
    for (file, from, to, gone) in [
        ("telemetry.wit", "        key: string,\n", "", "telemetry: attribute: record {"),
        ("telemetry.wit", "        key: string,\n        value", "        value", "telemetry: attribute: record {"),
        (
            "telemetry.wit",
            "        delta,\n        cumulative,\n",
            "        cumulative,\n        delta,\n",
            "telemetry: temporality: enum",
        ),
        ("telemetry.wit", "        float-list(list<f64>),\n", "", "telemetry: attribute-value: variant {"),
        (
            "telemetry.wit",
            "        float-list(list<f64>),\n",
            "        float-list(list<f64>),\n        nothing,\n",
            "telemetry: attribute-value: variant {",
        ),
        ("host.wit", "    monotonic: func() -> u64;\n", "", "clock: monotonic: func() -> u64"),
        ("host.wit", "    now: func() -> u64;\n", "    now: func() -> s64;\n", "clock: now: func() -> u64"),
        ("host.wit", "        read: func() -> result<option<list<u8>>, error>;\n", "", "http: body.read: func()"),
        ("host.wit", "        invalid(string),", "        refused(string),", "emit: emit-error: variant {"),
        ("receiver.wit", "    import clock;\n", "", "world receiver: import clock"),
        (
            "receiver.wit",
            "    export collect: func() -> result<outcome, collect-error>;",
            "",
            "world receiver: export collect",
        ),
    ] {
        let Incompatible { gone: found, .. } = changed(file, from, to).keeps(&released).expect_err(from);
        assert!(found.iter().any(|line| line.starts_with(gone)), "{from}: {found:?}");
    }
}

#[test]
fn a_world_may_not_demand_more_and_anything_else_may_be_added() {
    let released = Surface::of(&resolve(&texts()));
    let demanding = changed("receiver.wit", "world receiver {", "world receiver {\n    export stop: func();");
    let Incompatible { gone, demanded } = demanding.keeps(&released).unwrap_err();
    assert_eq!((gone, demanded), (Vec::new(), vec!["world receiver: export stop: func()".to_owned()]));
    for (file, from, to) in [
        ("host.wit", "    now: func() -> u64;\n", "    now: func() -> u64;\n    zone: func() -> string;\n"),
        (
            "host.wit",
            "interface clock {",
            "interface dice {\n    record throw { eyes: u8 }\n    roll: func() -> throw;\n}\ninterface clock {",
        ),
        (
            "receiver.wit",
            "    import clock;\n",
            "    import clock;\n    import dice: interface { roll: func() -> u8; }\n",
        ),
    ] {
        let more = changed(file, from, to);
        assert_eq!(more.keeps(&released), Ok(()), "{to}");
        assert_ne!(more, released, "{to}");
    }
}

#[test]
fn the_lines_are_read_as_they_are_written() {
    let surface = Surface::of(&resolve(&texts()));
    assert_eq!(Surface::parse(&format!("{HEADER}\n{surface}")), surface);
}

/// Scenario: the page of the reference.
/// Guarantees: every function and type is on it, and every comment of the WIT.
#[test]
fn the_page_has_every_name_and_every_comment() {
    let texts = texts();
    let page = page(&resolve(&texts));
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\|", "|");
    for line in Surface::of(&resolve(&texts)).to_string().lines() {
        let name = line.split(": ").nth(1).unwrap();
        let name = name.trim_start_matches("export ").trim_start_matches("import ");
        assert!(page.contains(&format!("`{name}`")), "{line}");
    }
    for comment in texts.values().flat_map(|text| text.lines()).filter_map(|line| line.trim().strip_prefix("/// ")) {
        let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&comment), "{comment}");
    }
}
