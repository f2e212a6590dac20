//! What a component can call, told from the names of its imports.

use std::fmt;

use crate::manifest::{Manifest, PluginKind, WIT_VERSION};

/// One interface a component imports, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// Types only: nothing can be called.
    Types,
    /// Callable functions.
    Capability(Capability),
}

/// The interfaces a host can link.
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
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 5] = [Self::Emit, Self::Log, Self::Clock, Self::Http, Self::State];

    /// Name of the interface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emit => "emit",
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Http => "http",
            Self::State => "state",
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
        let Some((interface, version)) = name.strip_prefix("kiln:plugin/").and_then(|rest| rest.split_once('@')) else {
            return Err(ImportError::Unknown(name.to_owned()));
        };
        let same_track = version.strip_prefix(WIT_VERSION).is_some_and(|rest| rest.starts_with('.'));
        if !same_track {
            return Err(ImportError::Version { import: name.to_owned() });
        }
        match interface {
            "telemetry" | "configuration" | "collection" | "processing" => Ok(Self::Types),
            _ => Capability::ALL
                .into_iter()
                .find(|capability| capability.name() == interface)
                .map(Self::Capability)
                .ok_or_else(|| ImportError::Unknown(name.to_owned())),
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
        match Import::parse(name) {
            Ok(Import::Types) => {}
            Ok(Import::Capability(capability)) if capability.is_requested_by(manifest) => capabilities.push(capability),
            Ok(Import::Capability(capability)) => errors.push(ImportError::NotRequested {
                plugin: manifest.name.to_string(),
                capability,
                kind: manifest.kind,
            }),
            Err(error) => errors.push(error),
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
    #[error("{}", not_requested(plugin, *capability, *kind))]
    NotRequested {
        /// Name of the plugin.
        plugin: String,
        /// What it can call.
        capability: Capability,
        /// Which kind of plugin it is.
        kind: PluginKind,
    },
}

fn wasi_hint(import: &str) -> &'static str {
    if import.starts_with("wasi") { ": build for wasm32-unknown-unknown, which needs no WASI" } else { "" }
}

fn not_requested(plugin: &str, capability: Capability, kind: PluginKind) -> String {
    let lines = match capability {
        Capability::Http => {
            "\n    [[requests.http]]\n    origin = \"${config.endpoint}\"\n    methods = [\"GET\"]\n    paths = [\"/*\"]\n    reason = \"…\""
        }
        Capability::State => "\n    [requests.state]\n    reason = \"…\"",
        Capability::Emit | Capability::Log | Capability::Clock => {
            return format!("plugin `{plugin}` imports `{capability}`, which a {} cannot have", kind.name());
        }
    };
    format!(
        "plugin `{plugin}` imports `{capability}`, but its manifest does not request it; its author has to add{lines}"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
        for import in ["wasi:cli/environment@0.2.0", "kiln:plugin/files@0.1.0", "kiln:plugin/http", "env"] {
            assert!(matches!(Import::parse(import), Err(ImportError::Unknown(_))), "{import}");
        }
    }
}
