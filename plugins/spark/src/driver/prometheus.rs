//! The driver's Prometheus page: one line for every number of every metric.
//!
//! Spark writes its registry flat: a suffix says which number of a metric a line holds, and the label `type` says what
//! kind of metric it is. Times of a timer are nanoseconds.

use kiln_prometheus_text::{Sample, samples};

use super::names::Namespace;
use super::reading::{Kind, Part, Reading};
use crate::tally::Tally;

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

/// The readings of the page, and the namespace their names had. `None` if no metric on it is a driver's.
pub(crate) fn readings<'a>(
    text: &'a str,
    application_id: Option<&str>,
    tally: &mut Tally,
) -> Option<(Namespace, Vec<Reading<'a>>)> {
    let names = samples(text).filter_map(Result::ok).map(|sample| sample.name);
    let namespace = Namespace::find(names, application_id)?;
    let mut readings = Vec::new();
    for sample in samples(text) {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                tally.skip(error);
                continue;
            }
        };
        match namespace.strip(sample.name) {
            Some(name) => {
                tally.take();
                readings.extend(reading(name, &sample));
            }
            None => tally.skip(format_args!("`{}` is not a metric of the driver", sample.name)),
        }
    }
    Some((namespace, readings))
}

/// Reads a line; `name` is its name without the namespace. `None` for what is said elsewhere on the page already
/// (gauges come twice), for rates, and for numbers that are none: a ratio of nothing is `NaN`.
fn reading<'a>(name: &'a str, sample: &Sample<'_>) -> Option<Reading<'a>> {
    if !sample.value.is_finite() {
        return None;
    }
    let (kind, suffixes): (Kind, &[(&str, Option<Part>)]) = match sample.labels.get("type").as_deref() {
        Some("counters") => (Kind::Counter, &OTHERS),
        Some("histograms") => (Kind::Histogram, &OTHERS),
        Some("timers") => (Kind::Timer, &OTHERS),
        _ => (Kind::Gauge, &GAUGE),
    };
    let found = suffixes.iter().find_map(|(suffix, part)| name.strip_suffix(suffix).map(|name| (name, *part)));
    let (name, part) = found.unwrap_or((name, Some(Part::Value)));
    Some(Reading { name, written: None, part: part?, kind, value: sample.value })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kiln_prometheus_text::samples;

    fn read(line: &str) -> Option<(&str, Part, Kind)> {
        let sample = samples(line).next().unwrap().unwrap();
        reading(sample.name, &sample).map(|reading| (reading.name, reading.part, reading.kind))
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
