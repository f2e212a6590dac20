//! What a line of the driver's page stands for.
//!
//! Spark writes its registry of Dropwizard metrics flat: a suffix says which number of a metric a line holds, and the
//! label `type` says what kind of metric it is. Times of a timer are nanoseconds here, whatever they are elsewhere.

use kiln_prometheus_text::{Sample, Value};

/// One number of one metric of the driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading<'a> {
    /// The name of the metric, as Spark writes it, without namespace and suffix.
    pub(crate) name: &'a str,
    /// Which of its numbers it is.
    pub(crate) part: Part,
    /// What kind of metric it is.
    pub(crate) kind: Kind,
    /// The number, as it stands on the page. Finite.
    pub(crate) value: Value,
}

/// Kinds of metrics in Spark's registry. Its meters are called counters on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    Histogram,
    Timer,
}

/// The numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The value of a gauge.
    Value,
    /// How much was counted, since the start.
    Count,
    /// Mean of the reservoir.
    Mean,
    /// Standard deviation of the reservoir.
    StdDev,
    /// A quantile of the reservoir.
    Quantile(&'static str),
}

const GAUGE: [(&str, Option<Part>); 2] = [("_Value", Some(Part::Value)), ("_Number", None)];

/// Rates say nothing that the count does not.
const OTHERS: [(&str, Option<Part>); 15] = [
    ("_Count", Some(Part::Count)),
    ("_Mean", Some(Part::Mean)),
    ("_StdDev", Some(Part::StdDev)),
    ("_Min", Some(Part::Quantile("0"))),
    ("_50thPercentile", Some(Part::Quantile("0.5"))),
    ("_75thPercentile", Some(Part::Quantile("0.75"))),
    ("_95thPercentile", Some(Part::Quantile("0.95"))),
    ("_98thPercentile", Some(Part::Quantile("0.98"))),
    ("_99thPercentile", Some(Part::Quantile("0.99"))),
    ("_999thPercentile", Some(Part::Quantile("0.999"))),
    ("_Max", Some(Part::Quantile("1"))),
    ("_MeanRate", None),
    ("_OneMinuteRate", None),
    ("_FiveMinuteRate", None),
    ("_FifteenMinuteRate", None),
];

impl<'a> Reading<'a> {
    /// Reads a line; `name` is its name without the namespace. `None` for what is said elsewhere on the page already
    /// (gauges come twice), for rates, and for numbers that are none: a ratio of nothing is `NaN`.
    pub(crate) fn new(name: &'a str, sample: &Sample<'_>) -> Option<Self> {
        if !sample.value.is_finite() {
            return None;
        }
        let (kind, suffixes): (Kind, &[(&str, Option<Part>)]) = match sample.labels.get("type") {
            Some("counters") => (Kind::Counter, &OTHERS),
            Some("histograms") => (Kind::Histogram, &OTHERS),
            Some("timers") => (Kind::Timer, &OTHERS),
            _ => (Kind::Gauge, &GAUGE),
        };
        let found = suffixes.iter().find_map(|(suffix, part)| name.strip_suffix(suffix).map(|name| (name, *part)));
        let (name, part) = found.unwrap_or((name, Some(Part::Value)));
        Some(Self { name, part: part?, kind, value: sample.value })
    }

    /// What no two readings of a page may have in common. A metric is a gauge or a counter and never both.
    pub(crate) const fn series(&self) -> (&'a str, &'static str) {
        match self.part {
            Part::Value | Part::Count => (self.name, ""),
            Part::Mean => (self.name, "mean"),
            Part::StdDev => (self.name, "std_dev"),
            Part::Quantile(quantile) => (self.name, quantile),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kiln_prometheus_text::samples;

    fn read(line: &str) -> Option<(&str, Part, Kind)> {
        let sample = samples(line).next().unwrap().unwrap();
        Reading::new(sample.name, &sample).map(|reading| (reading.name, reading.part, reading.kind))
    }

    #[test]
    fn a_gauge_that_comes_twice_is_read_once() {
        assert_eq!(read(r#"a_b_Value{type="gauges"} 1"#), Some(("a_b", Part::Value, Kind::Gauge)));
        assert_eq!(read(r#"a_b_Number{type="gauges"} 1"#), None);
        assert_eq!(read(r#"a_b_Number{type="counters"} 1"#), Some(("a_b_Number", Part::Value, Kind::Counter)));
    }

    #[test]
    fn the_suffix_says_which_number_it_is_and_rates_are_left_out() {
        assert_eq!(read(r#"a_Count{type="timers"} 1"#), Some(("a", Part::Count, Kind::Timer)));
        assert_eq!(
            read(r#"a_999thPercentile{type="histograms"} 1"#),
            Some(("a", Part::Quantile("0.999"), Kind::Histogram))
        );
        assert_eq!(read(r#"a_MeanRate{type="timers"} 1"#), None);
        assert_eq!(read(r#"a_Count{type="gauges"} 1"#), Some(("a_Count", Part::Value, Kind::Gauge)));
        assert_eq!(read("a 1"), Some(("a", Part::Value, Kind::Gauge)));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        assert_eq!(read(r#"jvm_heap_usage_Value{type="gauges"} NaN"#), None);
        assert_eq!(read(r#"jvm_heap_usage_Value{type="gauges"} Infinity"#), None);
        assert!(read(r#"jvm_heap_usage_Value{type="gauges"} 0.5"#).is_some());
    }
}
