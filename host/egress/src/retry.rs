//! When a request is sent again, and after what wait.
//!
//! Only requests that may be sent twice without effect come here. A decision is a function of what happened, the time
//! that is left and chance; nothing here waits.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The first try included.
pub(crate) const MAX_TRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What follows a try that may be repeated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another try after this wait.
    Pause(Duration),
    /// What is there is the result.
    Stop,
    /// The server wants to be left alone for this long, which is more than the time that is left.
    AskedForMore(Duration),
}

/// Whether the status says that the same request may succeed later.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// How long the server asks to be left alone, if it says so in a form RFC 9110 §10.2.3 knows.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number of seconds can have still mean a long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// What follows try number `tries`, when the server `asked` for a wait or did not, `remaining` is left of the time
/// allowed, and `chance` is a random number from 0 to 1.
pub(crate) fn next(tries: u32, asked: Option<Duration>, remaining: Duration, chance: f64) -> Next {
    let pause = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(MAX_TRIES));
    // Requests that failed together must not come back together.
    let jitter = pause.mul_f64(chance.clamp(0.0, 1.0) / 2.0);
    let wait = asked.unwrap_or(pause).saturating_add(jitter);
    match asked {
        Some(asked) if wait >= remaining => Next::AskedForMore(asked),
        _ if tries >= MAX_TRIES || wait >= remaining => Next::Stop,
        _ => Next::Pause(wait),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn asks(value: &str) -> Option<Duration> {
        // Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, now)
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(asks("0"), Some(Duration::ZERO));
        assert_eq!(asks("120"), Some(Duration::from_secs(120)));
        assert_eq!(asks("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asks("Sunday, 06-Nov-94 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asks("Sun Nov  6 08:49:47 1994"), Some(Duration::from_secs(10)));
        assert_eq!(asks("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_date_in_the_past_means_now() {
        assert_eq!(asks("Sun, 06 Nov 1994 08:49:36 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_as_if_it_were_not_there() {
        for value in ["", "-1", "1.5", "+3", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "10 s"] {
            assert_eq!(asks(value), None, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn the_wait_doubles_and_chance_only_lengthens_it() {
        let wait = |tries, chance| match next(tries, None, MINUTE, chance) {
            Next::Pause(wait) => wait.as_millis(),
            Next::Stop | Next::AskedForMore(_) => 0,
        };
        assert_eq!([wait(1, 0.0), wait(2, 0.0)], [500, 1000]);
        assert_eq!([wait(1, 1.0), wait(2, 1.0)], [750, 1500]);
    }

    #[test]
    fn the_server_gets_at_least_the_wait_it_asks_for() {
        let asked = Duration::from_secs(7);
        assert_eq!(next(1, Some(asked), MINUTE, 0.0), Next::Pause(asked));
        assert_eq!(next(1, Some(asked), MINUTE, 1.0), Next::Pause(Duration::from_millis(7250)));
    }

    #[test]
    fn three_tries_and_no_fourth() {
        assert!(matches!(next(2, None, MINUTE, 0.0), Next::Pause(_)));
        assert_eq!(next(3, None, MINUTE, 0.0), Next::Stop);
        assert_eq!(next(3, Some(Duration::ZERO), MINUTE, 0.0), Next::Stop);
    }

    #[test]
    fn no_wait_goes_beyond_the_time_that_is_left() {
        let left = Duration::from_millis(500);
        assert_eq!(next(1, None, left, 0.0), Next::Stop);
        assert_eq!(next(1, Some(left), left, 0.0), Next::AskedForMore(left));
        assert_eq!(next(3, Some(MINUTE), left, 0.0), Next::AskedForMore(MINUTE));
        let ages = Duration::from_secs(u64::MAX);
        assert_eq!(next(1, Some(ages), MINUTE, 1.0), Next::AskedForMore(ages));
    }
}
