//! A client that cannot reach anything but one origin's permitted addresses.
//!
//! Plugins' requests and the host's own for tokens go through the same construction, so that what holds for one holds
//! for the other: addresses are checked where they are dialled, a proxy is asked only if one is configured, nothing is
//! followed by itself, heads are capped.

use std::sync::Arc;
use std::time::Duration;

use kiln_policy::{AddressScope, Denial, Origin, TlsFiles};
use kiln_telemetry::Protected;

use crate::ambient::Ambient;
use crate::error::EgressError;
use crate::failure::{Failure, describe};
use crate::limits::EgressLimits;
use crate::resolver::{CheckedResolver, permitted};
use crate::trust;

const USER_AGENT: &str = concat!("kiln/", env!("CARGO_PKG_VERSION"));

pub(crate) struct CheckedClient {
    pub(crate) origin: Origin,
    scope: AddressScope,
    client: reqwest::Client,
    connect_timeout: Duration,
    /// Of the proxy.
    _secrets: Vec<Protected>,
}

impl CheckedClient {
    pub(crate) fn new(
        origin: &Origin,
        scope: &AddressScope,
        tls: Option<&TlsFiles>,
        limits: &EgressLimits,
        ambient: &Ambient,
    ) -> Result<Self, EgressError> {
        let lookup = Arc::clone(&ambient.lookup);
        let proxy = ambient.proxies.of(origin, scope)?;
        let client = reqwest::Client::builder();
        let client = match &proxy {
            Some(proxy) => client.proxy(proxy.settings.clone()).dns_resolver(proxy.resolver(lookup)),
            None => {
                let discovery = ambient.discovery.clone();
                let resolver = CheckedResolver { origin: origin.clone(), scope: scope.clone(), lookup, discovery };
                client.no_proxy().dns_resolver(resolver)
            }
        };
        let client = client
            // Done where what comes in is counted before and after.
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(USER_AGENT)
            .connect_timeout(limits.connect_timeout)
            .pool_max_idle_per_host(usize::from(limits.concurrency.get()))
            .http1_max_headers(usize::from(limits.header_count))
            // HTTP/2 counts 32 bytes more for each header (RFC 9113 §6.5.2).
            .http2_max_header_list_size(limits.header_bytes.saturating_add(32 * u32::from(limits.header_count)));
        let client = if origin.is_https() {
            let client = client.https_only(true);
            match tls {
                Some(files) => trust::apply(client, files)
                    .map_err(|error| EgressError::TlsFile { origin: origin.clone(), error })?,
                None => client,
            }
        } else if proxy.as_ref().is_some_and(|proxy| proxy.is_https) {
            client
        } else {
            // Plain HTTP must work on a machine that has no root certificates.
            client.tls_certs_only([])
        };
        let client = client.build().map_err(|error| EgressError::Client(describe(&error, origin)))?;
        Ok(Self {
            origin: origin.clone(),
            scope: scope.clone(),
            client,
            connect_timeout: limits.connect_timeout,
            _secrets: proxy.map(|proxy| proxy.secrets).unwrap_or_default(),
        })
    }

    /// Judges a host that is an address and therefore never meets the resolver.
    pub(crate) fn check_literal(&self) -> Result<(), Denial> {
        let literal = self.origin.literal_address().into_iter().collect();
        permitted(&self.origin, &self.scope, literal).map(|_| ())
    }

    /// Whether whoever answers is on this machine.
    fn is_local(&self) -> bool {
        self.scope.is_found_by_host() || self.origin.literal_address().is_some_and(|address| address.is_loopback())
    }

    /// Begins a request; its URL has to be of the origin.
    pub(crate) fn request(&self, method: reqwest::Method, url: url::Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request once and waits for the head of the response.
    pub(crate) async fn execute(&self, request: reqwest::Request) -> Result<reqwest::Response, Failure> {
        let response = self.client.execute(request).await;
        response.map_err(|error| Failure::of(&error, &self.origin, self.is_local(), self.connect_timeout))
    }
}
