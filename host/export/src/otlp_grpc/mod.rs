//! OTLP over gRPC: one batch, one unary call, one status.
//!
//! A call is a POST over HTTP/2 with a prefix of five bytes before its message and its status in the trailers, so the client
//! that speaks OTLP/HTTP speaks this as well, with the same TLS and the same proxies. What a status means is in `status`. The
//! bounds are those of OTLP/HTTP: 64 MiB before compression, 4 MiB of an answer.

mod message;
mod status;

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use http_body_util::BodyExt as _;
use kiln_config::{Compression, Encoding};
use kiln_otlp::{Batch, PerSignal};
use kiln_telemetry::metrics::DropReason;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use self::message::{NoMessage, message_of};
use self::status::{Status, Trailers};
use crate::answer::harmless;
use crate::attempt::{Failure, Outcome, Request};
use crate::otlp_http::MAX_ANSWER;
use crate::payload::prepare;
use crate::route::{InvalidRoute, Route, routes};

/// Whether the message is compressed, and how long it is.
const PREFIX: usize = 5;

/// Sends batches to one backend.
#[derive(Debug)]
pub(crate) struct OtlpGrpc {
    routes: PerSignal<Route>,
}

impl OtlpGrpc {
    pub(crate) fn new(settings: &kiln_config::OtlpGrpc) -> Result<Self, InvalidRoute> {
        Ok(Self { routes: routes(&settings.destinations, None, true)? })
    }

    /// Turns a batch into the message of its calls.
    pub(crate) async fn prepare(&self, batch: Batch) -> Result<Request, Failure> {
        let request = prepare(batch.clone(), Encoding::Protobuf, self.routes.of(batch.signal).compression).await?;
        let Ok(length) = u32::try_from(request.body.len()) else {
            return Err(Failure { reason: DropReason::TooLarge, cause: "the message is larger than 4 GiB".to_owned() });
        };
        let mut body = BytesMut::with_capacity(PREFIX + request.body.len());
        body.put_u8(u8::from(request.compression != Compression::None));
        body.put_u32(length);
        body.extend_from_slice(&request.body);
        Ok(Request { body: body.freeze(), ..request })
    }

    /// One attempt.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let route = self.routes.of(request.signal);
        let mut call = route
            .post(request.body.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header("te", HeaderValue::from_static("trailers"))
            .header("grpc-timeout", timeout_text(route.timeout));
        let encoding = match request.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(encoding) = encoding {
            call = call.header("grpc-encoding", HeaderValue::from_static(encoding));
        }
        match call.send().await {
            Ok(response) => read(response, request, &route.secrets).await,
            Err(error) => route.unanswered(&error),
        }
    }
}

async fn read(response: reqwest::Response, request: &Request, secrets: &[String]) -> Outcome {
    let status = response.status().as_u16();
    let is_grpc = response.headers().get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
    // An answer without a message has its status in the head.
    let mut trailers = Trailers::of(response.headers());
    let encoding = response.headers().get("grpc-encoding").cloned();
    let too_large = || {
        let cause = "the backend's answer is larger than the 4 MiB OTLP allows, so what it took is unknown";
        Outcome::failed(DropReason::AnswerTooLarge, cause)
    };
    let mut message = BytesMut::new();
    if status == 200 && is_grpc && trailers.is_none() {
        let mut body = reqwest::Body::from(response);
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let cause = format!("the backend's answer broke off: {}", crate::client::root_cause(&error));
                    return Outcome::Retry { cause: harmless(&cause, secrets), told: None };
                }
            };
            match frame.into_data() {
                Ok(data) if message.len() + data.len() > MAX_ANSWER + PREFIX => return too_large(),
                Ok(data) => message.extend_from_slice(&data),
                Err(frame) => trailers = frame.trailers_ref().and_then(Trailers::of),
            }
        }
    }
    let status = trailers.map_or_else(|| Status::without_trailers(status, is_grpc), Trailers::status);
    let message = match message_of(message.freeze(), encoding.as_ref().map(HeaderValue::as_bytes)) {
        Ok(message) => Some(message),
        Err(NoMessage::TooLarge) => return too_large(),
        Err(NoMessage::Unreadable) => None,
    };
    status.outcome(request.signal, request.items, message, secrets)
}

/// At most eight digits and a unit.
fn timeout_text(timeout: Duration) -> String {
    let milliseconds = timeout.as_millis();
    if milliseconds < 100_000_000 { format!("{milliseconds}m") } else { format!("{}S", timeout.as_secs()) }
}
