//! A walk through a tree of directories that may take hours and survives restarts.
//!
//! It goes depth first and keeps the directories still to be listed by their parents, so that what is remembered is
//! about the siblings along one path. A directory that could not be read is tried again after everything else, so that
//! neither a slow one nor an outage holds up the rest or uses up the attempts of many.
//!
//! Invariants: a directory is listed once; only what lies directly below the directory that was asked for is entered, so
//! that every step leads deeper and no answer can lead in a circle. Bounds: [`MAX_DEPTH`], [`MAX_WAITING_BYTES`],
//! [`MAX_DIRECTORIES`] and [`MAX_KINDS`]; a tree that exceeds one of the first three is not counted at all.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Segments of a path.
const MAX_DEPTH: usize = 64;
/// What waits, as state has it, which is written with every step. A workspace may have 10,000
/// users, each with a directory below `/Users`: that is about 300 KB.
const MAX_WAITING_BYTES: usize = 384 * 1024;
/// Directories of a walk.
const MAX_DIRECTORIES: u64 = 200_000;
/// Kinds of things that are counted by themselves, and the length of their names.
const MAX_KINDS: usize = 64;
const MAX_KIND_BYTES: usize = 64;
/// Stands for further kinds.
const OTHER: &str = "OTHER";
/// How often a directory is tried.
const ATTEMPTS: u8 = 3;
/// Around a name in state: quotes, a comma.
const NAME_BYTES: usize = 3;

/// How many there are of what.
pub(super) type Counts = BTreeMap<String, i64>;

/// Something in a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its whole path.
    pub(super) path: String,
    /// Whether it is a directory that is to be entered.
    pub(super) is_directory: bool,
    /// What it adds to the counts.
    pub(super) counts: Vec<(String, i64)>,
}

/// A directory that is to be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Directory {
    pub(super) path: String,
    /// How often it could not be read.
    attempts: u8,
}

impl Directory {
    /// Whether it is the whole tree.
    pub(super) fn is_root(&self) -> bool {
        self.path == "/"
    }
}

/// Directories with the same parent.
#[derive(Debug, Serialize, Deserialize)]
struct Siblings {
    #[serde(rename = "p")]
    parent: String,
    #[serde(rename = "n")]
    names: Vec<String>,
}

/// Why a tree is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    Depth,
    Waiting,
    Directories,
    Root,
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not counted: ")?;
        match self {
            Self::Depth => write!(f, "a directory lies deeper than {MAX_DEPTH} levels")?,
            Self::Waiting => f.write_str("too many directories wait to be read at once")?,
            Self::Directories => write!(f, "there are more than {MAX_DIRECTORIES} directories")?,
            Self::Root => write!(f, "its root could not be read in {ATTEMPTS} attempts")?,
        }
        f.write_str("; exclude what need not be counted with `collectors.inventory.exclude`")
    }
}

/// A walk under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Walk {
    /// The last ones are next.
    waiting: Vec<Siblings>,
    /// Bytes of what waits.
    waiting_bytes: usize,
    /// What could not be read, the first one next.
    again: Vec<Directory>,
    counts: Counts,
    /// Requests that were spent.
    pub(super) asked: u64,
    /// Directories that were listed, or given up.
    pub(super) done: u64,
    /// Directories that may not be read.
    pub(super) refused: u64,
    /// Directories that could not be read in the end.
    pub(super) lost: u64,
}

impl Walk {
    /// A walk through the whole tree.
    pub(super) fn begin() -> Self {
        let again = vec![Directory { path: "/".to_owned(), attempts: 0 }];
        Self {
            waiting: Vec::new(),
            waiting_bytes: 0,
            again,
            counts: Counts::new(),
            asked: 0,
            done: 0,
            refused: 0,
            lost: 0,
        }
    }

