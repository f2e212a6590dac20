//! The one way a metric comes into being.
//!
//! Declaring registers the metric and writes its catalogue entry in the same step, so the reference documentation
//! cannot miss one. Full exposed names stand in the source, so they can be searched for; the unit is what the name ends
//! in.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A counter of seconds, which are not whole.
pub(super) type SecondsCounter = Counter<f64, AtomicU64>;
/// A gauge whose value is not whole.
pub(super) type SecondsGauge = Gauge<f64, AtomicU64>;

/// What kind of metric it is, as Prometheus and OpenMetrics call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, until the process restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets, with their sum and count.
    Histogram,
    /// Labels that describe the process; the value is always 1.
    Info,
}

/// One metric, as the reference documentation lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The name as queried, with unit and `_total`; a histogram adds `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// Counter, gauge, histogram or info.
    pub kind: Kind,
    /// `seconds` or `bytes`; `None` when it counts things.
    pub unit: Option<&'static str>,
    /// What it measures, a sentence without the final period.
    pub help: &'static str,
    /// Its labels, in the order they are written.
    pub labels: Vec<&'static str>,
}

/// The registry while it is being filled.
#[derive(Default)]
pub(super) struct Declarations {
    pub(super) registry: Registry,
    pub(super) catalogue: Vec<Descriptor>,
}

impl Declarations {
    /// A counter of things; `name` ends in `_total`.
    pub(super) fn counter<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Counter, N> {
        self.declare(Kind::Counter, name, help, labels, Counter::default)
    }

    /// A counter of seconds; `name` ends in `_seconds_total`.
    pub(super) fn seconds_counter<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<SecondsCounter, N> {
        self.declare(Kind::Counter, name, help, labels, SecondsCounter::default)
    }

    /// A gauge with whole values.
    pub(super) fn gauge<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Gauge, N> {
        self.declare(Kind::Gauge, name, help, labels, Gauge::default)
    }

    /// A gauge with fractional values; `name` ends in `_seconds`.
    pub(super) fn seconds_gauge<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<SecondsGauge, N> {
        self.declare(Kind::Gauge, name, help, labels, SecondsGauge::default)
    }

    /// A histogram, of durations if `name` ends in `_seconds`; `new` sets the buckets.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        new: fn() -> Histogram,
    ) -> Labelled<Histogram, N> {
        self.declare(Kind::Histogram, name, help, labels, new)
    }

    /// A counter of which there is one; `name` ends in `_total`.
    pub(super) fn single_counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        self.single(Kind::Counter, name, help, Counter::default())
    }

    /// A gauge of which there is one.
    pub(super) fn single_gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        self.single(Kind::Gauge, name, help, Gauge::default())
    }

    /// A gauge with fractional values of which there is one; `name` ends in `_seconds`.
    pub(super) fn single_seconds_gauge(&mut self, name: &'static str, help: &'static str) -> SecondsGauge {
        self.single(Kind::Gauge, name, help, SecondsGauge::default())
    }

    /// A histogram of durations of which there is one; `name` ends in `_seconds`.
    pub(super) fn single_histogram(&mut self, name: &'static str, help: &'static str, new: Histogram) -> Histogram {
        self.single(Kind::Histogram, name, help, new)
    }

    fn single<M>(&mut self, kind: Kind, name: &'static str, help: &'static str, metric: M) -> M
    where
        M: prometheus_client::registry::Metric + Clone,
    {
        let (stem, unit) = split(name);
        match unit {
            None => self.registry.register(stem, help, metric.clone()),
            Some(ref unit) => self.registry.register_with_unit(stem, help, unit.clone(), metric.clone()),
        }
        self.catalogue.push(Descriptor {
            name: name.to_owned(),
            kind,
            unit: unit.as_ref().map(unit_name),
            help,
            labels: Vec::new(),
        });
        metric
    }

    fn declare<M, const N: usize>(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        new: fn() -> M,
    ) -> Labelled<M, N>
    where
        M: prometheus_client::encoding::EncodeMetric
            + prometheus_client::metrics::TypedMetric
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let family = Family::new_with_constructor(new);
        let (stem, unit) = split(name);
        match unit {
            None => self.registry.register(stem, help, family.clone()),
            Some(ref unit) => self.registry.register_with_unit(stem, help, unit.clone(), family.clone()),
        }
        self.catalogue.push(Descriptor {
            name: name.to_owned(),
            kind,
            unit: unit.as_ref().map(unit_name),
            help,
            labels: labels.to_vec(),
        });
        Labelled { labels, family }
    }
}

