//! Requests ∩ grants: the policy an instance runs under.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use url::Url;

use crate::address::{AddressDenied, AddressScope};
use crate::config_line::ConfigLine;
use crate::files::{self, FilesRule, HostPath, VariableName};
use crate::grant::{Grants, HttpGrant, Redirects};
use crate::imports::Capability;
use crate::manifest::Manifest;
use crate::missing_grant::MissingGrant;
use crate::origin::{Origin, OriginError};
use crate::origin_range::OriginRange;
use crate::path::{self, PathPattern};
use crate::policy_error::PolicyError;
use crate::request::{ConfigField, HttpRequest, Method};
use crate::setting::Setting;
use crate::sign_in::{self, Credential, Granted};
use crate::target::Target;
use crate::tls_files::TlsFiles;

/// Everything one instance may do, and nothing else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Policy {
    http: Vec<HttpRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FilesRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<VariableName>,
    state: bool,
    #[serde(skip)]
    unused: Vec<OriginRange>,
    #[serde(skip)]
    unused_files: Vec<HostPath>,
    #[serde(skip)]
    unused_env: Vec<VariableName>,
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
    /// How many redirects are followed from here.
    #[serde(skip_serializing_if = "Redirects::is_none")]
    pub redirects: Redirects,
    /// Whom to trust there and who to be, if that is not the platform's affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// How the host signs in, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Who granted it.
    pub source: GrantSource,
    /// Where that is written, if it is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<ConfigLine>,
    requested_paths: Vec<PathPattern>,
    granted_paths: Option<Vec<PathPattern>>,
}

impl HttpRule {
    /// The paths the manifest requests.
    #[must_use]
    pub fn requested_paths(&self) -> &[PathPattern] {
        &self.requested_paths
    }

    /// The paths the grant leaves of those; `None` leaves all.
    #[must_use]
    pub fn granted_paths(&self) -> Option<&[PathPattern]> {
        self.granted_paths.as_deref()
    }

    fn uses(&self, origins: &OriginRange) -> bool {
        let signs_in = match &self.credential {
            Some(Credential::ClientCredentials(credentials)) => origins.contains(&credentials.endpoint.origin),
            Some(
                Credential::Bearer { .. }
                | Credential::BearerFile { .. }
                | Credential::Basic { .. }
                | Credential::BasicFile { .. },
            )
            | None => false,
        };
        origins.contains(&self.origin) || signs_in
    }

