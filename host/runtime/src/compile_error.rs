//! Why there is no compiled plugin.

use std::time::Duration;

/// Why there is no compiled plugin; finishes the sentence "plugin `x` …".
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// wasmtime cannot run here.
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
    /// There is none.
    #[error(
        "has no native code here that fits: this kiln has no compiler, and runs what is in a bundle and attested by the \
         digest of its list; pack the plugin with `kiln bundle` and start with --bundle and --bundle-digest, as the init \
         script does, or install a kiln with its compiler"
    )]
    NoCompiler,
    /// The compiler refuses the component.
    #[error("does not compile: {0}")]
    Component(String),
    /// The compiler was not done in time.
    #[error("does not compile within {0:?}; if you trust it raise `service.limits.compile_time`")]
    Time(Duration),
    /// The compiler wanted more memory than it was given.
    #[error(
        "does not compile within {} MiB of memory; if you trust it raise `service.limits.compile_memory`",
        .0 >> 20
    )]
    Memory(u64),
    /// The compiler cannot be started, or ended in a way it should not.
    #[error("does not compile: the compiler, a process of its own, failed: {0}")]
    Process(String),
    /// What the compiler gave cannot be used.
    #[error("cannot be loaded: {0}")]
    Load(String),
    /// The host is stopping.
    #[error("cannot be compiled: the host is stopping")]
    Stopped,
}

impl CompileError {
    /// The limit that was hit, by its key under `service.limits`.
    #[must_use]
    pub const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Time(_) => Some("compile_time"),
            Self::Memory(_) => Some("compile_memory"),
            _ => None,
        }
    }

    /// The class of the error, `error.type` in the log.
    #[must_use]
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Time(_) => "limit_compile_time",
            Self::Memory(_) => "limit_compile_memory",
            Self::Component(_) => "invalid_component",
            Self::NoCompiler => "no_compiler",
            Self::Engine(_) | Self::Process(_) | Self::Load(_) | Self::Stopped => "compiler",
        }
    }
}
