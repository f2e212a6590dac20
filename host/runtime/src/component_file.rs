//! A plugin file, understood without running or compiling it.

use std::collections::BTreeSet;

use kiln_policy::{
    Capability, Digest, ImportError, MANIFEST_SECTION, Manifest, ManifestError, PluginFile, PluginKind, PluginName,
    SignatureFile, WasiInterface, check_imports,
};
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Encoding, Parser, Payload, Validator, WasmFeatures};

/// Larger components are refused before they are parsed: compiling costs time and memory in proportion.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A valid component with a manifest whose requests cover its imports.
#[derive(Clone, Debug)]
pub struct ComponentFile {
    /// The component itself.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// The embedded manifest.
    pub manifest: Manifest,
    /// Full names of what the component imports, in order.
    pub imports: Vec<String>,
    /// Names of what it exports, in order.
    pub exports: Vec<String>,
    /// What the imports amount to.
    pub capabilities: Vec<Capability>,
    /// What stands beside the file as its signature; nobody has checked it yet.
    pub signature: SignatureFile,
}

impl ComponentFile {
    /// Reads a plugin from the content of its file.
    ///
    /// # Errors
    /// Whatever makes it no plugin of this Kiln, in the order of the checks.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FileError> {
        Self::parse_compiled(bytes, &BTreeSet::new())
    }

    /// The same, where plugins with one of the digests `compiled` are known to be valid components: they have been
    /// compiled. Looking at every instruction again is a third of what a start costs.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_compiled(bytes: Vec<u8>, compiled: &BTreeSet<Digest>) -> Result<Self, FileError> {
        let digest = Digest::of(&bytes);
        let surface = if compiled.contains(&digest) { Surface::of_valid(&bytes)? } else { Surface::of(&bytes)? };
        Self::judged(bytes, digest, surface)
    }

    /// Judges a component that has been looked at: `surface` is that of `bytes`.
    ///
    /// # Errors
    /// Whatever makes it no plugin of this Kiln, in the order of the checks.
    pub fn judge(bytes: Vec<u8>, surface: Surface) -> Result<Self, FileError> {
        let digest = Digest::of(&bytes);
        Self::judged(bytes, digest, surface)
    }

    fn judged(bytes: Vec<u8>, digest: Digest, surface: Surface) -> Result<Self, FileError> {
        let manifest = match surface.manifest.as_deref() {
            None => return Err(FileError::NoManifest),
            Some(text) => {
                let text = std::str::from_utf8(text).map_err(|_| FileError::ManifestEncoding)?;
                Manifest::parse(text)?
            }
        };
        let capabilities = check_imports(&manifest, surface.imports.iter().map(String::as_str))
            .map_err(|errors| FileError::Imports { plugin: manifest.name.to_string(), errors })?;
        for export in ["configure", if surface_is_processor(&manifest) { "process" } else { "collect" }] {
            if !surface.exports.iter().any(|name| name == export) {
                let exports = surface.exports.clone();
                return Err(FileError::MissingExport {
                    plugin: manifest.name.to_string(),
                    kind: manifest.kind,
                    export,
                    exports,
                });
            }
        }
        let Surface { imports, exports, .. } = surface;
        let signature = SignatureFile::Absent;
        Ok(Self { bytes, digest, manifest, imports, exports, capabilities, signature })
    }

    /// What the operator's rules for plugin files look at: the very bytes that are compiled.
    #[must_use]
    pub fn for_rules(&self) -> PluginFile<'_> {
        let Self { bytes, digest, manifest, signature, .. } = self;
        PluginFile { name: &manifest.name, bytes, digest: *digest, signature }
    }
}

impl ComponentFile {
    /// The interfaces of WASI it imports.
    #[must_use]
    pub fn wasi(&self) -> Vec<WasiInterface> {
        self.imports.iter().filter_map(|import| WasiInterface::parse(import)).collect()
    }
}

/// The name of the plugin in a file, without a look at the rest: neither whether it is valid, nor its digest.
pub(crate) fn plugin_name(bytes: &[u8]) -> Option<PluginName> {
    let manifest = Surface::of_valid(bytes).ok()?.manifest?;
    Manifest::name_of(std::str::from_utf8(&manifest).ok()?)
}

fn surface_is_processor(manifest: &Manifest) -> bool {
    manifest.kind == kiln_policy::PluginKind::Processor
}

/// What the outermost component shows of itself, whether or not it is a plugin.
#[derive(Clone, Debug, Default)]
pub struct Surface {
    /// Full names of what it imports, in order; types left out.
    pub imports: Vec<String>,
    /// Names of the functions it exports, in order.
    pub exports: Vec<String>,
    /// The embedded manifest, as it is.
    pub manifest: Option<Vec<u8>>,
}

