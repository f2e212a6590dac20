//! OTLP over HTTP, protobuf encoded: one batch, one request, one answer.
//!
//! Nothing here retries and nothing here remembers: what an attempt came to is handed back as an [`Outcome`]. Sizes are
//! bounded in both directions as OTLP 1.11 sets them: at most 64 MiB leave, before compression; at most 4 MiB of an
//! answer are read, after decompression. Redirects are not followed: a credential belongs to the host it was configured
//! for, and a redirected POST may arrive as a GET.

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use kiln_config::{Compression, Destination, Secret};
use kiln_otlp::{Batch, Signal};
use kiln_telemetry::metrics::DropReason;
use reqwest::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use url::Url;

use crate::answer::{Answer, Body, harmless};
use crate::attempt::{Failure, Outcome, Request};

/// OTLP 1.11: a client must not send a larger request, counted before compression.
const MAX_REQUEST: usize = 64 * 1024 * 1024;
/// OTLP 1.11: a client must not read a larger answer, counted after decompression.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The answer to a failure is read for its message only.
const MAX_COMPLAINT: usize = 64 * 1024;
/// Compressing more than this takes longer than an async task may hold its thread.
const COMPRESS_IN_PLACE: usize = 32 * 1024;
/// The form the OTLP exporter specification asks for, after the name of the distribution.
const USER_AGENT: &str =
    concat!("kiln/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
/// Shorter values are too likely to be part of ordinary words to be blotted out of messages.
const MIN_SECRET: usize = 8;

/// Sends batches to one backend.
#[derive(Debug)]
pub(crate) struct OtlpHttp {
    client: reqwest::Client,
    metrics: Route,
    traces: Route,
    logs: Route,
}

/// Where one signal goes.
struct Route {
    url: Url,
    headers: HeaderMap,
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
    /// The HTTP client does not start.
    #[error(
        "the HTTP client cannot be set up: {0}; https needs the system's CA certificates, install them or name a file in SSL_CERT_FILE"
    )]
    Client(String),
}

impl OtlpHttp {
    pub(crate) fn new(settings: &kiln_config::OtlpHttp) -> Result<Self, InvalidOtlpHttp> {
        // Somebody else may have chosen a provider for the process already, which is as good.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none());
        if Signal::ALL.into_iter().all(|signal| settings.destination(signal).url.scheme() == "http") {
            // Without TLS no certificate is needed, and a small container may have none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| InvalidOtlpHttp::Client(root_cause(&error)))?;
        Ok(Self {
            client,
            metrics: Route::new(&settings.metrics)?,
            traces: Route::new(&settings.traces)?,
            logs: Route::new(&settings.logs)?,
        })
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
        let size = batch.payload.len();
        if size > MAX_REQUEST {
            return Err(Failure {
                reason: DropReason::TooLarge,
                cause: format!(
                    "the batch has {size} bytes, OTLP allows {MAX_REQUEST}; let its receiver collect less at a time"
                ),
            });
        }
        let plain = Request::plain(batch);
        if self.route(plain.signal).compression == Compression::None {
            return Ok(plain);
        }
        let compressed = if size <= COMPRESS_IN_PLACE {
            gzip(&plain.body).ok()
        } else {
            let payload = plain.body.clone();
            tokio::task::spawn_blocking(move || gzip(&payload)).await.ok().and_then(Result::ok)
        };
        Ok(match compressed {
            Some(body) => Request { body, is_gzip: true, ..plain },
            // Compression saves bandwidth; not having it is no reason to lose data.
            None => plain,
        })
    }

    /// One attempt.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let route = self.route(request.signal);
        let mut post = self
            .client
            .post(route.url.clone())
            .headers(route.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))
            .timeout(route.timeout)
            .body(request.body.clone());
        if request.is_gzip {
            post = post.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
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
    fn new(destination: &Destination) -> Result<Self, InvalidOtlpHttp> {
        let mut headers = HeaderMap::new();
        for (name, value) in &destination.headers {
            let (name, value) = header(name, value)?;
            headers.append(name, value);
        }
        let secrets = destination.headers.iter().flat_map(|(_, value)| secrets(value)).collect();
        Ok(Self {
            url: destination.url.clone(),
            headers,
            compression: destination.compression,
            timeout: destination.timeout,
            secrets,
        })
    }

    /// What went wrong before there was an answer. Without the URL, which may carry a credential, but with the host.
    fn describe(&self, error: &reqwest::Error) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let text = if error.is_connect() {
            format!("cannot connect to {host}:{port}: {}", root_cause(error))
        } else if error.is_timeout() {
            format!("no answer from {host}:{port} within {}", humantime::format_duration(self.timeout))
        } else {
            format!("no answer from {host}:{port}: {}", root_cause(error))
        };
        harmless(&text, &self.secrets)
    }
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
fn secrets(value: &Secret) -> impl Iterator<Item = String> + use<'_> {
    let whole = value.expose().trim();
    let credential = whole.split_once(' ').map_or(whole, |(_, credential)| credential.trim());
    [whole, credential].into_iter().filter(|text| text.len() >= MIN_SECRET).map(str::to_owned)
}

fn gzip(payload: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(payload)?;
    Ok(encoder.finish()?.into())
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

/// What started it; the layers above only say that something failed.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use kiln_config::{Queue, Retry};

    use super::*;

    fn destination(compression: Compression, headers: &[(&str, &str)]) -> Destination {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let url = "https://user:hunter22@otlp.example.com/v1/metrics?key=hunter22".parse().unwrap();
        Destination { url, headers, compression, timeout: Duration::from_secs(1) }
    }

    fn exporter(compression: Compression, headers: &[(&str, &str)]) -> Result<OtlpHttp, InvalidOtlpHttp> {
        let destination = destination(compression, headers);
        OtlpHttp::new(&kiln_config::OtlpHttp {
            metrics: destination.clone(),
            traces: destination.clone(),
            logs: destination,
            retry: Retry::default(),
            queue: Queue::default(),
        })
    }

    fn batch(payload: impl Into<Bytes>) -> Batch {
        Batch { signal: Signal::Metrics, payload: payload.into(), items: 3 }
    }

    #[tokio::test]
    async fn should_not_send_more_than_64_mib_before_compression() {
        let largest = Bytes::from(vec![0; MAX_REQUEST]);
        let exporter = exporter(Compression::None, &[]).unwrap();
        assert!(exporter.prepare(batch(largest.clone())).await.is_ok());
        let larger = Bytes::from(vec![0; MAX_REQUEST + 1]);
        let failure = exporter.prepare(batch(larger)).await.unwrap_err();
        assert_eq!(failure.reason, DropReason::TooLarge);
        assert_eq!(
            failure.cause,
            "the batch has 67108865 bytes, OTLP allows 67108864; let its receiver collect less at a time"
        );
    }

    #[tokio::test]
    async fn compression_is_lossless_whatever_the_size() {
        let exporter = exporter(Compression::Gzip, &[]).unwrap();
        for size in [0, 1, COMPRESS_IN_PLACE, COMPRESS_IN_PLACE + 1, 300_000] {
            let payload: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let request = exporter.prepare(batch(payload.clone())).await.unwrap();
            assert!(request.is_gzip);
            let mut decompressed = Vec::new();
            GzDecoder::new(&request.body[..]).read_to_end(&mut decompressed).unwrap();
            assert_eq!(decompressed, payload);
        }
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
