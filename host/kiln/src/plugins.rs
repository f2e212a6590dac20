//! The plugin files there are for a configuration: those of its plugins directory, and those it names by URL and digest.
//!
//! What is named by URL is fetched once, into a store below `data_dir` that goes by digests, and from then on taken from
//! there: a start needs no network, and a URL that gives another file tomorrow changes nothing. Nobody looks at what was
//! fetched before its digest is right, and nothing is fetched that the configuration does not name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};
use kiln_config::{Config, PluginReference};
use kiln_egress::fetch;
use kiln_policy::{Digest, MAX_SIGNATURE_BYTES, PluginName, SIGNATURE_EXTENSION, SignatureFile};
use kiln_runtime::{ComponentFile, Directory, DirectoryError, MAX_FILE_BYTES, NotFound, signature_of};
use kiln_telemetry::Redaction;
use url::Url;

/// The store, below `data_dir`.
const STORE: &str = "plugins";

/// Every plugin file there is.
#[derive(Default)]
pub(crate) struct Plugins {
    pub(crate) directory: Directory,
    /// What was named by its digest, or why it is not there.
    fetched: BTreeMap<Digest, Result<Arc<ComponentFile>, String>>,
}

impl From<Directory> for Plugins {
    fn from(directory: Directory) -> Self {
        Self { directory, fetched: BTreeMap::new() }
    }
}

impl Plugins {
    /// Reads the plugins directory, and fetches what is named by URL and not there yet, which it tells. Blocks.
    /// `compiled` is for [`ComponentFile::parse_compiled`].
    ///
    /// # Errors
    /// The plugins directory cannot be read.
    pub(crate) fn read(
        config: &Config,
        compiled: &BTreeSet<Digest>,
        tell: &dyn Fn(&str),
    ) -> Result<Self, DirectoryError> {
        let named = config.instances.iter().filter_map(|instance| match &instance.plugin {
            PluginReference::Fetched { url, digest } => Some((*digest, url)),
            PluginReference::Named { .. } => None,
        });
        let named: BTreeMap<Digest, &Url> = named.collect();
        // One that only runs what it fetches needs no directory.
        let needs_none = !named.is_empty()
            && config.instances.iter().all(|instance| instance.plugin.name().is_none())
            && !config.plugins_dir.exists();
        let directory = if needs_none { Directory::default() } else { read_directory(config, compiled)? };
        let fetched = named.into_iter().map(|(digest, url)| (digest, obtain(config, url, digest, tell).map(Arc::new)));
        Ok(Self { directory, fetched: fetched.collect() })
    }

    /// What was named by this digest.
    pub(crate) fn fetched(&self, digest: &Digest) -> Result<&Arc<ComponentFile>, &str> {
        match self.fetched.get(digest) {
            Some(Ok(file)) => Ok(file),
            Some(Err(reason)) => Err(reason),
            None => Err("is not fetched here"),
        }
    }
}

/// In a bundle, what no instance names is none of a start's business: whoever made the bundle has looked at it.
fn read_directory(config: &Config, compiled: &BTreeSet<Digest>) -> Result<Directory, DirectoryError> {
    let names: BTreeSet<&PluginName> = config.instances.iter().filter_map(|instance| instance.plugin.name()).collect();
    if !compiled.is_empty() {
        let directory = Directory::read_some(&config.plugins_dir, compiled, |name| names.contains(name))?;
        // Where one is missing, what is said of it names what there is.
        if names.iter().all(|name| directory.find(name.as_str(), None).err() != Some(NotFound::Name)) {
            return Ok(directory);
        }
    }
    Directory::read(&config.plugins_dir)
}

