//! Components: read, linked, limited, run.
//!
//! The order never changes: read once → hash → manifest → imports ⊆ requests → compile (bounded, one at a time) → link
//! what the policy grants → run under limits. An instance is owned by one task; when it breaks a limit or traps, its
//! store is dropped and the next call gets a fresh one. Nobody else notices.

mod actor;
mod bindings;
mod cache;
mod call_error;
mod component_file;
mod cpu_meter;
mod digest;
mod directory;
mod emitted;
mod engine;
mod instance;
mod limiter;
mod live;
mod log_gate;
mod open_bodies;
mod pack;
mod state;
mod store_data;

pub use call_error::CallError;
pub use component_file::{ComponentFile, FileError};
pub use digest::Digest;
pub use directory::{Directory, DirectoryError, Refused};
pub use engine::{CompileError, Engine, LinkError, Plugin};
pub use instance::{Collection, Instance, InstanceSpec, PartialFailure, ProcessorView};
pub use pack::{PackError, pack};
pub use state::{Checkpoint, StateError, StateStore};
