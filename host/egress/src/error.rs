//! What a caller is told when it gets no answer.
//!
//! Texts name the origin and never a query, a header or a body, so they can be shown to the plugin, logged and stored.

use kiln_policy::Origin;
use kiln_telemetry::Redaction;

use crate::credentials::CredentialError;
use crate::trust::TlsFileError;

/// Why a request has no response; the variants are those of `http.error` in the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No grant covers the request, or nobody will give the host a token to send it with; says what is missing.
    #[error("{0}")]
    Denied(String),
    /// The request is not well formed, larger than allowed, or sets a header that is not the plugin's to set.
    #[error("{0}")]
    InvalidRequest(String),
    /// The time allowed for one request, repetitions included, is over.
    #[error("the request took longer than the time allowed for one request")]
    Timeout,
    /// The name did not resolve or the connection failed, that of the server or that of its token endpoint.
    #[error("{0}")]
    Connect(String),
    /// The server could not be authenticated, or there is no common protocol.
    #[error("{0}")]
    Tls(String),
    /// The body of the response, decompressed, is larger than this many bytes.
    #[error("the response is larger than the {0} bytes allowed")]
    TooLarge(u64),
    /// The server asked to come back later than the time allowed ends: in this many seconds.
    #[error("the server asks to slow down for longer than the host will wait{}", seconds(*.0))]
    RateLimited(Option<u64>),
    /// The call has made as many requests as it may.
    #[error(
        "this call has made all of the {0} HTTP requests it may; if more are reasonable, raise `limits.http_requests`"
    )]
    TooManyRequests(u32),
    /// The instance asks an origin faster than it may, and would have to wait for longer than a request may take: so many
    /// seconds.
    #[error(
        "the host holds requests to this origin back for {0} s; if more are reasonable, raise `limits.http_requests_per_second`"
    )]
    TooFast(u64),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Cancelled,
    /// The connection broke, or what came back was not HTTP, or its headers were larger than allowed.
    #[error("{0}")]
    Protocol(String),
}

impl Error {
    /// The same without any secret that is known: what a server says can repeat one.
    pub(crate) fn without_secrets(self, redaction: &Redaction) -> Self {
        let redacted = |text: String| redaction.text(&text).into_owned();
        match self {
            Self::Denied(text) => Self::Denied(redacted(text)),
            Self::InvalidRequest(text) => Self::InvalidRequest(redacted(text)),
            Self::Connect(text) => Self::Connect(redacted(text)),
            Self::Tls(text) => Self::Tls(redacted(text)),
            Self::Protocol(text) => Self::Protocol(redacted(text)),
            Self::Timeout
            | Self::TooLarge(_)
            | Self::RateLimited(_)
            | Self::TooManyRequests(_)
            | Self::TooFast(_)
            | Self::Cancelled => self,
        }
    }
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map(|seconds| format!(": {seconds} seconds")).unwrap_or_default()
}

/// Why an instance's outbound HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The TLS stack did not start, most often because the machine has no root certificates.
    #[error(
        "{0}; an https origin needs the root certificates of the platform: install the package ca-certificates or set \
         SSL_CERT_FILE"
    )]
    Client(String),
    /// The certificates of a grant cannot be used.
    #[error("the `tls` of {origin}: {error}")]
    TlsFile {
        /// Where they are for.
        origin: Origin,
        /// What is wrong with them.
        error: TlsFileError,
    },
    /// The proxy of the environment cannot be used.
    #[error("the proxy {proxy}: {reason}; see `policy.proxy`")]
    Proxy {
        /// Where it is.
        proxy: String,
        /// Why not.
        reason: String,
    },
    /// The operator's value for a credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}
