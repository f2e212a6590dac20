//! The way to where a signal goes: a client, a URL, and the headers an operator has set.

use std::time::Duration;

use bytes::Bytes;
use kiln_config::{Compression, Destination, Encoding, Secret};
use kiln_otlp::PerSignal;
use kiln_telemetry::metrics::DropReason;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use reqwest::{Client, RequestBuilder};
use url::Url;

use crate::answer::harmless;
use crate::attempt::Outcome;
use crate::client::{InvalidClient, Purpose, root_cause};

/// Shorter values are too likely to be part of ordinary words to be blotted out of messages.
const MIN_SECRET: usize = 8;

/// Where one signal goes.
pub(crate) struct Route {
    client: Client,
    url: Url,
    headers: HeaderMap,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    pub(crate) timeout: Duration,
    /// What must not show when a backend quotes it.
    pub(crate) secrets: Vec<String>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Header values are marked as sensitive and show as such; the URL may carry a credential.
        f.debug_struct("Route").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// Settings that cannot be sent with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRoute {
    /// Not a header name.
    #[error("`headers`: `{0}` is not the name of a header")]
    HeaderName(String),
    /// Not a header value; the value itself is a secret.
    #[error("`headers`: the value of `{0}` holds characters that a header cannot carry")]
    HeaderValue(String),
    /// OTLP or HTTP decides this header.
    #[error("`headers`: `{0}` is set by the exporter itself, remove it")]
    ReservedHeader(String),
    /// Its certificates or its proxy cannot be used.
    #[error(transparent)]
    Client(#[from] InvalidClient),
}

/// The routes of an exporter. Connections are shared by what trusts the same.
pub(crate) fn routes(
    destinations: &PerSignal<Destination>,
    proxy: Option<&Secret>,
    is_http2: bool,
) -> Result<PerSignal<Route>, InvalidRoute> {
    let mut clients: Vec<(&Destination, Client)> = Vec::new();
    PerSignal::try_new(|signal| {
        let destination = destinations.of(signal);
        let is_alike =
            |other: &Destination| other.tls == destination.tls && other.url.scheme() == destination.url.scheme();
        let client = match clients.iter().find(|(other, _)| is_alike(other)) {
            Some((_, client)) => client.clone(),
            None => {
                let is_tls = destination.url.scheme() == "https";
                Purpose { tls: &destination.tls, proxy, is_tls, is_http2 }.client()?
            }
        };
        clients.push((destination, client.clone()));
        Route::new(destination, client)
    })
}

impl Route {
    fn new(destination: &Destination, client: Client) -> Result<Self, InvalidRoute> {
        Ok(Self {
            client,
            url: destination.url.clone(),
            headers: header_map(destination)?,
            encoding: destination.encoding,
            compression: destination.compression,
            timeout: destination.timeout,
            secrets: destination.headers.iter().flat_map(|(_, value)| secrets(value)).collect(),
        })
    }

    /// A request with the operator's headers.
    pub(crate) fn post(&self, body: Bytes) -> RequestBuilder {
        self.client.post(self.url.clone()).headers(self.headers.clone()).timeout(self.timeout).body(body)
    }

    /// What a request came to that has no answer. Without the URL, which may carry a credential, but with the host.
    pub(crate) fn unanswered(&self, error: &reqwest::Error) -> Outcome {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let cause = if error.is_connect() {
            format!("cannot connect to {host}:{port}: {}", root_cause(error))
        } else if error.is_timeout() {
            format!("no answer from {host}:{port} within {}", humantime::format_duration(self.timeout))
        } else {
            format!("no answer from {host}:{port}: {}", root_cause(error))
        };
        let cause = harmless(&cause, &self.secrets);
        if error.is_builder() {
            Outcome::failed(DropReason::Rejected, cause)
        } else {
            Outcome::Retry { cause, told: None }
        }
    }
}

/// The headers an operator has set.
fn header_map(destination: &Destination) -> Result<HeaderMap, InvalidRoute> {
    let mut headers = HeaderMap::new();
    for (name, value) in &destination.headers {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), InvalidRoute> {
    let key: HeaderName = name.parse().map_err(|_| InvalidRoute::HeaderName(name.to_owned()))?;
    let reserved = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, CONNECTION, HOST, TRANSFER_ENCODING];
    if reserved.contains(&key) {
        return Err(InvalidRoute::ReservedHeader(name.to_owned()));
    }
    let mut value: HeaderValue = value.expose().parse().map_err(|_| InvalidRoute::HeaderValue(name.to_owned()))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// The value, and the credential in it if it has the form `Bearer …`.
fn secrets(value: &Secret) -> impl Iterator<Item = String> + use<'_> {
    let whole = value.expose().trim();
    let credential = whole.split_once(' ').map_or(whole, |(_, credential)| credential.trim());
    [whole, credential].into_iter().filter(|text| text.len() >= MIN_SECRET).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use kiln_config::Tls;

    use super::*;

    fn destination(headers: &[(&str, &str)]) -> Destination {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let url = "https://user:hunter22@otlp.example.com/v1/metrics?key=hunter22".parse().unwrap();
        Destination {
            url,
            headers,
            encoding: Encoding::Protobuf,
            compression: Compression::None,
            timeout: Duration::from_secs(1),
            tls: Tls::default(),
        }
    }

    fn route(headers: &[(&str, &str)]) -> Result<Route, InvalidRoute> {
        let to = PerSignal::new(|_| destination(headers));
        routes(&to, None, false).map(|routes| routes.metrics)
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_showing_their_value() {
        for (name, value, expected) in [
            ("bad name", "x", "`headers`: `bad name` is not the name of a header"),
            (
                "authorization",
                "Bearer hunter22\n",
                "`headers`: the value of `authorization` holds characters that a header cannot carry",
            ),
            ("Content-Type", "text/plain", "`headers`: `Content-Type` is set by the exporter itself, remove it"),
            ("host", "elsewhere", "`headers`: `host` is set by the exporter itself, remove it"),
        ] {
            let error = route(&[(name, value)]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(route(&[("authorization", "Bearer hunter22"), ("x-tenant", "a")]).is_ok());
    }

    #[test]
    fn no_credential_shows_in_debug_output() {
        let route = route(&[("authorization", "Bearer hunter22")]).unwrap();
        let shown = format!("{route:?}");
        assert!(shown.contains("authorization") && !shown.contains("hunter22"), "{shown}");
    }

    #[test]
    fn a_credential_is_known_with_and_without_its_scheme() {
        let of = |value: &str| secrets(&Secret::new(value)).collect::<Vec<_>>();
        assert_eq!(of("Bearer hunter22"), ["Bearer hunter22", "hunter22"]);
        assert_eq!(of("hunter22"), ["hunter22", "hunter22"]);
        assert_eq!(of("a"), Vec::<String>::new());
    }
}
