//! Components: read, linked, limited, run.
//!
//! The order never changes: read once → hash → manifest → imports ⊆ requests → compile (bounded, one at a time) → link
//! what the policy grants → run under limits. An instance is owned by one task; when it breaks a limit or traps, its
//! store is dropped and the next call gets a fresh one. Nobody else notices.

mod actor;
mod bindings;
mod breach;
mod cache;
mod call_error;
mod clock;
mod compile_error;
#[cfg(feature = "compiler")]
mod compile_within;
mod compiler;
mod component_file;
#[cfg(feature = "compiler")]
mod contract;
mod cpu_meter;
mod directory;
mod emitted;
mod engine;
mod epoch;
mod host_calls;
mod instance;
mod limiter;
mod live;
mod log_gate;
mod native_code;
mod open_bodies;
#[cfg(feature = "compiler")]
mod pack;
mod plugin;
mod plugin_files;
mod precompiled;
mod printable;
mod regular_file;
mod restarts;
mod settings;
mod signature_file;
mod state;
mod store_data;
mod trap_place;
mod wasi;

pub use breach::Breach;
pub use call_error::CallError;
pub use clock::Clock;
pub use compile_error::CompileError;
#[cfg(feature = "compiler")]
pub use compile_within::compile_within;
pub use compiler::{CompileBounds, Compiler};
pub use component_file::{ComponentFile, FileError, MAX_FILE_BYTES, Surface};
#[cfg(feature = "compiler")]
pub use contract::{contract_for, resolve_contract, whole_contract, world_of};
pub use directory::{Directory, DirectoryError, NotFound, Refused};
pub use engine::{Engine, EngineSpec};
pub use instance::{Collection, Instance, InstanceSpec, PartialFailure};
pub use kiln_policy::Digest;
#[cfg(feature = "compiler")]
pub use pack::{PackError, pack};
pub use plugin::{LinkError, Plugin};
pub use plugin_files::plugin_paths;
pub use precompiled::{CHECKSUMS, Precompiled, PrecompiledError, precompiled_name};
pub use settings::runs_our_code;
pub use signature_file::signature_of;
pub use state::{Checkpoint, StateError, StateStore};
