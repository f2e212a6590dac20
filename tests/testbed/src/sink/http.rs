//! OTLP/HTTP, the receiving end: `POST /v1/{metrics,traces,logs}`, protobuf, gzip or plain.
//!
//! Answers as OTLP 1.11 asks (`opentelemetry-proto docs/specification.md`): success and partial success as the
//! signal's response message, errors as `google.rpc.Status`.

use super::receive::{BODY_LIMIT, Refusal, Settled, gunzip, success};
use super::{Received, Shared, Signal, grpc};
use crate::broken_off::{End, broken_off};
use crate::faults::json;
use crate::request::{Request as Record, parse_query};
use crate::server::Connection;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prost::Message;
use std::sync::Arc;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/metrics", post(receive))
        .route("/v1/traces", post(receive))
        .route("/v1/logs", post(receive))
        .merge(grpc::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .route("/-/telemetry", get(show).delete(forget))
        .route("/-/counts", get(count))
        .merge(crate::faults::routes(shared.faults.clone()).with_state(()))
        .with_state(shared)
}

/// `GET /-/telemetry`: everything stored, as JSON, for people and for tests in other languages. With `?metric=NAME`, as
/// often as there are names, only the points of those metrics and the requests.
async fn show(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let query = parse_query(&uri);
    let names: Vec<&str> = query.iter().filter(|(key, _)| key == "metric").map(|(_, name)| name.as_str()).collect();
    json(&shared.state.read(|telemetry| if names.is_empty() { telemetry.clone() } else { telemetry.only(&names) }))
}

/// `DELETE /-/telemetry`: forgets everything so far, as [`super::Sink::forget`].
async fn forget(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.forget();
    StatusCode::NO_CONTENT
}

/// `GET /-/counts`: how much was accepted, in a few bytes, for who asks often.
async fn count(State(shared): State<Arc<Shared>>) -> Response {
    json(&shared.counts.totals())
}

/// Senders that build their URL wrongly should be told so by a test.
async fn unknown(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let received = Received::new(Record::new(request.method(), request.uri(), request.headers()), None);
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "no OTLP receiver at this path");
    match shared.refuse(received, refusal) {
        Settled::Refused(refusal) => refused(refusal),
        Settled::Reset | Settled::Accepted { .. } => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let signal = match request.uri().path() {
        "/v1/metrics" => Signal::Metrics,
        "/v1/traces" => Signal::Traces,
        _ => Signal::Logs,
    };
    let (head, body) = request.into_parts();
    let received = Received::new(Record::new(&head.method, &head.uri, &head.headers), Some(signal));
    let unwrap = |wire: &[u8]| unwrap(&head.headers, wire);
    match shared.settle(received, signal, &connection, body, unwrap).await {
        Settled::Reset => StatusCode::OK.into_response(),
        Settled::Refused(refusal) => refused(refusal),
        Settled::Accepted { rejected, ends: true } => accepted(signal, rejected),
        Settled::Accepted { rejected, ends: false } => {
            // An answer of no bytes cannot be cut in half.
            let rejected = rejected.or_else(|| Some((0, "what comes after this never comes".to_owned())));
            broken_off(accepted(signal, rejected), BODY_LIMIT, End::Never).await
        }
    }
}

fn unwrap(headers: &HeaderMap, wire: &[u8]) -> Result<Vec<u8>, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let message = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(wire.to_vec()),
        Some(b"gzip") => gunzip(wire),
        Some(other) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-encoding '{}' is not supported", String::from_utf8_lossy(other)),
        )),
    }?;
    if kind.split(';').next().map(str::trim) != Some(PROTOBUF) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-type is '{kind}', this backend takes {PROTOBUF}"),
        ));
    }
    Ok(message)
}

fn accepted(signal: Signal, rejected: Option<(i64, String)>) -> Response {
    ([(CONTENT_TYPE, PROTOBUF)], success(signal, rejected)).into_response()
}

fn refused(refusal: Refusal) -> Response {
    let Refusal { status, message, retry_after } = refusal;
    let body = RpcStatus { code: rpc_code(status), message }.encode_to_vec();
    let mut response = (status, [(CONTENT_TYPE, PROTOBUF)], body).into_response();
    if let Some(Ok(value)) = retry_after.map(|after| after.header().parse()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// `google.rpc.Status`, as far as a refusal fills it in.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The `google.rpc.Code` that belongs to an HTTP status (`google/rpc/code.proto`).
pub(super) fn rpc_code(status: StatusCode) -> i32 {
    match status.as_u16() {
        400 | 413 | 415 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        503 => 14,
        504 => 4,
        500..=599 => 13,
        _ => 2,
    }
}
