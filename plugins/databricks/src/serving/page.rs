//! The page of metrics of one serving endpoint, in the Prometheus text format.
//!
//! Every series passes through under its own name. What is a counter is one; a gauge, and what the page does not say the
//! type of, is a gauge. Of a histogram or a summary only `_count` and `_sum` pass, as counters: their buckets and
//! quantiles mean nothing as series of their own.
//!
//! A page keeps [`MAX_SERIES`] series at most, each once; a line that cannot be read costs only itself.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared};
use kiln_plugin::telemetry::{Attribute, Number};
use kiln_prometheus_text::{Sample, Type, samples, types};

use crate::telemetry;

/// Series of one page.
const MAX_SERIES: usize = 1_000;
/// Labels of one series.
const MAX_LABELS: usize = 32;
/// A longer name is none (OpenTelemetry, instrument name syntax: 255 characters with the prefix).
const MAX_NAME_BYTES: usize = 220;

const PREFIX: &str = "databricks.serving_endpoint.";

/// What a page says.
#[derive(Debug, Default)]
pub(super) struct Page {
    series: BTreeMap<Key, Series>,
    /// Lines that were passed over, because they could not be read or are too many.
    pub(super) odd: usize,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: String,
    /// Sorted by name, each once.
    labels: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    is_counter: bool,
    value: f64,
}

impl Page {
    /// Reads a page.
    pub(super) fn read(text: &str) -> Self {
        let types: BTreeMap<&str, Type> = types(text).take(MAX_SERIES).collect();
        let mut page = Self::default();
        for sample in samples(text) {
            let Ok(sample) = sample else {
                page.odd = page.odd.saturating_add(1);
                continue;
            };
            let Some(is_counter) = meaning(&types, sample.name) else { continue };
            let value = sample.value.as_f64();
            // Not a number is what an endpoint says that has had no requests.
            if !value.is_finite() || (is_counter && value < 0.0) {
                continue;
            }
            match Key::of(&sample) {
                Some(key) if page.series.len() < MAX_SERIES && !page.series.contains_key(&key) => {
                    page.series.insert(key, Series { is_counter, value });
                }
                Some(_) | None => page.odd = page.odd.saturating_add(1),
            }
        }
        page
    }

    /// Whether a counter has fallen since an earlier page: the endpoint counts anew.
    pub(super) fn has_restarted_since(&self, earlier: &Self) -> bool {
        self.series.iter().filter(|(_, series)| series.is_counter).any(|(key, series)| {
            earlier.series.get(key).is_some_and(|before| before.is_counter && series.value < before.value)
        })
    }

    /// Adds every series. Those the builder does not take, because another endpoint gives the name another meaning or
    /// the plugin itself does, are left out.
    pub(super) fn add_to(&self, endpoint: &str, start: UnixNanos, metrics: &mut telemetry::Metrics) {
        for (Key { name, labels }, series) in &self.series {
            let name = format!("{PREFIX}{name}");
            let instrument = if series.is_counter { Instrument::Counter { start } } else { Instrument::Gauge };
            let metric = Undeclared { name: &name, unit: "", description: "", instrument };
            let mut attributes = vec![Attribute::new("databricks.serving_endpoint.name", endpoint)];
            attributes.extend(labels.iter().map(|(name, value)| Attribute::new(name.as_str(), value.as_str())));
            let _ = metrics.undeclared(&metric, attributes, Number::Float(series.value));
        }
    }
}

impl Key {
    fn of(sample: &Sample<'_>) -> Option<Self> {
        if sample.name.len() > MAX_NAME_BYTES || sample.name.contains(':') {
            return None;
        }
        let (mut labels, mut names) = (Vec::new(), BTreeSet::new());
        for (name, value) in sample.labels.iter() {
            // A label without a value is a label that is not there.
            if !value.is_empty() && names.insert(name) {
                labels.push((name.to_owned(), value.into_owned()));
            }
        }
        labels.sort();
        (labels.len() <= MAX_LABELS).then(|| Self { name: sample.name.to_owned(), labels })
    }
}

/// Whether a sample is a counter; nothing if it is a part of a family that means nothing by itself.
fn meaning(types: &BTreeMap<&str, Type>, name: &str) -> Option<bool> {
    let family = |suffix: &str| name.strip_suffix(suffix).and_then(|family| types.get(family));
    let is_composite = |kind: Option<&Type>| matches!(kind, Some(Type::Histogram | Type::Summary));
    match types.get(name) {
        Some(Type::Counter) => return Some(true),
        Some(Type::Gauge | Type::Unknown | Type::Info | Type::StateSet) => return Some(false),
        // The quantiles of a summary.
        Some(Type::Histogram | Type::GaugeHistogram | Type::Summary) => return None,
        None => {}
    }
    if is_composite(family("_count")) || is_composite(family("_sum")) {
        return Some(true);
    }
    if is_composite(family("_bucket")) || is_composite(family("_created")) {
        return None;
    }
    // OpenMetrics names the family without the end of its samples.
    match (family("_total"), family("_created")) {
        (Some(Type::Counter), _) => Some(true),
        (_, Some(Type::Counter)) => None,
        _ => Some(false),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_say_what_is_a_counter_and_what_means_nothing_by_itself() {
        let page = "# TYPE c counter\n# TYPE g gauge\n# TYPE h histogram\n# TYPE s summary\n# TYPE o counter\n";
        let types: BTreeMap<&str, Type> = types(page).collect();
        for (name, expected) in [
            ("c", Some(true)),
            ("g", Some(false)),
            ("unknown", Some(false)),
            ("unknown_count", Some(false)),
            ("h_bucket", None),
            ("h_sum", Some(true)),
            ("h_count", Some(true)),
            ("s", None),
            ("s_count", Some(true)),
            ("s_created", None),
            ("o_total", Some(true)),
            ("o_created", None),
        ] {
            assert_eq!(meaning(&types, name), expected, "{name}");
        }
    }

    #[test]
    fn a_counter_that_falls_says_that_the_endpoint_counts_anew_and_a_gauge_does_not() {
        let page = |counter: u32, gauge: u32| {
            Page::read(&format!("# TYPE c counter\nc{{a=\"1\"}} {counter}\n# TYPE g gauge\ng {gauge}"))
        };
        assert!(page(4, 1).has_restarted_since(&page(5, 1)));
        assert!(!page(5, 1).has_restarted_since(&page(5, 2)));
        assert!(!page(5, 1).has_restarted_since(&Page::default()));
    }

    #[test]
    fn a_page_is_bounded_and_a_series_is_there_once() {
        let lines: String = (0..3_000).map(|n| format!("a{{n=\"{n}\"}} 1\n")).collect();
        let page = Page::read(&lines);
        assert_eq!((page.series.len(), page.odd), (MAX_SERIES, 2_000));
        let page =
            Page::read("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\",z=\"\"} 2\na{x=\"1\",x=\"2\"} 3\nno value\nb NaN\n");
        assert_eq!((page.series.len(), page.odd), (2, 2));
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(text in r#"(?s)([ab_:# TYPEcountrg,="{}\\\n1.\t-]|.){0,300}"#) {
            let page = Page::read(&text);
            prop_assert!(page.series.len() <= text.lines().count() + 1);
        }
    }
}