    /// Takes directories that are to be listed now. Each has to be given back through one of the other methods.
    pub(super) fn take(&mut self, most: usize, exclude: &Exclude) -> Vec<Directory> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(directory) = self.next() else { break };
            if !exclude.holds(&directory.path) {
                taken.push(directory);
            }
        }
        self.asked = self.asked.saturating_add(u64::try_from(taken.len()).unwrap_or(u64::MAX));
        taken
    }

    fn next(&mut self) -> Option<Directory> {
        while let Some(siblings) = self.waiting.last_mut() {
            if let Some(name) = siblings.names.pop() {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(name.len().saturating_add(NAME_BYTES));
                return Some(Directory { path: join(&siblings.parent, &name), attempts: 0 });
            }
            self.waiting_bytes = self.waiting_bytes.saturating_sub(siblings.parent.len());
            self.waiting.pop();
        }
        if self.again.is_empty() {
            return None;
        }
        let directory = self.again.remove(0);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(directory.path.len());
        Some(directory)
    }

    /// Whether there is nothing left to list.
    pub(super) fn is_complete(&self) -> bool {
        self.again.is_empty() && self.waiting.iter().all(|siblings| siblings.names.is_empty())
    }

    /// Counts what a directory holds. Gives the number of entries that were not what lies in a directory.
    pub(super) fn enter(
        &mut self,
        directory: &Directory,
        entries: Vec<Entry>,
        exclude: &Exclude,
    ) -> Result<usize, Abandoned> {
        self.done = self.done.saturating_add(1);
        let (mut odd, mut names, mut seen) = (0_usize, Vec::new(), BTreeSet::new());
        for entry in entries {
            let Some(name) = name_in(&directory.path, &entry.path).map(str::to_owned) else {
                odd = odd.saturating_add(1);
                continue;
            };
            if !seen.insert(name.clone()) {
                continue;
            }
            for (kind, count) in entry.counts {
                self.count(kind, count);
            }
            if entry.is_directory && !exclude.holds(&entry.path) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Ok(odd);
        }
        if directory.path.split('/').filter(|segment| !segment.is_empty()).count() >= MAX_DEPTH {
            return Err(Abandoned::Depth);
        }
        let bytes: usize = names.iter().map(|name| name.len().saturating_add(NAME_BYTES)).sum();
        let found = u64::try_from(names.len()).unwrap_or(u64::MAX);
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes).saturating_add(directory.path.len());
        self.waiting.push(Siblings { parent: directory.path.clone(), names });
        if self.waiting_bytes > MAX_WAITING_BYTES {
            return Err(Abandoned::Waiting);
        }
        if self.done.saturating_add(found) > MAX_DIRECTORIES {
            return Err(Abandoned::Directories);
        }
        Ok(odd)
    }

    fn count(&mut self, kind: String, count: i64) {
        let is_ordinary = kind.len() <= MAX_KIND_BYTES && self.counts.len() < MAX_KINDS;
        let kind = if is_ordinary || self.counts.contains_key(&kind) { kind } else { OTHER.to_owned() };
        let sum = self.counts.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }

    /// A directory that is gone counts as empty.
    pub(super) fn vanish(&mut self) {
        self.done = self.done.saturating_add(1);
    }

    /// A directory that may not be read counts as empty.
    pub(super) fn refuse(&mut self) {
        self.done = self.done.saturating_add(1);
        self.refused = self.refused.saturating_add(1);
    }

    /// Leaves a directory for later, without holding it against it.
    pub(super) fn postpone(&mut self, directory: Directory) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(directory.path.len());
        self.again.push(directory);
    }

    /// Leaves a directory that could not be read for later, until it has had its attempts.
    pub(super) fn fail(&mut self, mut directory: Directory) -> Result<(), Abandoned> {
        directory.attempts = directory.attempts.saturating_add(1);
        if directory.attempts < ATTEMPTS {
            self.postpone(directory);
            return if self.waiting_bytes > MAX_WAITING_BYTES { Err(Abandoned::Waiting) } else { Ok(()) };
        }
        if directory.is_root() {
            return Err(Abandoned::Root);
        }
        self.done = self.done.saturating_add(1);
        self.lost = self.lost.saturating_add(1);
        Ok(())
    }

    /// What was counted.
    pub(super) fn into_counts(self) -> Counts {
        self.counts
    }
}

/// The name of what lies directly in a directory.
fn name_in<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    let name = path.strip_prefix(directory.trim_end_matches('/'))?.strip_prefix('/')?;
    Some(name).filter(|name| !name.is_empty() && !name.contains('/'))
}

