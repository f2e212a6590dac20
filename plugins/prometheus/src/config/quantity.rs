//! Durations and sizes as Prometheus writes them.

use core::time::Duration;

use serde::{Deserialize, Deserializer};

/// A duration such as `15s`, `1m30s` or `500ms`: whole numbers of `y`, `w`, `d`, `h`, `m`, `s` and `ms`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PrometheusDuration(pub(crate) Duration);

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl PrometheusDuration {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut units = UNITS.iter();
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            let (_, scale) = units.find(|(name, _)| *name == unit)?;
            millis = millis.checked_add(digits.parse::<u64>().ok()?.checked_mul(*scale)?)?;
            rest = after;
        }
        (millis > 0).then_some(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for PrometheusDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{text}` is no duration; write it as in `15s` or `1m30s`, above zero"
            ))
        })
    }
}

/// A size such as `10MB`, in powers of 1024 whether written `MB` or `MiB`; 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let scale: u64 = match unit.trim_start() {
            "" | "B" => 1,
            "KB" | "KiB" => 1 << 10,
            "MB" | "MiB" => 1 << 20,
            "GB" | "GiB" => 1 << 30,
            "TB" | "TiB" => 1 << 40,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(scale).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is no size; write it as in `10MB`")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u128> {
        PrometheusDuration::parse(text).map(|duration| duration.0.as_millis())
    }

    #[test]
    fn durations_are_prometheus_s() {
        for (text, expected) in
            [("15s", 15_000), ("1m30s", 90_000), ("500ms", 500), ("1d", 86_400_000), ("1h1ms", 3_600_001)]
        {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for wrong in ["", "0s", "15", "s", "30s1m", "1.5s", "-1s", "1 s", "1x", "99999999999999999999s"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expected) in [("10MB", 10 << 20), ("10MiB", 10 << 20), ("5", 5), ("0", 0), ("1KB", 1024)] {
            assert_eq!(Size::parse(text), Some(Size(expected)), "{text}");
        }
        for wrong in ["", "MB", "1mb", "1.5MB", "99999999999TB"] {
            assert_eq!(Size::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-zA-Zé .]{0,12}") {
            let _ = (PrometheusDuration::parse(&text), Size::parse(&text));
        }
    }
}
