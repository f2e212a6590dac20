//! Ahead-of-time compiled plugins, kept where only Kiln can write.
//!
//! An artifact is native code, so it is trusted no further than its directory: owned by this user with mode 0700, and
//! every file authenticated with a key that lives beside it. It is keyed by the plugin's digest and by everything about
//! this build of wasmtime that shapes the code; whatever does not match is compiled again. What the directory takes is
//! bounded ([`Room`]): the artifact that was used least recently makes room.

mod room;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::io::{Read as _, Write as _};
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use hmac::{Hmac, Mac as _};
use kiln_policy::Digest;
use kiln_telemetry::metrics::LoadingMetrics;
use sha2::Sha256;

use self::room::Room;
use crate::native_code::{Artifact, MAX_ARTIFACT_BYTES};
use crate::regular_file::open_regular;
use crate::settings::shape_of_code;

const KEY_FILE: &str = "key";
const TAG_BYTES: usize = 32;

/// A private directory of compiled plugins.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: Dir,
    key: [u8; 32],
    engine: u64,
    room: Room,
}

impl Cache {
    /// Uses `dir`, creating its key on first use. Artifacts in it take `max_bytes` at most.
    ///
    /// # Errors
    /// The directory is open to others, or cannot be used.
    pub(crate) fn open(
        dir: Dir,
        engine: &wasmtime::Engine,
        max_bytes: u64,
        metrics: LoadingMetrics,
    ) -> Result<Self, CacheError> {
        require_private(&dir)?;
        let key = read_key(&dir)?;
        let room = Room { max_bytes, metrics };
        // What is there already may be more than is allowed now.
        room.make(&dir, 0, None).map_err(CacheError::Io)?;
        Ok(Self { dir, key, engine: shape_of_code(engine), room })
    }

    /// The compiled plugin, if it is there and genuine.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Artifact> {
        let mut bytes = Vec::new();
        let file = open_regular(&self.dir, Path::new(&self.name(digest))).ok()?.into_std();
        (&file).take(MAX_ARTIFACT_BYTES + TAG_BYTES as u64).read_to_end(&mut bytes).ok()?;
        let (tag, artifact) = bytes.split_at_checked(TAG_BYTES)?;
        if self.mac(digest, artifact)?.verify_slice(tag).is_err() {
            tracing::warn!(%digest, "compiled plugin in the cache is not genuine: compiling it again");
            return None;
        }
        room::used_now(&file);
        bytes.drain(..TAG_BYTES);
        Some(Artifact::known_to_be_ours(bytes))
    }

    /// Keeps a compiled plugin. Failing to costs a compilation next time, nothing else.
    pub(crate) fn put(&self, digest: &Digest, artifact: &Artifact) {
        if let Err(error) = self.write(digest, artifact.bytes()) {
            tracing::warn!(%digest, error, "compiled plugin not cached");
        }
    }

    fn write(&self, digest: &Digest, artifact: &[u8]) -> Result<(), String> {
        let tag = self.mac(digest, artifact).ok_or("no key")?.finalize().into_bytes();
        let name = self.name(digest);
        let aside = format!("{name}.new");
        let bytes = artifact.len() as u64 + TAG_BYTES as u64;
        let write = || {
            if !self.room.make(&self.dir, bytes, Some(&name))? {
                return Err(std::io::Error::other(format!("it takes {bytes} bytes, more than `cache_bytes` allows")));
            }
            let mut options = OpenOptions::new();
            let mut file = self.dir.open_with(&aside, options.write(true).create(true).truncate(true).mode(0o600))?;
            file.write_all(&tag)?;
            file.write_all(artifact)?;
            self.dir.rename(&aside, &self.dir, &name)?;
            self.room.measure(&self.dir)
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
    let read = open_regular(dir, Path::new(KEY_FILE)).and_then(|mut file| file.read_exact(&mut key));
    match read {
        Ok(()) => return Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // Whoever wrote it was interrupted. What it signed is not genuine any more, and is compiled again.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(CacheError::Io(error)),
    }
    getrandom::fill(&mut key).map_err(|error| CacheError::Io(std::io::Error::other(error.to_string())))?;
    let write = || {
        let aside = format!("{KEY_FILE}.new");
        let mut options = OpenOptions::new();
        let mut file = dir.open_with(&aside, options.write(true).create(true).truncate(true).mode(0o600))?;
        file.write_all(&key)?;
        dir.rename(&aside, dir, KEY_FILE)
    };
    write().map_err(CacheError::Io)?;
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
