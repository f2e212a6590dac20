//! Everything there is to say of a plugin file.

use kiln_config::Config;
use kiln_policy::{Capability, Digest, Import, Manifest, SignatureFile, SigningKey, WIT_VERSION};
use kiln_runtime::{ComponentFile, FileError, Surface};
use serde::Serialize;

use crate::contents::Contents;
use crate::instance_grants::InstanceGrants;
use crate::signature_state::SignatureState;

/// A file to look at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What to call it.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What stands beside it.
    pub signature: SignatureFile,
}

/// What a plugin is and can do.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What the file is called.
    pub file: String,
    /// Of the file.
    pub digest: Digest,
    /// Of the file, in bytes.
    pub size: usize,
    /// What is known of its signature.
    pub signature: SignatureState,
    /// Why no Kiln of this version can run it, whatever is granted. Empty: it can.
    pub not_grantable: Vec<String>,
    /// Everything it can call.
    pub imports: Vec<ImportedInterface>,
    /// Functions it offers to the host.
    pub exports: Vec<String>,
    /// Every capability there is, used or not.
    pub capabilities: Vec<CapabilityUse>,
    /// What its author says.
    pub manifest: Option<Manifest>,
    /// What the author's tools have left in the file.
    pub contents: Contents,
    /// Its instances in a configuration, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<InstanceGrants>>,
}

/// One interface the component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedInterface {
    /// Its full name.
    pub name: String,
    /// What it amounts to.
    pub capability: Option<&'static str>,
    /// The same for people.
    pub meaning: &'static str,
}

/// One capability, and whether the plugin has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapabilityUse {
    /// Name of the interface.
    pub capability: &'static str,
    /// What it lets a plugin do.
    pub meaning: &'static str,
    /// Whether the component can call it at all.
    pub imported: bool,
    /// Whether the manifest asks for it, or it needs no asking.
    pub requested: bool,
    /// What follows.
    pub verdict: Verdict,
}

/// What an operator has to know of a capability of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The plugin cannot call it: it is not there.
    NotRequested,
    /// Needs no grant: nothing outside of the plugin can be read or changed with it.
    CarriesNoAuthority,
    /// Asked for; no configuration was given that could grant it.
    Requested,
    /// Every instance in the configuration has it.
    Granted,
    /// Some instance in the configuration has it, and some is refused or has no use for it.
    PartlyGranted,
    /// No instance in the configuration has it.
    NotGranted,
    /// The component calls what its manifest does not ask for.
    NotGrantable,
}

impl Inspection {
    /// Looks at a component, whether or not it is a plugin.
    ///
    /// `keys` are those its signature is checked with. `config` is a configuration with the name it goes by.
    ///
    /// # Errors
    /// The file is no valid component: there is nothing in it that could be shown.
    pub fn of(subject: Subject, keys: &[SigningKey], config: Option<(&Config, &str)>) -> Result<Self, FileError> {
        let Subject { name, bytes, signature } = subject;
        let surface = Surface::of(&bytes)?;
        let contents = Contents::of(&bytes);
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        let manifest = surface.manifest.as_deref().and_then(|text| std::str::from_utf8(text).ok());
        let manifest = manifest.and_then(|text| Manifest::parse(text).ok());
        let mut trusted = keys.to_vec();
        if let (Some((config, _)), Some(manifest)) = (config, &manifest) {
            trusted.extend_from_slice(config.policy.rules.keys_for(&manifest.name));
        }
        let state = SignatureState::of(&signature, &bytes, &trusted);
        let (imports, exports) = (surface.imports.clone(), surface.exports.clone());
        let mut not_grantable = Vec::new();
        let file = match ComponentFile::judge(bytes, surface) {
            Ok(file) => Some(ComponentFile { signature, ..file }),
            Err(error) => {
                not_grantable.push(error.to_string());
                None
            }
        };
        let instances = file.as_ref().zip(config).map(|(file, (config, name))| InstanceGrants::of(file, config, name));
        let capabilities =
            Capability::ALL.map(|capability| used(capability, &imports, manifest.as_ref(), instances.as_deref()));
        Ok(Self {
            file: name,
            digest,
            size,
            signature: state,
            not_grantable,
            imports: imports.iter().map(|name| interface(name)).collect(),
            exports,
            capabilities: capabilities.to_vec(),
            manifest,
            contents,
            instances,
        })
    }