/// The file of this digest, from the store or from where it is. The error finishes the sentence "the plugin …".
fn obtain(config: &Config, url: &Url, digest: Digest, tell: &dyn Fn(&str)) -> Result<ComponentFile, String> {
    let Some(data_dir) = &config.data_dir else {
        return Err("cannot be kept: set `service.data_dir`, where what is fetched is stored".to_owned());
    };
    let store = Store::open(data_dir)
        .map_err(|error| format!("cannot be kept in {}: {error}", data_dir.join(STORE).display()))?;
    let bytes = match store.read(digest) {
        Some(bytes) => bytes,
        None => store.fetch(config, url, digest, tell)?,
    };
    let mut file = ComponentFile::parse(bytes).map_err(|error| error.to_string())?;
    file.signature = signature_of(&store.path.join(name(digest)));
    // Whether it is good is judged as that of any file.
    if file.signature == SignatureFile::Absent && !config.policy.rules.keys_for(&file.manifest.name).is_empty() {
        store.fetch_signature(config, url, digest);
        file.signature = signature_of(&store.path.join(name(digest)));
    }
    Ok(file)
}

/// What a file is called in the store.
fn name(digest: Digest) -> PathBuf {
    PathBuf::from(format!("sha256-{}.wasm", digest.hex()))
}

/// Files that go by their digests, for this user only.
struct Store {
    dir: Dir,
    path: PathBuf,
}

impl Store {
    fn open(data_dir: &Path) -> std::io::Result<Self> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        std::fs::create_dir_all(data_dir)?;
        let root = Dir::open_ambient_dir(data_dir, ambient_authority())?;
        match root.create_dir_with(STORE, &private) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Self { dir: root.open_dir(STORE)?, path: data_dir.join(STORE) })
    }

    /// What is there, if it is what it is called.
    fn read(&self, digest: Digest) -> Option<Vec<u8>> {
        let name = name(digest);
        let mut bytes = Vec::new();
        let file = self.dir.open(&name).ok()?;
        let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        if read.is_ok() && Digest::of(&bytes) == digest {
            return Some(bytes);
        }
        tracing::warn!("{} is damaged, and fetched again", self.path.join(name).display());
        None
    }

    fn fetch(&self, config: &Config, url: &Url, digest: Digest, tell: &dyn Fn(&str)) -> Result<Vec<u8>, String> {
        // For people; a query may hold a secret.
        let shown = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
        let began = Instant::now();
        tell(&format!("fetching the plugin {digest} from {shown}"));
        let bytes = get(config, url, MAX_FILE_BYTES)
            .map_err(|error| format!("cannot be fetched: {error}; put it there, or into `plugins_dir` and name it"))?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(format!(
                "at {shown} is another file: it has the digest {found}, and the configuration says {digest}; nothing of it is used"
            ));
        }
        self.write(&name(digest), &bytes)
            .map_err(|error| format!("cannot be written to {}: {error}", self.path.display()))?;
        tell(&format!("fetched the plugin {digest}: {} bytes in {:.1?}", bytes.len(), began.elapsed()));
        Ok(bytes)
    }

    /// What stands beside the file as its signature, for an operator who asks for one.
    fn fetch_signature(&self, config: &Config, url: &Url, digest: Digest) {
        let mut beside = url.clone();
        beside.set_path(&format!("{}.{SIGNATURE_EXTENSION}", url.path()));
        let mut file = name(digest).into_os_string();
        file.push(format!(".{SIGNATURE_EXTENSION}"));
        let kept = get(config, &beside, MAX_SIGNATURE_BYTES)
            .and_then(|bytes| self.write(Path::new(&file), &bytes).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::warn!("there is no signature beside the plugin {digest}: {error}");
        }
    }

    /// Written aside, synced and put into its place, so that nobody ever reads half of it.
    fn write(&self, name: &Path, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write as _;
        let mut aside = name.as_os_str().to_owned();
        aside.push(format!(".{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = self.dir.open_with(&aside, options.write(true).create(true).truncate(true).mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.dir.rename(&aside, &self.dir, name)
    }
}

/// Whoever calls this has a thread to wait on.
fn get(config: &Config, url: &Url, max_bytes: u64) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let fetched = runtime.block_on(fetch(url, max_bytes, &config.policy.proxy, &Redaction::default()));
    fetched.map(Into::into).map_err(|error| error.to_string())
}
