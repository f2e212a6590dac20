//! The proxy a request is handed to, where the operator has configured one.
//!
//! A request that goes through a proxy is judged like any other but for its addresses, which the proxy looks up. The proxy
//! is the operator's: its own address is not judged.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use kiln_policy::{AddressScope, Origin, ProxyRule};
use kiln_telemetry::{Protected, Redaction};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;

use crate::ambient::Lookup;
use crate::error::EgressError;
use crate::failure::describe;

/// Which origins have a proxy.
pub(crate) struct Proxies {
    rule: ProxyRule,
    matcher: Option<Matcher>,
    redaction: Redaction,
}

impl Proxies {
    /// Reads the environment, if that is what the rule says.
    pub(crate) fn new(rule: ProxyRule, redaction: &Redaction) -> Self {
        let matcher = match &rule {
            ProxyRule::Direct => None,
            ProxyRule::System => Some(Matcher::from_env()),
            ProxyRule::Url(proxy) => Some(Matcher::builder().all(proxy.url().as_str()).build()),
        };
        Self { rule, matcher, redaction: redaction.clone() }
    }

    /// The proxy for requests to `origin` under a grant of `addresses`.
    pub(crate) fn of(&self, origin: &Origin, addresses: &AddressScope) -> Result<Option<Proxy>, EgressError> {
        let matcher = self.matcher.as_ref().filter(|_| self.rule.concerns(addresses));
        let uri = origin.to_string().parse::<hyper::Uri>().ok();
        let intercept = matcher.zip(uri).and_then(|(matcher, uri)| matcher.intercept(&uri));
        intercept.map(|intercept| Proxy::new(&intercept, origin, &self.redaction)).transpose()
    }
}

/// A proxy, and how to sign in there.
pub(crate) struct Proxy {
    /// For the client.
    pub(crate) settings: reqwest::Proxy,
    /// Whether it is spoken to over TLS.
    pub(crate) is_https: bool,
    host: String,
    /// The password, for as long as it is of use.
    pub(crate) secrets: Vec<Protected>,
}

impl Proxy {
    fn new(intercept: &Intercept, origin: &Origin, redaction: &Redaction) -> Result<Self, EgressError> {
        let uri = intercept.uri();
        let unusable = |reason: &str| EgressError::Proxy { proxy: uri.to_string(), reason: reason.to_owned() };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unusable("only proxies at http:// and https:// are spoken to"));
        }
        let settings = reqwest::Proxy::all(uri.to_string()).map_err(|error| unusable(&describe(&error, origin)))?;
        let (settings, secrets) = match intercept.basic_auth() {
            Some(authorization) => {
                (settings.custom_http_auth(authorization.clone()), protect(authorization, redaction))
            }
            None => (settings, Vec::new()),
        };
        let host = uri.host().unwrap_or_default().to_owned();
        Ok(Self { settings, is_https: uri.scheme_str() == Some("https"), host, secrets })
    }

    /// Finds the proxy and nobody else.
    pub(crate) fn resolver(&self, lookup: Lookup) -> ProxyResolver {
        ProxyResolver { host: self.host.clone(), lookup }
    }
}

/// Keeps both forms of the password out of logs and errors.
fn protect(authorization: &HeaderValue, redaction: &Redaction) -> Vec<Protected> {
    let encoded = authorization.to_str().ok().and_then(|value| value.strip_prefix("Basic "));
    let Some(encoded) = encoded else { return Vec::new() };
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let password = decoded.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
    std::iter::once(encoded).chain(password).map(|secret| redaction.protect(secret)).collect()
}

pub(crate) struct ProxyResolver {
    host: String,
    lookup: Lookup,
}

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        if !name.as_str().eq_ignore_ascii_case(&self.host) {
            let text = format!("{} is not the proxy, and nothing else is dialled", name.as_str());
            return Box::pin(std::future::ready(Err(io::Error::other(text).into())));
        }
        let addresses = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            // Port 0 stands for the port of the URL.
            let addresses = addresses.await?.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
