//! Why there is no token, for the operator at length and for the plugin without a word that is not Kiln's own.

use std::time::Duration;

use kiln_policy::{Denial, Origin};
use kiln_telemetry::metrics::TokenOutcome;

use crate::error::Error;
use crate::failure::Failure;

/// Why an attempt brought no token. Never contains one, nor a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the file that `{field}` names {problem}")]
    File { field: String, problem: FileProblem },
    #[error("{0}")]
    Denied(Denial),
    #[error("{0}: no answer within {1:?}")]
    Timeout(Origin, Duration),
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Broken(String),
    #[error("{origin} is busy and answers {status}")]
    Busy { origin: Origin, status: u16, asked: Option<Duration> },
    #[error("{origin} answers {status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused { origin: Origin, status: u16, code: Option<String>, said: Option<String> },
    #[error("{0} answers with {1}")]
    Answer(Origin, Nonsense),
    #[error("{origin} names a token endpoint elsewhere{}, where no secret is sent", at(named.as_ref()))]
    Elsewhere { origin: Origin, named: Option<Origin> },
    /// The task that fetched it is gone, which only happens when the host stops.
    #[error("the host is shutting down")]
    Interrupted,
}

fn at(named: Option<&Origin>) -> String {
    named.map(|named| format!(", at {named}")).unwrap_or_default()
}

/// What is wrong with a token file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileProblem {
    /// Holds the words of the operating system, which do not repeat the path.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is no regular file")]
    NotAFile,
    #[error("is larger than any token")]
    TooLarge,
    #[error("does not hold a single token: it is empty or contains white space or other characters no token has")]
    NotAToken,
}

/// What an answer is instead of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nonsense {
    #[error("more than a token takes up")]
    TooLarge,
    #[error("something that is not JSON: is this a token endpoint?")]
    NotJson,
    #[error("JSON without a usable `access_token`")]
    NoToken,
    #[error("a token that is not of type Bearer")]
    NotBearer,
    #[error("JSON without a usable `token_endpoint`")]
    NoEndpoint,
}

impl TokenError {
    pub(super) fn outcome(&self) -> TokenOutcome {
        match self {
            Self::File { .. } => TokenOutcome::Unreadable,
            Self::Denied(_) | Self::Elsewhere { .. } => TokenOutcome::Denied,
            Self::Timeout(..) => TokenOutcome::Timeout,
            Self::Connect(_) | Self::Broken(_) | Self::Interrupted => TokenOutcome::Connect,
            Self::Tls(_) => TokenOutcome::Tls,
            Self::Busy { .. } => TokenOutcome::RateLimited,
            Self::Refused { .. } => TokenOutcome::Refused,
            Self::Answer(..) => TokenOutcome::InvalidAnswer,
        }
    }

    /// How long the server asks to be left alone.
    pub(super) const fn asked(&self) -> Option<Duration> {
        match self {
            Self::Busy { asked, .. } => *asked,
            _ => None,
        }
    }

    /// What the server said at length, for the operator only.
    pub(super) fn said(&self) -> Option<&str> {
        match self {
            Self::Refused { said, .. } => said.as_deref(),
            _ => None,
        }
    }
}

impl From<Failure> for TokenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(denial) => Self::Denied(denial),
            Failure::Connect(text) | Failure::Nobody(text) => Self::Connect(text),
            Failure::Tls(text) => Self::Tls(text),
            Failure::Broken(text) | Failure::Malformed(text) | Failure::HeadTooLarge(text) => Self::Broken(text),
        }
    }
}

/// Why a request has no token to be sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoToken {
    error: TokenError,
    /// Where this is the outcome of an earlier attempt: time until the next.
    again_in: Option<Duration>,
}

impl NoToken {
    pub(super) const fn after(error: TokenError, again_in: Option<Duration>) -> Self {
        Self { error, again_in }
    }
}

impl From<TokenError> for NoToken {
    fn from(error: TokenError) -> Self {
        Self { error, again_in: None }
    }
}

impl From<NoToken> for Error {
    fn from(NoToken { error, again_in }: NoToken) -> Self {
        let again = again_in.map(|left| format!("; the next try is in {} s", whole_seconds(left))).unwrap_or_default();
        let text = format!("no access token: {error}{again}");
        match &error {
            TokenError::Busy { asked: Some(asked), .. } => {
                Self::RateLimited(Some(whole_seconds(again_in.unwrap_or(*asked))))
            }
            TokenError::Interrupted => Self::Cancelled,
            TokenError::Tls(_) => Self::Tls(text),
            TokenError::Timeout(..) | TokenError::Connect(_) | TokenError::Broken(_) | TokenError::Busy { .. } => {
                Self::Connect(text)
            }
            TokenError::Refused { status: 500.., .. } => Self::Connect(text),
            TokenError::File { .. }
            | TokenError::Denied(_)
            | TokenError::Refused { .. }
            | TokenError::Answer(..)
            | TokenError::Elsewhere { .. } => Self::Denied(text),
        }
    }
}

/// Rounded up: a plugin that waits this long has waited long enough.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