impl Surface {
    /// Looks at a component, without compiling it.
    ///
    /// # Errors
    /// It is no valid component, or has two manifests.
    pub fn of(bytes: &[u8]) -> Result<Self, FileError> {
        check_magic(bytes)?;
        // The engines inside plugins in JavaScript and Python compute where their tables begin.
        let features = WasmFeatures::WASM2
            | WasmFeatures::COMPONENT_MODEL
            | WasmFeatures::EXTENDED_CONST
            | WasmFeatures::TAIL_CALL;
        Validator::new_with_features(features)
            .validate_all(bytes)
            .map_err(|error| FileError::Invalid(error.to_string()))?;
        Self::of_valid(bytes)
    }

    /// The same of a component that is known to be valid.
    fn of_valid(bytes: &[u8]) -> Result<Self, FileError> {
        let mut surface = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| FileError::Invalid(error.to_string()))?;
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 1 => surface.read(payload)?,
                _ => {}
            }
        }
        Ok(surface)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), FileError> {
        let invalid = |error: wasmparser::BinaryReaderError| FileError::Invalid(error.to_string());
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(invalid)?;
                    // The name of a type the world uses; there is nothing behind it to call.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        self.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    if export.kind == ComponentExternalKind::Func {
                        self.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                let first = self.manifest.replace(section.data().to_vec()).is_none();
                return if first { Ok(()) } else { Err(FileError::TwoManifests) };
            }
            _ => {}
        }
        Ok(())
    }
}

/// Tells files apart that look alike in a plugins directory, before the validator says something less helpful.
fn check_magic(bytes: &[u8]) -> Result<(), FileError> {
    if bytes.starts_with(b"\x7fELF") {
        return Err(FileError::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(FileError::NotWasm);
    }
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(()),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => Err(FileError::CoreModule),
        Some(Ok(_)) | None => Err(FileError::NotWasm),
        Some(Err(error)) => Err(FileError::Invalid(error.to_string())),
    }
}

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The first bytes are not those of WebAssembly.
    #[error("is not WebAssembly: a plugin is a component made by `kiln plugin pack`")]
    NotWasm,
    /// An artifact of ahead-of-time compilation, which is native code.
    #[error(
        "is precompiled native code, which Kiln never loads from a plugins directory: put the .wasm component there"
    )]
    Precompiled,
    /// A core module.
    #[error(
        "is a core module, not a component: run `kiln plugin pack core.wasm --manifest plugin.toml -o plugin.wasm`"
    )]
    CoreModule,
    /// Broken, or built with WebAssembly proposals Kiln does not enable.
    #[error("is not a valid component: {0}")]
    Invalid(String),
    /// Too big to be a plugin.
    #[error("is {size} bytes, larger than the {MAX_FILE_BYTES} bytes allowed")]
    TooLarge {
        /// Size of the file.
        size: u64,
    },
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// No manifest section.
    #[error("has no manifest: run `kiln plugin pack plugin.wasm --manifest plugin.toml -o packed.wasm`")]
    NoManifest,
    /// More than one manifest section.
    #[error("has two manifests: pack the original component again")]
    TwoManifests,
    /// The manifest is not text.
    #[error("has a manifest that is not UTF-8")]
    ManifestEncoding,
    /// The manifest breaks its own rules.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It can call what it does not request, or what Kiln does not offer.
    #[error("{}", sentences(plugin, errors))]
    Imports {
        /// Name of the plugin.
        plugin: String,
        /// All that is wrong.
        errors: Vec<ImportError>,
    },
    /// It lacks a function of its world.
    #[error("plugin `{plugin}` does not export `{export}`, which a {} must have; {}", kind.name(), exported(exports))]
    MissingExport {
        /// Name of the plugin.
        plugin: String,
        /// What its manifest says it is.
        kind: PluginKind,
        /// The function.
        export: &'static str,
        /// What it exports.
        exports: Vec<String>,
    },
}

/// What a component exports instead, and what to do about it.
fn exported(exports: &[String]) -> String {
    let has = |name: &str| exports.iter().any(|export| export == name);
    let kind = match (has("collect"), has("process")) {
        (true, false) => Some("receiver"),
        (false, true) => Some("processor"),
        _ => None,
    };
    match kind {
        Some(kind) => format!(
            "it has what a {kind} has: set `kind` in plugin.toml to \"{kind}\", or build it for the other world"
        ),
        None if exports.is_empty() => {
            "it exports nothing: build it as a library, with bindings for the world of its kind in wit/v0.1".to_owned()
        }
        None => {
            format!("it exports {}: build it with bindings for the world of its kind in wit/v0.1", exports.join(", "))
        }
    }
}

fn sentences(plugin: &str, errors: &[ImportError]) -> String {
    let sentences: Vec<_> = errors.iter().map(ToString::to_string).collect();
    format!("plugin `{plugin}`: {}", sentences.join("; "))
}
