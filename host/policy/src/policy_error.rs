//! Why an instance cannot have the policy its plugin asks for, and what would change that.
//!
//! Each sentence names the fields or the origin and ends in what to do; where a grant is missing it is printed as it has
//! to be written. No value of a secret can be in one: a policy never learns any.

use crate::address::AddressDenied;
use crate::file_pattern::FilePattern;
use crate::files::{GuestPath, VariableName};
use crate::missing_grant::MissingGrant;
use crate::origin::{Origin, OriginError};
use crate::origin_range::OriginRange;
use crate::request::ConfigField;
use crate::url_template::Misfit;
use crate::visible::Visible;

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
    /// The configuration does not hold an origin where one is needed.
    #[error("`{path}`: {error}")]
    InvalidOrigin {
        /// Where it stands, for example `scrape_configs[0].targets[2]`.
        path: String,
        /// What is wrong with its value.
        error: OriginError,
    },
    /// More than one instance should reach.
    #[error("`{path}` holds more than {limit} origins: spread them over several instances", path = field.path())]
    TooManyOrigins {
        /// The field.
        field: ConfigField,
        /// How many there may be.
        limit: usize,
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
    /// Certificates for a place where nobody shows any.
    #[error("`grants.http` has `tls` for {origins}, where there is no TLS: write https, or remove `tls`")]
    TlsWithoutHttps {
        /// Scheme, host and ports.
        origins: OriginRange,
    },
    /// The address is left to the host where the configuration says what it is.
    #[error(
        "`grants.http` has `addresses: [spark_ui]` for {origins}: write that alone, for a name without a port such as \
         http://spark-ui.internal, because Kiln finds address and port by itself"
    )]
    MisplacedSparkUi {
        /// Scheme, host and ports.
        origins: OriginRange,
    },
    /// State is requested and withheld.
    #[error(
        "requests state ({}), which is not granted; to grant it, add\n    grants:\n      state: true",
        Visible(reason)
    )]
    StateNotGranted {
        /// The reason the manifest gives.
        reason: String,
    },
    /// A directory is requested and not granted.
    #[error(
        "requests files of {guest} ({reason}), namely {list}, which are not granted; to grant them, read-only, add\n    grants:\n      \
         files: [ {{ host: {guest}, guest: {guest} }} ]",
        list = list(paths)
    )]
    FilesNotGranted {
        /// The directory, as the plugin calls it.
        guest: GuestPath,
        /// The files of it.
        paths: Vec<FilePattern>,
        /// The reasons the manifest gives.
        reason: String,
    },
    /// Two directories are granted for one.
    #[error("`grants.files` has two entries for {guest}: keep one")]
    FilesGrantedTwice {
        /// The directory, as the plugin calls it.
        guest: GuestPath,
    },
    /// Environment variables are requested and not granted.
    #[error(
        "requests {}, which {} not granted; to grant {}, add\n    grants:\n      env: [ {} ]",
        wanted_variables(variables),
        if variables.len() == 1 { "is" } else { "are" },
        if variables.len() == 1 { "it" } else { "them" },
        variable_names(variables)
    )]
    VariablesNotGranted {
        /// Their names, each with the reason the manifest gives.
        variables: Vec<(VariableName, String)>,
    },
}

impl PolicyError {
    /// Adds an error to others, where it says something new. Grants that are missing for the same reason are told of
    /// together, and requests that share a credential share what is wrong with it.
    pub(crate) fn merge(errors: &mut Vec<Self>, error: Self) {
        if errors.contains(&error) {
            return;
        }
        if let Self::NotGranted(more) = &error {
            let alike = errors.iter_mut().find_map(|error| match error {
                Self::NotGranted(missing) if missing.is_like(more) => Some(missing),
                _ => None,
            });
            if let Some(missing) = alike {
                missing.origins.extend(more.origins.iter().cloned());
                return;
            }
        }
        errors.push(error);
    }

    /// Whether the operator's settings contradict themselves, whatever is granted.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::FilesGrantedTwice { .. }
            | Self::PartialCredential { .. }
            | Self::AmbiguousCredential { .. }
            | Self::TlsWithoutHttps { .. }
            | Self::MisplacedSparkUi { .. }
            | Self::TokenUrl(_)
            | Self::TokenOrigin(_) => true,
            Self::NotGranted(_)
            | Self::AddressNever { .. }
            | Self::InvalidOrigin { .. }
            | Self::TooManyOrigins { .. }
            | Self::VisibleSecret { .. }
            | Self::MisplacedMetadata { .. }
            | Self::InsecureTokenEndpoint { .. }
            | Self::FilesNotGranted { .. }
            | Self::VariablesNotGranted { .. }
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

/// Variables with their reasons; those that follow one another with the same reason share it.
fn wanted_variables(variables: &[(VariableName, String)]) -> String {
    let groups = variables.chunk_by(|(_, before), (_, reason)| before == reason);
    let groups = groups.map(|group| {
        let reason = group.first().map_or("", |(_, reason)| reason.as_str());
        format!("{} ({reason})", variable_names(group))
    });
    let kind = if variables.len() == 1 { "the environment variable" } else { "the environment variables" };
    format!("{kind} {}", groups.collect::<Vec<_>>().join(", "))
}

fn variable_names(variables: &[(VariableName, String)]) -> String {
    variables.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// `a, b, c`, as one reads what a rule covers.
fn list(paths: &[FilePattern]) -> String {
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    paths.join(", ")
}

/// `a`, `b` and `c`.
fn names(fields: &[ConfigField]) -> String {
    let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.path())).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some(_) | None => names.concat(),
    }
}
