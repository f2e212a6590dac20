//! Points in time as APIs write them: ISO 8601 in some places, milliseconds in others.
//!
//! A parser of its own because all that is needed is this: a text that is no time is no time, and nothing panics.

use crate::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// For `deserialize_with`: milliseconds since the epoch, if that is what it is.
///
/// # Errors
/// Not JSON.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Number(millis) => positive(millis),
        Written::Text(text) => parse(&text).or_else(|| positive(text.parse().ok()?)),
        Written::Other(_) => None,
    })
}

/// Milliseconds since the epoch of `2026-01-01T00:00:00.123Z` and the like; Spark writes `GMT` for `Z`. What says no zone
/// means UTC.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, rest) = text.strip_suffix("GMT").unwrap_or(text).split_once(['T', 't', ' '])?;
    let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (rest.get(..at)?, minutes_ahead(rest.get(at..)?)?),
        None => (rest, 0),
    };
    let mut date = date.splitn(3, '-').map(|part| number(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let mut time = time.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let is_real = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // A leap second is the second before it.
    if !is_real || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = days(year, month, day) * 1_440 + hour * 60 + minute - offset;
    let millis = (minutes * 60 + second.min(59)) * 1_000 + thousandths(fraction)?;
    u64::try_from(millis).ok()
}

fn positive(millis: i64) -> Option<u64> {
    u64::try_from(millis).ok().filter(|millis| *millis > 0)
}

/// Days since the epoch, by Howard Hinnant's `days_from_civil`: years begin in March, so that leap days come last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn number(digits: &str, most: usize) -> Option<i64> {
    let is_plain = (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

fn thousandths(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    number(&digits, 3)
}

/// Of `Z`, `+02:00`, `+0200` and `-07`.
fn minutes_ahead(zone: &str) -> Option<i64> {
    let (sign, offset) = match zone.chars().next()? {
        '+' => (1, zone.get(1..)?),
        '-' => (-1, zone.get(1..)?),
        _ => return Some(0).filter(|_| zone.len() == 1),
    };
    let digits = offset.replacen(':', "", 1);
    let (hours, minutes) = (number(digits.get(..2)?, 2)?, digits.get(2..).filter(|rest| !rest.is_empty()));
    let minutes = minutes.map_or(Some(0), |minutes| number(minutes, 2))?;
    Some(sign * (hours * 60 + minutes)).filter(|offset| offset.abs() < 1_440)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Thing(#[serde(deserialize_with = "deserialize")] Option<u64>);

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696_000),
            ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("2026-01-01T00:00:00", 1_767_225_600_000),
            ("2026-01-01T00:00:00.096GMT", 1_767_225_600_096),
            ("2026-01-01 00:00:00.5Z", 1_767_225_600_500),
            ("2026-01-01T00:00:00.123456789Z", 1_767_225_600_123),
            ("2026-01-01T02:00:00+02:00", 1_767_225_600_000),
            ("2025-12-31T17:00:00-0700", 1_767_225_600_000),
            ("2025-12-31T23:59:60Z", 1_767_225_599_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+",
            "2026-01-01T00:00:00+9",
            "2026-01-01T00:00:00+99:00",
            "2026-01-01T00:00:00Zulu",
            "-026-01-01T00:00:00Z",
            "2026-01-01T00:00",
            "1969-12-31T23:59:59Z",
            "+2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.1x3Z",
            "1970-01-01T00:00:00+01:00",
            "1969-12-31T23:59:59.999GMT",
            "2026-01-01T00:00:00GMTGMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_are_times_too() {
        let read = |json: &str| serde_json::from_str::<Thing>(json).unwrap().0;
        assert_eq!(read("5"), Some(5));
        assert_eq!(read("\"5\""), Some(5));
        assert_eq!(read("\"1970-01-01T00:00:01Z\""), Some(1_000));
        for odd in ["null", "-5", "0", "[1]", "{\"a\": 1}", "true", "1e300", "1.5", "\"x\"", "99999999999999999999"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn times_are_as_httpdate_has_them(seconds in 0_u64..253_402_300_799) {
            let time = std::time::UNIX_EPOCH + core::time::Duration::from_secs(seconds);
            let written = httpdate::fmt_http_date(time);
            let parts: Vec<&str> = written.split(' ').collect();
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month = 1 + months.iter().position(|month| Some(month) == parts.get(2)).unwrap();
            let text = format!("{}-{month:02}-{}T{}Z", parts.get(3).unwrap(), parts.get(1).unwrap(), parts.get(4).unwrap());
            prop_assert_eq!(parse(&text), Some(seconds * 1_000));
        }

        #[test]
        fn any_text_is_read(text in "[0-9TZ:+.é -]{0,30}") {
            let _ = parse(&text);
        }
    }
}
