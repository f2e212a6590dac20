//! Turning a core module, or a component from another toolchain, into a plugin.
//!
//! A core module says which world it was built for in a custom section that bindings add. Toolchains that cannot add
//! sections leave it out; then the manifest says which world it is. What a module asks of WASI preview 1, which components
//! do not have, is given to it by wasmtime's adapter in terms of WASI 0.2.

mod adapter_memory;

use std::borrow::Cow;

use kiln_policy::{MANIFEST_SECTION, Manifest, ManifestError};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::component_file::{ComponentFile, FileError};
use crate::contract::resolve_contract;

/// How the custom sections that describe a world begin.
const WORLD_SECTION: &str = "component-type";

/// Encodes `wasm` as a component if it is a core module, embeds the manifest and other sections, each a name and its content, and
/// checks the result as a host would.
///
/// # Errors
/// The manifest or the module is broken, or the plugin would be refused on loading.
pub fn pack(wasm: &[u8], manifest: &str, sections: &[(&str, &[u8])]) -> Result<ComponentFile, PackError> {
    let parsed = Manifest::parse(manifest)?;
    let mut component = match Parser::new(0).parse_all(wasm).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => wasm.to_vec(),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => encode(wasm, &parsed)?,
        Some(_) | None => return Err(PackError::File(FileError::NotWasm)),
    };
    // A section appended to a component is part of it; nothing else has to be rewritten.
    for (name, data) in std::iter::once(&(MANIFEST_SECTION, manifest.as_bytes())).chain(sections) {
        CustomSection { name: Cow::Borrowed(name), data: Cow::Borrowed(data) }.append_to_component(&mut component);
    }
    Ok(ComponentFile::parse(component)?)
}

fn encode(module: &[u8], manifest: &Manifest) -> Result<Vec<u8>, PackError> {
    let broken = |error: wasmparser::BinaryReaderError| PackError::File(FileError::Invalid(error.to_string()));
    let surface = ModuleSurface::of(module).map_err(broken)?;
    let mut module = Cow::Borrowed(module);
    if !surface.names_its_world {
        describe(module.to_mut(), manifest)?;
    }
    if let (true, Some(address)) = (surface.imports_preview1, surface.adapter_memory) {
        module = Cow::Owned(adapter_memory::hand_over(address, &module).map_err(PackError::encode)?);
    }
    let mut encoder = ComponentEncoder::default().module(&module).map_err(PackError::encode)?.validate(true);
    if surface.imports_preview1 {
        // The adapter needs memory before an allocator inside the module can give it any.
        encoder = encoder
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .map_err(PackError::encode)?
            .realloc_via_memory_grow(surface.adapter_memory.is_none());
    }
    encoder.encode().map_err(PackError::encode)
}

/// Adds the world of the manifest's kind to a module that does not say its own.
fn describe(module: &mut Vec<u8>, manifest: &Manifest) -> Result<(), PackError> {
    let (resolve, world) = resolve_contract(manifest).map_err(PackError::encode)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(PackError::encode)
}

/// What decides how a core module is encoded.
#[derive(Default)]
struct ModuleSurface {
    names_its_world: bool,
    imports_preview1: bool,
    /// Where the memory is that it sets aside for the adapter.
    adapter_memory: Option<u32>,
}

impl ModuleSurface {
    fn of(module: &[u8]) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut surface = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::CustomSection(section) => surface.names_its_world |= section.name().starts_with(WORLD_SECTION),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        surface.imports_preview1 |= import?.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        surface.adapter_memory = adapter_memory::memory_in(&data?).or(surface.adapter_memory);
                    }
                }
                _ => {}
            }
        }
        Ok(surface)
    }
}

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The manifest breaks its own rules.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The module does not describe a component.
    #[error("cannot be made a component: {0}; was it built with bindings for the worlds in wit/v0.1?")]
    Encode(String),
    /// The result would not load.
    #[error("{0}")]
    File(#[from] FileError),
}

impl PackError {
    fn encode(error: impl std::fmt::Display) -> Self {
        Self::Encode(format!("{error:#}"))
    }
}
