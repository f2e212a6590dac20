//! Units as Prometheus spells them, as UCUM spells them.

use std::borrow::Cow;

const UNITS: [(&str, &str); 25] = [
    ("days", "d"),
    ("hours", "h"),
    ("minutes", "min"),
    ("seconds", "s"),
    ("milliseconds", "ms"),
    ("microseconds", "us"),
    ("nanoseconds", "ns"),
    ("bytes", "By"),
    ("kibibytes", "KiBy"),
    ("mebibytes", "MiBy"),
    ("gibibytes", "GiBy"),
    ("tebibytes", "TiBy"),
    ("kilobytes", "kBy"),
    ("megabytes", "MBy"),
    ("gigabytes", "GBy"),
    ("terabytes", "TBy"),
    ("meters", "m"),
    ("volts", "V"),
    ("amperes", "A"),
    ("joules", "J"),
    ("watts", "W"),
    ("grams", "g"),
    ("celsius", "Cel"),
    ("hertz", "Hz"),
    ("percent", "%"),
];

const PER: [(&str, &str); 7] =
    [("second", "s"), ("minute", "min"), ("hour", "h"), ("day", "d"), ("week", "wk"), ("month", "mo"), ("year", "a")];

/// The unit of a family in UCUM. A word that is in no table stays as it is.
pub(crate) fn ucum(unit: &str) -> Cow<'_, str> {
    if let Some((unit, per)) = unit.split_once("_per_") {
        let per = PER.iter().find(|(word, _)| *word == per).map_or_else(|| ucum(per), |(_, code)| Cow::Borrowed(*code));
        return Cow::Owned(format!("{}/{per}", ucum(unit)));
    }
    match unit {
        "ratio" => Cow::Borrowed("1"),
        _ => Cow::Borrowed(UNITS.iter().find(|(word, _)| *word == unit).map_or(unit, |(_, code)| code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_ucum_and_what_is_no_unit_stays() {
        for (word, code) in [
            ("seconds", "s"),
            ("bytes", "By"),
            ("ratio", "1"),
            ("bytes_per_second", "By/s"),
            ("requests_per_minute", "requests/min"),
            ("meters_per_seconds", "m/s"),
            ("", ""),
            ("furlongs", "furlongs"),
        ] {
            assert_eq!(ucum(word), code, "{word}");
        }
    }
}
