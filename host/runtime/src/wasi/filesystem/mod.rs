//! `wasi:filesystem`: granted directories, to read.
//!
//! The implementation is Kiln's own, for two reasons. A grant names files, not only a directory: of `/proc` a plugin gets
//! `stat` and not `1/environ`. And wasmtime's would open whatever it finds, where a named pipe blocks and a device does
//! something. So what a guest can reach is decided in one place, [`granted_directory`], name by name and before the disk
//! is asked, and only regular files are ever opened.

mod convert;
mod descriptor;
mod granted_directory;
mod listing;
mod open_file;
mod stream;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;

pub(super) use self::bindings::wasi::filesystem::{preopens, types};
pub(super) use self::granted_directory::GrantedDirectory;

pub(crate) use self::granted_directory::DirectoryError;

/// The interfaces, as wasmtime's macro writes them.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/wasi",
        world: "files",
        imports: { default: async },
        with: {
            "wasi:io/error": wasmtime_wasi_io::bindings::wasi::io::error,
            "wasi:io/streams": wasmtime_wasi_io::bindings::wasi::io::streams,
            "wasi:clocks/wall-clock": wasmtime_wasi::p2::bindings::clocks::wall_clock,
            "wasi:filesystem/types.descriptor": crate::wasi::filesystem::descriptor::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::wasi::filesystem::listing::Listing,
        },
    });
}
