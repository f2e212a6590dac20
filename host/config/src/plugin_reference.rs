//! Which plugin an instance runs: by name, by name and version, or by where it is fetched and what it must be.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use kiln_policy::{Digest, PluginName};
use url::{Host, Url};

/// What `plugin` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginReference {
    /// A plugin of the plugins directory.
    Named {
        /// Its name.
        name: PluginName,
        /// Its version, where there may be several.
        version: Option<String>,
    },
    /// A file that is fetched once, by the operator's explicit choice.
    Fetched {
        /// Where it is; without the digest.
        url: Url,
        /// What it has to be.
        digest: Digest,
    },
}

impl PluginReference {
    /// The name, if it says one.
    #[must_use]
    pub const fn name(&self) -> Option<&PluginName> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Fetched { .. } => None,
        }
    }

    /// Whether a file with this name, version and digest is what is meant.
    #[must_use]
    pub fn means(&self, name: &PluginName, version: &str, digest: &Digest) -> bool {
        match self {
            Self::Named { name: wanted, version: of } => {
                wanted == name && of.as_deref().is_none_or(|wanted| wanted == version)
            }
            Self::Fetched { digest: wanted, .. } => wanted == digest,
        }
    }
}

impl From<PluginName> for PluginReference {
    fn from(name: PluginName) -> Self {
        Self::Named { name, version: None }
    }
}

/// Without the query of a URL, which may hold a secret.
impl fmt::Display for PluginReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, version: None } => write!(f, "{name}"),
            Self::Named { name, version: Some(version) } => write!(f, "{name}@{version}"),
            Self::Fetched { url, digest } => {
                let mut shown = url.clone();
                shown.set_query(url.query().map(|_| "…"));
                write!(f, "{shown}#sha256={}", digest.hex())
            }
        }
    }
}

impl FromStr for PluginReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return fetched(text);
        }
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let name = PluginName::try_from(name.to_owned()).map_err(|_| InvalidReference::Name)?;
        let is_version = |version: &&str| {
            !version.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c))
        };
        if version.is_some_and(|version| !is_version(&version)) {
            return Err(InvalidReference::Version);
        }
        Ok(Self::Named { name, version: version.map(str::to_owned) })
    }
}

fn fetched(text: &str) -> Result<PluginReference, InvalidReference> {
    let mut url = Url::parse(text).map_err(|_| InvalidReference::Url)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(InvalidReference::Unencrypted),
        _ => return Err(InvalidReference::Url),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidReference::Credentials);
    }
    let digits = url.fragment().and_then(|fragment| fragment.strip_prefix("sha256="));
    let digest = digits.and_then(|digits| format!("sha256:{digits}").parse().ok()).ok_or(InvalidReference::NoDigest)?;
    url.set_fragment(None);
    Ok(PluginReference::Fetched { url, digest })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// Why a text says no plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Not a name.
    #[error(
        "the part before `/`, or `plugin` if given, must be the name of a plugin: lower-case letters, digits and `-`; with a \
         version as in `databricks@0.2.0`, or a URL as in `https://…/databricks.wasm#sha256=…`"
    )]
    Name,
    /// Nothing that could be a version.
    #[error("what follows `@` must be a version, as in `databricks@0.2.0`")]
    Version,
    /// Not a URL a plugin can be fetched from.
    #[error("a plugin can be fetched from an https URL, as in `https://…/databricks.wasm#sha256=…`")]
    Url,
    /// Nobody should see or change it on the way.
    #[error("a plugin is not fetched over http, where everybody can see what is asked for: use https")]
    Unencrypted,
    /// The URL is shown in logs.
    #[error("the URL of a plugin must not hold a name or password: it appears in the log")]
    Credentials,
    /// A URL may give another file tomorrow.
    #[error(
        "the URL of a plugin must end in its digest, `#sha256=` and 64 hexadecimal digits: `sha256sum FILE` says them, and \
         `kiln plugin inspect FILE` what it can do"
    )]
    NoDigest,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF";

    #[test]
    fn names_versions_and_urls_are_told_apart() {
        for text in ["databricks", "databricks@0.2.0", "x@1.0.0-rc.1+build_7"] {
            assert_eq!(text.parse::<PluginReference>().unwrap().to_string(), text);
        }
        for url in ["https://h.example/a.wasm", "http://127.0.0.1:8000/a", "http://[::1]/a", "http://localhost/a"] {
            let reference: PluginReference = format!("{url}#sha256={DIGITS}").parse().unwrap();
            assert_eq!(reference.to_string(), format!("{url}#sha256={}", DIGITS.to_lowercase()));
            assert_eq!(reference.name(), None);
        }
        let signed: PluginReference = format!("https://h.example/a?token=s3cret#sha256={DIGITS}").parse().unwrap();
        assert!(!signed.to_string().contains("s3cret"), "{signed}");
        let digits = &DIGITS[1..];
        for (text, expected) in [
            ("Databricks", InvalidReference::Name),
            ("", InvalidReference::Name),
            ("a@", InvalidReference::Version),
            ("a@1 2", InvalidReference::Version),
            ("a@1@2", InvalidReference::Version),
            ("ftp://h/a#sha256=", InvalidReference::Url),
            ("https://", InvalidReference::Url),
            ("http://h.example/a#sha256=", InvalidReference::Unencrypted),
            ("http://127.0.0.1.example/a", InvalidReference::Unencrypted),
            ("https://me:secret@h/a", InvalidReference::Credentials),
            ("https://h/a.wasm", InvalidReference::NoDigest),
            (&format!("https://h/a.wasm#sha256={digits}"), InvalidReference::NoDigest),
            (&format!("https://h/a.wasm#sha512={DIGITS}"), InvalidReference::NoDigest),
        ] {
            assert_eq!(text.parse::<PluginReference>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_version_means_one_file_and_a_name_any() {
        let (name, digest) = (PluginName::try_from("a".to_owned()).unwrap(), Digest::of(b"a"));
        let means = |text: &str| text.parse::<PluginReference>().unwrap().means(&name, "1.0", &digest);
        assert!(means("a") && means("a@1.0") && !means("a@1") && !means("b"));
        assert!(
            means(&format!("https://h/#sha256={}", digest.hex())) && !means(&format!("https://h/#sha256={DIGITS}"))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_back_as_the_same(text in "[ -~é]{0,30}") {
            for text in [text.clone(), format!("https://{text}#sha256={DIGITS}"), format!("a@{text}")] {
                // A query is not shown, and so does not read back.
                let shown = !text.contains('?');
                if let Some(reference) = text.parse::<PluginReference>().ok().filter(|_| shown) {
                    prop_assert_eq!(reference.to_string().parse(), Ok(reference));
                }
            }
        }
    }
}