/// The encoder appends the unit and `_total` by itself: what is left after taking them off, and the unit.
pub(super) fn split(name: &'static str) -> (&'static str, Option<Unit>) {
    let family = name.strip_suffix("_total").unwrap_or(name);
    if let Some(stem) = family.strip_suffix("_seconds") {
        (stem, Some(Unit::Seconds))
    } else if let Some(stem) = family.strip_suffix("_bytes") {
        (stem, Some(Unit::Bytes))
    } else {
        (family, None)
    }
}

pub(super) fn unit_name(unit: &Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        _ => "seconds",
    }
}

/// Label names and values of one series.
type Series<const N: usize> = [(&'static str, String); N];

/// A metric that has one series per combination of `N` label values.
#[derive(Clone, Debug)]
pub(super) struct Labelled<M, const N: usize> {
    labels: [&'static str; N],
    family: Family<Series<N>, M, fn() -> M>,
}

impl<M: Clone, const N: usize> Labelled<M, N> {
    /// The series with these label values, made if need be and exposed from now on.
    ///
    /// Takes a lock, so call it when a component is made and keep what it returns.
    pub(super) fn with(&self, values: [&str; N]) -> M {
        let mut values = values.into_iter();
        let labels = self.labels.map(|label| (label, values.next().unwrap_or_default().to_owned()));
        self.family.get_or_create_owned(&labels)
    }
}

/// Buckets for what crosses a network or runs a whole collection: 5 ms to 5 min.
pub(super) fn slow_durations() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0])
}

/// Buckets for what runs inside the process: 50 µs to 10 s.
pub(super) fn fast_durations() -> Histogram {
    Histogram::new([0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0])
}

/// Buckets for the items of a request: the Collector's, and up to what one collection may bring.
pub(super) fn batch_items() -> Histogram {
    Histogram::new([
        10.0,
        25.0,
        50.0,
        75.0,
        100.0,
        250.0,
        500.0,
        750.0,
        1000.0,
        2000.0,
        3000.0,
        4000.0,
        5000.0,
        6000.0,
        7000.0,
        8000.0,
        9000.0,
        10_000.0,
        20_000.0,
        30_000.0,
        50_000.0,
        100_000.0,
        1_000_000.0,
    ])
}

/// Buckets for the bytes of a request: 1 KiB to the 64 MiB that OTLP allows.
pub(super) fn batch_bytes() -> Histogram {
    Histogram::new((10..=26).step_by(2).map(|power| f64::from(1_u32 << power)))
}

/// Saturates rather than wraps: a count that does not fit 64 bits is not a count any more.
pub(super) fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_exposed_under_the_declared_name() {
        let mut declare = Declarations::default();
        declare.counter("kiln_things_total", "Things", ["a"]).with(["x"]).inc_by(2);
        declare.seconds_counter("kiln_work_seconds_total", "Work", ["a"]).with(["x"]).inc_by(1.5);
        declare.gauge("kiln_room_bytes", "Room", ["b"]).with(["y\"z"]).set(-1);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &declare.registry).unwrap();
        assert_eq!(
            text,
            "# HELP kiln_things Things.\n# TYPE kiln_things counter\nkiln_things_total{a=\"x\"} 2\n\
             # HELP kiln_work_seconds Work.\n# TYPE kiln_work_seconds counter\n# UNIT kiln_work_seconds seconds\n\
             kiln_work_seconds_total{a=\"x\"} 1.5\n\
             # HELP kiln_room_bytes Room.\n# TYPE kiln_room_bytes gauge\n# UNIT kiln_room_bytes bytes\n\
             kiln_room_bytes{b=\"y\\\"z\"} -1\n# EOF\n"
        );
        let names: Vec<_> = declare.catalogue.iter().map(|it| (it.name.as_str(), it.unit)).collect();
        assert_eq!(
            names,
            [
                ("kiln_things_total", None),
                ("kiln_work_seconds_total", Some("seconds")),
                ("kiln_room_bytes", Some("bytes"))
            ]
        );
    }
}
