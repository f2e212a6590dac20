//! OTLP over HTTP: one batch, one request, one answer.
//!
//! Nothing here retries and nothing here remembers: what an attempt came to is handed back as an [`Outcome`]. Sizes are
//! bounded in both directions as OTLP 1.11 sets them: at most 64 MiB leave, before compression; at most 4 MiB of an
//! answer are read, after decompression. Redirects are not followed: a credential belongs to the host it was configured
//! for, and a redirected POST may arrive as a GET.

use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use kiln_config::{Compression, Destination, Encoding, Secret};
use kiln_otlp::{Batch, Signal};
use kiln_telemetry::metrics::DropReason;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use url::Url;

use crate::answer::{Answer, Body, harmless};
use crate::attempt::{Failure, Outcome, Request};
use crate::client::{InvalidClient, Purpose, root_cause};
use crate::payload::prepare;

/// OTLP 1.11: a client must not read a larger answer, counted after decompression.
pub(crate) const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The answer to a failure is read for its message only.
const MAX_COMPLAINT: usize = 64 * 1024;
/// Shorter values are too likely to be part of ordinary words to be blotted out of messages.
const MIN_SECRET: usize = 8;

/// Sends batches to one backend.
#[derive(Debug)]
pub(crate) struct OtlpHttp {
    metrics: Route,
    traces: Route,
    logs: Route,
}

/// Where one signal goes.
struct Route {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    encoding: Encoding,
    compression: Compression,
    timeout: Duration,
    /// What must not show when a backend quotes it.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Header values are marked as sensitive and show as such; the URL may carry a credential.
        f.debug_struct("Route").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// Settings that cannot be sent with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidOtlpHttp {
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

impl OtlpHttp {
    pub(crate) fn new<'s>(settings: &'s kiln_config::OtlpHttp) -> Result<Self, InvalidOtlpHttp> {
        let mut clients: Vec<(&Destination, reqwest::Client)> = Vec::new();
        let mut route = |destination: &'s Destination| {
            // Connections are shared by what trusts the same.
            let is_alike =
                |other: &Destination| other.tls == destination.tls && other.url.scheme() == destination.url.scheme();
            let client = match clients.iter().find(|(other, _)| is_alike(other)) {
                Some((_, client)) => client.clone(),
                None => {
                    let is_tls = destination.url.scheme() == "https";
                    let proxy = settings.proxy.as_ref();
                    Purpose { tls: &destination.tls, proxy, is_tls, is_http2: false }.client()?
                }
            };
            clients.push((destination, client.clone()));
            Route::new(destination, client)
        };
        Ok(Self { metrics: route(&settings.metrics)?, traces: route(&settings.traces)?, logs: route(&settings.logs)? })
    }

    fn route(&self, signal: Signal) -> &Route {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    /// Turns a batch into the body of its requests.
    pub(crate) async fn prepare(&self, batch: Batch) -> Result<Request, Failure> {
        let route = self.route(batch.signal);
        prepare(batch, route.encoding, route.compression).await
    }

    /// One attempt.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let route = self.route(request.signal);
        let content_type = match route.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        let mut post = route
            .client
            .post(route.url.clone())
            .headers(route.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
            .timeout(route.timeout)
            .body(request.body.clone());
        let content_encoding = match request.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(content_encoding) = content_encoding {
            post = post.header(CONTENT_ENCODING, HeaderValue::from_static(content_encoding));
        }
        match post.send().await {
            Ok(response) => {
                read(response).await.outcome(request.signal, request.items, SystemTime::now(), &route.secrets)
            }
            Err(error) if error.is_builder() => Outcome::failed(DropReason::Rejected, route.describe(&error)),
            Err(error) => Outcome::Retry { cause: route.describe(&error), told: None },
        }
    }
}

impl Route {
    fn new(destination: &Destination, client: reqwest::Client) -> Result<Self, InvalidOtlpHttp> {
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

    fn describe(&self, error: &reqwest::Error) -> String {
        describe(error, &self.url, self.timeout, &self.secrets)
    }
}

/// What went wrong before there was an answer. Without the URL, which may carry a credential, but with the host.
pub(crate) fn describe(error: &reqwest::Error, url: &Url, timeout: Duration, secrets: &[String]) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let text = if error.is_connect() {
        format!("cannot connect to {host}:{port}: {}", root_cause(error))
    } else if error.is_timeout() {
        format!("no answer from {host}:{port} within {}", humantime::format_duration(timeout))
    } else {
        format!("no answer from {host}:{port}: {}", root_cause(error))
    };
    harmless(&text, secrets)
}

/// The headers an operator has set.
pub(crate) fn header_map(destination: &Destination) -> Result<HeaderMap, InvalidOtlpHttp> {
    let mut headers = HeaderMap::new();
    for (name, value) in &destination.headers {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), InvalidOtlpHttp> {
    let key: HeaderName = name.parse().map_err(|_| InvalidOtlpHttp::HeaderName(name.to_owned()))?;
    let reserved = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, CONNECTION, HOST, TRANSFER_ENCODING];
    if reserved.contains(&key) {
        return Err(InvalidOtlpHttp::ReservedHeader(name.to_owned()));
    }
    let mut value: HeaderValue = value.expose().parse().map_err(|_| InvalidOtlpHttp::HeaderValue(name.to_owned()))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// The value, and the credential in it if it has the form `Bearer …`.
pub(crate) fn secrets(value: &Secret) -> impl Iterator<Item = String> + use<'_> {
    let whole = value.expose().trim();
    let credential = whole.split_once(' ').map_or(whole, |(_, credential)| credential.trim());
    [whole, credential].into_iter().filter(|text| text.len() >= MIN_SECRET).map(str::to_owned)
}

async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let content_type = header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let retry_after = header(RETRY_AFTER).map(str::to_owned);
    let limit = if status.is_success() { MAX_ANSWER } else { MAX_COMPLAINT };
    let mut body = BytesMut::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => break Body::TooLarge,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break Body::Whole(body.freeze()),
            Err(_) => break Body::Broken,
        }
    };
    Answer { status: status.as_u16(), content_type, retry_after, body }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use kiln_config::{Queue, Retry, Tls};

    use super::*;

    fn destination(compression: Compression, headers: &[(&str, &str)]) -> Destination {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let url = "https://user:hunter22@otlp.example.com/v1/metrics?key=hunter22".parse().unwrap();
        Destination {
            url,
            headers,
            encoding: Encoding::Protobuf,
            compression,
            timeout: Duration::from_secs(1),
            tls: Tls::default(),
        }
    }

    fn exporter(compression: Compression, headers: &[(&str, &str)]) -> Result<OtlpHttp, InvalidOtlpHttp> {
        let destination = destination(compression, headers);
        OtlpHttp::new(&kiln_config::OtlpHttp {
            metrics: destination.clone(),
            traces: destination.clone(),
            logs: destination,
            retry: Retry::default(),
            queue: Queue::default(),
            proxy: None,
        })
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
            let error = exporter(Compression::None, &[(name, value)]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(exporter(Compression::None, &[("authorization", "Bearer hunter22"), ("x-tenant", "a")]).is_ok());
    }

    #[test]
    fn no_credential_shows_in_debug_output() {
        let exporter = exporter(Compression::None, &[("authorization", "Bearer hunter22")]).unwrap();
        let shown = format!("{exporter:?}");
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
