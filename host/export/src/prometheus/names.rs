//! What metrics and labels are called on a page of Prometheus.
//!
//! The rules are those of OpenTelemetry's "Prometheus and OpenMetrics Compatibility", as the Collector carries them out: words
//! joined by `_`, the unit as a word of its own, `_total` at the end of counters and `_ratio` at the end of gauges of unit 1.

use std::collections::BTreeMap;

/// How metrics are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) namespace: String,
    /// Whether names end with their unit and `_total`.
    pub(super) has_suffixes: bool,
}

/// What the end of a name depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Counter,
    Gauge,
    Other,
}

/// Words for the units of UCUM, and for those behind a `/`.
const UNITS: [(&str, &str); 25] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

impl Naming {
    /// The name of a metric, with `_total` if it is a counter and has suffixes.
    pub(super) fn metric(&self, name: &str, unit: &str, nature: Nature) -> String {
        let named = if self.has_suffixes { with_suffixes(name, unit, nature) } else { replaced(name) };
        let named = match self.namespace.as_str() {
            "" => named,
            namespace => format!("{}_{named}", replaced(namespace).trim_end_matches('_')),
        };
        if named.is_empty() || named.starts_with(|c: char| c.is_ascii_digit()) { format!("_{named}") } else { named }
    }
}

/// The word of a unit that stands at the end of a name, if it has one.
pub(super) fn unit_word(unit: &str) -> Option<String> {
    let (main, per) = unit.split_once('/').map_or((unit, None), |(main, per)| (main, Some(per)));
    let mut words = Vec::new();
    words.extend(word(main, &UNITS));
    if let Some(per) = per.and_then(|per| word(per, &PER)) {
        words.push(format!("per_{per}"));
    }
    Some(words.join("_")).filter(|words| !words.is_empty())
}

fn word(unit: &str, known: &[(&str, &str)]) -> Option<String> {
    let unit = unit.trim();
    // What is in braces is a remark, and 1 is no unit.
    if unit.is_empty() || unit == "1" || unit.contains(['{', '}']) {
        return None;
    }
    let known = known.iter().find(|(symbol, _)| *symbol == unit).map(|(_, word)| (*word).to_owned());
    let word = known.unwrap_or_else(|| words(unit).collect::<Vec<_>>().join("_"));
    Some(word).filter(|word| !word.is_empty())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_allowed(c) || c == '_').filter(|word| !word.is_empty())
}

fn with_suffixes(name: &str, unit: &str, nature: Nature) -> String {
    let mut parts: Vec<String> = words(name).map(str::to_owned).collect();
    if nature == Nature::Counter {
        parts.retain(|part| part != "total");
    }
    if let Some(unit) = unit_word(unit) {
        let is_there = parts.join("_").ends_with(&unit) || parts.contains(&unit);
        if !is_there {
            parts.push(unit);
        }
    }
    match nature {
        Nature::Counter => parts.push("total".to_owned()),
        Nature::Gauge if unit.trim() == "1" => {
            parts.retain(|part| part != "ratio");
            parts.push("ratio".to_owned());
        }
        Nature::Gauge | Nature::Other => {}
    }
    parts.join("_")
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

fn replaced(name: &str) -> String {
    name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect()
}

/// The name of a label. A digit at the beginning gets `key_` before it.
pub(super) fn label(name: &str) -> String {
    let replaced: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    // Names that begin with two of them are Prometheus' own.
    let replaced = if replaced.starts_with("__") { format!("key{replaced}") } else { replaced };
    if replaced.is_empty() || replaced.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{replaced}")
    } else {
        replaced
    }
}

/// Labels by name. Those whose names become alike are joined with `;`, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Adds attributes under their names.
    pub(super) fn add<'k>(&mut self, attributes: impl Iterator<Item = (&'k str, String)>) {
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort_by_key(|(key, _)| *key);
        let mut added: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in attributes {
            let joined = added.entry(label(key));
            joined.and_modify(|joined| *joined = format!("{joined};{value}")).or_insert(value);
        }
        for (name, value) in added {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Sets a label, whatever attributes say.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// `a="1",b="2"`; a label without a value is none.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            escape(&mut text, value, true);
            text.push('"');
        }
        text
    }
}

/// Writes a text so that it cannot end its line, or its value.
pub(super) fn escape(text: &mut String, value: &str, is_quoted: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if is_quoted => text.push_str("\\\""),
            // OpenMetrics has no carriage return in the middle of a line.
            '\r' => text.push(' '),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, unit: &str, nature: Nature) -> String {
        Naming { namespace: String::new(), has_suffixes: true }.metric(name, unit, nature)
    }

    /// The examples of the specification and of the Collector's own tests.
    #[test]
    fn metrics_are_named_by_the_compatibility_rules() {
        for (name, unit, nature, expected) in [
            ("system.cpu.time", "s", Nature::Counter, "system_cpu_time_seconds_total"),
            ("system.memory.usage", "By", Nature::Gauge, "system_memory_usage_bytes"),
            ("system.io.total", "By", Nature::Counter, "system_io_bytes_total"),
            ("requests_total", "", Nature::Counter, "requests_total"),
            ("requests", "{request}", Nature::Counter, "requests_total"),
            ("system.cpu.utilization", "1", Nature::Gauge, "system_cpu_utilization_ratio"),
            ("hits.ratio", "1", Nature::Gauge, "hits_ratio"),
            ("http.latency", "ms", Nature::Other, "http_latency_milliseconds"),
            ("latency_seconds", "s", Nature::Other, "latency_seconds"),
            ("speed", "m/s", Nature::Gauge, "speed_meters_per_second"),
            ("rate", "By/s", Nature::Gauge, "rate_bytes_per_second"),
            ("rate", "{page}/h", Nature::Gauge, "rate_per_hour"),
            ("odd", "foo.bar", Nature::Gauge, "odd_foo_bar"),
            ("a..b--c", "", Nature::Gauge, "a_b_c"),
            ("1st", "", Nature::Gauge, "_1st"),
            ("job:rate:5m", "", Nature::Gauge, "job:rate:5m"),
            ("grüße", "", Nature::Gauge, "gr_e"),
            ("%", "", Nature::Gauge, "_"),
        ] {
            assert_eq!(named(name, unit, nature), expected, "{name} {unit}");
        }
        let bare = Naming { namespace: "my.app".to_owned(), has_suffixes: false };
        assert_eq!(bare.metric("cpu.time", "s", Nature::Counter), "my_app_cpu_time");
    }

    #[test]
    fn labels_are_named_by_the_compatibility_rules() {
        for (name, expected) in [
            ("http.method", "http_method"),
            ("0day", "key_0day"),
            ("__name__", "key__name__"),
            ("_private", "_private"),
            ("", "key_"),
            ("ü", "_"),
        ] {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn labels_that_become_alike_are_joined_and_values_cannot_break_out() {
        let mut labels = Labels::default();
        labels.add([("a.b", "2".to_owned()), ("a-b", "1".to_owned()), ("e", String::new())].into_iter());
        labels.add([("a_b", "later".to_owned()), ("c", "\"\\\n\r".to_owned())].into_iter());
        labels.set("job", "j");
        assert_eq!(labels.render(), "a_b=\"1;2\",c=\"\\\"\\\\\\n \",job=\"j\"");
    }
}
