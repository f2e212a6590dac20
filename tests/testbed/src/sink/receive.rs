//! What becomes of a request, whichever protocol it came by.
//!
//! Invariant: what cannot be decoded in full is refused and not stored; bodies are read up to [`BODY_LIMIT`],
//! before and after decompression.

use super::faults::{Fault, RetryAfter};
use super::{Received, Shared, Signal, counts, flatten};
use crate::server::Connection;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
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
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The largest request OTLP allows, before compression.
pub(super) const BODY_LIMIT: usize = 64 << 20;

/// What a request is answered with.
pub(super) enum Settled {
    /// The connection is reset, whatever is answered.
    Reset,
    Refused(Refusal),
    Accepted {
        /// `partial_success`, if there shall be one.
        rejected: Option<(i64, String)>,
        /// Whether the answer comes to its end.
        ends: bool,
    },
}

pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) retry_after: Option<RetryAfter>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large for this backend")
    }
}

/// The telemetry of one request.
pub(super) enum Decoded {
    Metrics(Vec<super::Point>),
    Traces(Vec<super::Span>),
    Logs(Vec<super::LogRecord>),
    /// Decoded in full, and only its items are of interest.
    Counted(usize),
}

impl Decoded {
    fn items(&self) -> usize {
        match self {
            Self::Metrics(points) => points.len(),
            Self::Traces(spans) => spans.len(),
            Self::Logs(logs) => logs.len(),
            Self::Counted(items) => *items,
        }
    }
}

impl Shared {
    /// Reads a body, lets the fault happen that lies ahead, and stores what is accepted. `unwrap` takes off what the protocol
    /// has put around the message.
    pub(super) async fn settle(
        &self,
        mut received: Received,
        signal: Signal,
        connection: &Connection,
        body: Body,
        unwrap: impl FnOnce(&[u8]) -> Result<Vec<u8>, Refusal>,
    ) -> Settled {
        let fault = self.faults.take(&received.request.path);
        if fault == Some(Fault::ResetMidBody) {
            let mut body = body;
            // The first piece has come; the others are never asked for.
            let _ = body.frame().await;
            connection.reset();
            self.store(received, None);
            return Settled::Reset;
        }
        let Ok(wire) = to_bytes(body, BODY_LIMIT).await else {
            return self.refuse(received, Refusal::too_large());
        };
        received.wire_bytes = wire.len();
        let unwrapped = unwrap(&wire).map(|message| received.body = message);

        let (mut rejected, mut ends) = (None, true);
        match fault {
            None | Some(Fault::ResetMidBody) => {}
            Some(Fault::Reset) => {
                connection.reset();
                self.store(received, None);
                return Settled::Reset;
            }
            Some(Fault::Slow { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(Fault::Endless) => ends = false,
            Some(Fault::PartialSuccess { rejected: count, message }) => rejected = Some((count, message)),
            Some(Fault::Status { status, retry_after }) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return self.refuse(received, Refusal { retry_after, ..Refusal::new(status, "scripted refusal") });
            }
        }

        let decoded = unwrapped.and_then(|()| {
            if received.body.len() > self.body_limit() {
                return Err(Refusal::too_large());
            }
            decode(signal, &received.body, self.count_only.load(Ordering::SeqCst))
        });
        match decoded {
            Ok(decoded) => {
                received.items = decoded.items();
                let count = rejected.as_ref().map_or(0, |(count, _)| usize::try_from(*count).unwrap_or(0));
                received.rejected = count.min(received.items);
                received.answer = Some(200);
                self.store(received, Some(decoded));
                Settled::Accepted { rejected, ends }
            }
            Err(refusal) => self.refuse(received, refusal),
        }
    }

    pub(super) fn refuse(&self, mut received: Received, refusal: Refusal) -> Settled {
        received.answer = Some(refusal.status.as_u16());
        self.store(received, None);
        Settled::Refused(refusal)
    }
}

/// The bytes of a gzip stream.
pub(super) fn gunzip(wire: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    MultiGzDecoder::new(wire)
        .take(BODY_LIMIT as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("not gzip: {error}")))?;
    if body.len() > BODY_LIMIT { Err(Refusal::too_large()) } else { Ok(body) }
}

fn decode(signal: Signal, body: &[u8], count_only: bool) -> Result<Decoded, Refusal> {
    let decoded = match (signal, count_only) {
        (Signal::Metrics, false) => {
            ExportMetricsServiceRequest::decode(body).map(flatten::points).map(Decoded::Metrics)
        }
        (Signal::Traces, false) => ExportTraceServiceRequest::decode(body).map(flatten::spans).map(Decoded::Traces),
        (Signal::Logs, false) => ExportLogsServiceRequest::decode(body).map(flatten::logs).map(Decoded::Logs),
        (Signal::Metrics, true) => {
            ExportMetricsServiceRequest::decode(body).map(|r| Decoded::Counted(counts::points(&r)))
        }
        (Signal::Traces, true) => ExportTraceServiceRequest::decode(body).map(|r| Decoded::Counted(counts::spans(&r))),
        (Signal::Logs, true) => ExportLogsServiceRequest::decode(body).map(|r| Decoded::Counted(counts::logs(&r))),
    };
    decoded.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// The answer to a signal's request, with a partial success if there is one.
pub(super) fn success(signal: Signal, rejected: Option<(i64, String)>) -> Vec<u8> {
    match signal {
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
    }
}
