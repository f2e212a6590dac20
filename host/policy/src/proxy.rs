//! Through which proxy requests of plugins go, if through any.
//!
//! A proxy resolves names itself, so what it dials cannot be checked here: only requests that may go to any public address
//! are left to it. What is granted as private, as loopback or as a block is dialled directly, and checked.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::address::AddressScope;

/// Whom requests to public addresses are handed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyRule {
    /// Nobody.
    #[default]
    Direct,
    /// Whom `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment name.
    System,
    /// This proxy, always.
    Url(ProxyUrl),
}

impl ProxyRule {
    /// Whether requests under a grant of these addresses are for the proxy.
    #[must_use]
    pub fn concerns(&self, addresses: &AddressScope) -> bool {
        *self != Self::Direct && *addresses == AddressScope::public()
    }
}

impl FromStr for ProxyRule {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "system" => Ok(Self::System),
            text => ProxyUrl::parse(text).map(Self::Url),
        }
    }
}

/// Without name and password.
impl fmt::Display for ProxyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("no proxy"),
            Self::System => f.write_str("the proxy of the environment"),
            Self::Url(proxy) => write!(f, "the proxy {proxy}"),
        }
    }
}

/// Scheme, host and port of a proxy, and perhaps a name and password for it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy)?;
        let is_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        match (url.scheme(), url.has_host(), is_origin) {
            ("http" | "https", true, true) => Ok(Self(url)),
            _ => Err(InvalidProxy),
        }
    }

    /// The whole of it; a name and password are in it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

/// Without name and password.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No proxy can be called so. Does not repeat what was written, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `system`, or scheme, host and port such as http://proxy.example:3128")]
pub struct InvalidProxy;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::address::AddressRule;

    #[test]
    fn a_proxy_is_an_origin_and_shows_no_password() {
        for proxy in ["http://proxy.example:3128", "https://proxy.example/", "http://[::1]:8080", "http://10.0.0.1"] {
            assert!(matches!(proxy.parse(), Ok(ProxyRule::Url(_))), "{proxy}");
        }
        for other in
            ["", "direct", "proxy.example:3128", "socks5://proxy.example", "http://p/?a", "http://p/a", "http://"]
        {
            assert_eq!(other.parse::<ProxyRule>(), Err(InvalidProxy), "{other}");
        }
        let proxy: ProxyRule = "http://me:secret@proxy.example:3128".parse().unwrap();
        assert_eq!(proxy.to_string(), "the proxy http://proxy.example:3128");
        assert_eq!(format!("{proxy:?}"), "Url(http://proxy.example:3128)");
    }

    #[test]
    fn only_what_may_go_anywhere_public_is_for_a_proxy() {
        let scope = |rules: &[&str]| {
            rules.iter().map(|rule| AddressRule::try_from((*rule).to_owned()).unwrap()).collect::<AddressScope>()
        };
        assert!(ProxyRule::System.concerns(&AddressScope::public()));
        assert!(!ProxyRule::Direct.concerns(&AddressScope::public()));
        for rules in [&["loopback"][..], &["private"], &["public", "private"], &["203.0.113.0/24"], &[]] {
            assert!(!ProxyRule::System.concerns(&scope(rules)), "{rules:?}");
        }
    }
}
