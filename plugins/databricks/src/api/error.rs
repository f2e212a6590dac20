//! Why something could not be read, as operators are told and as `error.type` says.

use core::fmt;
use std::borrow::Cow;

use kiln_plugin::CollectError;
use kiln_plugin::http::{FetchError, HttpError, Problem};

/// Why something could not be read.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// No answer, or not one that says what was asked.
    Fetch(FetchError),
    /// The pages of a list do not end.
    Endless(String),
    /// A list is so long, or its server so slow, that a collection would not end in time.
    OutOfTime(String),
    /// Parts of an answer were not what the API documents; the rest was read.
    Odd {
        /// Path of the endpoint.
        path: String,
        /// How many items were passed over.
        items: usize,
    },
    /// What was read cannot be remembered, so it is not reported.
    NoRoom,
    /// An answer that makes no sense, or the workspace's own account of a failure.
    Failed {
        /// Path of the endpoint.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl ApiError {
    /// The value of `error.type`: as the semantic conventions have it, the status code or the class of the error.
    pub(crate) fn kind(&self) -> Cow<'static, str> {
        let problem = match self {
            Self::Fetch(error) => error.problem(),
            Self::Endless(_) => return Cow::Borrowed("endless"),
            Self::OutOfTime(_) => return Cow::Borrowed("out_of_time"),
            Self::Odd { .. } => return Cow::Borrowed("invalid_data"),
            Self::NoRoom => return Cow::Borrowed("state_full"),
            Self::Failed { .. } => return Cow::Borrowed("failed"),
        };
        Cow::Borrowed(match problem {
            Problem::Status { status, .. } => return Cow::Owned(status.to_string()),
            Problem::ContentType { .. } | Problem::Json(_) | Problem::NotUtf8 => "invalid_data",
            Problem::PageTwice | Problem::TooManyPages(_) => "endless",
            Problem::Http(HttpError::Denied(_)) => "denied",
            Problem::Http(HttpError::InvalidRequest(_)) => "invalid_request",
            Problem::Http(HttpError::Timeout) => "timeout",
            Problem::Http(HttpError::Connect(_)) => "connect",
            Problem::Http(HttpError::Tls(_)) => "tls",
            Problem::Http(HttpError::TooLarge(_)) => "too_large",
            Problem::Http(HttpError::RateLimited(_)) => "rate_limited",
            Problem::Http(HttpError::Cancelled) => "cancelled",
            Problem::Http(HttpError::Protocol(_)) => "protocol",
        })
    }

    /// The status of the answer, if there was one.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Fetch(error) => match error.problem() {
                Problem::Status { status, .. } => Some(*status),
                _ => None,
            },
            _ => None,
        }
    }

    /// The identity is known and may not read this.
    pub(crate) const fn is_forbidden(&self) -> bool {
        matches!(self.status(), Some(403))
    }

    /// The identity is not known.
    pub(crate) const fn is_unauthorized(&self) -> bool {
        matches!(self.status(), Some(401))
    }

    /// Whether the API says that there is no such thing. It answers 400 rather than 404 for runs, so its words decide
    /// (databricks-sdk, `errors/overrides.py`); a 404 of a proxy says nothing about a run.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Fetch(error) => match error.problem() {
                Problem::Status { status: 400 | 404, body } => {
                    body.contains("does not exist") || body.contains("RESOURCE_DOES_NOT_EXIST")
                }
                _ => false,
            },
            _ => false,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Endless(path) => {
                write!(f, "{path}: the list does not end: a page token came twice, or too many pages")
            }
            Self::OutOfTime(path) => {
                write!(
                    f,
                    "{path}: reading it to its end takes longer than a collection may; it is read again next time"
                )
            }
            Self::Odd { path, items } => {
                write!(f, "{path}: {items} items were not what the API documents, passed over")
            }
            Self::NoRoom => f.write_str(
                "not reported, because there is no room to remember it: raise `limits.state_bytes` of the receiver, or \
                 lower `max_jobs`",
            ),
            Self::Failed { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// What the error means if nothing else could be read either.
impl From<ApiError> for CollectError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Fetch(error) => error.into(),
            ApiError::OutOfTime(_) => Self::Unavailable(error.to_string()),
            ApiError::NoRoom => Self::Failed(error.to_string()),
            ApiError::Endless(_) | ApiError::Odd { .. } | ApiError::Failed { .. } => {
                Self::InvalidData(error.to_string())
            }
        }
    }
}