    /// Whether it can run: it is a plugin of this Kiln, and with a configuration, every instance has what it asks for.
    #[must_use]
    pub fn is_grantable(&self) -> bool {
        let is_refused = |instance: &InstanceGrants| !instance.refused.is_empty();
        let invalid = matches!(self.signature, SignatureState::Invalid { .. });
        self.not_grantable.is_empty() && !invalid && !self.instances.iter().flatten().any(is_refused)
    }
}

fn interface(name: &str) -> ImportedInterface {
    let (capability, meaning) = match Import::parse(name) {
        Ok(Import::Types) => (None, "types only: there is nothing to call"),
        Ok(Import::Capability(capability)) => (Some(capability.name()), meaning(capability)),
        Ok(import @ Import::Wasi(interface)) => {
            (import.capability().map(Capability::name), interface.class().meaning())
        }
        Err(_) => (None, "Kiln does not offer this"),
    };
    ImportedInterface { name: name.to_owned(), capability, meaning }
}

const fn meaning(capability: Capability) -> &'static str {
    match capability {
        Capability::Emit => "hand telemetry to the host, as declared in the manifest",
        Capability::Log => "write lines to the operator's log, at a bounded rate",
        Capability::Clock => "read the time",
        Capability::Http => "have the host send HTTP requests to granted origins",
        Capability::State => "remember from one collection to the next, within a bound",
        Capability::Files => "read files of granted directories",
        Capability::Env => "read granted environment variables",
    }
}

const fn carries_authority(capability: Capability) -> bool {
    match capability {
        Capability::Emit | Capability::Log | Capability::Clock => false,
        Capability::Http | Capability::State | Capability::Files | Capability::Env => true,
    }
}

fn used(
    capability: Capability,
    imports: &[String],
    manifest: Option<&Manifest>,
    instances: Option<&[InstanceGrants]>,
) -> CapabilityUse {
    let is_it = |name: &String| Import::parse(name).is_ok_and(|import| import.capability() == Some(capability));
    let imported = imports.iter().any(is_it);
    let requested = manifest.is_some_and(|manifest| capability.is_requested_by(manifest));
    let has = |instance: &InstanceGrants| instance.grants.iter().any(|grant| grant.capability == capability.name());
    let verdict = match (imported, requested, instances) {
        (false, _, _) => Verdict::NotRequested,
        // Toolchains import WASI unasked; what is not requested of it has nothing to show.
        (true, false, _) if matches!(capability, Capability::Files | Capability::Env) => Verdict::NotRequested,
        (true, false, _) => Verdict::NotGrantable,
        (true, true, _) if !carries_authority(capability) => Verdict::CarriesNoAuthority,
        (true, true, None | Some([])) => Verdict::Requested,
        (true, true, Some(instances)) if instances.iter().all(has) => Verdict::Granted,
        (true, true, Some(instances)) if instances.iter().any(has) => Verdict::PartlyGranted,
        (true, true, Some(_)) => Verdict::NotGranted,
    };
    CapabilityUse { capability: capability.name(), meaning: meaning(capability), imported, requested, verdict }
}

/// What no plugin can do, because there is no function for it.
pub(crate) const IMPOSSIBLE: [&str; 6] = [
    "open a socket, listen on a port or resolve a name by itself",
    "write a file, start a process or load code",
    "send `Authorization`, `Cookie`, `Host` or `Proxy-*` headers of its own",
    "see the value of a setting its manifest marks as secret, or a token made from it",
    "reach the memory, the state or the telemetry of another instance",
    "emit a metric its manifest does not declare",
];

/// The version of the contract, as the manifest spells it and as this Kiln speaks it.
pub(crate) fn contract(manifest: &Manifest) -> String {
    format!("kiln:plugin {} (this Kiln speaks {WIT_VERSION})", manifest.wit)
}
