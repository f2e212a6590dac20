//! Everything a plugin can ask of its host, as one trait with two implementations: the component's imports and the
//! test harness.
//!
//! Which one it is is known at compile time on purpose. Behind `dyn` every import would stay reachable, and a plugin
//! would ask for capabilities it never uses.

#[cfg(target_arch = "wasm32")]
use crate::bindings::borrowed::emit as emit_borrowed;
use crate::bindings::{emit, http, log, state};
#[cfg(feature = "files")]
use crate::files::FileError;
#[cfg(target_arch = "wasm32")]
use crate::http::Body;
use crate::http::Opened;
use crate::prelude::*;
use crate::telemetry::{Attribute, ResourceLogs, ResourceMetrics, ResourceSpans, borrowed};

/// The functions of the contract's import interfaces.
pub(crate) trait Imports {
    /// `emit.metrics`
    fn emit_metrics(&self, batch: &[ResourceMetrics]) -> Result<(), emit::EmitError>;
    /// `emit.metrics`, of records that borrow.
    fn emit_borrowed_metrics(&self, batch: &[borrowed::ResourceMetrics<'_>]) -> Result<(), emit::EmitError>;
    /// `emit.spans`
    fn emit_spans(&self, batch: &[ResourceSpans]) -> Result<(), emit::EmitError>;
    /// `emit.logs`
    fn emit_logs(&self, batch: &[ResourceLogs]) -> Result<(), emit::EmitError>;
    /// `http.send`
    fn send(&self, request: &http::Request) -> Result<http::Response, http::Error>;
    /// `http.send-all`
    fn send_all(&self, requests: &[http::Request]) -> Vec<Result<http::Response, http::Error>>;
    /// `http.open`
    fn open(&self, request: &http::Request) -> Result<Opened, http::Error>;
    /// `state.get`
    fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, state::Error>;
    /// `state.set`
    fn state_set(&self, key: &str, value: &[u8]) -> Result<(), state::Error>;
    /// `state.delete`
    fn state_delete(&self, key: &str) -> Result<(), state::Error>;
    /// `state.keys`
    fn state_keys(&self, prefix: &str) -> Result<Vec<String>, state::Error>;
    /// `wasi:cli/environment`: the value of a variable.
    #[cfg(feature = "env")]
    fn variable(&self, name: &str) -> Option<String>;
    /// `wasi:filesystem`: the whole of a file, unless it is larger than `limit` bytes.
    #[cfg(feature = "files")]
    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, FileError>;
    /// `wasi:filesystem`: the names in a directory, in no order.
    #[cfg(feature = "files")]
    fn list_directory(&self, path: &str) -> Result<Vec<String>, FileError>;
    /// `log.log`
    fn log(&self, level: log::Level, message: &str, attributes: &[Attribute]);
    /// `clock.now`
    fn now(&self) -> u64;
    /// `clock.monotonic`
    fn monotonic(&self) -> u64;
}

/// The imports of the component itself.
#[cfg(target_arch = "wasm32")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Component;

#[cfg(target_arch = "wasm32")]
impl Imports for Component {
    fn emit_metrics(&self, batch: &[ResourceMetrics]) -> Result<(), emit::EmitError> {
        emit::metrics(batch)
    }

    fn emit_borrowed_metrics(&self, batch: &[borrowed::ResourceMetrics<'_>]) -> Result<(), emit::EmitError> {
        emit_borrowed::metrics(batch).map_err(|error| match error {
            emit_borrowed::EmitError::Invalid(reason) => emit::EmitError::Invalid(reason),
            emit_borrowed::EmitError::Limit(reason) => emit::EmitError::Limit(reason),
        })
    }

    fn emit_spans(&self, batch: &[ResourceSpans]) -> Result<(), emit::EmitError> {
        emit::spans(batch)
    }

    fn emit_logs(&self, batch: &[ResourceLogs]) -> Result<(), emit::EmitError> {
        emit::logs(batch)
    }

    fn send(&self, request: &http::Request) -> Result<http::Response, http::Error> {
        http::send(request)
    }

    fn send_all(&self, requests: &[http::Request]) -> Vec<Result<http::Response, http::Error>> {
        http::send_all(requests)
    }

    fn open(&self, request: &http::Request) -> Result<Opened, http::Error> {
        let http::Opened { status, headers, body } = http::open(request)?;
        Ok(Opened { status, headers, body: Body(body) })
    }

    fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, state::Error> {
        state::get(key)
    }

    fn state_set(&self, key: &str, value: &[u8]) -> Result<(), state::Error> {
        state::set(key, value)
    }

    fn state_delete(&self, key: &str) -> Result<(), state::Error> {
        state::delete(key)
    }

    fn state_keys(&self, prefix: &str) -> Result<Vec<String>, state::Error> {
        state::keys(prefix)
    }

    #[cfg(feature = "env")]
    fn variable(&self, name: &str) -> Option<String> {
        crate::env::component::variable(name)
    }

    #[cfg(feature = "files")]
    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        crate::files::component::read(path, limit)
    }

    #[cfg(feature = "files")]
    fn list_directory(&self, path: &str) -> Result<Vec<String>, FileError> {
        crate::files::component::list(path)
    }

    fn log(&self, level: log::Level, message: &str, attributes: &[Attribute]) {
        log::log(level, message, attributes);
    }

    fn now(&self) -> u64 {
        crate::bindings::clock::now()
    }

    fn monotonic(&self) -> u64 {
        crate::bindings::clock::monotonic()
    }
}

/// Where a host's calls go.
#[cfg(target_arch = "wasm32")]
pub(crate) type Backend = Component;

/// Where a host's calls go.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Backend = alloc::rc::Rc<crate::testing::World>;

/// Where the pieces of a body come from.
#[cfg(target_arch = "wasm32")]
pub(crate) type Pieces = http::Body;

/// Where the pieces of a body come from.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Pieces = crate::testing::Pieces;
