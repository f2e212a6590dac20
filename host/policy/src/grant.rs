//! What the operator gives.

use serde::{Deserialize, Serialize};

use crate::address::AddressScope;
use crate::config_line::ConfigLine;
use crate::files::{FilesGrant, GuestPath, VariableName};
use crate::origin::Origin;
use crate::origin_range::OriginRange;
use crate::path::PathPattern;
use crate::request::Method;
use crate::tls_files::TlsFiles;

/// The `grants:` of an instance. Keys that would not be enforced are not accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Outbound HTTP, one entry per origin.
    pub http: Vec<HttpGrant>,
    /// Directories, to read and nothing else, one entry for each directory the plugin requests.
    pub files: Vec<FilesGrant>,
    /// Names of environment variables.
    pub env: Vec<VariableName>,
    /// Whether state may be kept. Unset: yes, unless `policy.explicit_grants` asks for every grant to be spelled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<bool>,
    /// Where those of them are written that cannot say so themselves.
    #[serde(skip)]
    pub written: WrittenGrants,
}

/// Where grants stand in a file, if they are in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenGrants {
    /// The entries of `files`, in their order.
    pub files: Vec<ConfigLine>,
    /// The entries of `env`, in their order.
    pub env: Vec<ConfigLine>,
    /// The value of `state`.
    pub state: Option<ConfigLine>,
}

impl Grants {
    /// Where it is written that this directory of the plugin's is granted.
    #[must_use]
    pub fn written_files(&self, guest: &GuestPath) -> Option<&ConfigLine> {
        let index = self.files.iter().position(|grant| grant.guest() == guest.as_str())?;
        self.written.files.get(index)
    }

    /// Where it is written that this variable is granted.
    #[must_use]
    pub fn written_env(&self, name: &VariableName) -> Option<&ConfigLine> {
        let index = self.env.iter().position(|granted| granted == name)?;
        self.written.env.get(index)
    }
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
    /// How many redirects may be followed from here; none if absent.
    #[serde(default, skip_serializing_if = "Redirects::is_none")]
    pub redirects: Redirects,
    /// Whom to trust there and who to be, if that is not the platform's affair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
}

impl HttpGrant {
    /// What typing an origin into the configuration grants.
    pub(crate) fn derived(origin: Origin) -> Self {
        Self {
            origin: origin.into(),
            addresses: AddressScope::public(),
            methods: None,
            paths: None,
            redirects: Redirects::default(),
            tls: None,
            written: None,
        }
    }
}

/// How many redirects in a row are followed: at most three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Redirects(u8);

impl Redirects {
    const MOST: u8 = 3;

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether redirects are answers and nothing else.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u64> for Redirects {
    type Error = TooManyRedirects;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        u8::try_from(number).ok().filter(|it| *it <= Self::MOST).map(Self).ok_or(TooManyRedirects(number))
    }
}

impl From<Redirects> for u64 {
    fn from(redirects: Redirects) -> Self {
        redirects.0.into()
    }
}

/// More redirects than can be granted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`redirects` is {0}: at most {most} in a row can be granted", most = Redirects::MOST)]
pub struct TooManyRedirects(u64);
