//! What lies in directories: the objects of the workspace and the files of DBFS.
//!
//! Both APIs list one directory at a time and leave the descent to the client. A script names things by their
//! full paths only; directories that nobody named exist because something lies in them, as in every file
//! system.
//!
//! Invariant: every path of a [`Tree`] is found under its parent, up to the root, which always exists.

use super::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// An object of the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Absolute, without a slash at the end.
    pub path: String,
    /// `object_type`: `NOTEBOOK`, `DIRECTORY`, `LIBRARY`, `FILE`, `REPO` or `DASHBOARD`.
    pub kind: String,
    /// `language`, of notebooks.
    #[serde(default)]
    pub language: Option<String>,
    /// `size` in bytes, of files.
    #[serde(default)]
    pub size: Option<i64>,
    /// `created_at` and `modified_at`.
    #[serde(default)]
    pub modified: UnixMillis,
}

/// A file of DBFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbfsFile {
    /// Absolute, without `dbfs:` and without a slash at the end.
    pub path: String,
    /// `file_size` in bytes.
    pub size: i64,
    /// `modification_time`.
    #[serde(default)]
    pub modified: UnixMillis,
    /// An empty directory rather than a file.
    #[serde(default)]
    pub is_dir: bool,
}

impl Object {
    /// An object of a type.
    #[must_use]
    pub fn new(path: &str, kind: &str) -> Self {
        let language = (kind == "NOTEBOOK").then(|| "PYTHON".to_owned());
        let size = (kind == "FILE").then_some(1024);
        Self { path: path.to_owned(), kind: kind.to_owned(), language, size, modified: UnixMillis(0) }
    }

    fn holds_others(&self) -> bool {
        matches!(self.kind.as_str(), "DIRECTORY" | "REPO")
    }
}

impl DbfsFile {
    /// A file of so many bytes.
    #[must_use]
    pub fn new(path: &str, size: i64) -> Self {
        Self { path: path.to_owned(), size, modified: UnixMillis(0), is_dir: false }
    }
}

/// Something at a path, or a directory that exists because something lies in it.
pub(crate) trait Leaf: Clone {
    fn path(&self) -> &str;
    fn is_directory(&self) -> bool;
    fn directory(path: &str) -> Self;
}

impl Leaf for Object {
    fn path(&self) -> &str {
        &self.path
    }

    fn is_directory(&self) -> bool {
        self.holds_others()
    }

    fn directory(path: &str) -> Self {
        Self::new(path, "DIRECTORY")
    }
}

impl Leaf for DbfsFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn is_directory(&self) -> bool {
        self.is_dir
    }

    fn directory(path: &str) -> Self {
        Self { is_dir: true, ..Self::new(path, 0) }
    }
}

/// Things by their paths.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    all: BTreeMap<String, T>,
    children: HashMap<String, Vec<String>>,
}

impl<T: Leaf> Tree<T> {
    pub(super) fn new(leaves: &[T]) -> Self {
        let mut tree = Self { all: BTreeMap::new(), children: HashMap::new() };
        for leaf in leaves {
            tree.all.insert(normal(leaf.path()).to_owned(), leaf.clone());
        }
        let named: Vec<String> = tree.all.keys().cloned().collect();
        for path in named {
            let mut path = path.as_str();
            while let Some(parent) = parent_of(path) {
                let siblings = tree.children.entry(parent.to_owned()).or_default();
                siblings.push(path.to_owned());
                if parent == ROOT || tree.all.contains_key(parent) {
                    break;
                }
                tree.all.insert(parent.to_owned(), T::directory(parent));
                path = parent;
            }
        }
        tree.children.values_mut().for_each(|siblings| siblings.sort());
        tree
    }

    /// What lies directly in a directory, or the thing itself if it is none; nothing if it does not exist.
    pub(crate) fn list(&self, path: &str) -> Option<Vec<&T>> {
        let path = normal(path);
        match self.all.get(path) {
            Some(leaf) if !leaf.is_directory() => Some(vec![leaf]),
            None if path != ROOT => None,
            _ => {
                let children = self.children.get(path).map(Vec::as_slice).unwrap_or_default();
                Some(children.iter().filter_map(|child| self.all.get(child)).collect())
            }
        }
    }

    /// The thing at a path, the root included.
    pub(crate) fn find(&self, path: &str) -> Option<T> {
        let path = normal(path);
        self.all.get(path).cloned().or_else(|| (path == ROOT).then(|| T::directory(ROOT)))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.all.values()
    }
}

const ROOT: &str = "/";

fn normal(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => ROOT,
        path => path,
    }
}

fn parent_of(path: &str) -> Option<&str> {
    let (parent, name) = path.rsplit_once('/')?;
    match (parent, name) {
        ("", "") => None,
        ("", _) => Some(ROOT),
        (parent, _) => Some(parent),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(tree: &Tree<Object>, path: &str) -> Vec<String> {
        let mut paths = Vec::new();
        for object in tree.list(path).unwrap() {
            paths.push(object.path.clone());
            if object.is_directory() {
                paths.extend(walk(tree, &object.path));
            }
        }
        paths
    }

    proptest! {
        #[test]
        fn a_walk_from_the_root_meets_everything_once(paths in prop::collection::btree_set("(/[a-c]){1,4}/n", 0..30)) {
            let objects: Vec<Object> = paths.iter().map(|path| Object::new(path, "NOTEBOOK")).collect();
            let tree = Tree::new(&objects);
            let mut walked = walk(&tree, "/");
            walked.sort();
            let mut expected: Vec<String> = tree.all().map(|object| object.path.clone()).collect();
            expected.sort();
            prop_assert_eq!(&walked, &expected);
            prop_assert!(paths.iter().all(|path| walked.contains(path)));
        }
    }

    #[test]
    fn the_root_exists_and_is_empty_and_other_paths_do_not_exist() {
        let tree = Tree::<DbfsFile>::new(&[]);
        assert_eq!(tree.list("/").map(|files| files.len()), Some(0));
        assert!(tree.list("/nothing").is_none());
    }
}
