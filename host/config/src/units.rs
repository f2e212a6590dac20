//! Durations and sizes as people write them.

use std::time::Duration;

use humantime::DurationError;

/// Durations beyond a year are typing errors, and arithmetic on instants would overflow on the largest.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
pub(crate) const GIB: u64 = 1024 * MIB;

/// Largest first: the first that divides a size is the one to show it in.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1024 * GIB),
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// A size, or a share of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths, from 1 to 100.
    Percent(u8),
}

/// Reads `80%`, or what [`parse_size`] reads.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse_share(text: &str) -> Result<Share, String> {
    let Some(percent) = text.strip_suffix('%') else {
        return parse_size(text).map(Share::Bytes).map_err(|_| "write it as in `512MiB` or `80%`".to_owned());
    };
    match percent.trim_end().parse() {
        Ok(percent @ 1..=100) => Ok(Share::Percent(percent)),
        _ => Err("use a share from 1% to 100%".to_owned()),
    }
}

/// Reads `30s`, `500ms`, `1m30s` or `0`.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|error| match error {
        DurationError::UnknownUnit { unit, value, .. } if unit.is_empty() => {
            format!("it lacks a unit; write `{value}s` for seconds or `{value}ms` for milliseconds")
        }
        DurationError::NumberOverflow => "it is too large or too precise".to_owned(),
        _ => "write it as in `30s`, `500ms` or `1m30s`".to_owned(),
    })
}

/// Writes a duration the way it can be read.
pub(crate) fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Reads `64MiB`, `1GB` or a plain number of bytes.
///
/// # Errors
/// What to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        Some(1)
    } else {
        SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
    };
    let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) else {
        return Err("write it as in `64MiB` or as a number of bytes".to_owned());
    };
    number.checked_mul(factor).ok_or_else(|| "it is too large".to_owned())
}

/// Writes a size in the largest unit that holds it exactly.
pub(crate) fn format_size(bytes: u64) -> String {
    let exact = SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match exact {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h 2m", 3_720_000),
            ("1.5s", 1500),
            ("0s", 0),
            ("0", 0),
            ("1day", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_gets_a_remedy() {
        for (text, remedy) in [
            ("30", "it lacks a unit; write `30s` for seconds or `30ms` for milliseconds"),
            ("", "write it as in"),
            ("soon", "write it as in"),
            ("-5s", "write it as in"),
            ("5 parsecs", "write it as in"),
            ("99999999999999999999s", "it is too large"),
        ] {
            assert!(parse_duration(text).unwrap_err().starts_with(remedy), "{text}: {:?}", parse_duration(text));
        }
    }

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("64MiB", 64 * MIB),
            ("64 mib", 64 * MIB),
            ("1GB", 1_000_000_000),
            ("3KiB", 3072),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "64M", "64 Mi B", "99999999999999999999", "99999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_sizes_or_percentages() {
        assert_eq!(parse_share("80%"), Ok(Share::Percent(80)));
        assert_eq!(parse_share("100 %"), Ok(Share::Percent(100)));
        assert_eq!(parse_share("64MiB"), Ok(Share::Bytes(64 * MIB)));
        for text in ["0%", "101%", "-1%", "1.5%", "%", "lots", ""] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(bytes in any::<u64>(), milliseconds in 1..=31_000_000_000_u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = (parse_size(&text), parse_share(&text), parse_duration(&text));
        }
    }
}
