//! What the operator gives.

use serde::{Deserialize, Serialize};

use crate::address::AddressScope;
use crate::config_line::ConfigLine;
use crate::origin_range::OriginRange;
use crate::path::PathPattern;
use crate::request::Method;

/// The `grants:` of an instance. Keys that would not be enforced are not accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Outbound HTTP, one entry per origin.
    pub http: Vec<HttpGrant>,
    /// Whether state may be kept. Unset: yes, unless `policy.explicit_grants` asks for every grant to be spelled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<bool>,
}

/// One origin the instance may talk to.
///
/// An entry for an origin that is also derived from the configuration takes the place of the derived grant, so it can
/// narrow as well as widen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// Scheme, host and port, or a range of ports.
    pub origin: OriginRange,
    /// What the host may resolve to; public addresses if absent.
    #[serde(default)]
    pub addresses: AddressScope,
    /// The methods allowed; all that are requested if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<Method>>,
    /// The paths allowed; all that are requested if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<PathPattern>>,
    /// Where the entry is written, if it is in a file.
    #[serde(skip)]
    pub written: Option<ConfigLine>,
}
