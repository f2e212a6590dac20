//! `plugin.toml`: everything there is to know about a plugin without running it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::credential::{CredentialAlternative, CredentialRequest};
use crate::declared::{Declared, MetricDeclaration, MetricKind};
use crate::name::PluginName;
use crate::processor_declaration::{EditKind, Level, ProcessorDeclaration};
use crate::request::{HttpRequest, OriginRequest, Requests};

/// Name of the custom section that holds the manifest inside a component.
pub const MANIFEST_SECTION: &str = "kiln:manifest";

/// The version of the contract this build of Kiln speaks, as manifests spell it.
pub const WIT_VERSION: &str = "0.1";

/// Manifests beyond this size are refused: it is a description, not a payload.
const MAX_BYTES: usize = 256 * 1024;

/// A plugin's manifest, valid in itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What configurations call the plugin.
    pub name: PluginName,
    /// The plugin's own version.
    pub version: String,
    /// Which world it implements.
    pub kind: PluginKind,
    /// One sentence.
    pub description: String,
    /// SPDX expression.
    pub license: String,
    /// Version of the contract, for example `0.1`.
    pub wit: String,
    /// What a processor sees and changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorDeclaration>,
    /// JSON Schema (2020-12) of the configuration. `writeOnly` marks secrets, which never reach the plugin.
    #[serde(default = "no_configuration")]
    pub config: serde_json::Value,
    /// What it asks for.
    #[serde(default)]
    pub requests: Requests,
    /// Ways to sign in that several requests share: `[[credentials.NAME]]`, used as `credential = "NAME"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, Vec<CredentialAlternative>>,
    /// What it emits.
    #[serde(default)]
    pub telemetry: Declared,
}

fn no_configuration() -> serde_json::Value {
    serde_json::json!({ "type": "object", "properties": {} })
}

/// The two kinds of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginKind {
    /// Reads a source.
    Receiver,
    /// Changes what others have read.
    Processor,
}

