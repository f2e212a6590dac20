//! Telemetry as a test wants to look at it: one flat list per signal.
//!
//! OTLP nests points in metrics in scopes in resources. Here every point, span and log record stands alone
//! and carries what it inherited, so that an assertion reads like the promise it checks.
//!
//! Invariant: every point, span and log record of an accepted request appears exactly once. Fields that
//! Kiln never sets (trace state, dropped-counts, schema URLs) and exemplars are left out; the raw request
//! ([`super::Received::body`]) keeps them.

use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attributes by key. A bytes value appears as `{"bytes": "<hex>"}`, a missing one as null.
pub type Attributes = BTreeMap<String, Json>;

/// Everything a sink has accepted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Telemetry {
    /// Metric points in the order they arrived.
    pub points: Vec<Point>,
    /// Spans in the order they arrived.
    pub spans: Vec<Span>,
    /// Log records in the order they arrived.
    pub logs: Vec<LogRecord>,
    /// Every request, accepted or not.
    pub requests: Vec<super::Received>,
}

/// Where telemetry comes from; shared by all that came in one block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// Attributes of the resource.
    pub resource: Attributes,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// Version of the instrumentation scope.
    pub scope_version: String,
    /// Attributes of the instrumentation scope.
    pub scope_attributes: Attributes,
}

/// One point of one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Where it comes from.
    #[serde(serialize_with = "shared")]
    pub origin: Arc<Origin>,
    /// Name of the metric.
    pub metric: String,
    /// UCUM unit of the metric.
    pub unit: String,
    /// Description of the metric.
    pub description: String,
    /// `Metric.metadata`, such as `prometheus.type`.
    pub metadata: Attributes,
    /// What kind of metric it is.
    pub kind: Kind,
    /// Of sums and histograms.
    pub temporality: Option<Temporality>,
    /// Of sums.
    pub monotonic: Option<bool>,
    /// Attributes of the point.
    pub attributes: Attributes,
    /// What was measured.
    pub value: Value,
    /// Nanoseconds since 1970; 0: unknown.
    pub start_nanos: u64,
    /// Nanoseconds since 1970; 0: unknown.
    pub time_nanos: u64,
    /// `DataPointFlags`; 1: no recorded value.
    pub flags: u32,
    /// Measurements it was made of.
    pub exemplars: Vec<Exemplar>,
}

/// A measurement a point was made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exemplar {
    /// What the point does not say.
    pub attributes: Attributes,
    /// Nanoseconds since 1970.
    pub time_nanos: u64,
    /// What was measured.
    pub value: Value,
    /// Lower-case hexadecimal; empty: none.
    pub trace_id: String,
    /// Lower-case hexadecimal; empty: none.
    pub span_id: String,
}

/// The kinds of metric OTLP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

/// What the points of a metric add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// The sender did not say, which the data model forbids.
    Unspecified,
    /// Since the point before.
    Delta,
    /// Since the start.
    Cumulative,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Of gauges and sums.
    Int(i64),
    /// Of gauges and sums.
    Double(f64),
    /// With explicit bounds.
    Histogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// Upper bounds, one fewer than `counts`.
        bounds: Vec<f64>,
        /// Measurements per bucket.
        counts: Vec<u64>,
    },
    /// With exponential bounds.
    ExponentialHistogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// Resolution.
        scale: i32,
        /// Measurements that are zero.
        zero_count: u64,
        /// How far from zero those may be.
        zero_threshold: f64,
        /// Offset and counts of the positive buckets.
        positive: (i32, Vec<u64>),
        /// Offset and counts of the negative buckets.
        negative: (i32, Vec<u64>),
    },
    /// Quantiles computed by the source.
    Summary {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Pairs of quantile and value.
        quantiles: Vec<(f64, f64)>,
    },
    /// The sender set no value.
    Missing,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Where it comes from.
    #[serde(serialize_with = "shared")]
    pub origin: Arc<Origin>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Empty for a root span.
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// `SpanKind` as in OTLP: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub start_nanos: u64,
    /// Nanoseconds since 1970.
    pub end_nanos: u64,
    /// Its attributes.
    pub attributes: Attributes,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Other spans it is related to.
    pub links: Vec<Link>,
    /// `StatusCode` as in OTLP: 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// What went wrong.
    pub status_message: String,
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub time_nanos: u64,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A span that another is related to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A log record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogRecord {
    /// Where it comes from.
    #[serde(serialize_with = "shared")]
    pub origin: Arc<Origin>,
    /// Nanoseconds since 1970; 0: unknown.
    pub time_nanos: u64,
    /// Nanoseconds since 1970.
    pub observed_nanos: u64,
    /// `SeverityNumber` as in OTLP: 9 info, 13 warn, 17 error.
    pub severity: i32,
    /// The severity in the source's words.
    pub severity_text: String,
    /// What it says.
    pub body: Json,
    /// Its attributes.
    pub attributes: Attributes,
    /// Empty when there is none.
    pub trace_id: String,
    /// Empty when there is none.
    pub span_id: String,
    /// Empty when it is no event.
    pub event_name: String,
}

fn shared<S: Serializer>(origin: &Arc<Origin>, serializer: S) -> Result<S::Ok, S::Error> {
    origin.as_ref().serialize(serializer)
}

impl Telemetry {
    /// The points of a metric, in the order they arrived.
    pub fn points_of<'t, 'n>(&'t self, metric: &'n str) -> impl Iterator<Item = &'t Point> + use<'t, 'n> {
        self.points.iter().filter(move |point| point.metric == metric)
    }

    /// The points of these metrics, and every request.
    pub(super) fn only(&self, metrics: &[&str]) -> Self {
        let points = self.points.iter().filter(|point| metrics.contains(&point.metric.as_str())).cloned().collect();
        Self { points, requests: self.requests.clone(), ..Self::default() }
    }

    /// How much there is, for the message of a test that waited in vain.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut metrics: BTreeMap<&str, usize> = BTreeMap::new();
        for point in &self.points {
            *metrics.entry(&point.metric).or_default() += 1;
        }
        let metrics: Vec<String> = metrics.iter().map(|(name, points)| format!("{name} ×{points}")).collect();
        let refused = self.requests.iter().filter(|request| request.answer != Some(200)).count();
        format!(
            "{} requests ({refused} not accepted), {} points [{}], {} spans, {} log records",
            self.requests.len(),
            self.points.len(),
            metrics.join(", "),
            self.spans.len(),
            self.logs.len()
        )
    }
}

impl Point {
    /// The value of a gauge or sum.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value {
            // Whoever needs integers beyond 2^53 looks at the value itself.
            Value::Int(value) => Some(value as f64),
            Value::Double(value) => Some(value),
            _ => None,
        }
    }

    /// The attribute of a point as text, if it has it and it is text.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute)?.as_str()
    }
}
