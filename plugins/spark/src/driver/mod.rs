//! The driver's metrics, from either of its two pages: every number of every metric in its registry.
//!
//! What Spark's own sources have gets the name the manifest declares; streaming queries have their own module; the rest
//! passes through under its own name. No two points are the same series, whatever a page says twice, and both pages
//! give the same points.

pub(crate) mod json;
mod known;
mod names;
mod page;
pub(crate) mod prometheus;
mod quantity;
mod reading;
mod streaming;

use core::fmt;
use std::collections::BTreeSet;

use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared, UndeclaredError};
use kiln_plugin::telemetry::Attribute;

use known::Known;
pub(crate) use known::collector;
pub(crate) use names::{Namespace, dotted};
pub(crate) use page::{Content, DriverPage};
use quantity::Quantity;
pub(crate) use reading::Reading;
use reading::{Kind, Part};
use streaming::Queries;

use crate::tally::Tally;
use crate::telemetry as t;

/// `<application>.StreamingMetrics`, the source of the older streaming API, has the application's name in its own.
const DSTREAMS: &str = "StreamingMetrics_streaming_";

/// So many series may pass through. Databricks has a few hundred.
pub(crate) const MAX_PASSED: usize = 10_000;

/// What a page is read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Since when what is cumulative has been counted.
    pub(crate) start: UnixNanos,
    /// So many streaming queries have series.
    pub(crate) query_limit: usize,
}

/// Adds the readings of a page to `metrics`. What cannot be sent is counted in `tally`.
pub(crate) fn add(
    readings: &[Reading<'_>],
    namespace: &Namespace,
    terms: Terms,
    tally: &mut Tally,
    metrics: &mut t::Metrics,
) {
    let queries = Queries::find(readings.iter().map(|reading| reading.name));
    let mut out = Out { metrics, passed: BTreeSet::new(), start: terms.start };
    let mut seen = BTreeSet::new();
    let mut of_queries: Vec<OfQuery<'_>> = Vec::new();
    for reading in readings {
        let outcome = match streaming::strip(reading.name) {
            Some(name) => match queries.split(name) {
                Some((query, metric)) => {
                    let query = streaming::query_name(query, reading.written);
                    of_queries.push(OfQuery { query, metric, reading });
                    Ok(())
                }
                None => Err(NotSent::Query(reading.name)),
            },
            None if !seen.insert((reading.name, reading.part.key())) => Err(NotSent::Repeated(reading.name)),
            None => out.add(reading, namespace),
        };
        if let Err(reason) = outcome {
            tally.skip(reason);
        }
    }
    let dropped = keep_first(&mut of_queries, terms.query_limit);
    if dropped > 0 {
        out.metrics.spark_receiver_streaming_queries_dropped(i64::try_from(dropped).unwrap_or(i64::MAX));
    }
    let mut seen = BTreeSet::new();
    for OfQuery { query, metric, reading } in &of_queries {
        let outcome = if seen.insert((query.as_str(), *metric, reading.part.key())) {
            out.add_of_query(query, metric, reading)
        } else {
            Err(NotSent::Repeated(reading.name))
        };
        if let Err(reason) = outcome {
            tally.skip(reason);
        }
    }
}

/// A reading of a streaming query.
struct OfQuery<'a> {
    query: String,
    metric: &'a str,
    reading: &'a Reading<'a>,
}

/// Keeps the queries that come first by name, so that the same ones are kept every time. Returns how many go.
fn keep_first(readings: &mut Vec<OfQuery<'_>>, limit: usize) -> usize {
    let queries: BTreeSet<String> = readings.iter().map(|reading| reading.query.clone()).collect();
    if let Some(first) = queries.iter().nth(limit) {
        readings.retain(|reading| reading.query < *first);
    }
    queries.len().saturating_sub(limit)
}

/// Why a reading is not sent.
#[derive(Debug)]
enum NotSent<'a> {
    Name(&'a str),
    Query(&'a str),
    Repeated(&'a str),
    Twice(&'a str),
    Nonsense(&'a str),
    TooMany(&'a str),
    Undeclared(UndeclaredError),
}

impl fmt::Display for NotSent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` makes no name for a metric"),
            Self::Query(name) => write!(f, "`{name}` is a metric of a streaming query that has no other"),
            Self::Repeated(name) => write!(f, "`{name}` is there twice"),
            Self::Twice(name) => {
                write!(f, "`{name}` has the same name as another metric, but for case and underscores")
            }
            Self::Nonsense(name) => write!(f, "`{name}` is negative or beyond 2^63"),
            Self::TooMany(name) => write!(f, "`{name}` is beyond the {MAX_PASSED} unknown series that are sent"),
            Self::Undeclared(error) => error.fmt(f),
        }
    }
}

/// Where points go.
struct Out<'m> {
    metrics: &'m mut t::Metrics,
    /// Every series that was passed through, so that two names that become one are not one series twice.
    passed: BTreeSet<(String, &'static str, Option<String>)>,
    start: UnixNanos,
}

impl Out<'_> {
    fn add<'a>(&mut self, reading: &Reading<'a>, namespace: &Namespace) -> Result<(), NotSent<'a>> {
        match known::add(reading, self.start, self.metrics) {
            Known::Yes => Ok(()),
            Known::Nonsense => Err(NotSent::Nonsense(reading.name)),
            Known::No => {
                let name = reading.name.find(DSTREAMS).and_then(|at| reading.name.get(at..)).unwrap_or(reading.name);
                self.pass_through(reading, namespace.dotted(name), None)
            }
        }
    }

    fn add_of_query<'a>(&mut self, query: &str, metric: &str, reading: &Reading<'a>) -> Result<(), NotSent<'a>> {
        let plain = matches!(reading.part, Part::Value | Part::Count);
        if plain && streaming::declared(query, metric, reading.value, self.metrics) {
            return Ok(());
        }
        self.pass_through(reading, dotted("spark.streaming.", metric), Some(query.to_owned()))
    }

    fn pass_through<'a>(
        &mut self,
        reading: &Reading<'a>,
        name: Option<String>,
        query: Option<String>,
    ) -> Result<(), NotSent<'a>> {
        let mut name = name.ok_or(NotSent::Name(reading.name))?;
        let quantity = Quantity::of(reading);
        if reading.value.as_f64() < 0.0 && quantity.counter {
            return Err(NotSent::Nonsense(reading.name));
        }
        let (suffix, quantile) = match (reading.kind, reading.part) {
            (Kind::Gauge | Kind::Counter, Part::Count) | (_, Part::Value) => ("", ""),
            (_, Part::Count) => (".count", ""),
            (_, Part::Mean) => (".mean", ""),
            (_, Part::StdDev) => (".std_dev", ""),
            (_, Part::Quantile(quantile)) => (".quantile", quantile),
        };
        name.push_str(suffix);
        if self.passed.len() >= MAX_PASSED {
            return Err(NotSent::TooMany(reading.name));
        }
        if !self.passed.insert((name.clone(), quantile, query.clone())) {
            return Err(NotSent::Twice(reading.name));
        }
        let mut attributes = Vec::new();
        if !quantile.is_empty() {
            attributes.push(Attribute::new("quantile", quantile));
        }
        if let Some(query) = query {
            attributes.push(Attribute::new("spark.streaming.query", query));
        }
        let instrument = if quantity.counter { Instrument::Counter { start: self.start } } else { Instrument::Gauge };
        let metric = Undeclared { name: &name, unit: quantity.unit, description: "", instrument };
        self.metrics.undeclared(&metric, attributes, quantity.number(reading)).map_err(NotSent::Undeclared)
    }
}
