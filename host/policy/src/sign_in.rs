//! Which way to sign in the operator has chosen, and whether a token endpoint may be reached for it.
//!
//! The choice is made by configuring the fields of one alternative. Half an alternative, or two of them, is an error
//! and never a guess: a guess could send a secret to a place it was not meant for. A token endpoint is granted like any
//! other origin, except that methods and paths do not matter: they bound what the plugin asks, and it is the host that
//! asks here.

use std::fmt;

use serde::Serialize;
use url::Url;

use crate::address::AddressScope;
use crate::credential::{ClientAuthentication, ClientCredentialsRequest, CredentialAlternative, EndpointRequest};
use crate::effective::{GrantSource, check_literal};
use crate::grant::Grants;
use crate::missing_grant::MissingGrant;
use crate::origin::Origin;
use crate::policy_error::PolicyError;
use crate::request::ConfigField;
use crate::setting::Setting;
use crate::tls_files::TlsFiles;

/// How the host signs in at an origin, decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Credential {
    /// `Authorization: Bearer` with the value of a field.
    #[serde(rename = "bearer")]
    Bearer {
        /// Holds the token.
        token: ConfigField,
    },
    /// The same with the content of a file.
    #[serde(rename = "bearer_file")]
    BearerFile {
        /// Holds the path of the file.
        token_file: ConfigField,
    },
    /// `Authorization: Basic` with the values of two fields.
    #[serde(rename = "basic")]
    Basic {
        /// Holds the name.
        username: ConfigField,
        /// Holds the password.
        password: ConfigField,
    },
    /// The same with the content of a file.
    #[serde(rename = "basic_file")]
    BasicFile {
        /// Holds the name.
        username: ConfigField,
        /// Holds the path of the file.
        password_file: ConfigField,
    },
    /// A bearer token from a token endpoint.
    #[serde(rename = "oauth2_client_credentials")]
    ClientCredentials(Box<ClientCredentials>),
}

/// OAuth 2.0 client credentials, and where they may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientCredentials {
    /// Holds the identity.
    pub client_id: ConfigField,
    /// Holds what proves it.
    pub client_secret: ConfigField,
    /// Where both are exchanged for a token.
    pub endpoint: TokenEndpoint,
    /// How they are sent there.
    pub authentication: ClientAuthentication,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
}

/// A place a client secret may be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenEndpoint {
    /// The endpoint itself, or the metadata that names it.
    pub url: Url,
    /// Whether `url` is that of the metadata (RFC 8414). The endpoint it names must be of the same origin.
    pub is_metadata: bool,
    /// Scheme, host and port of both.
    pub origin: Origin,
    /// What the host may resolve to.
    pub addresses: AddressScope,
    /// Whom to trust there and who to be, if that is not the platform's affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Who granted it.
    pub source: GrantSource,
}

impl Credential {
    /// The fields whose values the host needs in order to sign in.
    #[must_use]
    pub fn fields(&self) -> Vec<&ConfigField> {
        match self {
            Self::Bearer { token: field } | Self::BearerFile { token_file: field } => vec![field],
            Self::Basic { username, password: field } | Self::BasicFile { username, password_file: field } => {
                vec![username, field]
            }
            Self::ClientCredentials(credentials) => vec![&credentials.client_id, &credentials.client_secret],
        }
    }
}

/// For the operator: what is sent where.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer { token } => write!(f, "the bearer token in `{}`", token.path()),
            Self::BearerFile { token_file } => write!(f, "the bearer token in the file `{}`", token_file.path()),
            Self::Basic { username, password } => {
                write!(f, "the name and password in `{}` and `{}`", username.path(), password.path())
            }
            Self::BasicFile { username, password_file } => {
                let (username, password_file) = (username.path(), password_file.path());
                write!(f, "the name in `{username}` and the password in the file `{password_file}`")
            }
            Self::ClientCredentials(credentials) => {
                let ClientCredentials { client_id, client_secret, endpoint, .. } = credentials.as_ref();
                let (id, secret) = (client_id.path(), client_secret.path());
                let via = if endpoint.is_metadata { "the endpoint named by " } else { "" };
                write!(f, "an OAuth 2.0 token for `{id}` and `{secret}`, which are sent to {via}{}", endpoint.url)
            }
        }
    }
}

/// What has been granted, as far as it concerns token endpoints.
pub(crate) struct Granted<'g> {
    pub(crate) grants: &'g Grants,
    pub(crate) explicit_grants: bool,
}

