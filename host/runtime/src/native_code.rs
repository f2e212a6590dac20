//! The one place where bytes become native code.

use wasmtime::component::Component;

/// Bytes of native code at most; the largest plugin allowed stays far below.
pub(crate) const MAX_ARTIFACT_BYTES: u64 = 512 * 1024 * 1024;

/// Native code that Kiln itself has made from a component. Nothing else may be passed off as such: what is in one runs with
/// the authority of the process.
#[derive(Debug)]
pub(crate) struct Artifact(Vec<u8>);

impl Artifact {
    /// Bytes that are known to be what `precompile_component` of this build has returned: the answer of a compiler this
    /// process has started, what the cache found to be authentic, or what the list of a bundle attests.
    pub(crate) const fn known_to_be_ours(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The code.
    ///
    /// # Errors
    /// It is of another build.
    #[allow(unsafe_code)]
    pub(crate) fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes were made by `precompile_component` and have not changed since. Either they came through a
        // pipe from a process of this very binary that this process has started, or their HMAC was checked with a key that
        // only this user can read, in a directory that only this user can write. Or their SHA-256 is in the list of a
        // bundle whose own SHA-256 was named by whoever started this process, and so could have had it do anything; that
        // bundle was packed for a program with the same mark (`settings.rs`).
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
