//! Turning a core module, or a component from another toolchain, into a plugin.

use std::borrow::Cow;

use kiln_policy::{MANIFEST_SECTION, Manifest, ManifestError};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::component_file::{ComponentFile, FileError};

/// Encodes `wasm` as a component if it is a core module, embeds the manifest and other sections, each a name and its content, and
/// checks the result as a host would.
///
/// # Errors
/// The manifest or the module is broken, or the plugin would be refused on loading.
pub fn pack(wasm: &[u8], manifest: &str, sections: &[(&str, &[u8])]) -> Result<ComponentFile, PackError> {
    Manifest::parse(manifest)?;
    let mut component = match Parser::new(0).parse_all(wasm).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => wasm.to_vec(),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => encode(wasm)?,
        Some(_) | None => return Err(PackError::File(FileError::NotWasm)),
    };
    // A section appended to a component is part of it; nothing else has to be rewritten.
    for (name, data) in std::iter::once(&(MANIFEST_SECTION, manifest.as_bytes())).chain(sections) {
        CustomSection { name: Cow::Borrowed(name), data: Cow::Borrowed(data) }.append_to_component(&mut component);
    }
    Ok(ComponentFile::parse(component)?)
}

fn encode(module: &[u8]) -> Result<Vec<u8>, PackError> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| PackError::Encode(format!("{error:#}")))
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