impl PluginKind {
    /// The name of the kind and of its world.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
        }
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// With line and column where the text is not TOML or not a manifest; with the name of the offending entry where
    /// entries contradict each other.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::Syntax(Box::new(error)))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The name in a manifest, from what stands before its first table. Nothing, if it does not stand there.
    #[must_use]
    pub fn name_of(text: &str) -> Option<PluginName> {
        #[derive(Deserialize)]
        struct Head {
            name: PluginName,
        }
        let head = text.split("\n[").next().filter(|head| head.len() <= MAX_BYTES)?;
        toml::from_str(head).ok().map(|Head { name }| name)
    }

    /// The ways to sign in that a request of this manifest offers, in their order; none if it needs no credential.
    #[must_use]
    pub fn credential_alternatives<'m>(&'m self, request: &'m HttpRequest) -> &'m [CredentialAlternative] {
        match &request.credential {
            None => &[],
            Some(CredentialRequest::Alternatives(alternatives)) => alternatives,
            Some(CredentialRequest::Named(name)) => self.credentials.get(name).map_or(&[], Vec::as_slice),
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        match (self.kind, &self.processor) {
            (PluginKind::Processor, None) => return Err(ManifestError::NoProcessorTable),
            (PluginKind::Receiver, Some(_)) => return Err(ManifestError::ProcessorTable),
            (PluginKind::Processor, Some(processor)) => {
                if let Some(&edit) = processor.edits.iter().find(|edit| edit.level() > processor.level) {
                    return Err(ManifestError::EditBelowLevel { edit, level: processor.level });
                }
            }
            (PluginKind::Receiver, None) => {}
        }
        for (name, metric) in &self.telemetry.metrics {
            self.check_metric(name, metric)?;
        }
        for request in &self.requests.http {
            if request.reason.trim().is_empty() {
                return Err(ManifestError::NoReason(request.origin.to_string()));
            }
            if let (OriginRequest::Literal(origin), false) = (&request.origin, request.names.is_empty()) {
                return Err(ManifestError::NamesOfLiteral(origin.to_string()));
            }
            if let Some(CredentialRequest::Named(name)) = &request.credential
                && self.credentials.get(name).is_none_or(Vec::is_empty)
            {
                return Err(ManifestError::NoCredential(name.clone()));
            }
        }
        self.check_files()
    }

    fn check_files(&self) -> Result<(), ManifestError> {
        for request in &self.requests.files {
            if request.reason.trim().is_empty() {
                return Err(ManifestError::NoReason(request.guest.to_string()));
            }
            if request.paths.is_empty() {
                return Err(ManifestError::NoPaths(request.guest.to_string()));
            }
        }
        let of_files = self.requests.files.iter().filter_map(|request| request.when.as_ref());
        let of_variables = self.requests.env.iter().filter_map(|request| request.when.as_ref());
        if let Some(condition) = of_files.chain(of_variables).find(|condition| !condition.is_about(&self.config)) {
            return Err(ManifestError::Condition(condition.clone()));
        }
        let unexplained = self.requests.env.iter().find(|request| request.reason.trim().is_empty());
        unexplained.map_or(Ok(()), |request| Err(ManifestError::NoReason(format!("variable {}", request.name))))
    }

    fn check_metric(&self, name: &str, metric: &MetricDeclaration) -> Result<(), ManifestError> {
        let invalid = |problem| Err(ManifestError::Metric { name: name.to_owned(), problem });
        if let Some(key) = metric.attributes.iter().find(|key| !self.telemetry.attributes.contains_key(*key)) {
            return invalid(format!("attribute `{key}` is not declared under [telemetry.attributes]"));
        }
        let notes = [("source", &metric.source), ("since", &metric.since), ("enable", &metric.enable)];
        if let Some((key, _)) = notes.iter().find(|(_, note)| note.as_ref().is_some_and(|note| note.trim().is_empty()))
        {
            return invalid(format!("`{key}` is empty: say it or leave it out"));
        }
        let increasing =
            metric.bounds.is_sorted_by(|a, b| a < b) && metric.bounds.iter().all(|bound| bound.is_finite());
        match metric.kind {
            MetricKind::Histogram if metric.bounds.is_empty() => invalid("a histogram needs `bounds`".to_owned()),
            MetricKind::Histogram if !increasing => invalid("`bounds` must be finite and increasing".to_owned()),
            MetricKind::Gauge | MetricKind::Sum if !metric.bounds.is_empty() => {
                invalid("only a histogram has `bounds`".to_owned())
            }
            MetricKind::Gauge | MetricKind::Histogram if metric.monotonic => {
                invalid("only a sum is `monotonic`".to_owned())
            }
            MetricKind::Gauge | MetricKind::Sum | MetricKind::Histogram => Ok(()),
        }
    }
}

/// Why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, or not the shape of a manifest.
    #[error("manifest: {0}")]
    Syntax(Box<toml::de::Error>),
    /// Larger than any manifest has reason to be.
    #[error("manifest of {0} bytes is larger than the {MAX_BYTES} bytes allowed")]
    TooLarge(usize),
    /// A processor that does not say what it sees.
    #[error("a processor's manifest needs a [processor] table with level, reads and writes")]
    NoProcessorTable,
    /// A receiver with a processor's table.
    #[error("a receiver's manifest cannot have a [processor] table")]
    ProcessorTable,
    /// An edit of what it does not see.
    #[error("an edit `{edit}` needs level = \"{}\", and the manifest says `{level}`", edit.level())]
    EditBelowLevel {
        /// The edit.
        edit: EditKind,
        /// How deep the processor looks.
        level: Level,
    },
    /// A request nobody can judge.
    #[error("the request for {0} needs a reason")]
    NoReason(String),
    /// A request for a directory that names no file of it.
    #[error("the request for {0} needs paths, such as [\"stat\", \"net/dev\"]")]
    NoPaths(String),
    /// A condition nobody can meet.
    #[error("a request counts {0}, and [config] has no such property, or the text is empty: nobody could configure it")]
    Condition(Condition),
    /// Names nobody can write.
    #[error("the request for {0} has names, which only the values of a field can be")]
    NamesOfLiteral(String),
    /// A credential that is referred to and not there.
    #[error("credential `{0}` is not there: add [[credentials.{0}]], or write a field as ${{config.field}}")]
    NoCredential(String),
    /// A contradictory metric.
    #[error("metric `{name}`: {problem}")]
    Metric {
        /// Name of the metric.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}
