//! The driver's page: one line for every number of every metric in the driver's registry.
//!
//! What the Collector's receiver for Spark has a name for gets that name; streaming queries have their own module; the
//! rest passes through under its own name. No two points are the same series, whatever the page says twice.

use core::fmt;
use std::collections::BTreeSet;

use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared, UndeclaredError};
use kiln_plugin::telemetry::{Attribute, Number};
use kiln_prometheus_text::samples;

use crate::driver_metrics::declared;
use crate::names::{Namespace, dotted};
use crate::quantity::{Quantity, without_unit};
use crate::reading::{Kind, Part, Reading};
use crate::streaming::{self, Queries};
use crate::tally::Tally;
use crate::telemetry as t;

/// Reads the page into `metrics`. What is cumulative counts from `start`.
pub(crate) fn read(text: &str, application_id: Option<&str>, start: UnixNanos, metrics: &mut t::Metrics) -> Tally {
    let mut tally = Tally::default();
    let good = samples(text).filter_map(Result::ok);
    let Some(namespace) = Namespace::find(good.clone(), application_id) else {
        tally.skip("no metric on the page is a driver's");
        return tally;
    };
    let queries = Queries::find(good.filter_map(|sample| namespace.strip(sample.name)));
    let mut seen = BTreeSet::new();
    let mut passed = Passed::new();
    for sample in samples(text) {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                tally.skip(error);
                continue;
            }
        };
        let Some(name) = namespace.strip(sample.name) else {
            tally.skip(format_args!("`{}` is not a metric of the driver", sample.name));
            continue;
        };
        tally.take();
        let Some(reading) = Reading::new(name, &sample) else { continue };
        if !seen.insert(reading.series()) {
            tally.skip(format_args!("`{}` is there twice", sample.name));
            continue;
        }
        let plain = matches!(reading.part, Part::Value | Part::Count);
        let outcome = match streaming::strip(reading.name).map(|name| queries.split(name)) {
            Some(None) => Err(NotPassed::Query(reading.name)),
            Some(Some((query, metric))) if plain && streaming::declared(query, metric, reading.value, metrics) => {
                Ok(())
            }
            Some(Some((query, metric))) => {
                let name = dotted("spark.streaming.", metric);
                pass_through(&reading, name, Some(streaming::query_name(query)), start, &mut passed, metrics)
            }
            None if declared(&reading, start, metrics) => Ok(()),
            None => {
                let name = namespace.dotted(without_unit(reading.name));
                pass_through(&reading, name, None, start, &mut passed, metrics)
            }
        };
        if let Err(reason) = outcome {
            tally.skip(reason);
        }
    }
    tally
}

/// Every series that was passed through, so that two names that become one are not one series twice.
type Passed = BTreeSet<(String, &'static str, Option<String>)>;

/// Why a metric cannot be passed through.
#[derive(Debug)]
enum NotPassed<'a> {
    Name(&'a str),
    Query(&'a str),
    Twice(&'a str),
    Undeclared(UndeclaredError),
}

impl fmt::Display for NotPassed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` makes no name for a metric"),
            Self::Query(name) => write!(f, "`{name}` is a metric of a streaming query that has no other"),
            Self::Twice(name) => {
                write!(f, "`{name}` has the same name as another metric, but for case and underscores")
            }
            Self::Undeclared(error) => error.fmt(f),
        }
    }
}

fn pass_through<'a>(
    reading: &Reading<'a>,
    name: Option<String>,
    query: Option<String>,
    start: UnixNanos,
    passed: &mut Passed,
    metrics: &mut t::Metrics,
) -> Result<(), NotPassed<'a>> {
    let mut name = name.ok_or(NotPassed::Name(reading.name))?;
    let quantity = Quantity::of(reading);
    // Java says -1 of memory without a limit, and of what the machine cannot tell.
    if reading.value.as_f64() < 0.0 && (quantity.counter || quantity.unit == "By") {
        return Ok(());
    }
    let (suffix, quantile) = match (reading.kind, reading.part) {
        (Kind::Gauge | Kind::Counter, Part::Count) | (_, Part::Value) => ("", ""),
        (_, Part::Count) => (".count", ""),
        (_, Part::Mean) => (".mean", ""),
        (_, Part::StdDev) => (".std_dev", ""),
        (_, Part::Quantile(quantile)) => (".quantile", quantile),
    };
    name.push_str(suffix);
    if !passed.insert((name.clone(), quantile, query.clone())) {
        return Err(NotPassed::Twice(reading.name));
    }
    let mut attributes = Vec::new();
    if !quantile.is_empty() {
        attributes.push(Attribute::new("quantile", quantile));
    }
    if let Some(query) = query {
        attributes.push(Attribute::new("spark.streaming.query", query));
    }
    let instrument = if quantity.counter { Instrument::Counter { start } } else { Instrument::Gauge };
    let metric = Undeclared { name: &name, unit: quantity.unit, description: "", instrument };
    let number = match quantity.scale.apply(reading.value) {
        // The least and the greatest are whole numbers where the quantiles between them are not: one metric, one type.
        Number::Integer(value) if !matches!(reading.part, Part::Value | Part::Count) => Number::Float(value as f64),
        number => number,
    };
    metrics.undeclared(&metric, attributes, number).map_err(NotPassed::Undeclared)
}
