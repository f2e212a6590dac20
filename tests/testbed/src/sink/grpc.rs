//! OTLP/gRPC, the receiving end: the three `Export` calls over HTTP/2 without TLS, gzip or plain.
//!
//! A call is a POST whose body is a flag, four bytes of length and the message; its status is in the trailers, or in the head
//! where there is no message. `RetryInfo` says what `Retry-After` says over HTTP.

use super::http::rpc_code;
use super::receive::{Refusal, Settled, gunzip, success};
use super::{Received, Shared, Signal};
use crate::request::Request as Record;
use crate::server::Connection;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_body::Frame;
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

const GRPC: &str = "application/grpc";
const PATHS: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];

pub(super) fn routes() -> Router<Arc<Shared>> {
    PATHS.iter().fold(Router::new(), |router, (path, _)| router.route(path, post(export)))
}

async fn export(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let signal = PATHS.iter().find(|(path, _)| *path == head.uri.path()).map_or(Signal::Logs, |(_, signal)| *signal);
    let received = Received::new(Record::new(&head.method, &head.uri, &head.headers), Some(signal));
    let unwrap = |wire: &[u8]| unwrap(&head.headers, wire);
    match shared.settle(received, signal, &connection, body, unwrap).await {
        Settled::Reset => StatusCode::OK.into_response(),
        Settled::Refused(refusal) => refused(&refusal),
        Settled::Accepted { rejected, ends } => accepted(&success(signal, rejected), ends),
    }
}

fn unwrap(headers: &HeaderMap, wire: &[u8]) -> Result<Vec<u8>, Refusal> {
    let malformed = || Refusal::new(StatusCode::BAD_REQUEST, "not one whole message of gRPC");
    let (flag, rest) = wire.split_first().ok_or_else(malformed)?;
    let (length, message) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    if u32::from_be_bytes(*length) as usize != message.len() {
        return Err(malformed());
    }
    match (flag, headers.get("grpc-encoding").map(HeaderValue::as_bytes)) {
        (0, _) => Ok(message.to_vec()),
        (1, Some(b"gzip")) => gunzip(message),
        _ => Err(malformed()),
    }
}

fn accepted(message: &[u8], ends: bool) -> Response {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = Frames { data: Some(framed.into()), trailers: Some(trailers).filter(|_| ends), ends };
    ([("content-type", GRPC)], Body::new(frames)).into_response()
}

/// A status without a message, in the head.
fn refused(refusal: &Refusal) -> Response {
    let code = match refusal.status.as_u16() {
        // What gRPC's own servers say of a message that is too large for them.
        413 => 8,
        502 | 504 => 14,
        _ => rpc_code(refusal.status),
    };
    let mut response = ([("content-type", GRPC)], StatusCode::OK).into_response();
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(&refusal.message) {
        headers.insert("grpc-message", message);
    }
    let info = refusal.retry_after.map(|after| RetryInfo { delay: Some(Delay { seconds: after.seconds() }) });
    if let Some(info) = info {
        let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info.encode_to_vec() };
        let status = Status { code, message: refusal.message.clone(), details: vec![any] }.encode_to_vec();
        if let Ok(details) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(status)) {
            headers.insert("grpc-status-details-bin", details);
        }
    }
    response
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// A message and then its trailers, or nothing more for ever.
struct Frames {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    ends: bool,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.trailers.take() {
            Some(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
