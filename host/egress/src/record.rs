//! The trace every request leaves: a line in the log, a count in the metrics, and a record of each denial.
//!
//! Written when the request ends in whatever way, also by being dropped half-way, so that nothing that reached the
//! network is missing from the log. Queries, headers and bodies are never written; the author of a plugin who watches it at
//! work is shown the queries.

use std::sync::Arc;
use std::time::Instant;

use kiln_policy::{Method, Policy};
use kiln_telemetry::metrics::{EgressMetrics, EgressOutcome};
use kiln_telemetry::{DenialRecorder, Denied, DeniedCapability, SeenRequest};
use url::Url;

use crate::error::Error;
use crate::request::Refusal;

/// Where the traces of one instance's requests go.
pub(crate) struct Journal {
    pub(crate) instance: String,
    pub(crate) metrics: EgressMetrics,
    pub(crate) denials: DenialRecorder,
    pub(crate) policy: Arc<Policy>,
}

pub(crate) struct Record {
    journal: Arc<Journal>,
    method: Method,
    started: Instant,
    origin: String,
    path: String,
    /// For whoever watches; it is written nowhere.
    query: String,
    outcome: EgressOutcome,
    status: Option<u16>,
    bytes: u64,
    /// The limit on its body, as it is called in the configuration.
    body_limit: &'static str,
}

impl Record {
    pub(crate) fn begin(journal: &Arc<Journal>, method: Method) -> Self {
        Self {
            journal: Arc::clone(journal),
            method,
            started: Instant::now(),
            origin: String::new(),
            path: String::new(),
            query: String::new(),
            outcome: EgressOutcome::Cancelled,
            status: None,
            bytes: 0,
            body_limit: "response_bytes",
        }
    }

    /// The body will be read piece by piece.
    pub(crate) const fn streams(&mut self) {
        self.body_limit = "http_stream_bytes";
    }

    /// From here on it is known where the request goes.
    pub(crate) fn addressed(&mut self, url: &Url) {
        self.origin = format!("{}:", url.scheme());
        // What follows the scheme of a `data:` or `mailto:` URL is content, not a place.
        if url.cannot_be_a_base() {
            return;
        }
        // Put together by hand because a user name and password must not be in it.
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        self.origin += &format!("//{}{port}", url.host_str().unwrap_or_default());
        url.path().clone_into(&mut self.path);
        self.query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    }

    /// The request waits for its turn, or is not sent for want of one.
    pub(crate) fn held_back(&self) {
        self.journal.metrics.limit_hit("http_requests_per_second");
    }

    /// The head of the response is not read to its end.
    pub(crate) fn head_too_large(&self) {
        self.journal.metrics.limit_hit("response_head_bytes");
    }

    /// The request is not sent.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if let Some(limit) = refusal.limit() {
            self.journal.metrics.limit_hit(limit);
        }
        let Some(reason) = refusal.overreach() else { return };
        let rule = match refusal {
            Refusal::Denied(denial) => self.journal.policy.decided_by(denial),
            _ => None,
        };
        self.journal.denials.record(&Denied {
            capability: DeniedCapability::Http,
            target: &format!("{}{}", self.origin, self.path),
            reason,
            rule: rule.as_deref(),
            text: &refusal.to_string(),
        });
    }

    /// The server answered with this status.
    pub(crate) const fn answered(&mut self, status: u16) {
        self.status = Some(status);
        self.outcome = if status < 400 { EgressOutcome::Ok } else { EgressOutcome::HttpError };
    }

    /// So much more of the body was read.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.journal.metrics.received(bytes);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// The request has no response, or only part of one.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.outcome = outcome(error);
        match error {
            Error::TooManyRequests(_) => self.journal.metrics.limit_hit("http_requests"),
            Error::TooLarge(_) => self.journal.metrics.limit_hit(self.body_limit),
            _ => {}
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.journal.metrics.requested(self.outcome, took);
        self.journal.metrics.seen(|| SeenRequest {
            method: self.method.name(),
            url: format!("{}{}{}", self.origin, self.path, self.query),
            status: self.status,
            outcome: self.outcome,
            took,
            bytes: self.bytes,
        });
        tracing::debug!(
            target: "kiln::egress",
            instance = self.journal.instance,
            method = self.method.name(),
            origin = self.origin,
            path = self.path,
            status = self.status,
            outcome = ?self.outcome,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            "request"
        );
    }
}

const fn outcome(error: &Error) -> EgressOutcome {
    match error {
        Error::Denied(_) => EgressOutcome::Denied,
        Error::InvalidRequest(_) => EgressOutcome::InvalidRequest,
        Error::Timeout => EgressOutcome::Timeout,
        Error::Connect(_) | Error::Protocol(_) => EgressOutcome::Connect,
        Error::Tls(_) => EgressOutcome::Tls,
        Error::TooLarge(_) => EgressOutcome::TooLarge,
        Error::RateLimited(_) => EgressOutcome::RateLimited,
        Error::TooManyRequests(_) | Error::TooFast(_) => EgressOutcome::Limit,
        Error::Cancelled => EgressOutcome::Cancelled,
    }
}
