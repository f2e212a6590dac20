//! A compiled plugin, and what it is linked with.

use std::fmt;
use std::sync::Arc;

use kiln_policy::{Capability, Digest, Manifest, Policy, WasiInterface};
use wasmtime::component::{Component, Linker};

use crate::bindings::v0_1;
use crate::engine::{Engine, wasmtime_text};
use crate::store_data::StoreData;
use crate::wasi;

/// A compiled plugin, ready to be linked under a policy.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) component: Component,
    /// The embedded manifest.
    pub manifest: Arc<Manifest>,
    /// SHA-256 of the file.
    pub digest: Digest,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) wasi: Vec<WasiInterface>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.manifest.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// A plugin linked with what a policy grants, of either world.
pub(crate) enum Linked {
    Receiver(v0_1::receiver::ReceiverPre<StoreData>),
    Processor(v0_1::processor::ProcessorPre<StoreData>),
}

impl Plugin {
    /// Links what `policy` grants and nothing else.
    pub(crate) fn link(&self, engine: &Engine, policy: &Policy) -> Result<Linked, LinkError> {
        let refused = |error: wasmtime::Error| LinkError(wasmtime_text(&error));
        let mut linker = Linker::new(&engine.wasmtime);
        v0_1::link(&mut linker, policy, &self.capabilities).map_err(refused)?;
        wasi::link(&mut linker, &self.wasi).map_err(refused)?;
        let instance = linker.instantiate_pre(&self.component).map_err(refused)?;
        match self.manifest.kind {
            kiln_policy::PluginKind::Receiver => {
                v0_1::receiver::ReceiverPre::new(instance).map(Linked::Receiver).map_err(refused)
            }
            kiln_policy::PluginKind::Processor => {
                v0_1::processor::ProcessorPre::new(instance).map(Linked::Processor).map_err(refused)
            }
        }
    }
}

/// A component whose types differ from the contract's.
#[derive(Debug, thiserror::Error)]
#[error(
    "does not fit the contract kiln:plugin {version}: {0}; its bindings are of another state of the contract: make them anew \
     (`kiln plugin build` does, or `kiln plugin bindings`) and build it again",
    version = kiln_policy::WIT_VERSION
)]
pub struct LinkError(pub(crate) String);
