//! Ahead-of-time compiled plugins, kept where only Kiln can write.
//!
//! An artifact is native code, so it is trusted no further than its directory: owned by this user with mode 0700, and
//! every file authenticated with a key that lives beside it. It is keyed by the plugin's digest and by everything about
//! this build of wasmtime that shapes the code; whatever does not match is compiled again.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{Read as _, Write as _};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use wasmtime::component::Component;

use kiln_policy::Digest;

const KEY_FILE: &str = "key";
const TAG_BYTES: usize = 32;
/// Native code of the largest plugin allowed stays far below.
const MAX_ARTIFACT_BYTES: u64 = 512 * 1024 * 1024;

/// A private directory of compiled plugins.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: Dir,
    key: [u8; 32],
    engine: u64,
}

impl Cache {
    /// Uses `dir`, creating its key on first use.
    ///
    /// # Errors
    /// The directory is open to others, or cannot be used.
    pub(crate) fn open(dir: Dir, engine: &wasmtime::Engine) -> Result<Self, CacheError> {
        require_private(&dir)?;
        let key = read_key(&dir)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { dir, key, engine: hasher.finish() })
    }

    /// The compiled plugin, if it is there and genuine.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let mut bytes = Vec::new();
        let file = self.dir.open(self.name(digest)).ok()?;
        file.take(MAX_ARTIFACT_BYTES).read_to_end(&mut bytes).ok()?;
        let (tag, artifact) = bytes.split_at_checked(TAG_BYTES)?;
        if self.mac(digest, artifact)?.verify_slice(tag).is_err() {
            tracing::warn!(%digest, "compiled plugin in the cache is not genuine: compiling it again");
            return None;
        }
        deserialize_own(engine, artifact)
    }

    /// Keeps a compiled plugin. Failing to costs a compilation next time, nothing else.
    pub(crate) fn put(&self, digest: &Digest, component: &Component) {
        if let Err(error) = self.write(digest, component) {
            tracing::warn!(%digest, error, "compiled plugin not cached");
        }
    }

    fn write(&self, digest: &Digest, component: &Component) -> Result<(), String> {
        let artifact = component.serialize().map_err(|error| error.to_string())?;
        let tag = self.mac(digest, &artifact).ok_or("no key")?.finalize().into_bytes();
        let name = self.name(digest);
        let aside = format!("{name}.new");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = self.dir.open_with(&aside, options.write(true).create(true).truncate(true).mode(0o600))?;
            file.write_all(&tag)?;
            file.write_all(&artifact)?;
            self.dir.rename(&aside, &self.dir, &name)
        };
        write().map_err(|error| error.to_string())
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{}-{:016x}.cwasm", digest.hex(), self.engine)
    }

    /// The tag covers which plugin the code was made from, so that artifacts cannot be swapped.
    fn mac(&self, digest: &Digest, artifact: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(self.name(digest).as_bytes());
        mac.update(artifact);
        Some(mac)
    }
}

/// The one place that turns bytes into native code: bytes this process, or one like it, wrote and signed.
#[allow(unsafe_code)]
fn deserialize_own(engine: &wasmtime::Engine, artifact: &[u8]) -> Option<Component> {
    // SAFETY: `artifact` was made by `Component::serialize` and has not changed since: its HMAC was checked with a key
    // that only this user can read, in a directory that only this user can write.
    match unsafe { Component::deserialize(engine, artifact) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::debug!(%error, "compiled plugin in the cache is of another build");
            None
        }
    }
}

fn require_private(dir: &Dir) -> Result<(), CacheError> {
    use cap_std::fs::MetadataExt as _;
    let metadata = dir.dir_metadata().map_err(CacheError::Io)?;
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own || metadata.mode() & 0o077 != 0 {
        return Err(CacheError::NotPrivate { mode: metadata.mode() & 0o777, uid: metadata.uid() });
    }
    Ok(())
}

fn read_key(dir: &Dir) -> Result<[u8; 32], CacheError> {
    let mut key = [0_u8; 32];
    let mut options = OpenOptions::new();
    match dir.open_with(KEY_FILE, options.write(true).create_new(true).mode(0o600)) {
        Ok(mut file) => {
            getrandom::fill(&mut key).map_err(|error| CacheError::Io(std::io::Error::other(error.to_string())))?;
            file.write_all(&key).map_err(CacheError::Io)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            dir.open(KEY_FILE).and_then(|mut file| file.read_exact(&mut key)).map_err(CacheError::Io)?;
        }
        Err(error) => return Err(CacheError::Io(error)),
    }
    Ok(key)
}

/// Why plugins are compiled at every start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// Others could put code there.
    #[error("has mode {mode:o} and owner {uid}: it must be 700 and owned by the user Kiln runs as")]
    NotPrivate {
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
    },
    /// Not readable or writable.
    #[error("{0}")]
    Io(std::io::Error),
}
