//! The driver's JSON page: the same registry, with the names as their authors wrote them.
//!
//! Times of a timer are in the unit it says, which is milliseconds; here they become the nanoseconds of the Prometheus
//! page. Metrics whose value is no number are passed over.

use core::fmt;
use std::collections::BTreeMap;

use kiln_prometheus_text::Value;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::names::{Namespace, mangle};
use super::reading::{Kind, Part, Reading};
use crate::tally::Tally;

/// What the Prometheus page puts in front of a key, and the rules for namespaces expect.
const METRICS: &str = "metrics_";

/// What keys start with if there is no namespace.
const DRIVER: &str = "driver.";

/// The page, whose names are taken apart.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) namespace: Namespace,
    metrics: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    /// Without namespace; every character but letters and digits an underscore.
    name: String,
    /// The same as it stands on the page.
    written: String,
    kind: Kind,
    numbers: Numbers,
}

impl Page {
    /// Takes the page apart. `None` if no metric on it is a driver's.
    pub(crate) fn new(registry: Registry, application_id: Option<&str>, tally: &mut Tally) -> Option<Self> {
        let named: Vec<_> = registry.metrics().map(|entry| (format!("{METRICS}{}", mangle(&entry.0)), entry)).collect();
        let namespace = Namespace::find(named.iter().map(|(name, _)| name.as_str()), application_id)?;
        let before = namespace.prefix().len() - METRICS.len().min(namespace.prefix().len());
        let mut metrics = Vec::new();
        for (name, (key, kind, numbers)) in named {
            // Every character of the one is a character of the other.
            let written = key.char_indices().nth(before).and_then(|(at, _)| key.get(at..));
            match (namespace.strip(&name), written) {
                (Some(name), Some(written)) => {
                    tally.take();
                    metrics.push(Metric { name: name.to_owned(), written: written.to_owned(), kind, numbers });
                }
                _ => tally.skip(format_args!("`{key}` is not a metric of the driver")),
            }
        }
        Some(Self { namespace, metrics })
    }

    /// Its readings.
    pub(crate) fn readings(&self) -> Vec<Reading<'_>> {
        let all = self.metrics.iter().flat_map(|metric| {
            metric.numbers.parts(metric.kind).into_iter().filter_map(|(part, value)| {
                let value = value.filter(|value| value.is_finite())?;
                let (name, written) = (metric.name.as_str(), Some(metric.written.as_str()));
                Some(Reading { name, written, part, kind: metric.kind, value })
            })
        });
        all.collect()
    }
}

/// Dropwizard's registry, as its own module for JSON writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Registry {
    gauges: BTreeMap<String, Numbers>,
    counters: BTreeMap<String, Numbers>,
    histograms: BTreeMap<String, Numbers>,
    meters: BTreeMap<String, Numbers>,
    timers: BTreeMap<String, Numbers>,
}

impl Registry {
    /// Whether any metric in it may be a driver's.
    pub(crate) fn is_a_driver_s(&self) -> bool {
        let of = |metrics: &BTreeMap<String, Numbers>| {
            metrics.keys().any(|key| key.starts_with(DRIVER) || key.contains(".driver."))
        };
        [&self.gauges, &self.counters, &self.histograms, &self.meters, &self.timers].into_iter().any(of)
    }

    fn metrics(self) -> impl Iterator<Item = (String, Kind, Numbers)> {
        let of = |kind, metrics: BTreeMap<String, Numbers>| {
            metrics.into_iter().map(move |(key, numbers)| (key, kind, numbers))
        };
        of(Kind::Gauge, self.gauges)
            .chain(of(Kind::Counter, self.counters))
            .chain(of(Kind::Histogram, self.histograms))
            .chain(of(Kind::Counter, self.meters))
            .chain(of(Kind::Timer, self.timers))
    }
}

/// The numbers of a metric, of whatever kind. Rates say nothing that the count does not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Numbers {
    value: Number,
    count: Number,
    min: Number,
    max: Number,
    mean: Number,
    p50: Number,
    p75: Number,
    p95: Number,
    p98: Number,
    p99: Number,
    p999: Number,
    stddev: Number,
    duration_units: Option<String>,
}

impl Numbers {
    fn parts(&self, kind: Kind) -> Vec<(Part, Option<Value>)> {
        match kind {
            Kind::Gauge => vec![(Part::Value, self.value.0)],
            Kind::Counter => vec![(Part::Count, self.count.0)],
            Kind::Histogram | Kind::Timer => {
                let scaled = |number: Number| match kind {
                    Kind::Timer => number.0.map(|value| Value::Float(value.as_f64() * self.nanos())),
                    _ => number.0,
                };
                let quantile = |quantile, number| (Part::Quantile(quantile), scaled(number));
                vec![
                    (Part::Count, self.count.0),
                    (Part::Mean, scaled(self.mean)),
                    (Part::StdDev, scaled(self.stddev)),
                    quantile("0", self.min),
                    quantile("0.5", self.p50),
                    quantile("0.75", self.p75),
                    quantile("0.95", self.p95),
                    quantile("0.98", self.p98),
                    quantile("0.99", self.p99),
                    quantile("0.999", self.p999),
                    quantile("1", self.max),
                ]
            }
        }
    }

    /// Nanoseconds in the unit of its times. Spark's are milliseconds.
    fn nanos(&self) -> f64 {
        match self.duration_units.as_deref() {
            Some("nanoseconds") => 1.0,
            Some("microseconds") => 1e3,
            Some("seconds") => 1e9,
            _ => 1e6,
        }
    }
}

/// A number, or anything else, which is passed over: gauges may hold text and lists.
#[derive(Clone, Copy, Debug, Default)]
struct Number(Option<Value>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Some(Value::Integer(value))))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Some(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(Some(Value::Float(value))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
