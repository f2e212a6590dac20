//! What a component can call, told from the names of its imports.

use std::fmt;

use crate::manifest::{Manifest, PluginKind, WIT_VERSION};
use crate::wasi::{WasiClass, WasiInterface};

/// One interface a component imports, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// Types only: nothing can be called.
    Types,
    /// Callable functions.
    Capability(Capability),
    /// An interface of WASI, which is linked without authority unless the manifest requests some.
    Wasi(WasiInterface),
}

/// What a host can let a plugin do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Hand telemetry to the host. Every receiver has it.
    Emit,
    /// Write to the operator's log. Carries no authority.
    Log,
    /// Read the time. Carries no authority.
    Clock,
    /// Outbound HTTP to granted origins.
    Http,
    /// Remember from one collection to the next.
    State,
    /// Read granted directories, through WASI.
    Files,
    /// Read granted environment variables, through WASI.
    Env,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 7] = [Self::Emit, Self::Log, Self::Clock, Self::Http, Self::State, Self::Files, Self::Env];

    /// The word for it in manifests and grants, and where there is one the name of the interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emit => "emit",
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Http => "http",
            Self::State => "state",
            Self::Files => "files",
            Self::Env => "env",
        }
    }

    /// Whether the manifest asks for it, or it needs no asking.
    #[must_use]
    pub fn is_requested_by(self, manifest: &Manifest) -> bool {
        match self {
            Self::Log | Self::Clock => true,
            Self::Emit => manifest.kind == PluginKind::Receiver,
            Self::Http => !manifest.requests.http.is_empty(),
            Self::State => manifest.requests.state.is_some(),
            Self::Files => !manifest.requests.files.is_empty(),
            Self::Env => !manifest.requests.env.is_empty(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Import {
    /// Understands the full name of an import, for example `kiln:plugin/http@0.1.0`.
    ///
    /// # Errors
    /// The import belongs to another version of the contract, or to no contract Kiln knows.
    pub fn parse(name: &str) -> Result<Self, ImportError> {
        if let Some(interface) = WasiInterface::parse(name) {
            return Ok(Self::Wasi(interface));
        }
        let Some((interface, version)) = name.strip_prefix("kiln:plugin/").and_then(|rest| rest.split_once('@')) else {
            return Err(ImportError::Unknown(name.to_owned()));
        };
        let same_track = version.strip_prefix(WIT_VERSION).is_some_and(|rest| rest.starts_with('.'));
        if !same_track {
            return Err(ImportError::Version { import: name.to_owned() });
        }
        match interface {
            "telemetry" | "configuration" | "collection" | "processing" => Ok(Self::Types),
            "emit" => Ok(Self::Capability(Capability::Emit)),
            "log" => Ok(Self::Capability(Capability::Log)),
            "clock" => Ok(Self::Capability(Capability::Clock)),
            "http" => Ok(Self::Capability(Capability::Http)),
            "state" => Ok(Self::Capability(Capability::State)),
            _ => Err(ImportError::Unknown(name.to_owned())),
        }
    }
}

impl Import {
    /// What it lets the plugin do, if it is requested and granted.
    #[must_use]
    pub const fn capability(&self) -> Option<Capability> {
        match self {
            Self::Types => None,
            Self::Capability(capability) => Some(*capability),
            Self::Wasi(interface) => match interface.class() {
                WasiClass::Environment => Some(Capability::Env),
                WasiClass::Files => Some(Capability::Files),
                WasiClass::Http => Some(Capability::Http),
                WasiClass::Inert | WasiClass::Sockets => None,
            },
        }
    }

    /// Whether a component that imports it is refused unless the manifest requests what it does. Toolchains import what
    /// plugins do not use: without a request, WASI has no files and no variables to show, which harms nobody.
    const fn has_to_be_requested(&self) -> bool {
        match self {
            Self::Types => false,
            Self::Capability(_) => true,
            Self::Wasi(interface) => matches!(interface.class(), WasiClass::Http),
        }
    }
}

/// Checks imports ⊆ requests, and names what the component can call.
///
/// # Errors
/// Every import that is not covered, not only the first.
pub fn check_imports<'a>(
    manifest: &Manifest,
    imports: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Capability>, Vec<ImportError>> {
    let mut capabilities = Vec::new();
    let mut errors = Vec::new();
    for name in imports {
        let import = match Import::parse(name) {
            Ok(import) => import,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let Some(capability) = import.capability() else { continue };
        if capability.is_requested_by(manifest) {
            // Two interfaces can amount to the same.
            if !capabilities.contains(&capability) {
                capabilities.push(capability);
            }
        } else if import.has_to_be_requested() {
            let error = ImportError::NotRequested {
                plugin: manifest.name.to_string(),
                interface: name.to_owned(),
                capability,
                kind: manifest.kind,
            };
            errors.push(error);
        }
    }
    if errors.is_empty() { Ok(capabilities) } else { Err(errors) }
}

/// Why an import cannot be linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// An interface of another version of the contract.
    #[error(
        "imports `{import}`, but this Kiln speaks kiln:plugin {WIT_VERSION}: rebuild the plugin against {WIT_VERSION}, or use a Kiln that speaks its version"
    )]
    Version {
        /// Full name of the import.
        import: String,
    },
    /// An interface Kiln does not offer.
    #[error("imports `{0}`, which Kiln does not offer{hint}", hint = wasi_hint(.0))]
    Unknown(String),
    /// A capability the manifest is silent about.
    #[error("{}", not_requested(plugin, interface, *capability, *kind))]
    NotRequested {
        /// Name of the plugin.
        plugin: String,
        /// The import.
        interface: String,
        /// What it can call.
        capability: Capability,
        /// Which kind of plugin it is.
        kind: PluginKind,
    },
}

fn wasi_hint(import: &str) -> &'static str {
    if import.starts_with("wasi") {
        ": of WASI it offers the interfaces of cli, clocks, filesystem, http, io, random and sockets, in release 0.2"
    } else {
        ""
    }
}