fn join(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

/// Directories that are not entered.
#[derive(Debug)]
pub(super) struct Exclude(Vec<String>);

impl Exclude {
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self(paths.into_iter().map(|path| path.trim_end_matches('/').to_owned()).collect())
    }

    /// Whether a path is one of them or lies below one.
    fn holds(&self, path: &str) -> bool {
        self.0.iter().any(|excluded| {
            path.strip_prefix(excluded.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn directory(path: &str) -> Entry {
        Entry { path: path.to_owned(), is_directory: true, counts: vec![("DIRECTORY".to_owned(), 1)] }
    }

    fn nothing() -> Exclude {
        Exclude::new([])
    }

    fn take_one(walk: &mut Walk) -> Directory {
        walk.take(1, &nothing()).pop().unwrap()
    }

    #[test]
    fn an_excluded_path_excludes_what_is_below_it_and_not_what_is_called_alike() {
        let exclude = Exclude::new(["/mnt", "/a/b/"]);
        for path in ["/mnt", "/mnt/x", "/a/b", "/a/b/c"] {
            assert!(exclude.holds(path), "{path}");
        }
        for path in ["/", "/mnt2", "/a", "/a/bc", "/x/mnt"] {
            assert!(!exclude.holds(path), "{path}");
        }
        assert!(Exclude::new(["/"]).holds("/") && Exclude::new(["/"]).holds("/a"));
    }

    #[test]
    fn only_what_lies_directly_in_a_directory_is_entered() {
        for (inside, path) in [("/", "/a"), ("/a", "/a/b"), ("/a", "/a/é b")] {
            assert!(name_in(inside, path).is_some(), "{path}");
        }
        for (inside, path) in
            [("/", "/"), ("/a", "/a"), ("/a", "/"), ("/a", "/b"), ("/a", "/ab"), ("/", "/a/b"), ("/a", "")]
        {
            assert_eq!(name_in(inside, path), None, "{inside} {path}");
        }
        let mut walk = Walk::begin();
        let root = take_one(&mut walk);
        let odd = walk.enter(&root, vec![directory("/"), directory("/a"), directory("/a")], &nothing());
        assert_eq!(odd, Ok(1));
        assert_eq!(take_one(&mut walk).path, "/a");
        assert!(walk.is_complete());
        assert_eq!(walk.into_counts(), Counts::from([("DIRECTORY".to_owned(), 1)]));
    }

    #[test]
    fn a_tree_without_end_is_given_up() {
        let mut walk = Walk::begin();
        let mut abandoned = None;
        for _ in 0..1_000 {
            let next = take_one(&mut walk);
            let child = join(&next.path, "x");
            if let Err(why) = walk.enter(&next, vec![directory(&child)], &nothing()) {
                abandoned = Some(why);
                break;
            }
        }
        assert_eq!(abandoned, Some(Abandoned::Depth));
        assert_eq!(walk.done, 65);

        let mut walk = Walk::begin();
        let root = take_one(&mut walk);
        let many = (0..100_000).map(|n| directory(&format!("/{n}"))).collect();
        assert_eq!(walk.enter(&root, many, &nothing()), Err(Abandoned::Waiting));
    }

    #[test]
    fn a_walk_has_no_more_directories_than_its_bound() {
        let mut walk = Walk::begin();
        let root = take_one(&mut walk);
        walk.enter(&root, (0..300).map(|n| directory(&format!("/{n}"))).collect(), &nothing()).unwrap();
        let result = (0..300).try_for_each(|_| {
            let next = take_one(&mut walk);
            let children = (0..1_000).map(|n| directory(&format!("{}/{n}", next.path))).collect();
            walk.enter(&next, children, &nothing())?;
            (0..1_000).for_each(|_| drop(take_one(&mut walk)));
            (0..1_000).for_each(|_| walk.vanish());
            Ok(())
        });
        assert_eq!(result, Err(Abandoned::Directories));
    }

    #[test]
    fn what_waits_is_measured_as_it_comes_and_goes() {
        let mut walk = Walk::begin();
        let root = take_one(&mut walk);
        walk.enter(&root, vec![directory("/a"), directory("/b")], &nothing()).unwrap();
        assert_eq!(walk.waiting_bytes, "/".len() + 2 * (1 + NAME_BYTES));
        let (first, second) = (take_one(&mut walk), take_one(&mut walk));
        walk.fail(first).unwrap();
        walk.enter(&second, Vec::new(), &nothing()).unwrap();
        drop(take_one(&mut walk));
        assert_eq!((walk.waiting_bytes, walk.is_complete()), (0, true));
    }

    #[test]
    fn a_directory_has_three_attempts_and_the_root_must_be_read() {
        let mut walk = Walk::begin();
        let root = take_one(&mut walk);
        walk.enter(&root, vec![directory("/a")], &nothing()).unwrap();
        for _ in 0..3 {
            let next = take_one(&mut walk);
            assert_eq!(next.path, "/a");
            walk.fail(next).unwrap();
        }
        assert_eq!((walk.is_complete(), walk.lost), (true, 1));
        let mut walk = Walk::begin();
        for attempt in 1..=3 {
            let root = take_one(&mut walk);
            assert_eq!(walk.fail(root).is_err(), attempt == 3);
        }
    }

    #[test]
    fn kinds_are_bounded_and_their_sum_is_right() {
        let mut walk = Walk::begin();
        (0..1_000).for_each(|n| walk.count(format!("KIND_{n}"), 1));
        walk.count("X".repeat(1_000), 1);
        assert!(walk.counts.len() <= MAX_KINDS + 1);
        assert_eq!(walk.into_counts().values().sum::<i64>(), 1_001);
    }
}
