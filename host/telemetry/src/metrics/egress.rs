//! What an instance asked of the network and what it got.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::InstanceMetrics;
use super::declare::{Declarations, Labelled, count, slow_durations};
use crate::activity::SeenRequest;

/// How a plugin's HTTP request ended; the words of the contract's `http.error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressOutcome {
    /// The server answered with a 1xx, 2xx or 3xx status.
    Ok,
    /// The server answered with a 4xx or 5xx status.
    HttpError,
    /// No grant covers it.
    Denied,
    /// It was not well formed.
    InvalidRequest,
    /// It took too long.
    Timeout,
    /// The name did not resolve or the connection failed.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The answer was larger than allowed.
    TooLarge,
    /// The server asked to slow down for longer than the host will wait.
    RateLimited,
    /// It was one more than the call may make, or the origin may be asked at the time.
    Limit,
    /// The host is stopping.
    Cancelled,
}

impl EgressOutcome {
    /// The word for it in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::HttpError => "http_error",
            Self::Denied => "denied",
            Self::InvalidRequest => "invalid_request",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Limit => "limit",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt to get an access token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOutcome {
    /// There is a new token.
    Ok,
    /// The token endpoint refused the credentials or the request.
    Refused,
    /// The token endpoint asked to slow down.
    RateLimited,
    /// It took too long.
    Timeout,
    /// The name did not resolve, or the connection failed or broke.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// No grant covers where the secret would have gone.
    Denied,
    /// What came back was no token.
    InvalidAnswer,
    /// The token file could not be read or holds no token.
    Unreadable,
}

impl TokenOutcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Denied => "denied",
            Self::InvalidAnswer => "invalid_answer",
            Self::Unreadable => "unreadable",
        }
    }
}

#[derive(Debug)]
pub(super) struct Families {
    requests: Labelled<Counter, 2>,
    request_duration: Labelled<Histogram, 1>,
    retries: Labelled<Counter, 1>,
    received: Labelled<Counter, 1>,
    token_refreshes: Labelled<Counter, 2>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            requests: declare.counter(
                "kiln_egress_requests_total",
                "HTTP requests the plugin made, by outcome: ok, http_error, denied, invalid_request, timeout, connect, \
                 tls, too_large, rate_limited, limit or cancelled",
                ["instance", "outcome"],
            ),
            request_duration: declare.histogram(
                "kiln_egress_request_duration_seconds",
                "How long the plugin's HTTP requests took, waiting for the rate limit and retries included",
                ["instance"],
                slow_durations,
            ),
            retries: declare.counter(
                "kiln_egress_retries_total",
                "HTTP requests the host sent again for the plugin",
                ["instance"],
            ),
            received: declare.counter(
                "kiln_egress_received_bytes_total",
                "Bytes of response bodies read for the plugin, decompressed",
                ["instance"],
            ),
            token_refreshes: declare.counter(
                "kiln_egress_token_refreshes_total",
                "Attempts to get an access token for the plugin's requests, from a token endpoint or a changed file, by \
                 outcome: ok, refused, rate_limited, timeout, connect, tls, denied, invalid_answer or unreadable",
                ["instance", "outcome"],
            ),
        }
    }

    pub(super) fn handles(&self, id: &str, instance: InstanceMetrics) -> EgressMetrics {
        let requests = |outcome: EgressOutcome| self.requests.with([id, outcome.name()]);
        EgressMetrics {
            ok: requests(EgressOutcome::Ok),
            http_error: requests(EgressOutcome::HttpError),
            denied: requests(EgressOutcome::Denied),
            invalid_request: requests(EgressOutcome::InvalidRequest),
            timeout: requests(EgressOutcome::Timeout),
            connect: requests(EgressOutcome::Connect),
            tls: requests(EgressOutcome::Tls),
            too_large: requests(EgressOutcome::TooLarge),
            rate_limited: requests(EgressOutcome::RateLimited),
            limit: requests(EgressOutcome::Limit),
            cancelled: requests(EgressOutcome::Cancelled),
            instance,
            request_duration: self.request_duration.with([id]),
            retries: self.retries.with([id]),
            received: self.received.with([id]),
            token_refreshes: self.token_refreshes.clone(),
            id: id.to_owned(),
        }
    }
}

/// The metrics of one instance's outbound HTTP.
#[derive(Clone, Debug)]
pub struct EgressMetrics {
    ok: Counter,
    http_error: Counter,
    denied: Counter,
    invalid_request: Counter,
    timeout: Counter,
    connect: Counter,
    tls: Counter,
    too_large: Counter,
    rate_limited: Counter,
    limit: Counter,
    cancelled: Counter,
    instance: InstanceMetrics,
    request_duration: Histogram,
    retries: Counter,
    received: Counter,
    token_refreshes: Labelled<Counter, 2>,
    id: String,
}

impl EgressMetrics {
    /// A request ended after `took`, queueing and retries included.
    pub fn requested(&self, outcome: EgressOutcome, took: Duration) {
        let requests = match outcome {
            EgressOutcome::Ok => &self.ok,
            EgressOutcome::HttpError => &self.http_error,
            EgressOutcome::Denied => &self.denied,
            EgressOutcome::InvalidRequest => &self.invalid_request,
            EgressOutcome::Timeout => &self.timeout,
            EgressOutcome::Connect => &self.connect,
            EgressOutcome::Tls => &self.tls,
            EgressOutcome::TooLarge => &self.too_large,
            EgressOutcome::RateLimited => &self.rate_limited,
            EgressOutcome::Limit => &self.limit,
            EgressOutcome::Cancelled => &self.cancelled,
        };
        requests.inc();
        self.request_duration.observe(took.as_secs_f64());
    }

    /// Tells of a request to whoever watches, if somebody does. It is not counted.
    pub fn seen(&self, request: impl FnOnce() -> SeenRequest) {
        if let Some(activity) = &self.instance.activity {
            activity.requested(request());
        }
    }

    /// The plugin was held at a limit: a word from the source.
    pub fn limit_hit(&self, limit: &'static str) {
        self.instance.limit_hit(limit);
    }

    /// The host sends a request again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// `bytes` more of a response body were read.
    pub fn received(&self, bytes: usize) {
        self.received.inc_by(count(bytes));
    }

    /// An attempt to get an access token ended.
    ///
    /// Looks the series up: most instances never have one, and the others one an hour.
    pub fn token(&self, outcome: TokenOutcome) {
        self.token_refreshes.with([&self.id, outcome.label()]).inc();
    }
}