/// The way to sign in at `origin` that the configuration chooses; `None` if it chooses none.
///
/// `source` says who granted `origin`.
pub(crate) fn resolve<'a>(
    alternatives: &[CredentialAlternative],
    origin: &Origin,
    source: &GrantSource,
    granted: &Granted<'_>,
    setting: impl Fn(&str) -> Option<Setting<'a>>,
) -> Result<Option<Credential>, PolicyError> {
    let Some(chosen) = choose(alternatives, &setting)? else { return Ok(None) };
    // Checked here and not in the manifest, where a schema may say it in many ways.
    if let Some(field) = chosen.secret()
        && setting(field.path()).is_none_or(|setting| !setting.is_secret)
    {
        return Err(PolicyError::VisibleSecret { field: field.clone() });
    }
    Ok(Some(match chosen {
        CredentialAlternative::Bearer { token } => Credential::Bearer { token: token.clone() },
        CredentialAlternative::BearerFile { token_file } => Credential::BearerFile { token_file: token_file.clone() },
        CredentialAlternative::Basic { username, password } => {
            Credential::Basic { username: username.clone(), password: password.clone() }
        }
        CredentialAlternative::BasicFile { username, password_file } => {
            Credential::BasicFile { username: username.clone(), password_file: password_file.clone() }
        }
        CredentialAlternative::ClientCredentials(request) => {
            let credentials = client_credentials(request, origin, source, granted, &setting)?;
            Credential::ClientCredentials(Box::new(credentials))
        }
    }))
}

/// The alternative that is configured, if one is.
fn choose<'m, 'a>(
    alternatives: &'m [CredentialAlternative],
    setting: impl Fn(&str) -> Option<Setting<'a>>,
) -> Result<Option<&'m CredentialAlternative>, PolicyError> {
    let mut complete: Vec<(&CredentialAlternative, Vec<&ConfigField>)> = Vec::new();
    let mut partial = Vec::new();
    for alternative in alternatives {
        let (mut set, mut missing) = (Vec::new(), Vec::new());
        for field in alternative.fields() {
            match setting(field.path()) {
                Some(Setting { has_default: true, .. }) => {}
                Some(_) => set.push(field),
                None => missing.push(field),
            }
        }
        match (set.is_empty(), missing.is_empty()) {
            (true, _) => {}
            (false, true) => complete.push((alternative, set)),
            (false, false) => partial.push((set, missing)),
        }
    }
    // What a complete alternative uses too may be there for its sake.
    let is_used = |field: &&ConfigField| complete.iter().any(|(_, used)| used.contains(field));
    let owned = |fields: &[&ConfigField]| fields.iter().copied().cloned().collect();
    if let Some((set, missing)) = partial.iter().find(|(set, _)| !set.iter().all(is_used)) {
        return Err(PolicyError::PartialCredential { set: owned(set), missing: owned(missing) });
    }
    match complete.as_slice() {
        [] => Ok(None),
        [(alternative, _)] => Ok(Some(alternative)),
        [(_, first), (_, second), ..] => {
            Err(PolicyError::AmbiguousCredential { first: owned(first), second: owned(second) })
        }
    }
}

fn client_credentials<'a>(
    request: &ClientCredentialsRequest,
    origin: &Origin,
    source: &GrantSource,
    granted: &Granted<'_>,
    setting: impl Fn(&str) -> Option<Setting<'a>>,
) -> Result<ClientCredentials, PolicyError> {
    let ClientCredentialsRequest { client_id, client_secret, endpoint, authentication, scopes } = request;
    let (url, origin, is_metadata, derived) = match endpoint {
        EndpointRequest::Discovery(path) => {
            let misplaced = || PolicyError::MisplacedMetadata { origin: origin.clone(), path: path.clone() };
            let url = Url::parse(&format!("{origin}{path}")).map_err(|_| misplaced())?;
            if Origin::of(&url).as_ref() != Ok(origin) {
                return Err(misplaced());
            }
            // Whoever granted the origin granted its token endpoint with it.
            (url, origin.clone(), true, Some(source.clone()))
        }
        EndpointRequest::Url(template) => {
            let text = |field: &ConfigField| setting(field.path()).and_then(|setting| setting.text);
            let url = template.fill(text).map_err(PolicyError::TokenUrl)?;
            let origin = Origin::of(&url).map_err(PolicyError::TokenOrigin)?;
            let is_typed = |field: &&ConfigField| setting(field.path()).is_some_and(|setting| setting.is_typed());
            let derived = template.origin_field().filter(is_typed).filter(|_| !granted.explicit_grants);
            (url, origin, false, derived.cloned().map(GrantSource::Configuration))
        }
    };
    let reason = format!("exchanges `{}` and `{}` for a token", client_id.path(), client_secret.path());
    let missing = |denied| PolicyError::NotGranted(Box::new(MissingGrant::of_origin(&origin, reason.clone(), denied)));
    let mut explicit = granted.grants.http.iter().filter(|grant| grant.origin.contains(&origin)).peekable();
    let tls = explicit.peek().and_then(|grant| grant.tls.clone());
    let (addresses, source) = match (explicit.peek(), derived) {
        (Some(_), _) => (explicit.map(|grant| grant.addresses.clone()).collect(), GrantSource::Explicit),
        (None, Some(source)) => (AddressScope::public(), source),
        (None, None) => return Err(missing(None)),
    };
    if !origin.is_https() && source != GrantSource::Explicit {
        return Err(PolicyError::InsecureTokenEndpoint { origin, client_secret: client_secret.clone() });
    }
    check_literal(&origin, std::iter::once(&addresses), |denied| missing(Some(denied)))?;
    Ok(ClientCredentials {
        client_id: client_id.clone(),
        client_secret: client_secret.clone(),
        endpoint: TokenEndpoint { url, is_metadata, origin, addresses, tls, source },
        authentication: *authentication,
        scopes: scopes.clone(),
    })
}
