//! The two trees: what a directory of each looks like, what is counted in it, and how that is told.

use serde::Deserialize;

use super::walk::{Counts, Entry, Exclude};
use crate::api::lenient;
use crate::part::Part;
use crate::telemetry;
use kiln_plugin::http::{FetchError, Page};

/// Every type an object can have (databricks-sdk, `workspace.ObjectType`), so that one nothing has shows as zero.
const OBJECT_TYPES: [&str; 6] = ["NOTEBOOK", "DIRECTORY", "LIBRARY", "FILE", "REPO", "DASHBOARD"];

/// The type of what is entered. The SDK's own recursive list enters nothing else either: what is in a repository is
/// counted in the repository's own host, and `REPO` says that there is one.
const DIRECTORY: &str = "DIRECTORY";

/// What is counted in DBFS.
const FILES: &str = "files";
const BYTES: &str = "bytes";

/// A tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Workspace,
    Dbfs,
}

/// What a directory holds.
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Items that were no entries.
    pub(super) odd: usize,
}

#[derive(Debug, Deserialize)]
struct Objects {
    #[serde(default)]
    objects: lenient::Items<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    #[serde(default, deserialize_with = "lenient::text")]
    path: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    object_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Files {
    #[serde(default)]
    files: lenient::Items<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default, deserialize_with = "lenient::text")]
    path: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    is_dir: bool,
    #[serde(default, deserialize_with = "lenient::number")]
    file_size: Option<i64>,
}

impl Tree {
    /// Lists a directory (databricks-sdk, `WorkspaceAPI.list`, `DbfsAPI.list`): one answer, no pages. DBFS gives up
    /// after a minute where there are more than 10,000 files.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::Workspace => "/api/2.0/workspace/list",
            Self::Dbfs => "/api/2.0/dbfs/list",
        }
    }

    /// Where the walk is remembered.
    pub(super) const fn state(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Dbfs => "dbfs",
        }
    }

    pub(super) const fn part(self) -> Part {
        let permission = match self {
            Self::Workspace => "Can view on the folders of the workspace, or to be a workspace admin",
            Self::Dbfs => "to read the DBFS root, or turn off `collectors.inventory.dbfs` where there is none",
        };
        Part { name: "inventory", permission }
    }

    /// Which of the configured paths are this tree's.
    pub(super) fn exclude(self, paths: &[String]) -> Exclude {
        Exclude::new(paths.iter().filter_map(|path| match (self, path.strip_prefix("dbfs:")) {
            (Self::Workspace, None) => Some(path.as_str()),
            (Self::Dbfs, path) => path,
            (Self::Workspace, Some(_)) => None,
        }))
    }

    /// Reads what a directory holds.
    pub(super) fn read(self, page: &Page) -> Result<Listing, FetchError> {
        Ok(match self {
            Self::Workspace => {
                let objects = page.json::<Objects>()?.objects;
                listing(objects.items.into_iter().map(Object::into_entry), objects.odd)
            }
            Self::Dbfs => {
                let files = page.json::<Files>()?.files;
                listing(files.items.into_iter().map(File::into_entry), files.odd)
            }
        })
    }

    pub(super) fn add_to(self, counts: &Counts, metrics: &mut telemetry::Metrics) {
        match self {
            Self::Workspace => {
                let none = OBJECT_TYPES.into_iter().filter(|name| !counts.contains_key(*name)).map(|name| (name, 0));
                for (object_type, count) in none.chain(counts.iter().map(|(name, count)| (name.as_str(), *count))) {
                    let attributes = telemetry::DatabricksWorkspaceObjects { object_type };
                    metrics.databricks_workspace_objects(&attributes, count);
                }
            }
            Self::Dbfs => {
                metrics.databricks_dbfs_file_count(counts.get(FILES).copied().unwrap_or_default());
                metrics.databricks_dbfs_storage_bytes(counts.get(BYTES).copied().unwrap_or_default());
            }
        }
    }
}

fn listing(entries: impl Iterator<Item = Option<Entry>>, mut odd: usize) -> Listing {
    let mut read = Vec::new();
    for entry in entries {
        match entry {
            Some(entry) => read.push(entry),
            None => odd = odd.saturating_add(1),
        }
    }
    Listing { entries: read, odd }
}

impl Object {
    fn into_entry(self) -> Option<Entry> {
        let (path, object_type) = (self.path?, self.object_type?);
        Some(Entry { path, is_directory: object_type == DIRECTORY, counts: vec![(object_type, 1)] })
    }
}

impl File {
    fn into_entry(self) -> Option<Entry> {
        let path = self.path?;
        let path = path.strip_prefix("dbfs:").map(str::to_owned).unwrap_or(path);
        let bytes = self.file_size.unwrap_or_default().max(0);
        let counts = if self.is_dir { Vec::new() } else { vec![(FILES.to_owned(), 1), (BYTES.to_owned(), bytes)] };
        Some(Entry { path, is_directory: self.is_dir, counts })
    }
}
