//! How a backend can misbehave.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Refused with this status (413, 429, 503, ...); nothing is stored.
    Status {
        /// The HTTP status.
        status: u16,
        /// When to come back; absent: no such header.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// Accepted with `partial_success` in the answer. What was sent is stored: a real backend would not say
    /// which items it rejected. [`super::Received::rejected`] says how many.
    PartialSuccess {
        /// `rejected_data_points`, `rejected_spans` or `rejected_log_records`; with 0 it is a warning.
        rejected: i64,
        /// `error_message`.
        message: String,
    },
    /// The connection is reset instead of an answer; nothing is stored.
    Reset,
    /// The connection is reset before the body has been read to its end; nothing is stored.
    ResetMidBody,
    /// Accepted, late. Stored only when it is answered: a sender that gave up before has to send again.
    Slow {
        /// By how many milliseconds.
        ms: u64,
    },
    /// Accepted, with an answer that begins and never ends: a sender has to give up, and cannot know that it was stored.
    Endless,
}

impl Fault {
    /// Refused with this status and no `Retry-After`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None }
    }
}

/// The two forms of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As an HTTP date, this many seconds after the moment of the answer (dates have no fractions).
    DateIn(u64),
}

impl RetryAfter {
    /// How long it is until then.
    pub(super) fn seconds(self) -> i64 {
        let (Self::Seconds(seconds) | Self::DateIn(seconds)) = self;
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    pub(super) fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::DateIn(seconds) => {
                let now = SystemTime::now();
                let date = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
                httpdate::fmt_http_date(date)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_what_http_says() {
        assert_eq!(RetryAfter::Seconds(7).header(), "7");
        let date = RetryAfter::DateIn(60).header();
        assert!(httpdate::parse_http_date(&date).is_ok_and(|date| date > SystemTime::now()), "{date}");
    }
}
