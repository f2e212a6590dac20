//! `service.watch`: the files are looked at every now and then, because that works on every file system, in containers and
//! over mounts whose changes nobody announces.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_audit::LOCK_FILE;
use kiln_policy::SIGNATURE_EXTENSION;
use kiln_runtime::plugin_paths;

use crate::desired::{Desired, Place};

/// How often it is looked. What has changed must look the same twice, so that half a file is not taken for one.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How files looked at one moment, without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file is written or another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Fingerprint {
    /// Of the configuration, and of the lock file if that counts. Blocks.
    pub(crate) fn of_configuration(place: &Place) -> Self {
        let mut fingerprint = Self::default();
        fingerprint.add(place.config.clone());
        if place.locked {
            fingerprint.add(place.config.with_file_name(LOCK_FILE));
        }
        fingerprint
    }

    /// With one file. Blocks.
    #[cfg(feature = "compiler")]
    pub(crate) fn with_file(mut self, path: &Path) -> Self {
        self.add(path.to_owned());
        self
    }

    /// With the plugins in a directory and below it, and their signatures. Blocks.
    pub(crate) fn with_plugins(mut self, directory: &Path) -> Self {
        for path in plugin_paths(directory) {
            self.add_plugin(path);
        }
        self
    }

    fn add_plugin(&mut self, path: PathBuf) {
        let mut signature = path.clone().into_os_string();
        signature.push(format!(".{SIGNATURE_EXTENSION}"));
        self.add(path);
        self.add(PathBuf::from(signature));
    }

    /// Follows links: what is at their end is what is read.
    fn add(&mut self, path: PathBuf) {
        let stamp = std::fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata));
        self.0.insert(path, stamp);
    }
}

/// What is looked at, and how it looked when it was read.
pub(crate) struct Watch {
    place: Place,
    plugins: PathBuf,
    is_on: bool,
    read: Fingerprint,
    /// How it looked a moment ago, if that was not as it was read.
    unsettled: Option<Fingerprint>,
}

impl Watch {
    /// Of what was read from `place`.
    pub(crate) fn new(place: Place, desired: &Desired) -> Self {
        let (plugins, read) = (PathBuf::new(), Fingerprint::default());
        let mut watch = Self { place, plugins, is_on: false, read, unsettled: None };
        watch.follow(desired);
        watch
    }

    /// Looks from now on where this was read from, if it says so.
    pub(crate) fn follow(&mut self, desired: &Desired) {
        self.is_on = desired.config.reloading.watch;
        self.plugins = desired.config.plugins_dir.clone();
        self.seen(desired.fingerprint.clone());
    }

    /// What looks like this was dealt with.
    pub(crate) fn seen(&mut self, fingerprint: Fingerprint) {
        self.read = fingerprint;
        self.unsettled = None;
    }

    /// How it looks now.
    pub(crate) async fn look(&self) -> Fingerprint {
        let (place, plugins) = (self.place.clone(), self.plugins.clone());
        let look = move || Fingerprint::of_configuration(&place).with_plugins(&plugins);
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Once something has changed and stays as it is.
    pub(crate) async fn changed(&mut self) {
        if !self.is_on {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.look().await;
            if self.notes(now) {
                return;
            }
        }
    }

    fn notes(&mut self, now: Fingerprint) -> bool {
        if now == self.read {
            self.unsettled = None;
            return false;
        }
        let is_settled = self.unsettled.as_ref() == Some(&now);
        self.unsettled = Some(now);
        is_settled
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use super::*;

    fn look(folder: &Path) -> Fingerprint {
        let place = Place { config: folder.join("kiln.yaml"), locked: true, compiled: Arc::default() };
        Fingerprint::of_configuration(&place).with_plugins(&folder.join("plugins"))
    }

    #[test]
    fn whatever_is_read_is_looked_at_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("plugins")).unwrap();
        fs::create_dir(at("elsewhere")).unwrap();
        let mut last = look(folder.path());
        let mut has_changed = || {
            let now = look(folder.path());
            now != std::mem::replace(&mut last, now.clone())
        };
        assert!(!has_changed());
        for file in ["kiln.yaml", "kiln.lock", "plugins/a.wasm", "plugins/a.wasm.minisig", "plugins/b.cwasm"] {
            fs::write(at(file), "one").unwrap();
            assert!(has_changed(), "{file}");
            // The same length, and perhaps the same time: another file.
            fs::write(at("aside"), "two").unwrap();
            fs::rename(at("aside"), at(file)).unwrap();
            assert!(has_changed(), "{file}");
        }
        for file in ["other.yaml", "plugins/notes.txt", "elsewhere/a.wasm"] {
            fs::write(at(file), "one").unwrap();
            assert!(!has_changed(), "{file}");
        }
        fs::remove_file(at("plugins/a.wasm")).unwrap();
        assert!(has_changed());
        symlink(at("elsewhere/a.wasm"), at("plugins/a.wasm")).unwrap();
        assert!(has_changed());
        fs::write(at("elsewhere/a.wasm"), "longer").unwrap();
        assert!(has_changed());
    }

    #[test]
    fn a_change_counts_once_it_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kiln.yaml");
        let place = Place { config: file.clone(), locked: false, compiled: Arc::default() };
        let read = look(folder.path());
        let mut watch = Watch { place, plugins: PathBuf::new(), is_on: true, read, unsettled: None };
        assert!(!watch.notes(look(folder.path())));
        fs::write(&file, "half").unwrap();
        assert!(!watch.notes(look(folder.path())));
        fs::write(&file, "half, and the rest").unwrap();
        assert!(!watch.notes(look(folder.path())));
        let settled = look(folder.path());
        assert!(watch.notes(settled.clone()));
        watch.seen(settled);
        assert!(!watch.notes(look(folder.path())));
    }
}