fn not_requested(plugin: &str, interface: &str, capability: Capability, kind: PluginKind) -> String {
    let lines = match capability {
        Capability::Http => {
            "\n    [[requests.http]]\n    origin = \"${config.endpoint}\"\n    methods = [\"GET\"]\n    paths = [\"/*\"]\n    reason = \"…\""
        }
        Capability::State => "\n    [requests.state]\n    reason = \"…\"",
        Capability::Files => "\n    [[requests.files]]\n    guest = \"/…\"\n    paths = [\"…\"]\n    reason = \"…\"",
        Capability::Env => "\n    [[requests.env]]\n    name = \"…\"\n    reason = \"…\"",
        Capability::Emit | Capability::Log | Capability::Clock => {
            return format!("plugin `{plugin}` imports `{capability}`, which a {} cannot have", kind.name());
        }
    };
    let import = if interface.starts_with("wasi:") { interface } else { capability.name() };
    format!("plugin `{plugin}` imports `{import}`, but its manifest does not request it; its author has to add{lines}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn patch_versions_of_the_same_track_are_the_same_contract() {
        assert_eq!(Import::parse("kiln:plugin/http@0.1.0"), Ok(Import::Capability(Capability::Http)));
        assert_eq!(Import::parse("kiln:plugin/http@0.1.7"), Ok(Import::Capability(Capability::Http)));
        assert!(matches!(Import::parse("kiln:plugin/http@0.2.0"), Err(ImportError::Version { .. })));
        assert!(matches!(Import::parse("kiln:plugin/http@0.10.0"), Err(ImportError::Version { .. })));
    }

    #[test]
    fn what_the_contract_does_not_name_is_refused() {
        for import in [
            "wasi:cli/environment@0.3.0",
            "kiln:plugin/files@0.1.0",
            "kiln:plugin/env@0.1.0",
            "kiln:plugin/http",
            "env",
        ] {
            assert!(matches!(Import::parse(import), Err(ImportError::Unknown(_))), "{import}");
        }
    }

    fn manifest(requests: &str) -> Manifest {
        let text =
            "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n";
        Manifest::parse(&format!("{text}{requests}")).unwrap()
    }

    #[test]
    fn wasi_is_no_request_and_gives_what_is_requested() {
        let imports = ["wasi:cli/environment@0.2.0", "wasi:filesystem/types@0.2.3", "wasi:filesystem/preopens@0.2.3"];
        let all = ["wasi:cli/stdout@0.2.0", "wasi:sockets/tcp@0.2.0"].into_iter().chain(imports);
        assert_eq!(check_imports(&manifest(""), all), Ok(Vec::new()));
        let requests = "[[requests.files]]\nguest = '/data'\npaths = ['a']\nreason = 'x'\n\
                        [[requests.env]]\nname = 'A'\nreason = 'x'\n";
        assert_eq!(check_imports(&manifest(requests), imports), Ok(vec![Capability::Env, Capability::Files]));
    }

    #[test]
    fn http_has_to_be_requested_whichever_door_it_is() {
        for import in ["kiln:plugin/http@0.1.0", "wasi:http/outgoing-handler@0.2.0", "wasi:http/types@0.2.3"] {
            let errors = check_imports(&manifest(""), [import]).unwrap_err();
            let [error @ ImportError::NotRequested { .. }] = errors.as_slice() else { panic!("{errors:?}") };
            assert!(error.to_string().contains("[[requests.http]]"), "{error}");
        }
        let request =
            "[[requests.http]]\norigin = 'https://a.example'\nmethods = ['GET']\npaths = ['/*']\nreason = 'x'\n";
        let both = ["kiln:plugin/http@0.1.0", "wasi:http/outgoing-handler@0.2.0", "wasi:http/types@0.2.0"];
        assert_eq!(check_imports(&manifest(request), both), Ok(vec![Capability::Http]));
    }
}
