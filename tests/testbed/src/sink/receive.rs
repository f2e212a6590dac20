//! OTLP/HTTP, the receiving end: `POST /v1/{metrics,traces,logs}`, protobuf, gzip or plain.
//!
//! Answers as OTLP 1.11 asks (`opentelemetry-proto docs/specification.md`): success and partial success as the
//! signal's response message, errors as `google.rpc.Status`.
//!
//! Invariant: what cannot be decoded in full is refused and not stored; bodies are read up to [`BODY_LIMIT`],
//! before and after decompression.

use super::faults::Fault;
use super::{Received, Shared, Signal, Telemetry, flatten};
use crate::faults::json;
use crate::request::{Request as Record, parse_query};
use crate::server::Connection;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// The largest request OTLP allows, before compression.
pub(super) const BODY_LIMIT: usize = 64 << 20;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/metrics", post(receive))
        .route("/v1/traces", post(receive))
        .route("/v1/logs", post(receive))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .route("/-/telemetry", get(show).delete(forget))
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
    shared.state.update(|telemetry| *telemetry = Telemetry::default());
    StatusCode::NO_CONTENT
}

/// Senders that build their URL wrongly should be told so by a test.
async fn unknown(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let received = Received::new(Record::new(request.method(), request.uri(), request.headers()), None);
    refuse(&shared, received, Refusal::new(StatusCode::NOT_FOUND, "no OTLP receiver at this path"))
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
    let record = Record::new(&head.method, &head.uri, &head.headers);
    let mut received = Received::new(record, Some(signal));
    let Ok(wire) = to_bytes(body, BODY_LIMIT).await else {
        return refuse(&shared, received, too_large());
    };
    received.wire_bytes = wire.len();

    let mut rejected = None;
    match shared.faults.take(head.uri.path()) {
        None => {}
        Some(Fault::Reset) => {
            connection.reset();
            shared.store(received, None);
            return StatusCode::OK.into_response();
        }
        Some(Fault::Slow { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::PartialSuccess { rejected: count, message }) => rejected = Some((count, message)),
        Some(Fault::Status { status, retry_after }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = refuse(&shared, received, Refusal::new(status, "scripted refusal"));
            if let Some(Ok(value)) = retry_after.map(|after| after.header().parse()) {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
            return response;
        }
    }

    let decoded = decompress(&head.headers, &wire).and_then(|body| {
        received.body = body;
        if received.body.len() > shared.body_limit() {
            return Err(too_large());
        }
        decode(signal, &head.headers, &received.body)
    });
    match decoded {
        Ok(decoded) => {
            received.items = decoded.items();
            received.answer = Some(200);
            shared.store(received, Some(decoded));
            accept(signal, rejected)
        }
        Err(refusal) => refuse(&shared, received, refusal),
    }
}

/// The telemetry of one request.
pub(super) enum Decoded {
    Metrics(Vec<super::Point>),
    Traces(Vec<super::Span>),
    Logs(Vec<super::LogRecord>),
}

impl Decoded {
    fn items(&self) -> usize {
        match self {
            Self::Metrics(points) => points.len(),
            Self::Traces(spans) => spans.len(),
            Self::Logs(logs) => logs.len(),
        }
    }
}

struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is larger than this backend takes")
}

fn decompress(headers: &HeaderMap, wire: &[u8]) -> Result<Vec<u8>, Refusal> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(wire.to_vec()),
        Some(b"gzip") => {
            let mut body = Vec::new();
            MultiGzDecoder::new(wire)
                .take(BODY_LIMIT as u64 + 1)
                .read_to_end(&mut body)
                .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("not gzip: {error}")))?;
            match body.len() > BODY_LIMIT {
                true => Err(too_large()),
                false => Ok(body),
            }
        }
        Some(other) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-encoding '{}' is not supported", String::from_utf8_lossy(other)),
        )),
    }
}

fn decode(signal: Signal, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some(PROTOBUF) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-type is '{kind}', this backend takes {PROTOBUF}"),
        ));
    }
    let decoded = match signal {
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).map(flatten::points).map(Decoded::Metrics),
        Signal::Traces => ExportTraceServiceRequest::decode(body).map(flatten::spans).map(Decoded::Traces),
        Signal::Logs => ExportLogsServiceRequest::decode(body).map(flatten::logs).map(Decoded::Logs),
    };
    decoded.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}

fn accept(signal: Signal, rejected: Option<(i64, String)>) -> Response {
    let body = match signal {
        Signal::Metrics => ExportMetricsServiceResponse {
            partial_success: rejected.map(|(rejected_data_points, error_message)| ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Traces => ExportTraceServiceResponse {
            partial_success: rejected
                .map(|(rejected_spans, error_message)| ExportTracePartialSuccess { rejected_spans, error_message }),
        }
        .encode_to_vec(),
        Signal::Logs => ExportLogsServiceResponse {
            partial_success: rejected.map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess {
                rejected_log_records,
                error_message,
            }),
        }
        .encode_to_vec(),
    };
    ([(CONTENT_TYPE, PROTOBUF)], body).into_response()
}

fn refuse(shared: &Shared, mut received: Received, refusal: Refusal) -> Response {
    received.answer = Some(refusal.status.as_u16());
    shared.store(received, None);
    let status = RpcStatus { code: rpc_code(refusal.status), message: refusal.message };
    (refusal.status, [(CONTENT_TYPE, PROTOBUF)], status.encode_to_vec()).into_response()
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
fn rpc_code(status: StatusCode) -> i32 {
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
