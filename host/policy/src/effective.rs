//! Requests ∩ grants: the policy an instance runs under.

use std::fmt;

use serde::Serialize;
use url::Url;

use crate::address::{AddressDenied, AddressScope};
use crate::grant::{Grants, HttpGrant};
use crate::imports::Capability;
use crate::manifest::Manifest;
use crate::origin::{Origin, OriginError};
use crate::path::PathPattern;
use crate::request::{ConfigField, HttpRequest, Method, OriginRequest};

/// Everything one instance may do, and nothing else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Policy {
    http: Vec<HttpRule>,
    state: bool,
    #[serde(skip)]
    unused: Vec<Origin>,
}

/// One origin an instance may talk to: what was requested and what was granted must both hold.
#[derive(Clone, Debug, Serialize)]
pub struct HttpRule {
    /// Scheme, host and port.
    pub origin: Origin,
    /// Methods both requested and granted.
    pub methods: Vec<Method>,
    /// What the host may resolve to.
    pub addresses: AddressScope,
    /// The secret field whose value is attached as a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<ConfigField>,
    /// Who granted it.
    pub source: GrantSource,
    requested_paths: Vec<PathPattern>,
    granted_paths: Option<Vec<PathPattern>>,
}

impl HttpRule {
    fn covers_path(&self, path: &str) -> bool {
        let covered = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.matches(path));
        covered(&self.requested_paths) && self.granted_paths.as_deref().is_none_or(covered)
    }
}

/// Where a grant comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantSource {
    /// The operator typed the origin into this configuration field.
    Configuration(ConfigField),
    /// An entry of `grants`.
    Explicit,
}

impl fmt::Display for GrantSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(field) => write!(f, "configuration field `{}`", field.path()),
            Self::Explicit => f.write_str("grants.http"),
        }
    }
}

impl Policy {
    /// Intersects what `manifest` requests with what the operator grants.
    ///
    /// `field` looks up a text field of the instance's configuration by its dotted path. With `explicit_grants`
    /// nothing is derived from the configuration.
    ///
    /// # Errors
    /// Every request that is not granted, each with the lines that would grant it.
    pub fn resolve<'a>(
        manifest: &Manifest,
        grants: &Grants,
        explicit_grants: bool,
        field: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let mut http: Vec<HttpRule> = Vec::new();
        for request in &manifest.requests.http {
            match resolve_http(request, grants, explicit_grants, &field) {
                Ok(rules) => http.extend(rules),
                Err(error) => errors.push(error),
            }
        }
        let state = match (&manifest.requests.state, grants.state.unwrap_or(!explicit_grants)) {
            (Some(_), true) => true,
            (None, _) => false,
            (Some(request), false) => {
                errors.push(PolicyError::StateNotGranted { reason: request.reason.clone() });
                false
            }
        };
        let is_used = |grant: &&HttpGrant| http.iter().any(|rule| rule.origin == grant.origin);
        let unused = grants.http.iter().filter(|grant| !is_used(grant)).map(|grant| grant.origin.clone()).collect();
        if errors.is_empty() { Ok(Self { http, state, unused }) } else { Err(errors) }
    }

    /// Whether the interface is linked at all.
    #[must_use]
    pub fn links(&self, capability: Capability) -> bool {
        match capability {
            Capability::Emit | Capability::Log | Capability::Clock => true,
            Capability::Http => !self.http.is_empty(),
            Capability::State => self.state,
        }
    }

    /// The origins that may be reached.
    #[must_use]
    pub fn http_rules(&self) -> &[HttpRule] {
        &self.http
    }

    /// Grants that no request matches: probably a typing error.
    #[must_use]
    pub fn unused_grants(&self) -> &[Origin] {
        &self.unused
    }

    /// The rule under which a request may be sent.
    ///
    /// # Errors
    /// Which part of the request no rule covers.
    pub fn check(&self, method: Method, url: &Url) -> Result<&HttpRule, Denial> {
        let origin = Origin::of(url).map_err(Denial::NotAnOrigin)?;
        let mut rules = self.http.iter().filter(|rule| rule.origin == origin).peekable();
        if rules.peek().is_none() {
            return Err(Denial::Origin(origin));
        }
        let mut rules = rules.filter(|rule| rule.covers_path(url.path())).peekable();
        if rules.peek().is_none() {
            return Err(Denial::Path { origin, path: url.path().to_owned() });
        }
        rules.find(|rule| rule.methods.contains(&method)).ok_or(Denial::Method { origin, method })
    }
}

