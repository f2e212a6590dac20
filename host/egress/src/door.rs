//! One granted rule and the only client that can use it.
//!
//! A client per rule means that a connection cannot be reused under a rule with other addresses, and that a credential
//! is out of reach of every request but those its rule covers.

use bytes::Bytes;
use kiln_policy::{AddressScope, Credential, Denial, HttpRule, Method, Origin};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use crate::ambient::Lookup;
use crate::credentials::Credentials;
use crate::error::EgressError;
use crate::failure::{Failure, describe};
use crate::limits::EgressLimits;
use crate::resolver::{CheckedResolver, permitted};

const USER_AGENT: &str = concat!("kiln/", env!("CARGO_PKG_VERSION"));

/// A request that a rule covers.
pub(crate) struct Admitted<'a> {
    pub(crate) door: &'a Door,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

pub(crate) struct Door {
    pub(crate) origin: Origin,
    scope: AddressScope,
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
    connect_timeout: std::time::Duration,
}

impl Door {
    pub(crate) fn new(
        rule: &HttpRule,
        credentials: &Credentials,
        limits: &EgressLimits,
        lookup: Lookup,
    ) -> Result<Self, EgressError> {
        let origin = rule.origin.clone();
        let resolver = CheckedResolver { origin: origin.clone(), scope: rule.addresses.clone(), lookup };
        let client = reqwest::Client::builder()
            .dns_resolver(resolver)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(limits.connect_timeout)
            .pool_max_idle_per_host(usize::from(limits.concurrency.get()))
            .http1_max_headers(usize::from(limits.header_count))
            // HTTP/2 counts 32 bytes more for each header (RFC 9113 §6.5.2).
            .http2_max_header_list_size(limits.header_bytes.saturating_add(32 * u32::from(limits.header_count)));
        let client = if origin.is_https() {
            client.https_only(true)
        } else {
            // Plain HTTP must work on a machine that has no root certificates.
            client.tls_certs_only([])
        };
        let client = client.build().map_err(|error| EgressError::Client(describe(&error, &origin)))?;
        let authorization = match &rule.credential {
            Some(Credential::Bearer { token }) => credentials.authorization(token.path()),
            Some(Credential::BearerFile { .. } | Credential::ClientCredentials(_)) | None => None,
        };
        Ok(Self {
            origin,
            scope: rule.addresses.clone(),
            client,
            authorization: authorization.cloned(),
            connect_timeout: limits.connect_timeout,
        })
    }

    /// Judges a host that is an address and therefore never meets the resolver.
    pub(crate) fn check_literal(&self) -> Result<(), Denial> {
        let literal = self.origin.literal_address().into_iter().collect();
        permitted(&self.origin, &self.scope, literal).map(|_| ())
    }

    /// Sends the request once and waits for the head of the response.
    pub(crate) async fn send(&self, request: &Admitted<'_>) -> Result<reqwest::Response, Failure> {
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
        if let Some(authorization) = &self.authorization {
            outgoing.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        *outgoing.body_mut() = request.body.clone().map(reqwest::Body::from);
        let response = self.client.execute(outgoing).await;
        response.map_err(|error| Failure::of(&error, &self.origin, self.connect_timeout))
    }
}
