//! What the status of a call means: the OTLP/gRPC rules, without a socket in sight.
//!
//! From the OTLP specification 1.11, "Failures": CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and
//! DATA_LOSS are retried, RESOURCE_EXHAUSTED only if the server says when it will be over (`RetryInfo`), and nothing else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kiln_otlp::Signal;
use kiln_telemetry::metrics::DropReason;
use percent_encoding::percent_decode;
use prost::Message;
use reqwest::header::HeaderMap;

use crate::answer::{delivered, harmless, partial_success};
use crate::attempt::Outcome;

const OK: u32 = 0;
const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const INVALID_ARGUMENT: u32 = 3;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const ABORTED: u32 = 10;
const OUT_OF_RANGE: u32 = 11;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;
const UNAUTHENTICATED: u32 = 16;

/// The names of the codes, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    code: u32,
    message: String,
    retry_delay: Option<Duration>,
}

/// A status as it is sent.
#[derive(Debug)]
pub(super) struct Trailers {
    code: u32,
    message: String,
    details: Option<Vec<u8>>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Trailers {
    /// `None` if there is no status among them.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let code = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
        let message = text("grpc-message").unwrap_or_default();
        let message = percent_decode(message.as_bytes()).decode_utf8_lossy().into_owned();
        // Binary values may come with padding or without.
        let details = text("grpc-status-details-bin").map(|details| details.trim_end_matches('='));
        let details = details.and_then(|details| {
            let padded = format!("{details}{}", "=".repeat((4 - details.len() % 4) % 4));
            STANDARD.decode(padded).ok()
        });
        Some(Self { code, message, details })
    }

    pub(super) fn status(self) -> Status {
        let Self { code, message, details } = self;
        let details = details.and_then(|details| RpcStatus::decode(&*details).ok());
        let infos = details
            .into_iter()
            .flat_map(|status| status.details)
            .filter(|any| any.type_url.rsplit('/').next() == Some("google.rpc.RetryInfo"));
        let delays = infos.filter_map(|any| RetryInfo::decode(any.value).ok()?.retry_delay).map(|delay| {
            let (seconds, nanos) = (u64::try_from(delay.seconds), u32::try_from(delay.nanos));
            Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default().min(999_999_999))
        });
        Status { code, message, retry_delay: delays.into_iter().next() }
    }
}

impl Status {
    /// Of an answer that is not gRPC's, from a proxy or a server of another kind.
    pub(super) fn without_trailers(http_status: u16, is_grpc: bool) -> Self {
        // As grpc's "HTTP to gRPC Status Code Mapping" has it.
        let (code, message) = match http_status {
            200 if is_grpc => (UNAVAILABLE, "it ended the answer without a status".to_owned()),
            200 => (UNKNOWN, "it does not speak gRPC; is this the port for gRPC, usually 4317?".to_owned()),
            400 => (INVALID_ARGUMENT, "HTTP status 400".to_owned()),
            401 => (UNAUTHENTICATED, "HTTP status 401".to_owned()),
            403 => (PERMISSION_DENIED, "HTTP status 403".to_owned()),
            404 => (UNIMPLEMENTED, "HTTP status 404".to_owned()),
            429 | 502 | 503 | 504 => (UNAVAILABLE, format!("HTTP status {http_status}")),
            other => (UNKNOWN, format!("HTTP status {other}")),
        };
        Self { code, message, retry_delay: None }
    }

    /// What it means for a batch of `items`. `message` is the answer, `secrets` are blotted out of what it says.
    pub(super) fn outcome(self, signal: Signal, items: usize, message: Option<Bytes>, secrets: &[String]) -> Outcome {
        let is_too_large = || self.message.contains("larger than max") || self.message.contains("too large");
        match self.code {
            OK => success(signal, items, message, secrets),
            CANCELLED | DEADLINE_EXCEEDED | ABORTED | OUT_OF_RANGE | UNAVAILABLE | DATA_LOSS => {
                Outcome::Retry { cause: self.complaint(secrets), told: self.retry_delay }
            }
            RESOURCE_EXHAUSTED if self.retry_delay.is_some() => {
                Outcome::Retry { cause: self.complaint(secrets), told: self.retry_delay }
            }
            // What servers of gRPC say to a message they have no room for, by default above 4 MiB.
            RESOURCE_EXHAUSTED if is_too_large() => Outcome::failed(DropReason::TooLarge, self.complaint(secrets)),
            _ => Outcome::failed(DropReason::Rejected, self.complaint(secrets)),
        }
    }

