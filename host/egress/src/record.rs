//! The trace every request leaves: a line in the log, a count in the metrics, and an event for each denial.
//!
//! Written when the request ends in whatever way, also by being dropped half-way, so that nothing that reached the
//! network is missing from the log. Queries, headers and bodies are never written.

use std::time::Instant;

use kiln_policy::Method;
use kiln_telemetry::metrics::{EgressMetrics, EgressOutcome};
use url::Url;

use crate::error::Error;
use crate::request::Refusal;
use crate::response::Response;

pub(crate) struct Record<'a> {
    instance: &'a str,
    metrics: &'a EgressMetrics,
    method: Method,
    started: Instant,
    origin: String,
    path: String,
    outcome: EgressOutcome,
    status: Option<u16>,
    bytes: usize,
}

impl<'a> Record<'a> {
    pub(crate) fn begin(instance: &'a str, metrics: &'a EgressMetrics, method: Method) -> Self {
        Self {
            instance,
            metrics,
            method,
            started: Instant::now(),
            origin: String::new(),
            path: String::new(),
            outcome: EgressOutcome::Cancelled,
            status: None,
            bytes: 0,
        }
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
    }

    /// The request is not sent.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let Some(reason) = refusal.overreach() else { return };
        self.metrics.denied(reason);
        tracing::warn!(
            target: "kiln::egress",
            instance = self.instance,
            capability = "http",
            target = format!("{}{}", self.origin, self.path),
            reason,
            text = %refusal,
            "request denied"
        );
    }

    pub(crate) fn ended(&mut self, result: &Result<Response, Error>) {
        match result {
            Ok(response) => {
                self.status = Some(response.status);
                self.bytes = response.body.len();
            }
            Err(_) => self.bytes = 0,
        }
        self.outcome = outcome(result);
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.requested(self.outcome, took);
        tracing::debug!(
            target: "kiln::egress",
            instance = self.instance,
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

fn outcome(result: &Result<Response, Error>) -> EgressOutcome {
    match result {
        Ok(response) if response.status < 400 => EgressOutcome::Ok,
        Ok(_) => EgressOutcome::HttpError,
        Err(Error::Denied(_)) => EgressOutcome::Denied,
        Err(Error::InvalidRequest(_)) => EgressOutcome::InvalidRequest,
        Err(Error::Timeout) => EgressOutcome::Timeout,
        Err(Error::Connect(_) | Error::Protocol(_)) => EgressOutcome::Connect,
        Err(Error::Tls(_)) => EgressOutcome::Tls,
        Err(Error::TooLarge(_)) => EgressOutcome::TooLarge,
        Err(Error::RateLimited(_)) => EgressOutcome::RateLimited,
        Err(Error::Cancelled) => EgressOutcome::Cancelled,
    }
}
