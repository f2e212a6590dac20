//! OTLP over HTTP: one batch, one request, one answer.
//!
//! Nothing here retries and nothing here remembers: what an attempt came to is handed back as an [`Outcome`]. Sizes are
//! bounded in both directions as OTLP 1.11 sets them: at most 64 MiB leave, before compression; at most 4 MiB of an
//! answer are read, after decompression. Redirects are not followed: a credential belongs to the host it was configured
//! for, and a redirected POST may arrive as a GET.

use std::time::SystemTime;

use bytes::BytesMut;
use kiln_config::{Compression, Encoding};
use kiln_otlp::{Batch, PerSignal};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use crate::answer::{Answer, Body};
use crate::attempt::{Failure, Outcome, Request};
use crate::payload::prepare;
use crate::route::{InvalidRoute, Route, routes};

/// OTLP 1.11: a client must not read a larger answer, counted after decompression.
pub(crate) const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The answer to a failure is read for its message only.
const MAX_COMPLAINT: usize = 64 * 1024;
/// Sends batches to one backend.
#[derive(Debug)]
pub(crate) struct OtlpHttp {
    routes: PerSignal<Route>,
}

impl OtlpHttp {
    pub(crate) fn new(settings: &kiln_config::OtlpHttp) -> Result<Self, InvalidRoute> {
        Ok(Self { routes: routes(&settings.destinations, settings.proxy.as_ref(), false)? })
    }

    /// Turns a batch into the body of its requests.
    pub(crate) async fn prepare(&self, batch: Batch) -> Result<Request, Failure> {
        let route = self.routes.of(batch.signal);
        prepare(batch, route.encoding, route.compression).await
    }

    /// One attempt.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let route = self.routes.of(request.signal);
        let content_type = match route.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        let mut post = route.post(request.body.clone()).header(CONTENT_TYPE, HeaderValue::from_static(content_type));
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
            Err(error) => route.unanswered(&error),
        }
    }
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
