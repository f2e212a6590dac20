//! The ways to sign in that a manifest offers.
//!
//! A request names one way or several, and the operator chooses by configuring the fields of one. Nothing here is a
//! secret or an address: only the names of fields and where the host takes a token to or from.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::request::ConfigField;
use crate::url_template::{InvalidUrlTemplate, UrlTemplate};

/// The `credential` of a request.
///
/// ```toml
/// # A bearer token in a field:
/// credential = "${config.token}"
///
/// # Whichever of these is configured:
/// credential = [
///   { type = "bearer", token = "${config.token}" },
///   { type = "bearer", token_file = "${config.token_file}" },
///   { type = "basic", username = "${config.user}", password = "${config.password}" },
///   { type = "basic", username = "${config.user}", password_file = "${config.password_file}" },
///   { type = "oauth2_client_credentials",
///     client_id = "${config.client_id}", client_secret = "${config.client_secret}",
///     # Either where the server says, which has to be on its own origin:
///     discovery = "/.well-known/oauth-authorization-server",
///     # or at a URL whose origin is one field or written out; further fields fill segments of the path:
///     # token_url = "${config.authority}/${config.tenant}/token",
///     client_authentication = "basic", # or "post"; basic if absent
///     scopes = ["all-apis"] },
/// ]
///
/// # The same list for several requests: `[[credentials.workspace]]` holds its entries.
/// credential = "workspace"
/// ```
///
/// An alternative is used if all of its fields have a value; fields for which the schema has a default do not count.
/// Token and client secret have to be `writeOnly` in the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialRequest {
    /// These, in this order.
    Alternatives(Vec<CredentialAlternative>),
    /// Those of the manifest's `[[credentials.NAME]]`.
    Named(String),
}

impl<'de> Deserialize<'de> for CredentialRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CredentialVisitor)
    }
}

/// By hand, since an untagged enum would lose what is wrong with an entry of a list.
struct CredentialVisitor;

impl<'de> Visitor<'de> for CredentialVisitor {
    type Value = CredentialRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a field such as `${config.token}`, the name of an entry of [credentials], or a list of alternatives",
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if !text.contains('$') {
            return Ok(CredentialRequest::Named(text.to_owned()));
        }
        let token = ConfigField::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(CredentialRequest::Alternatives(vec![CredentialAlternative::Bearer { token }]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        let alternatives = Vec::deserialize(SeqAccessDeserializer::new(sequence))?;
        if alternatives.is_empty() {
            return Err(A::Error::custom("`credential` lists no way to sign in: leave it out"));
        }
        Ok(CredentialRequest::Alternatives(alternatives))
    }
}

impl Serialize for CredentialRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => serializer.serialize_str(name),
            Self::Alternatives(alternatives) => match alternatives.as_slice() {
                [CredentialAlternative::Bearer { token }] => token.serialize(serializer),
                alternatives => alternatives.serialize(serializer),
            },
        }
    }
}

/// One way to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelling", into = "Spelling")]
pub enum CredentialAlternative {
    /// `Authorization: Bearer` with the value of a field.
    Bearer {
        /// Holds the token.
        token: ConfigField,
    },
    /// The same with the content of a file, which is read again when it changes.
    BearerFile {
        /// Holds the path of the file.
        token_file: ConfigField,
    },
    /// `Authorization: Basic` with the values of two fields (RFC 7617).
    Basic {
        /// Holds the name.
        username: ConfigField,
        /// Holds the password.
        password: ConfigField,
    },
    /// The same with the content of a file, which is read again when it changes.
    BasicFile {
        /// Holds the name.
        username: ConfigField,
        /// Holds the path of the file.
        password_file: ConfigField,
    },
    /// A bearer token from an OAuth 2.0 token endpoint (RFC 6749 §4.4).
    ClientCredentials(ClientCredentialsRequest),
}

/// OAuth 2.0 client credentials, as a manifest asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentialsRequest {
    /// Holds the identity.
    pub client_id: ConfigField,
    /// Holds what proves it.
    pub client_secret: ConfigField,
    /// Where both are exchanged for a token.
    pub endpoint: EndpointRequest,
    /// How they are sent there.
    pub authentication: ClientAuthentication,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
}

/// Where a manifest says the token endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointRequest {
    /// Named by the metadata (RFC 8414) at this path of the origin the request goes to; on that origin, or refused.
    Discovery(String),
    /// At this URL.
    Url(UrlTemplate),
}

/// How a client proves its identity at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    #[default]
    Basic,
    /// In the form.
    Post,
}

impl ClientAuthentication {
    /// As it stands in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
        }
    }
}

impl CredentialAlternative {
    /// Every field that has to hold a value, without repetition, the telling ones first.
    #[must_use]
    pub fn fields(&self) -> Vec<&ConfigField> {
        match self {
            Self::Bearer { token: field } | Self::BearerFile { token_file: field } => vec![field],
            Self::Basic { username, password: field } | Self::BasicFile { username, password_file: field } => {
                vec![username, field]
            }
            Self::ClientCredentials(request) => {
                let mut fields = vec![&request.client_id, &request.client_secret];
                if let EndpointRequest::Url(template) = &request.endpoint {
                    for field in template.fields() {
                        if !fields.contains(&field) {
                            fields.push(field);
                        }
                    }
                }
                fields
            }
        }
    }

