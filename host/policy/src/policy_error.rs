//! Why an instance cannot have the policy its plugin asks for, and what would change that.
//!
//! Each sentence names the fields or the origin and ends in what to do; where a grant is missing it is printed as it has
//! to be written. No value of a secret can be in one: a policy never learns any.

use std::fmt;

use crate::address::AddressDenied;
use crate::origin::{Origin, OriginError};
use crate::path::PathPattern;
use crate::request::{ConfigField, HttpRequest, Method};
use crate::url_template::Misfit;

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
    /// A way to sign in is configured in part.
    #[error("{}", partial(set, missing))]
    PartialCredential {
        /// The fields that have a value.
        set: Vec<ConfigField>,
        /// The fields that need one as well.
        missing: Vec<ConfigField>,
    },
    /// Two ways to sign in are configured.
    #[error(
        "{first} and {second} are two ways to sign in: keep one and remove the other",
        first = names(first),
        second = names(second)
    )]
    AmbiguousCredential {
        /// The fields of one.
        first: Vec<ConfigField>,
        /// The fields of another.
        second: Vec<ConfigField>,
    },
    /// The plugin would see what only the host may.
    #[error(
        "signs in with `{path}`, which its schema does not mark `writeOnly`, so that the plugin would see it; this is a \
         defect of the plugin, tell its author",
        path = field.path()
    )]
    VisibleSecret {
        /// The field.
        field: ConfigField,
    },
    /// The token endpoint's URL cannot be put together.
    #[error("{0}")]
    TokenUrl(Misfit),
    /// The token endpoint's URL is not one that could be granted.
    #[error("the URL of the token endpoint: {0}")]
    TokenOrigin(OriginError),
    /// The path of the metadata leads elsewhere.
    #[error("looks for its token endpoint at `{path}`, which is not a path of {origin}")]
    MisplacedMetadata {
        /// Where the request goes.
        origin: Origin,
        /// The path.
        path: String,
    },
    /// A secret would be sent for everybody to read.
    #[error(
        "would send `{path}` unencrypted to {origin}: use https; if nobody else can listen, add\n    grants:\n      \
         http: [ {{ origin: \"{origin}\" }} ]",
        path = client_secret.path()
    )]
    InsecureTokenEndpoint {
        /// Scheme, host and port.
        origin: Origin,
        /// The field.
        client_secret: ConfigField,
    },
    /// State is requested and withheld.
    #[error("requests state ({reason}), which is not granted; to grant it, add\n    grants:\n      state: true")]
    StateNotGranted {
        /// The reason the manifest gives.
        reason: String,
    },
}

impl PolicyError {
    /// Whether the operator's settings contradict themselves, whatever is granted.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::PartialCredential { .. }
            | Self::AmbiguousCredential { .. }
            | Self::TokenUrl(_)
            | Self::TokenOrigin(_) => true,
            Self::NotGranted(_)
            | Self::AddressNever { .. }
            | Self::InvalidOrigin { .. }
            | Self::VisibleSecret { .. }
            | Self::MisplacedMetadata { .. }
            | Self::InsecureTokenEndpoint { .. }
            | Self::StateNotGranted { .. } => false,
        }
    }
}

fn partial(set: &[ConfigField], missing: &[ConfigField]) -> String {
    let is = |fields: &[ConfigField]| if fields.len() == 1 { "is" } else { "are" };
    let (there, absent) = (names(set), names(missing));
    format!(
        "{there} {} set and {absent} {} not: to sign in with {there}, set {absent} too; to sign in another way, remove \
         {there}",
        is(set),
        is(missing)
    )
}

/// `a`, `b` and `c`.
fn names(fields: &[ConfigField]) -> String {
    let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.path())).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some(_) | None => names.concat(),
    }
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
    pub(crate) fn new(origin: &Origin, request: &HttpRequest, denied: Option<AddressDenied>) -> Self {
        Self {
            origin: origin.clone(),
            reason: request.reason.clone(),
            denied,
            methods: request.methods.clone(),
            paths: request.paths.clone(),
        }
    }

    /// One that need not name methods and paths.
    pub(crate) fn of_origin(origin: &Origin, reason: String, denied: Option<AddressDenied>) -> Self {
        Self { origin: origin.clone(), reason, denied, methods: Vec::new(), paths: Vec::new() }
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
        write!(f, "; to grant it, add\n    grants:\n      http: [ {{ origin: \"{}\"{addresses}", self.origin)?;
        if !self.methods.is_empty() {
            let methods: Vec<_> = self.methods.iter().map(ToString::to_string).collect();
            let paths: Vec<_> = self.paths.iter().map(|path| format!("\"{path}\"")).collect();
            write!(f, ", methods: [{}], paths: [{}]", methods.join(", "), paths.join(", "))?;
        }
        f.write_str(" } ]")
    }
}
