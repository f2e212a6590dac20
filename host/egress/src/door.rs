//! One granted rule and the only client that can use it.
//!
//! A client per rule means that a connection cannot be reused under a rule with other addresses, and that a credential
//! is out of reach of every request but those its rule covers.

use std::sync::Arc;

use bytes::Bytes;
use kiln_policy::{Denial, HttpRule, Method, Origin};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use url::Url;

use crate::ambient::Ambient;
use crate::client::CheckedClient;
use crate::error::EgressError;
use crate::failure::Failure;
use crate::limits::EgressLimits;
use crate::rate::RateLimit;
use crate::token::{NoToken, TokenSource};

/// A request that a rule covers.
pub(crate) struct Admitted<'a> {
    pub(crate) door: &'a Door,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// How many redirects may still be followed.
    pub(crate) redirects: u8,
    /// Whether a redirect has led it to another origin than the plugin named: then it goes without a credential.
    pub(crate) has_strayed: bool,
}

pub(crate) struct Door {
    client: CheckedClient,
    /// Shared by the rules of one origin that sign in the same way.
    tokens: Option<Arc<TokenSource>>,
    /// Shared by the rules of one origin.
    pub(crate) rate: Arc<RateLimit>,
    pub(crate) redirects: u8,
}

impl Door {
    pub(crate) fn new(
        rule: &HttpRule,
        tokens: Option<Arc<TokenSource>>,
        rate: Arc<RateLimit>,
        limits: &EgressLimits,
        ambient: &Ambient,
    ) -> Result<Self, EgressError> {
        let client = CheckedClient::new(&rule.origin, &rule.addresses, rule.tls.as_ref(), limits, ambient)?;
        Ok(Self { client, tokens, rate, redirects: rule.redirects.get() })
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.client.origin
    }

    /// Judges a host that is an address and therefore never meets the resolver.
    pub(crate) fn check_literal(&self) -> Result<(), Denial> {
        self.client.check_literal()
    }

    /// What to send as `Authorization` now; `None` where requests go without.
    pub(crate) async fn authorization(&self) -> Result<Option<HeaderValue>, NoToken> {
        match &self.tokens {
            Some(tokens) => tokens.authorization().await.map(Some),
            None => Ok(None),
        }
    }

    /// The server did not accept `refused`: whether there is reason to believe that it will accept what
    /// [`Door::authorization`] returns next.
    pub(crate) async fn replace(&self, refused: &HeaderValue) -> bool {
        match &self.tokens {
            Some(tokens) => tokens.replace(refused).await,
            None => false,
        }
    }

    /// Sends the request once and waits for the head of the response.
    pub(crate) async fn send(
        &self,
        request: &Admitted<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Response, Failure> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut outgoing = reqwest::Request::new(method, request.url.clone());
        *outgoing.headers_mut() = request.headers.clone();
        let headers = outgoing.headers_mut();
        if !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(authorization) = authorization {
            outgoing.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        *outgoing.body_mut() = request.body.clone().map(reqwest::Body::from);
        self.client.execute(outgoing).await
    }

    /// Waits for a token that is being fetched.
    #[cfg(test)]
    pub(crate) async fn settle(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.settle().await;
        }
    }
}