    fn complaint(&self, secrets: &[String]) -> String {
        let name =
            usize::try_from(self.code).ok().and_then(|code| NAMES.get(code)).copied().unwrap_or("a status unknown");
        let mut text = format!("the backend answered {name}");
        let said = harmless(&self.message, secrets);
        if !said.is_empty() {
            text = format!("{text}: {said}");
        }
        let remedy = match self.code {
            UNAUTHENTICATED | PERMISSION_DENIED => "; check the credential in the exporter's `headers`",
            UNIMPLEMENTED => "; it does not take this signal, or not compressed so",
            _ => "",
        };
        text + remedy
    }
}

fn success(signal: Signal, items: usize, message: Option<Bytes>, secrets: &[String]) -> Outcome {
    match message.and_then(|message| partial_success(signal, &message).ok()) {
        Some((rejected, message)) => {
            let rejected = usize::try_from(rejected).unwrap_or(0).min(items);
            delivered(rejected, Some(harmless(&message, secrets)).filter(|note| !note.is_empty()))
        }
        None => delivered(0, Some("the backend's answer to a success is not an OTLP response".to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn status(code: u32, retry_delay: Option<Duration>) -> Status {
        Status { code, message: String::new(), retry_delay }
    }

    fn outcome(status: Status) -> Outcome {
        status.outcome(Signal::Metrics, 10, Some(Bytes::new()), &["hunter22".to_owned()])
    }

    #[test]
    fn should_retry_only_the_codes_that_are_retryable() {
        for code in 0..20 {
            let is_retried = matches!(outcome(status(code, None)), Outcome::Retry { told: None, .. });
            assert_eq!(is_retried, [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
            let is_delivered = matches!(outcome(status(code, None)), Outcome::Delivered { .. });
            assert_eq!(is_delivered, code == 0, "{code}");
        }
    }

    #[test]
    fn should_retry_resource_exhausted_only_with_retry_info_and_wait_as_long() {
        let wait = Duration::from_secs(7);
        assert!(matches!(outcome(status(8, None)), Outcome::Failed(failure) if failure.reason == DropReason::Rejected));
        assert!(matches!(outcome(status(8, Some(wait))), Outcome::Retry { told: Some(told), .. } if told == wait));
        assert!(matches!(outcome(status(14, Some(wait))), Outcome::Retry { told: Some(told), .. } if told == wait));
        let large =
            Status { message: "grpc: received message larger than max (5 vs. 4)".to_owned(), ..status(8, None) };
        assert!(matches!(outcome(large), Outcome::Failed(failure) if failure.reason == DropReason::TooLarge));
    }

    fn trailers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn retry_info_is_read_from_the_details_with_padding_and_without() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 3, nanos: 500_000_000 }) };
        let other = Any { type_url: "type.googleapis.com/google.rpc.Help".to_owned(), value: Bytes::new() };
        let value = info.encode_to_vec().into();
        let retry = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value };
        let details = STANDARD.encode(RpcStatus { details: vec![other, retry] }.encode_to_vec());
        for details in [details.as_str(), details.trim_end_matches('=')] {
            let headers = trailers(&[
                ("grpc-status", "8"),
                ("grpc-message", "slow%20down"),
                ("grpc-status-details-bin", details),
            ]);
            let status = Trailers::of(&headers).unwrap().status();
            let retry_delay = Some(Duration::from_millis(3500));
            assert_eq!(status, Status { code: 8, message: "slow down".to_owned(), retry_delay });
        }
    }

    #[test]
    fn what_a_backend_says_is_told_with_a_remedy_and_without_secrets() {
        let refused = Status { message: "bad token hunter22".to_owned(), ..status(16, None) };
        let Outcome::Failed(failure) = outcome(refused) else { panic!() };
        assert_eq!(
            failure.cause,
            "the backend answered UNAUTHENTICATED: bad token [REDACTED]; check the credential in the exporter's `headers`"
        );
    }

    #[test]
    fn an_answer_without_a_status_is_judged_by_that_of_http() {
        for (http, is_grpc, is_retried) in [
            (200, true, true),
            (200, false, false),
            (429, false, true),
            (503, false, true),
            (404, false, false),
            (500, false, false),
        ] {
            let outcome = outcome(Status::without_trailers(http, is_grpc));
            assert_eq!(matches!(outcome, Outcome::Retry { .. }), is_retried, "{http} {is_grpc}");
        }
    }

    proptest! {
        #[test]
        fn any_trailers_can_be_read(code in "[ -~]*", message in "[ -~]*", details in "[ -~]*") {
            let headers = trailers(&[("grpc-status", &code), ("grpc-message", &message), ("grpc-status-details-bin", &details)]);
            let _any = Trailers::of(&headers).unwrap().status();
        }
    }
}
