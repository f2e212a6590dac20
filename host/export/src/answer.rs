//! What a backend's answer means: the OTLP/HTTP rules, without a socket in sight.
//!
//! From the OTLP specification 1.11, "OTLP/HTTP response": only 429, 502, 503 and 504 are retried; everything else that
//! is not a success is final; what a partial success rejects is lost and must not be sent again. Everything in an
//! answer is the word of a stranger: it is cut, made printable, and stripped of the credentials it may echo.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use kiln_otlp::Signal;
use kiln_telemetry::metrics::DropReason;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde::Deserialize;

use crate::attempt::Outcome;
use crate::printable::Printable;

/// No longer text of a backend gets into a log line, in characters.
const MAX_TEXT: usize = 300;

/// An HTTP answer to an export request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Body,
}

/// The body of an answer, as far as it could be read.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// All of it.
    Whole(Bytes),
    /// More than OTLP lets a server send.
    TooLarge,
    /// The connection ended before it did.
    Broken,
}

/// `google.rpc.Status`, as far as it is of use to an operator.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The same in JSON.
#[derive(Deserialize)]
struct JsonStatus {
    message: String,
}

/// The answer to any of the three requests, in JSON.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonAnswer {
    partial_success: JsonPartialSuccess,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonPartialSuccess {
    // 64 bits are text in JSON, and numbers to some.
    #[serde(alias = "rejectedSpans", alias = "rejectedLogRecords")]
    rejected_data_points: serde_json::Value,
    error_message: String,
}

impl JsonPartialSuccess {
    fn told(self) -> (i64, String) {
        let rejected = match &self.rejected_data_points {
            serde_json::Value::String(text) => text.parse().ok(),
            number => number.as_i64(),
        };
        (rejected.unwrap_or_default(), self.error_message)
    }
}

impl Answer {
    /// What the answer means for a batch of `items`. `secrets` are blotted out of what it says.
    pub(crate) fn outcome(&self, signal: Signal, items: usize, now: SystemTime, secrets: &[String]) -> Outcome {
        match self.status {
            200..=299 => self.success(signal, items, secrets),
            413 => Outcome::failed(DropReason::TooLarge, self.complaint(secrets)),
            429 | 502..=504 => Outcome::Retry {
                cause: self.complaint(secrets),
                told: self.retry_after.as_deref().and_then(|value| parse_retry_after(value, now)),
            },
            _ => Outcome::failed(DropReason::Rejected, self.complaint(secrets)),
        }
    }

    fn success(&self, signal: Signal, items: usize, secrets: &[String]) -> Outcome {
        let body = match &self.body {
            Body::Whole(body) => body,
            Body::TooLarge => {
                let cause = "the backend's answer is larger than the 4 MiB OTLP allows, so what it took is unknown";
                return Outcome::failed(DropReason::AnswerTooLarge, cause);
            }
            Body::Broken => return delivered(0, Some("the backend's answer broke off after a success".to_owned())),
        };
        let partial_success = if self.is_protobuf() {
            partial_success(signal, body).ok()
        } else if self.content_type.starts_with("application/json") {
            serde_json::from_slice(body).ok().map(|answer: JsonAnswer| answer.partial_success.told())
        } else {
            // Some backends answer with text whatever they were sent; there is nothing to learn from that.
            return delivered(0, None);
        };
        match partial_success {
            Some((rejected, message)) => {
                let rejected = usize::try_from(rejected).unwrap_or(0).min(items);
                let note = Some(harmless(&message, secrets)).filter(|note| !note.is_empty());
                delivered(rejected, note)
            }
            None if body.is_empty() => delivered(0, None),
            None => delivered(0, Some("the backend's answer to a success is not an OTLP response".to_owned())),
        }
    }

    /// What the backend said and what to do about it.
    fn complaint(&self, secrets: &[String]) -> String {
        let mut text = format!("the backend answered {}", self.status);
        let said = harmless(&self.said(), secrets);
        if !said.is_empty() {
            let _infallible = write!(text, ": {said}");
        }
        if let Some(remedy) = remedy(self.status) {
            let _infallible = write!(text, "; {remedy}");
        }
        text
    }

    fn said(&self) -> String {
        let Body::Whole(body) = &self.body else { return String::new() };
        if self.is_protobuf() {
            return RpcStatus::decode(body.clone()).map(|status| status.message).unwrap_or_default();
        }
        let is_json = self.content_type.starts_with("application/json");
        if is_json && let Ok(JsonStatus { message }) = serde_json::from_slice(body) {
            return message;
        }
        let is_text = self.content_type.starts_with("text/plain") || is_json;
        if is_text { String::from_utf8_lossy(body).into_owned() } else { String::new() }
    }

