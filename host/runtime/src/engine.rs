//! One wasmtime engine for the whole process: its settings, its clock tick, its compiler and its cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use kiln_policy::Digest;
use kiln_telemetry::metrics::{CompileOutcome, LoadingMetrics};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmtime::component::Component;

use crate::cache::{Cache, CacheError};
use crate::compile_error::CompileError;
use crate::compiler::Compiler;
use crate::component_file::ComponentFile;
use crate::epoch::Epoch;
use crate::native_code::Artifact;
use crate::plugin::Plugin;
use crate::precompiled::Precompiled;
use crate::settings::settings;

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineSpec {
    /// Where compiled plugins are kept, which is created if it is not there; without it, or if others could write to it,
    /// plugins are compiled at every start.
    pub cache: Option<PathBuf>,
    /// What they may take there, in bytes.
    pub cache_bytes: u64,
    /// How they are compiled.
    pub compiler: Compiler,
    /// Those that need not be.
    pub precompiled: Option<Precompiled>,
    /// Where that is counted.
    pub metrics: LoadingMetrics,
}

impl EngineSpec {
    /// Keeps nothing and bounds nothing. For tests of what comes after.
    #[cfg(feature = "compiler")]
    #[must_use]
    pub fn unbounded() -> Self {
        let metrics = kiln_telemetry::Metrics::new("").loading();
        Self { cache: None, cache_bytes: 0, compiler: Compiler::Unbounded, precompiled: None, metrics }
    }
}

/// Compiles and links plugins.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) epoch: Arc<Epoch>,
    cache: Option<Arc<Cache>>,
    compiler: Compiler,
    precompiled: Option<Arc<Precompiled>>,
    metrics: LoadingMetrics,
    /// Compiling is bounded: one plugin at a time.
    compiling: Arc<Semaphore>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the engine and the thread that makes time pass for plugins.
    ///
    /// # Errors
    /// wasmtime does not support this machine.
    pub fn new(spec: EngineSpec) -> Result<Self, CompileError> {
        let EngineSpec { cache, cache_bytes, compiler, precompiled, metrics } = spec;
        let wasmtime = wasmtime::Engine::new(&settings()).map_err(|error| CompileError::Engine(error.to_string()))?;
        let ticking = wasmtime.weak();
        let tick = move || {
            if let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
            }
        };
        let epoch = Epoch::start(tick).map_err(|error| CompileError::Engine(error.to_string()))?;
        let cache = cache.filter(|_| compiler != Compiler::Absent);
        let cache = cache.and_then(|path| match open_cache(&path, &wasmtime, cache_bytes, metrics.clone()) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!("cache of compiled plugins {} is not used: {error}", path.display());
                None
            }
        });
        let precompiled = precompiled.map(Arc::new);
        Ok(Self {
            wasmtime,
            epoch: Arc::new(epoch),
            cache,
            compiler,
            precompiled,
            metrics,
            compiling: Arc::new(Semaphore::new(1)),
        })
    }

    /// Compiles a plugin, or takes it from the cache.
    ///
    /// # Errors
    /// The compiler refuses the component, or takes too much time or memory.
    pub async fn compile(&self, file: &ComponentFile) -> Result<Plugin, CompileError> {
        let _permit = self.compiling.acquire().await.map_err(|_| CompileError::Stopped)?;
        let ready = match self.bundled(file.digest).await {
            Some(component) => Some((component, CompileOutcome::Precompiled)),
            None => self.cached(file.digest).await.map(|component| (component, CompileOutcome::Cached)),
        };
        let compiled = match ready {
            Some(ready) => Ok(ready),
            None => self.compile_afresh(file).await.map(|component| (component, CompileOutcome::Compiled)),
        };
        let outcome = match &compiled {
            Ok((_, outcome)) => *outcome,
            Err(error) => match error.limit() {
                Some(limit) => {
                    self.metrics.limit_hit(limit);
                    CompileOutcome::Limit
                }
                None => CompileOutcome::Error,
            },
        };
        self.metrics.asked(outcome);
        let (component, _) = compiled?;
        Ok(Plugin {
            component,
            manifest: Arc::new(file.manifest.clone()),
            digest: file.digest,
            capabilities: file.capabilities.clone(),
            wasi: file.wasi(),
        })
    }

    async fn bundled(&self, digest: Digest) -> Option<Component> {
        let (precompiled, engine) = (self.precompiled.clone()?, self.wasmtime.clone());
        let load = move || match precompiled.get(&digest)?.load(&engine) {
            Ok(component) => Some(component),
            Err(error) => {
                let error = wasmtime_text(&error);
                tracing::warn!(%digest, error, "compiled plugin in the bundle is for another machine, or of another build");
                None
            }
        };
        spawn_blocking(load).await.ok().flatten()
    }

    async fn cached(&self, digest: Digest) -> Option<Component> {
        let (cache, engine) = (self.cache.clone()?, self.wasmtime.clone());
        let load = move || match cache.get(&digest)?.load(&engine) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::debug!(%digest, %error, "compiled plugin in the cache is of another build");
                None
            }
        };
        spawn_blocking(load).await.ok().flatten()
    }

    async fn compile_afresh(&self, file: &ComponentFile) -> Result<Component, CompileError> {
        let began = Instant::now();
        let compiled = self.compiler.compile(&file.bytes).await;
        self.metrics.compiled_for(began.elapsed());
        let artifact: Artifact = compiled?;
        let (cache, engine, digest) = (self.cache.clone(), self.wasmtime.clone(), file.digest);
        let load = move || {
            let component = artifact.load(&engine)?;
            if let Some(cache) = &cache {
                cache.put(&digest, &artifact);
            }
            Ok(component)
        };
        match spawn_blocking(load).await {
            Ok(loaded) => loaded.map_err(|error: wasmtime::Error| CompileError::Load(wasmtime_text(&error))),
            Err(error) => Err(CompileError::Load(error.to_string())),
        }
    }
}

fn open_cache(
    path: &Path,
    engine: &wasmtime::Engine,
    max_bytes: u64,
    metrics: LoadingMetrics,
) -> Result<Cache, CacheError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().map(Path::new).unwrap_or(Path::new("cache"));
    let parent = Dir::open_ambient_dir(parent, ambient_authority()).map_err(CacheError::Io)?;
    let mut private = DirBuilder::new();
    match parent.create_dir_with(name, private.mode(0o700)) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(CacheError::Io(error)),
    }
    Cache::open(parent.open_dir(name).map_err(CacheError::Io)?, engine, max_bytes, metrics)
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