    fn covers_path(&self, path: &str) -> bool {
        let is_plain = path::ambiguity(path).is_none();
        let covers = |pattern: &PathPattern| {
            // A path that is read in two ways begins with what is granted in one of them only.
            pattern.matches(path) && (is_plain || pattern.is_everything() || pattern.is_literal())
        };
        let covered = |patterns: &[PathPattern]| patterns.iter().any(covers);
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
    /// `setting` looks up a field of the instance's configuration by its dotted path. With `explicit_grants` nothing is
    /// derived from the configuration.
    ///
    /// # Errors
    /// Every request that is not granted, each with the lines that would grant it.
    pub fn resolve<'a>(
        manifest: &Manifest,
        grants: &Grants,
        explicit_grants: bool,
        setting: impl Fn(&str) -> Option<Setting<'a>>,
    ) -> Result<Self, Vec<PolicyError>> {
        let granted = Granted { grants, explicit_grants };
        let mut errors = Vec::new();
        let mut http: Vec<HttpRule> = Vec::new();
        for request in &manifest.requests.http {
            match resolve_http(manifest, request, &granted, &setting) {
                Ok(rules) => http.extend(rules),
                Err(more) => more.into_iter().for_each(|error| PolicyError::merge(&mut errors, error)),
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
        for grant in grants.http.iter().filter(|grant| grant.tls.is_some() && !grant.origin.is_https()) {
            errors.push(PolicyError::TlsWithoutHttps { origins: grant.origin.clone() });
        }
        let misplaced = |grant: &&HttpGrant| {
            grant.addresses.is_found_by_host()
                && !(grant.addresses.is_nothing_but_found() && grant.origin.is_name_without_port())
        };
        for grant in grants.http.iter().filter(misplaced) {
            errors.push(PolicyError::MisplacedSparkUi { origins: grant.origin.clone() });
        }
        let files::Resolved { rules: files, unused: unused_files } =
            files::resolve(&manifest.requests.files, &grants.files, &setting, &mut errors);
        let env = files::resolve_environment(&manifest.requests.env, &grants.env, &setting, &mut errors);
        let unused_env = grants.env.iter().filter(|name| !env.contains(name)).cloned().collect();
        let is_used = |grant: &&HttpGrant| http.iter().any(|rule| rule.uses(&grant.origin));
        let unused = grants.http.iter().filter(|grant| !is_used(grant)).map(|grant| grant.origin.clone()).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { http, files, env, state, unused, unused_files, unused_env })
    }

    /// Whether the interface is linked at all.
    #[must_use]
    pub fn links(&self, capability: Capability) -> bool {
        match capability {
            Capability::Emit | Capability::Log | Capability::Clock => true,
            Capability::Http => !self.http.is_empty(),
            Capability::State => self.state,
            Capability::Files => !self.files.is_empty(),
            Capability::Env => !self.env.is_empty(),
        }
    }

    /// The origins that may be reached.
    #[must_use]
    pub fn http_rules(&self) -> &[HttpRule] {
        &self.http
    }

    /// The directories that may be read.
    #[must_use]
    pub fn files(&self) -> &[FilesRule] {
        &self.files
    }

    /// The environment variables that may be read.
    #[must_use]
    pub fn env(&self) -> &[VariableName] {
        &self.env
    }

    /// Grants that no request matches: probably a typing error.
    #[must_use]
    pub fn unused_grants(&self) -> &[OriginRange] {
        &self.unused
    }

    /// Which grants a denial was decided by; `None` if there are none for its origin, and denying is the default.
    #[must_use]
    pub fn decided_by(&self, denial: &Denial) -> Option<String> {
        let origin = match denial {
            Denial::NotAnOrigin(_) | Denial::Origin(_) => return None,
            Denial::Path { origin, .. }
            | Denial::AmbiguousPath { origin, .. }
            | Denial::Method { origin, .. }
            | Denial::Downgrade { origin }
            | Denial::Address { origin, .. } => origin,
        };
        let source = |rule: &HttpRule| match &rule.written {
            Some(line) => line.to_string(),
            None => rule.source.to_string(),
        };
        let sources: BTreeSet<_> = self.http.iter().filter(|rule| rule.origin == *origin).map(source).collect();
        (!sources.is_empty()).then(|| sources.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Grants of directories that no request matches.
    #[must_use]
    pub fn unused_files(&self) -> &[HostPath] {
        &self.unused_files
    }

    /// Grants of environment variables that no request matches.
    #[must_use]
    pub fn unused_env(&self) -> &[VariableName] {
        &self.unused_env
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
            let path = url.path().to_owned();
            return Err(match path::ambiguity(&path) {
                Some(found) => Denial::AmbiguousPath { origin, path, found },
                None => Denial::Path { origin, path },
            });
        }
        rules.find(|rule| rule.methods.contains(&method)).ok_or(Denial::Method { origin, method })
    }
}

fn resolve_http<'a>(
    manifest: &Manifest,
    request: &HttpRequest,
    granted: &Granted<'_>,
    setting: impl Fn(&str) -> Option<Setting<'a>>,
) -> Result<Vec<HttpRule>, Vec<PolicyError>> {
    let targets = request.targets(&setting).map_err(|error| vec![error])?;
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for target in &targets {
        match resolve_target(manifest, request, target, granted, &setting) {
            Ok(more) => rules.extend(more),
            Err(error) => PolicyError::merge(&mut errors, error),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn resolve_target<'a>(
    manifest: &Manifest,
    request: &HttpRequest,
    target: &Target,
    granted: &Granted<'_>,
    setting: impl Fn(&str) -> Option<Setting<'a>>,
) -> Result<Vec<HttpRule>, PolicyError> {
    let missing = |denied| PolicyError::NotGranted(Box::new(MissingGrant::new(target, request, denied)));
    let rule = |origin: &Origin, grant: &HttpGrant, source| HttpRule {
        origin: origin.clone(),
        methods: match &grant.methods {
            Some(granted) => request.methods.iter().copied().filter(|method| granted.contains(method)).collect(),
            None => request.methods.clone(),
        },
        addresses: grant.addresses.clone(),
        redirects: grant.redirects,
        tls: grant.tls.clone(),
        credential: None,
        source,
        written: grant.written.clone(),
        requested_paths: request.paths.clone(),
        granted_paths: grant.paths.clone(),
    };
    let explicit = target.origins.iter().flat_map(|origin| {
        let grants = granted.grants.http.iter().filter(|grant| grant.origin.contains(origin));
        grants.map(|grant| rule(origin, grant, GrantSource::Explicit))
    });
    let mut rules: Vec<HttpRule> = explicit.collect();
    match &target.typed_into {
        _ if !rules.is_empty() => {}
        Some(field) if !granted.explicit_grants => {
            rules.extend(target.origins.iter().map(|origin| {
                let grant = HttpGrant { written: target.written.clone(), ..HttpGrant::derived(origin.clone()) };
                rule(origin, &grant, GrantSource::Configuration(field.clone()))
            }));
        }
        Some(_) | None => {
            // Once granted it might still lack the addresses: better to ask for both at once.
            for origin in &target.origins {
                check_literal(origin, std::iter::once(&AddressScope::public()), |denied| missing(Some(denied)))?;
            }
            return Err(missing(None));
        }
    }
    for origin in &target.origins {
        let scopes = rules.iter().filter(|rule| rule.origin == *origin).map(|rule| &rule.addresses);
        check_literal(origin, scopes, |denied| missing(Some(denied)))?;
    }
    let alternatives = manifest.credential_alternatives(request);
    for rule in &mut rules {
        // Nobody wrote `http://`, so nobody meant a secret to be sent for everybody to read.
        let unasked = target.origins.len() > 1 && !rule.origin.is_https() && rule.source != GrantSource::Explicit;
        if !unasked {
            rule.credential = sign_in::resolve(alternatives, &rule.origin, &rule.source, granted, &setting)?;
        }
    }
    Ok(rules)
}

/// Judges an origin whose host is an address and therefore never meets a resolver.
///
/// # Errors
/// No scope permits the address; `missing` says so where a grant could.
pub(crate) fn check_literal<'s>(
    origin: &Origin,
    scopes: impl Iterator<Item = &'s AddressScope>,
    missing: impl FnOnce(AddressDenied) -> PolicyError,
) -> Result<(), PolicyError> {
    let Some(address) = origin.literal_address() else { return Ok(()) };
    let mut denials = scopes.map(|scope| scope.permits(address));
    let first = denials.next();
    let all_denied = denials.all(|denial| denial.is_err());
    match first {
        Some(Err(denied @ AddressDenied::Never { .. })) => {
            Err(PolicyError::AddressNever { origin: origin.clone(), denied })
        }
        Some(Err(denied)) if all_denied => Err(missing(denied)),
        Some(Err(_) | Ok(())) | None => Ok(()),
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
    /// The origin is granted, and which path this is depends on who reads it.
    #[error(
        "path {path} of {origin} contains {found}, which servers read in different ways: only the very path, granted and \
         requested without `*`, or `/*` covers it"
    )]
    AmbiguousPath {
        /// Scheme, host and port.
        origin: Origin,
        /// Path of the URL.
        path: String,
        /// What can be read in two ways.
        found: &'static str,
    },
    /// Origin and path are granted, the method is not.
    #[error("{method} to {origin} is not both requested and granted")]
    Method {
        /// Scheme, host and port.
        origin: Origin,
        /// The method.
        method: Method,
    },
    /// A redirect leads out of encryption.
    #[error("{origin} redirects to an unencrypted origin, which is not followed")]
    Downgrade {
        /// Who redirects.
        origin: Origin,
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
            Self::AmbiguousPath { .. } => "ambiguous_path",
            Self::Method { .. } => "method",
            Self::Downgrade { .. } => "downgrade",
            Self::Address { .. } => "address",
        }
    }
}