fn resolve_http<'a>(
    request: &HttpRequest,
    grants: &Grants,
    explicit_grants: bool,
    field: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<HttpRule>, PolicyError> {
    let (origin, derived_from) = match &request.origin {
        OriginRequest::Literal(origin) => (origin.clone(), None),
        OriginRequest::Config(config_field) => {
            let Some(text) = field(config_field.path()) else { return Ok(Vec::new()) };
            let invalid = |error| PolicyError::InvalidOrigin { field: config_field.clone(), error };
            let url = Url::parse(text).map_err(|error| invalid(OriginError::NotAUrl(text.to_owned(), error)))?;
            (Origin::of(&url).map_err(invalid)?, Some(config_field))
        }
    };
    let rule = |grant: &HttpGrant, source| HttpRule {
        origin: origin.clone(),
        methods: match &grant.methods {
            Some(granted) => request.methods.iter().copied().filter(|method| granted.contains(method)).collect(),
            None => request.methods.clone(),
        },
        addresses: grant.addresses.clone(),
        credential: request.credential.clone(),
        source,
        requested_paths: request.paths.clone(),
        granted_paths: grant.paths.clone(),
    };
    let explicit: Vec<_> = grants.http.iter().filter(|grant| grant.origin == origin).collect();
    let rules: Vec<HttpRule> = match derived_from {
        _ if !explicit.is_empty() => explicit.into_iter().map(|grant| rule(grant, GrantSource::Explicit)).collect(),
        Some(config_field) if !explicit_grants => {
            let grant =
                HttpGrant { origin: origin.clone(), addresses: AddressScope::public(), methods: None, paths: None };
            vec![rule(&grant, GrantSource::Configuration(config_field.clone()))]
        }
        Some(_) | None => {
            return Err(PolicyError::NotGranted(Box::new(MissingGrant::new(&origin, request, None))));
        }
    };
    if let Some(address) = origin.literal_address() {
        let mut denials = rules.iter().map(|rule| rule.addresses.permits(address));
        let first = denials.next();
        let all_denied = denials.all(|denial| denial.is_err());
        match first {
            Some(Err(denied @ AddressDenied::Never { .. })) => {
                return Err(PolicyError::AddressNever { origin, denied });
            }
            Some(Err(denied)) if all_denied => {
                return Err(PolicyError::NotGranted(Box::new(MissingGrant::new(&origin, request, Some(denied)))));
            }
            Some(Err(_) | Ok(())) | None => {}
        }
    }
    Ok(rules)
}

/// Why a request cannot be granted as things stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Nothing grants the origin, or not with the addresses it needs.
    #[error("{0}")]
    NotGranted(Box<MissingGrant>),
    /// The origin is an address no grant can reach.
    #[error("requests {origin}, but {denied}")]
    AddressNever {
        /// Scheme, host and port.
        origin: Origin,
        /// Why.
        denied: AddressDenied,
    },
    /// The configuration field does not hold a URL.
    #[error("`{path}`: {error}", path = field.path())]
    InvalidOrigin {
        /// The field.
        field: ConfigField,
        /// What is wrong with its value.
        error: OriginError,
    },
    /// State is requested and withheld.
    #[error("requests state ({reason}), which is not granted; to grant it, add\n    grants:\n      state: true")]
    StateNotGranted {
        /// The reason the manifest gives.
        reason: String,
    },
}

/// The entry of `grants.http` that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingGrant {
    origin: Origin,
    reason: String,
    denied: Option<AddressDenied>,
    methods: Vec<Method>,
    paths: Vec<PathPattern>,
}

impl MissingGrant {
    fn new(origin: &Origin, request: &HttpRequest, denied: Option<AddressDenied>) -> Self {
        Self {
            origin: origin.clone(),
            reason: request.reason.clone(),
            denied,
            methods: request.methods.clone(),
            paths: request.paths.clone(),
        }
    }
}

impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests {} ({})", self.origin, self.reason)?;
        let addresses = match &self.denied {
            Some(denied) => {
                write!(f, ", but {denied}")?;
                match denied {
                    AddressDenied::NotGranted { needs, .. } => format!(", addresses: [{needs}]"),
                    AddressDenied::Never { .. } => String::new(),
                }
            }
            None => {
                f.write_str(", which is not granted")?;
                String::new()
            }
        };
        let methods: Vec<_> = self.methods.iter().map(ToString::to_string).collect();
        let paths: Vec<_> = self.paths.iter().map(|path| format!("\"{path}\"")).collect();
        write!(
            f,
            "; to grant it, add\n    grants:\n      http: [ {{ origin: \"{}\"{addresses}, methods: [{}], paths: [{}] }} ]",
            self.origin,
            methods.join(", "),
            paths.join(", ")
        )
    }
}

/// Why a single request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The URL is not one that could be granted.
    #[error("{0}")]
    NotAnOrigin(OriginError),
    /// No rule for the origin.
    #[error("{0} is not granted: requests go only to origins in the manifest's requests and the instance's grants")]
    Origin(Origin),
    /// The origin is granted, the path is not.
    #[error("path {path} of {origin} is not both requested and granted")]
    Path {
        /// Scheme, host and port.
        origin: Origin,
        /// Path of the URL.
        path: String,
    },
    /// Origin and path are granted, the method is not.
    #[error("{method} to {origin} is not both requested and granted")]
    Method {
        /// Scheme, host and port.
        origin: Origin,
        /// The method.
        method: Method,
    },
    /// The name resolved to addresses the rule does not reach.
    #[error("{origin}: {denied}")]
    Address {
        /// Scheme, host and port.
        origin: Origin,
        /// Why the address is out of reach.
        denied: AddressDenied,
    },
}

impl Denial {
    /// A word for metrics and structured logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotAnOrigin(_) => "url",
            Self::Origin(_) => "origin",
            Self::Path { .. } => "path",
            Self::Method { .. } => "method",
            Self::Address { .. } => "address",
        }
    }
}