    /// The field whose value would give whoever reads it the operator's access.
    pub(crate) const fn secret(&self) -> Option<&ConfigField> {
        match self {
            Self::Bearer { token } => Some(token),
            Self::Basic { password, .. } => Some(password),
            // A path: what it leads to is the secret, and no plugin can open it.
            Self::BearerFile { .. } | Self::BasicFile { .. } => None,
            Self::ClientCredentials(request) => Some(&request.client_secret),
        }
    }
}

/// For people who judge a plugin: what is sent, and where a token comes from.
impl fmt::Display for CredentialAlternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer { token } => write!(f, "the bearer token in {token}"),
            Self::BearerFile { token_file } => write!(f, "the bearer token in the file {token_file}"),
            Self::Basic { username, password } => write!(f, "the name and password in {username} and {password}"),
            Self::BasicFile { username, password_file } => {
                write!(f, "the name in {username} and the password in the file {password_file}")
            }
            Self::ClientCredentials(request) => {
                let ClientCredentialsRequest { client_id, client_secret, endpoint, authentication, .. } = request;
                write!(
                    f,
                    "an OAuth 2.0 token for {client_id} and {client_secret}, sent ({}) to ",
                    authentication.name()
                )?;
                match endpoint {
                    EndpointRequest::Discovery(path) => {
                        write!(f, "the endpoint named at {path} of the same origin")
                    }
                    EndpointRequest::Url(template) => template.fmt(f),
                }
            }
        }
    }
}

/// An alternative as it is written. What cannot be written cannot be meant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Spelling {
    #[serde(rename = "bearer")]
    Bearer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<ConfigField>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<ConfigField>,
    },
    #[serde(rename = "basic")]
    Basic {
        username: ConfigField,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<ConfigField>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password_file: Option<ConfigField>,
    },
    #[serde(rename = "oauth2_client_credentials")]
    ClientCredentials {
        client_id: ConfigField,
        client_secret: ConfigField,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        discovery: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_url: Option<String>,
        #[serde(default)]
        client_authentication: ClientAuthentication,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<String>,
    },
}

impl TryFrom<Spelling> for CredentialAlternative {
    type Error = InvalidCredential;

    fn try_from(spelling: Spelling) -> Result<Self, InvalidCredential> {
        match spelling {
            Spelling::Bearer { token: Some(token), token_file: None } => Ok(Self::Bearer { token }),
            Spelling::Bearer { token: None, token_file: Some(token_file) } => Ok(Self::BearerFile { token_file }),
            Spelling::Bearer { .. } => Err(InvalidCredential::Bearer),
            Spelling::Basic { username, password: Some(password), password_file: None } => {
                Ok(Self::Basic { username, password })
            }
            Spelling::Basic { username, password: None, password_file: Some(password_file) } => {
                Ok(Self::BasicFile { username, password_file })
            }
            Spelling::Basic { .. } => Err(InvalidCredential::Basic),
            Spelling::ClientCredentials {
                client_id,
                client_secret,
                discovery,
                token_url,
                client_authentication: authentication,
                scopes,
            } => {
                let endpoint = match (discovery, token_url) {
                    (Some(path), None) if is_path(&path) => EndpointRequest::Discovery(path),
                    (Some(path), None) => return Err(InvalidCredential::Discovery(path)),
                    (None, Some(url)) => EndpointRequest::Url(UrlTemplate::try_from(url)?),
                    _ => return Err(InvalidCredential::Endpoint),
                };
                if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
                    return Err(InvalidCredential::Scope(scope.clone()));
                }
                let request = ClientCredentialsRequest { client_id, client_secret, endpoint, authentication, scopes };
                Ok(Self::ClientCredentials(request))
            }
        }
    }
}

impl From<CredentialAlternative> for Spelling {
    fn from(alternative: CredentialAlternative) -> Self {
        match alternative {
            CredentialAlternative::Bearer { token } => Self::Bearer { token: Some(token), token_file: None },
            CredentialAlternative::BearerFile { token_file } => {
                Self::Bearer { token: None, token_file: Some(token_file) }
            }
            CredentialAlternative::Basic { username, password } => {
                Self::Basic { username, password: Some(password), password_file: None }
            }
            CredentialAlternative::BasicFile { username, password_file } => {
                Self::Basic { username, password: None, password_file: Some(password_file) }
            }
            CredentialAlternative::ClientCredentials(request) => {
                let (discovery, token_url) = match request.endpoint {
                    EndpointRequest::Discovery(path) => (Some(path), None),
                    EndpointRequest::Url(template) => (None, Some(template.to_string())),
                };
                Self::ClientCredentials {
                    client_id: request.client_id,
                    client_secret: request.client_secret,
                    discovery,
                    token_url,
                    client_authentication: request.authentication,
                    scopes: request.scopes,
                }
            }
        }
    }
}

/// Whether a text can follow an origin and be nothing but a path there.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\$".contains(&byte))
}

/// A scope token of RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

/// Not a way to sign in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// Two sources of one token, or none.
    #[error("a `bearer` credential has either `token` or `token_file`")]
    Bearer,
    /// Two sources of one password, or none.
    #[error("a `basic` credential has `username` and either `password` or `password_file`")]
    Basic,
    /// Two token endpoints, or none.
    #[error("an `oauth2_client_credentials` credential has either `discovery` or `token_url`")]
    Endpoint,
    /// Not a path.
    #[error("`discovery` is `{0}`, which is no path: it starts with `/` and has no query, fragment or field")]
    Discovery(String),
    /// Not a URL.
    #[error(transparent)]
    Url(#[from] InvalidUrlTemplate),
    /// Not a scope.
    #[error("`{0}` is no scope: write visible characters other than quotes and backslashes, one scope per entry")]
    Scope(String),
}
