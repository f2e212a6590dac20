//! Pages of a Spark UI, by the name a capture gives them.
//!
//! A folder of pages holds `metrics_prometheus`, `metrics_executors_prometheus`, `metrics_json`,
//! `applications`, `version` and any of an application's own pages (`jobs`, `stages`, `executors`,
//! `allexecutors`, `environment`, ...), each exactly as Spark sent it.
//!
//! Invariant: what is served is byte for byte what was captured; nothing is computed or repaired.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The largest page that is read.
const PAGE_LIMIT: u64 = 16 << 20;

/// A set of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    by_name: BTreeMap<String, Vec<u8>>,
}

impl Pages {
    /// The pages in a folder. Empty files are passed over (a redirect has no body), and `NAME_slash` is `NAME`
    /// (some captures tell the page behind a redirect apart by that suffix).
    ///
    /// # Errors
    /// The folder cannot be read, has no pages, or one is larger than 16 MiB.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut pages = Self::default();
        let entries = std::fs::read_dir(folder).map_err(|error| {
            io::Error::new(error.kind(), format!("the folder of pages {} cannot be read: {error}", folder.display()))
        })?;
        for entry in entries {
            let entry = entry?;
            let (size, file_name) = (entry.metadata()?.len(), entry.file_name());
            let Some(name) = file_name.to_str() else { continue };
            if size == 0 || !entry.file_type()?.is_file() || name.contains('.') {
                continue;
            }
            if size > PAGE_LIMIT {
                let message = format!("{} is larger than {PAGE_LIMIT} bytes", entry.path().display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            pages.set(name.strip_suffix("_slash").unwrap_or(name), std::fs::read(entry.path())?);
        }
        if pages.by_name.is_empty() {
            let message = format!("no page in {}", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(pages)
    }

    /// The pages of a real Spark that come with this crate: `"3.5.9"` or `"4.1.4"`.
    ///
    /// # Errors
    /// There is no capture of this version.
    pub fn captured(version: &str) -> io::Result<Self> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "spark", version].iter().collect();
        Self::read(&folder)
    }

    /// Replaces or adds a page.
    pub fn set(&mut self, name: &str, body: impl Into<Vec<u8>>) {
        self.by_name.insert(name.to_owned(), body.into());
    }

    /// Takes a page away: its path answers 404.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// A page.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.by_name.get(name).map(Vec::as_slice)
    }

    /// Id and name of the application, from the `applications` page.
    #[must_use]
    pub fn application(&self) -> Option<(String, String)> {
        let applications: serde_json::Value = serde_json::from_slice(self.get("applications")?).ok()?;
        let text = |field: &str| Some(applications.pointer(field)?.as_str()?.to_owned());
        Some((text("/0/id")?, text("/0/name")?))
    }

    /// Gives the application another name, in `applications` and on the executors' page, where Spark does not escape it.
    pub fn rename_application(&mut self, name: &str) {
        let Some((_, known)) = self.application() else { return };
        let label = |name: &str| format!("application_name=\"{name}\"");
        for (page, from, to) in [
            ("applications", serde_json::json!(known).to_string(), serde_json::json!(name).to_string()),
            ("metrics_executors_prometheus", label(&known), label(name)),
        ] {
            if let Some(text) = self.get(page).and_then(|body| std::str::from_utf8(body).ok()) {
                self.set(page, text.replace(&from, &to));
            }
        }
    }

    /// Major and minor version of Spark, from the `version` page.
    pub(super) fn version(&self) -> Option<(u32, u32)> {
        let version: serde_json::Value = serde_json::from_slice(self.get("version")?).ok()?;
        let mut numbers = version.get("spark")?.as_str()?.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_pages_are_complete() {
        for (version, number) in [("3.5.9", (3, 5)), ("4.1.4", (4, 1))] {
            let pages = Pages::captured(version).unwrap();
            for name in ["metrics_prometheus", "metrics_executors_prometheus", "metrics_json"] {
                assert!(pages.get(name).is_some(), "{version} has no {name}");
            }
            assert_eq!(pages.version(), Some(number));
            assert_eq!(pages.application().unwrap().1, "ground truth-app");
        }
    }

    #[test]
    fn a_capture_with_redirects_and_headers_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, body: &str| std::fs::write(folder.path().join(name), body).unwrap();
        write("metrics_json", "");
        write("metrics_json_slash", "{}");
        write("metrics_json_slash.headers.json", "[]");
        let pages = Pages::read(folder.path()).unwrap();
        assert_eq!(pages.get("metrics_json"), Some(b"{}".as_slice()));
        assert_eq!(pages.by_name.len(), 1);
    }

    #[test]
    fn a_folder_without_pages_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Pages::read(folder.path()).is_err());
    }
}
