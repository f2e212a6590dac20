//! Pages that name cases: what they name is there, and what is there is named.

use std::collections::BTreeSet;

use libtest_mimic::Failed;

use crate::attack::Attack;

/// `docs/attacks.md` has a row for every case, and no other.
pub(crate) fn attacks_are_current(attacks: &[Attack]) -> Result<(), Failed> {
    // It is about to be written.
    if std::env::var_os("KILN_WRITE_DOCS").is_some() {
        return Ok(());
    }
    let page = read("docs/attacks.md")?;
    let told =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()));
    let there = attacks.iter().map(|attack| attack.name.to_owned());
    same("docs/attacks.md", told.collect(), there.collect(), "run `KILN_WRITE_DOCS=1 scripts/test attacks`")
}

/// `docs/security.md` names every case beside the promise it tests, and every other test it names exists.
pub(crate) fn promises_are_tested(attacks: &[Attack]) -> Result<(), Failed> {
    let page = read("docs/security.md")?;
    let quoted: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let told = quoted.iter().filter_map(|name| name.strip_prefix("attacks::")).filter(|name| !name.is_empty());
    let there = attacks.iter().map(|attack| format!("{}::{}", attack.group, attack.name));
    same("docs/security.md", told.map(ToString::to_string).collect(), there.collect(), "name each beside its promise")?;
    for (path, name) in quoted.iter().filter_map(|quoted| quoted.split_once(".rs::")) {
        let source = read(&format!("{path}.rs"))?;
        if name != "*" && !source.contains(&format!("fn {name}(")) {
            return Err(format!("docs/security.md names {path}.rs::{name}, which is not there").into());
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<String, Failed> {
    let path = crate::repository().join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn same(page: &str, told: BTreeSet<String>, there: BTreeSet<String>, remedy: &str) -> Result<(), Failed> {
    if told == there {
        return Ok(());
    }
    let missing: Vec<_> = there.difference(&told).collect();
    let gone: Vec<_> = told.difference(&there).collect();
    Err(format!("{page} lacks {missing:?} and has {gone:?}, which are no cases: {remedy}").into())
}
