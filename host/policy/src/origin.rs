//! Scheme, host and port: the unit in which network access is requested and granted.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize, Serializer};
use url::{Host, Url};

use crate::origin_range::MAX_PORTS;

/// An HTTP origin as in RFC 6454, normalised: lower-case host, explicit port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    https: bool,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// Reads a URL that is nothing but an origin: `https://example.com` or `http://127.0.0.1:4040`.
    ///
    /// # Errors
    /// Anything else, with a sentence that names what is too much or missing.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|error| OriginError::NotAUrl(text.to_owned(), error))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(OriginError::MoreThanOrigin(text.to_owned()));
        }
        Self::of(&url)
    }

    /// The origin of any HTTP URL.
    ///
    /// # Errors
    /// The URL is not HTTP or carries a user name or password.
    pub fn of(url: &Url) -> Result<Self, OriginError> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(OriginError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::Credentials);
        }
        let host = url.host().ok_or(OriginError::NoHost)?.to_owned();
        let port = url.port().unwrap_or(if https { 443 } else { 80 });
        Ok(Self { https, host, port })
    }

    /// Where the server listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Scheme and host, as a URL begins with them.
    pub(crate) fn without_port(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.host)
    }

    pub(crate) fn with_port(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// Whether the host is a name that has to be looked up.
    pub(crate) fn is_name(&self) -> bool {
        self.literal_address().is_none()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The host as it is looked up; IPv6 addresses without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The address, where the host is one rather than a name. `localhost` counts as one: it never leaves the machine.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
                Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
            }
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default_port) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// Why a text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("`{0}` is no origin such as https://example.com: {1}")]
    NotAUrl(String, url::ParseError),
    /// Has a path, query or fragment.
    #[error("`{0}` is more than an origin: leave out everything after host and port")]
    MoreThanOrigin(String),
    /// Not HTTP.
    #[error("scheme `{0}` is not supported: use http or https")]
    Scheme(String),
    /// User name or password in the URL.
    #[error("a URL must not contain a user name or password")]
    Credentials,
    /// Not what Prometheus calls a target.
    #[error("`{0}` is neither a URL nor `host:port`")]
    NotAHost(String),
    /// Ports that are no range, or too many.
    #[error("`{0}` has no range of ports: write the lower one first, and at most {MAX_PORTS} of them")]
    PortRange(String),
    /// No host.
    #[error("the URL has no host")]
    NoHost,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        assert_eq!(Origin::parse("HTTPS://Example.COM/").unwrap(), Origin::parse("https://example.com:443").unwrap());
        assert_eq!(Origin::parse("http://[::1]:80").unwrap().to_string(), "http://[::1]");
        assert_eq!(Origin::parse("http://0x7f.1:4040").unwrap().to_string(), "http://127.0.0.1:4040");
    }

    #[test]
    fn scheme_and_port_do_matter() {
        let https = Origin::parse("https://example.com").unwrap();
        assert_ne!(https, Origin::parse("http://example.com").unwrap());
        assert_ne!(https, Origin::parse("https://example.com:8443").unwrap());
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        for text in ["example.com", "https://", "ftp://example.com", "https://a:b@example.com", "https://example.com/x"]
        {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