    fn is_protobuf(&self) -> bool {
        self.content_type.starts_with("application/x-protobuf")
    }
}

pub(crate) fn delivered(rejected: usize, note: Option<String>) -> Outcome {
    Outcome::Delivered { rejected, note }
}

pub(crate) fn partial_success(signal: Signal, body: &Bytes) -> Result<(i64, String), prost::DecodeError> {
    let partial = match signal {
        Signal::Metrics => ExportMetricsServiceResponse::decode(body.clone())?
            .partial_success
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Signal::Traces => ExportTraceServiceResponse::decode(body.clone())?
            .partial_success
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(body.clone())?
            .partial_success
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
    };
    Ok(partial.unwrap_or_default())
}

fn remedy(status: u16) -> Option<&'static str> {
    match status {
        300..=399 => Some("redirects are not followed, set the endpoint to where it leads"),
        401 | 403 => Some("check the credential in the exporter's `headers`"),
        404 | 405 => Some("check the path of the exporter's endpoint"),
        413 => Some("the batch is larger than the backend takes"),
        415 => Some("the backend does not take OTLP as protobuf, or not compressed; try `compression: none`"),
        _ => None,
    }
}

/// `Retry-After` is a number of seconds or a date, RFC 9110; a date in the past is no wait.
pub(crate) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit 64 bits are as many as there can be.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Blots out secrets, then cuts the text and makes it printable.
pub(crate) fn harmless(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "[REDACTED]");
    }
    let cut: String = text.trim().chars().take(MAX_TEXT).collect();
    Printable(&cut).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
        Answer { status, content_type: content_type.to_owned(), retry_after: None, body: Body::Whole(body.into()) }
    }

    fn outcome(answer: &Answer) -> Outcome {
        answer.outcome(Signal::Metrics, 10, SystemTime::UNIX_EPOCH, &["hunter22".to_owned()])
    }

    fn partial(rejected: i64, message: &str) -> Vec<u8> {
        let partial_success =
            Some(ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message.to_owned() });
        ExportMetricsServiceResponse { partial_success }.encode_to_vec()
    }

    #[test]
    fn must_retry_only_429_502_503_504() {
        for status in 100..=599 {
            let answer = answer(status, "", Bytes::new());
            let is_retried = matches!(outcome(&answer), Outcome::Retry { .. });
            assert_eq!(is_retried, [429, 502, 503, 504].contains(&status), "{status}");
            let is_delivered = matches!(outcome(&answer), Outcome::Delivered { .. });
            assert_eq!(is_delivered, (200..300).contains(&status), "{status}");
        }
    }

    #[test]
    fn must_not_retry_a_partial_success_and_counts_what_it_rejects() {
        let answer = answer(200, "application/x-protobuf", partial(3, "too old"));
        assert_eq!(outcome(&answer), Outcome::Delivered { rejected: 3, note: Some("too old".to_owned()) });
    }

    #[test]
    fn partial_success_is_read_by_signal() {
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: String::new() });
        let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let answer = answer(200, "application/x-protobuf", body);
        let outcome = answer.outcome(Signal::Traces, 10, SystemTime::UNIX_EPOCH, &[]);
        assert_eq!(outcome, Outcome::Delivered { rejected: 2, note: None });
    }

    #[test]
    fn must_not_retry_a_partial_success_in_json() {
        for (signal, field) in [
            (Signal::Metrics, "rejectedDataPoints"),
            (Signal::Traces, "rejectedSpans"),
            (Signal::Logs, "rejectedLogRecords"),
        ] {
            for number in ["\"3\"", "3"] {
                let body =
                    format!("{{\"partialSuccess\":{{\"{field}\":{number},\"errorMessage\":\"too old\"}},\"x\":1}}");
                let outcome = answer(200, "application/json", body).outcome(signal, 10, SystemTime::UNIX_EPOCH, &[]);
                assert_eq!(outcome, Outcome::Delivered { rejected: 3, note: Some("too old".to_owned()) });
            }
        }
        let refused = answer(400, "application/json", "{\"code\":3,\"message\":\"no name\"}");
        assert_eq!(outcome(&refused), Outcome::failed(DropReason::Rejected, "the backend answered 400: no name"));
    }

    #[test]
    fn a_partial_success_that_rejects_nothing_is_a_warning() {
        let warning = answer(200, "application/x-protobuf", partial(0, "deprecated"));
        assert_eq!(outcome(&warning), Outcome::Delivered { rejected: 0, note: Some("deprecated".to_owned()) });
        let nothing = answer(200, "application/x-protobuf", partial(0, ""));
        assert_eq!(outcome(&nothing), Outcome::Delivered { rejected: 0, note: None });
    }

    #[test]
    fn no_more_and_no_less_can_be_rejected_than_was_sent() {
        for (claimed, counted) in [(i64::MAX, 10), (11, 10), (-5, 0), (i64::MIN, 0)] {
            let answer = answer(200, "application/x-protobuf", partial(claimed, ""));
            assert_eq!(outcome(&answer), Outcome::Delivered { rejected: counted, note: None });
        }
    }

    #[test]
    fn a_success_is_a_success_whatever_stands_in_the_body() {
        for (content_type, body, is_noted) in [
            ("application/json", &b"{\"partialSuccess\":{}}"[..], false),
            ("application/json", b"{}", false),
            ("application/json", b"", false),
            ("application/json", b"ok", true),
            ("text/html", b"<html>", false),
            ("", b"", false),
            ("application/x-protobuf", b"", false),
            ("application/x-protobuf; charset=utf-8", b"", false),
            ("application/x-protobuf", b"\xff\xff\xff", true),
        ] {
            let Outcome::Delivered { rejected: 0, note } = outcome(&answer(200, content_type, body)) else {
                panic!("{content_type}");
            };
            assert_eq!(note.is_some(), is_noted, "{content_type}");
        }
        let broken = Answer { body: Body::Broken, ..answer(200, "application/x-protobuf", Bytes::new()) };
        assert!(matches!(outcome(&broken), Outcome::Delivered { rejected: 0, note: Some(_) }));
    }

    #[test]
    fn must_not_retry_an_answer_larger_than_4_mib() {
        let large = Answer { body: Body::TooLarge, ..answer(200, "application/x-protobuf", Bytes::new()) };
        let Outcome::Failed(failure) = outcome(&large) else { panic!() };
        assert_eq!(failure.reason, DropReason::AnswerTooLarge);
        let refused = Answer { body: Body::TooLarge, ..answer(500, "", Bytes::new()) };
        let Outcome::Failed(failure) = outcome(&refused) else { panic!() };
        assert_eq!(failure.reason, DropReason::Rejected);
    }

    #[test]
    fn the_message_of_a_google_rpc_status_is_told_with_a_remedy() {
        let status = RpcStatus { code: 16, message: "token expired".to_owned() };
        let Outcome::Failed(failure) = outcome(&answer(401, "application/x-protobuf", status.encode_to_vec())) else {
            panic!()
        };
        assert_eq!(
            failure.cause,
            "the backend answered 401: token expired; check the credential in the exporter's `headers`"
        );
    }

    #[test]
    fn what_a_backend_says_is_cut_printable_and_free_of_secrets() {
        let said = format!("no\nhunter22 \x1b[2J{}", "x".repeat(10_000));
        let Outcome::Retry { cause, .. } = outcome(&answer(503, "text/plain; charset=utf-8", said)) else { panic!() };
        assert!(cause.starts_with("the backend answered 503: no\\n[REDACTED] \\u{1b}[2Jxxx"), "{cause}");
        assert!(cause.len() < 400);
        let Outcome::Failed(failure) = outcome(&answer(500, "text/html", "<html>")) else { panic!() };
        assert_eq!(failure.cause, "the backend answered 500");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn should_honour_retry_after_on_every_retryable_answer() {
        for status in [429, 502, 503, 504] {
            let told = Answer { retry_after: Some("30".to_owned()), ..answer(status, "", Bytes::new()) };
            let Outcome::Retry { told, .. } = outcome(&told) else { panic!() };
            assert_eq!(told, Some(Duration::from_secs(30)));
        }
    }

    proptest! {
        #[test]
        fn any_answer_has_an_outcome(
            status in 100_u16..1000,
            content_type in "(application/x-protobuf|application/json|text/plain|.*)",
            retry_after in proptest::option::of(".*"),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let answer = Answer { status, content_type, retry_after, body: Body::Whole(body.into()) };
            for signal in Signal::ALL {
                if let Outcome::Delivered { rejected, .. } =
                    answer.outcome(signal, 10, SystemTime::UNIX_EPOCH, &[])
                {
                    prop_assert!(rejected <= 10);
                }
            }
        }

        #[test]
        fn any_retry_after_can_be_read(value in ".*") {
            let _any = parse_retry_after(&value, SystemTime::UNIX_EPOCH);
        }
    }
}
