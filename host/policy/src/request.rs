//! What a manifest asks for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::credential::CredentialRequest;
use crate::files::{EnvironmentRequest, FilesRequest};
use crate::origin::{Origin, OriginError};
use crate::path::PathPattern;

/// The `[requests]` table of a manifest. What is absent is not asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// Outbound HTTP, one entry per origin.
    pub http: Vec<HttpRequest>,
    /// Files, through WASI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FilesRequest>,
    /// Environment variables, through WASI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvironmentRequest>,
    /// State that outlives a collection.
    pub state: Option<StateRequest>,
}

/// One origin a plugin wants to talk to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// Where to.
    pub origin: OriginRequest,
    /// What values of the field stand for that are no origins, such as `auto`. As good as written in the manifest: always
    /// needs an explicit grant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<Origin>>,
    /// With which methods.
    pub methods: Vec<Method>,
    /// On which paths.
    pub paths: Vec<PathPattern>,
    /// How the host signs in there, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialRequest>,
    /// For the person who grants it.
    pub reason: String,
}

/// A request for state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRequest {
    /// For the person who grants it.
    pub reason: String,
}

/// An origin fixed in the manifest, or one the operator types into the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum OriginRequest {
    /// Always needs an explicit grant.
    Literal(Origin),
    /// `${config.host}`: typing the value grants it, unless grants must be explicit. The field may lead through lists;
    /// then every text in them is requested.
    Config(ConfigField),
}

impl TryFrom<String> for OriginRequest {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match ConfigField::parse(&text) {
            Some(field) => Ok(Self::Config(field)),
            None => Origin::parse(&text).map(Self::Literal),
        }
    }
}

impl fmt::Display for OriginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(origin) => origin.fmt(f),
            Self::Config(field) => field.fmt(f),
        }
    }
}

impl Serialize for OriginRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A field of the plugin's configuration, written `${config.host}`; nested fields are joined with dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ConfigField(String);

impl ConfigField {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("${config.")?.strip_suffix('}')?;
        let valid = !path.is_empty() && !path.contains(['$', '{', '}']);
        valid.then(|| Self(path.to_owned()))
    }

    /// The dotted path without `config.`, for example `host`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConfigField {
    type Error = InvalidConfigField;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or(InvalidConfigField(text))
    }
}

impl fmt::Display for ConfigField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{config.{}}}", self.0)
    }
}

impl Serialize for ConfigField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Not a reference to a configuration field.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a configuration field: write ${{config.field}}")]
pub struct InvalidConfigField(String);

/// An HTTP method a plugin can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Every method, in the order of the contract.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method as it stands on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether sending the request twice has the effect of sending it once (RFC 9110 §9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
