//! One wasmtime engine for the whole process: its settings, its clock tick, its compiler and its cache.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use kiln_policy::{Capability, Manifest, Policy, WasiInterface};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, OptLevel};

use crate::bindings::v0_1;
use crate::cache::{Cache, CacheError};
use crate::component_file::ComponentFile;
use crate::store_data::StoreData;
use crate::wasi;
use kiln_policy::Digest;

/// How often a running plugin lets others run and has its CPU time counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack of a plugin; deep recursion ends here.
pub(crate) const WASM_STACK_BYTES: usize = 512 * 1024;
/// Stack of the fiber a plugin runs on; the difference is for host functions.
const FIBER_STACK_BYTES: usize = 2 * 1024 * 1024;
/// A compilation that takes longer than this is given up.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Compiles and links plugins.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    cache: Option<Arc<Cache>>,
    /// Compiling is bounded: one plugin at a time.
    compiling: Arc<Semaphore>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the engine and the thread that makes time pass for plugins. Compiled plugins are kept in `cache`, which
    /// is created if it is not there; without it, or if others could write to it, plugins are compiled at every start.
    ///
    /// # Errors
    /// wasmtime does not support this machine.
    pub fn new(cache: Option<&Path>) -> Result<Self, CompileError> {
        let wasmtime = wasmtime::Engine::new(&settings()).map_err(|error| CompileError::Engine(error.to_string()))?;
        let ticking = wasmtime.weak();
        let clock = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
        clock.map_err(|error| CompileError::Engine(error.to_string()))?;
        let cache = cache.and_then(|path| match open_cache(path, &wasmtime) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!("cache of compiled plugins {} is not used: {error}", path.display());
                None
            }
        });
        Ok(Self { wasmtime, cache, compiling: Arc::new(Semaphore::new(1)) })
    }

    /// Compiles a plugin, or takes it from the cache.
    ///
    /// # Errors
    /// The compiler refuses the component or takes too long.
    pub async fn compile(&self, file: &ComponentFile) -> Result<Plugin, CompileError> {
        let _permit = self.compiling.acquire().await.map_err(|_| CompileError::Stopped)?;
        let (engine, cache, digest, bytes) =
            (self.wasmtime.clone(), self.cache.clone(), file.digest, file.bytes.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            if let Some(component) = cache.as_ref().and_then(|cache| cache.get(&engine, &digest)) {
                return Ok(component);
            }
            let component = Component::from_binary(&engine, &bytes)?;
            if let Some(cache) = &cache {
                cache.put(&digest, &component);
            }
            Ok(component)
        });
        let component = match tokio::time::timeout(COMPILE_TIMEOUT, compiling).await {
            Ok(Ok(Ok(component))) => component,
            Ok(Ok(Err(error))) => return Err(CompileError::Component(wasmtime_text(&error))),
            Ok(Err(panicked)) => return Err(CompileError::Component(panicked.to_string())),
            Err(_) => return Err(CompileError::Timeout),
        };
        Ok(Plugin {
            component,
            manifest: Arc::new(file.manifest.clone()),
            digest,
            capabilities: file.capabilities.clone(),
            wasi: file.wasi(),
        })
    }
}

fn settings() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .async_stack_zeroing(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        // What no first-party toolchain emits is one thing less to trust.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // What passes values between the parts of a component sees the memories of both. A module of a plugin that has
        // more than one is refused before it gets here.
        .wasm_multi_memory(true);
    config
}

fn open_cache(path: &Path, engine: &wasmtime::Engine) -> Result<Cache, CacheError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().map(Path::new).unwrap_or(Path::new("cache"));
    let parent = Dir::open_ambient_dir(parent, ambient_authority()).map_err(CacheError::Io)?;
    let mut private = DirBuilder::new();
    match parent.create_dir_with(name, private.mode(0o700)) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(CacheError::Io(error)),
    }
    Cache::open(parent.open_dir(name).map_err(CacheError::Io)?, engine)
}

/// The cause of an error, without a backtrace of the plugin's insides.
pub(crate) fn wasmtime_text(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => {
            let causes: Vec<_> =
                error.chain().map(ToString::to_string).filter(|text| !text.contains("backtrace")).collect();
            causes.join(": ")
        }
    }
}

/// A compiled plugin, ready to be linked under a policy.
#[derive(Clone)]
pub struct Plugin {
    component: Component,
    /// The embedded manifest.
    pub manifest: Arc<Manifest>,
    /// SHA-256 of the file.
    pub digest: Digest,
    capabilities: Vec<Capability>,
    wasi: Vec<WasiInterface>,
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

/// Why there is no compiled plugin.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// wasmtime cannot run here.
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
    /// The compiler refuses the component.
    #[error("does not compile: {0}")]
    Component(String),
    /// The compiler took too long.
    #[error("does not compile within {COMPILE_TIMEOUT:?}")]
    Timeout,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopped,
}

/// A component whose types differ from the contract's.
#[derive(Debug, thiserror::Error)]
#[error("does not fit the contract kiln:plugin {version}: {0}", version = kiln_policy::WIT_VERSION)]
pub struct LinkError(pub(crate) String);
