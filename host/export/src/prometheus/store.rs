//! What the page shows: the latest point of every series, for as long as it is fresh.
//!
//! A series is a metric's name and its labels as Prometheus will see them. Different metrics can come to the same name, and
//! different resources to the same labels; the first one has it, and what comes later is dropped and counted as a
//! conflict, rather than that a graph jumps between the two. Once the first one does not come any more, as when an attribute
//! of its resource has changed, the other takes over with its second point. A family has one type, and no name of a sample belongs to two.
//!
//! What bounds its growth: `max_series`, counted as the lines of the page, and `metric_expiration`.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_telemetry::metrics::DropReason;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as OtlpExemplar, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint,
    exemplar, metric, number_data_point,
};
use tokio::time::Instant;

use super::names::{Labels, Naming, Nature, unit_word};

/// No more exemplars of a histogram are kept than it has buckets, and of a counter one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) value: f64,
    pub(super) time: u64,
    pub(super) trace_id: Vec<u8>,
    pub(super) span_id: Vec<u8>,
}

/// A number as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

/// The latest state of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Number, Option<Exemplar>),
    Histogram { count: u64, sum: Option<f64>, bounds: Vec<f64>, counts: Vec<u64>, exemplars: Vec<Exemplar> },
    Summary { count: u64, sum: f64, quantiles: Vec<(f64, f64)> },
}

impl Value {
    fn lines(&self) -> usize {
        match self {
            Self::Number(..) => 1,
            Self::Histogram { counts, .. } => counts.len() + 2,
            Self::Summary { quantiles, .. } => quantiles.len() + 2,
        }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) r#type: Type,
    /// The name of its samples, but for what a histogram or summary adds.
    pub(super) sample: String,
    pub(super) help: String,
    pub(super) unit: Option<String>,
    pub(super) series: BTreeMap<String, Series>,
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    /// What it is the series of: a resource, scope and metric.
    owner: u64,
    /// What else wanted to be it since the owner came last.
    challenger: Option<u64>,
    pub(super) value: Value,
    pub(super) time: u64,
    seen: Instant,
}

/// What could not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) reason: DropReason,
    pub(crate) items: usize,
    /// What is wrong with the first of them, a sentence.
    pub(crate) cause: String,
}

/// Everything there is to show.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By name, counters without `_total`.
    pub(super) families: BTreeMap<String, Family>,
    /// Of every name a sample can have, the family.
    names: BTreeMap<String, String>,
    /// `target_info`: labels and when they were seen.
    pub(super) targets: BTreeMap<String, Instant>,
    pub(super) lines: usize,
}

/// Points that come from the same place.
pub(super) struct Origin<'a> {
    /// Of the resource and the scope.
    pub(super) labels: &'a Labels,
    pub(super) identity: u64,
}

/// What holds for every point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) naming: &'a Naming,
    pub(super) max_series: usize,
}

struct Point {
    labels: Labels,
    time: u64,
    value: Value,
    is_delta: bool,
    is_gone: bool,
}

impl Store {
    /// Forgets what has not been seen for so long.
    pub(super) fn expire(&mut self, age: Duration, now: Instant) {
        let is_fresh = |seen: Instant| now.saturating_duration_since(seen) <= age;
        self.targets.retain(|_, seen| is_fresh(*seen));
        for family in self.families.values_mut() {
            family.series.retain(|_, series| is_fresh(series.seen));
        }
        self.families.retain(|_, family| !family.series.is_empty());
        let Self { families, names, .. } = self;
        names.retain(|_, family| families.contains_key(family));
        self.lines = self.targets.len()
            + families.values().flat_map(|it| it.series.values()).map(|it| it.value.lines()).sum::<usize>();
    }

    /// Remembers that a target was seen.
    pub(super) fn target(&mut self, labels: String, rules: Rules<'_>, now: Instant) {
        if let Some(seen) = self.targets.get_mut(&labels) {
            *seen = now;
        } else if self.lines < rules.max_series {
            self.lines += 1;
            self.targets.insert(labels, now);
        }
    }

    /// Takes a metric; says of what it could not take.
    pub(super) fn add(&mut self, metric: Metric, origin: &Origin<'_>, rules: Rules<'_>, now: Instant) -> Vec<Lost> {
        let Metric { name, description, unit, data, .. } = metric;
        let (r#type, nature, points) = match read(data, origin.labels) {
            Ok(read) => read,
            Err(items) => {
                let cause = format!("`{name}` is an exponential histogram, which the text formats have no room for");
                return vec![Lost { reason: DropReason::Unsupported, items, cause }];
            }
        };
        let sample = rules.naming.metric(&name, &unit, nature);
        let family_name = match r#type {
            Type::Counter => sample.strip_suffix("_total").unwrap_or(&sample).to_owned(),
            _ => sample.clone(),
        };
        let mut lost: Vec<Lost> = Vec::new();
        let mut lose = |reason, cause: String| match lost.iter_mut().find(|lost| lost.reason == reason) {
            Some(lost) => lost.items += 1,
            None => lost.push(Lost { reason, items: 1, cause }),
        };
        let names = sample_names(&family_name, &sample, r#type);
        let is_other = |known: &Family| known.r#type != r#type || known.sample != sample;
        let is_ours = matches!(family_name.as_str(), "target" | "target_info");
        let is_taken = is_ours
            || self.families.get(&family_name).is_some_and(is_other)
            || names.iter().any(|name| self.names.get(name).is_some_and(|family| *family != family_name));
        let identity = origin.identity ^ hash(&name);
        for point in points {
            if is_taken {
                lose(
                    DropReason::Conflict,
                    format!("`{name}` is called `{sample}`, which is another metric of another type"),
                );
                continue;
            }
            let labels = point.labels.render();
            let known = self.families.get_mut(&family_name).and_then(|family| family.series.get_mut(&labels));
            match known {
                Some(series) if series.owner != identity && series.challenger != Some(identity) => {
                    series.challenger = Some(identity);
                    let cause = format!(
                        "`{name}` is called `{sample}{{{labels}}}`, as is that of another resource, scope or metric; give \
                         resources a `service.instance.id`, or set `resource_to_telemetry_conversion`"
                    );
                    lose(DropReason::Conflict, cause);
                }
                Some(series) if point.is_gone => {
                    self.lines -= series.value.lines();
                    if let Some(family) = self.families.get_mut(&family_name) {
                        family.series.remove(&labels);
                    }
                }
                Some(series) if series.owner != identity => {
                    let before = series.value.lines();
                    let Point { value, time, .. } = point;
                    *series = Series { owner: identity, challenger: None, value, time, seen: now };
                    self.lines = (self.lines + series.value.lines()).saturating_sub(before);
                }
                Some(series) => {
                    let before = series.value.lines();
                    let after = series.update(point, now);
                    self.lines = (self.lines + after).saturating_sub(before);
                }
                None if point.is_gone => {}
                None => {
                    let lines = point.value.lines();
                    if self.lines + lines > rules.max_series {
                        let cause = format!("the page has as many series as `max_series` allows, {}", rules.max_series);
                        lose(DropReason::SeriesLimit, cause);
                        continue;
                    }
                    self.lines += lines;
                    for name in &names {
                        self.names.insert(name.clone(), family_name.clone());
                    }
                    let unit = unit_word(&unit).filter(|unit| family_name.ends_with(&format!("_{unit}")));
                    let family = self.families.entry(family_name.clone()).or_insert_with(|| Family {
                        r#type,
                        sample: sample.clone(),
                        help: description.clone(),
                        unit,
                        series: BTreeMap::new(),
                    });
                    let Point { value, time, .. } = point;
                    family.series.insert(labels, Series { owner: identity, challenger: None, value, time, seen: now });
                }
            }
        }
        lost
    }
}

impl Series {
    /// Takes a later point; gives the lines it has now.
    fn update(&mut self, point: Point, now: Instant) -> usize {
        self.seen = now;
        self.challenger = None;
        if point.is_delta {
            self.value = sum(&self.value, point.value);
            self.time = point.time.max(self.time);
        } else if point.time >= self.time {
            self.value = point.value;
            self.time = point.time;
        }
        self.value.lines()
    }
}

/// A delta added to what there is. Where the two do not fit, the delta is a new beginning.
fn sum(before: &Value, delta: Value) -> Value {
    match (before, delta) {
        (Value::Number(before, _), Value::Number(delta, exemplar)) => Value::Number(before.plus(delta), exemplar),
        (
            Value::Histogram { count: before, sum: sum_before, bounds: same, counts: counts_before, .. },
            Value::Histogram { count, sum, bounds, counts, exemplars },
        ) if *same == bounds && counts_before.len() == counts.len() => {
            let counts = counts.iter().zip(counts_before).map(|(one, other)| one.saturating_add(*other)).collect();
            let sum = sum.zip(*sum_before).map(|(one, other)| one + other);
            Value::Histogram { count: before.saturating_add(count), sum, bounds, counts, exemplars }
        }
        (_, delta) => delta,
    }
}

impl Number {
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Self::Whole(one.saturating_add(other)),
            (one, other) => Self::Real(one.as_f64() + other.as_f64()),
        }
    }
}

fn sample_names(family: &str, sample: &str, r#type: Type) -> Vec<String> {
    let suffixes: &[&str] = match r#type {
        Type::Counter | Type::Gauge => &[],
        Type::Histogram => &["_bucket", "_count", "_sum"],
        Type::Summary => &["_count", "_sum"],
    };
    let mut names: Vec<_> = suffixes.iter().map(|suffix| format!("{sample}{suffix}")).collect();
    names.push(sample.to_owned());
    names.push(family.to_owned());
    names
}

/// FNV-1a: what differs by accident hashes apart, and nobody gains from what does not.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const NO_RECORDED_VALUE: u32 = 1;

/// The points of a metric; how many there are if they cannot be shown.
fn read(data: Option<metric::Data>, labels: &Labels) -> Result<(Type, Nature, Vec<Point>), usize> {
    let is_delta = |temporality| temporality == AggregationTemporality::Delta as i32;
    Ok(match data {
        None => (Type::Gauge, Nature::Gauge, Vec::new()),
        Some(metric::Data::Gauge(gauge)) => {
            let points = gauge.data_points.into_iter().map(|point| number(point, labels, false));
            (Type::Gauge, Nature::Gauge, points.collect())
        }
        Some(metric::Data::Sum(sum)) => {
            let is_delta = is_delta(sum.aggregation_temporality);
            let points = sum.data_points.into_iter().map(|point| number(point, labels, is_delta)).collect();
            if sum.is_monotonic {
                (Type::Counter, Nature::Counter, points)
            } else {
                (Type::Gauge, Nature::Other, points)
            }
        }
        Some(metric::Data::Histogram(histogram)) => {
            let is_delta = is_delta(histogram.aggregation_temporality);
            let points = histogram.data_points.into_iter().map(|point| distribution(point, labels, is_delta));
            (Type::Histogram, Nature::Other, points.collect())
        }
        Some(metric::Data::Summary(summary)) => {
            let points = summary.data_points.into_iter().map(|point| quantiles(point, labels));
            (Type::Summary, Nature::Other, points.collect())
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => return Err(histogram.data_points.len()),
    })
}

fn with_attributes(labels: &Labels, attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> Labels {
    // Labels of the resource and the scope come before those of a point.
    let mut labels = labels.clone();
    labels.add(attributes.iter().map(|pair| (pair.key.as_str(), super::text(pair.value.as_ref()))));
    labels
}

fn number(point: NumberDataPoint, labels: &Labels, is_delta: bool) -> Point {
    let value = match point.value {
        Some(number_data_point::Value::AsInt(value)) => Number::Whole(value),
        Some(number_data_point::Value::AsDouble(value)) => Number::Real(value),
        None => Number::Real(f64::NAN),
    };
    let exemplar = point.exemplars.into_iter().filter_map(read_exemplar).max_by_key(|exemplar| exemplar.time);
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Number(value, exemplar),
        is_delta,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn distribution(point: HistogramDataPoint, labels: &Labels, is_delta: bool) -> Point {
    // A histogram without buckets has the one that everything is in.
    let (bounds, counts) = if point.bucket_counts.len() == point.explicit_bounds.len() + 1 {
        (point.explicit_bounds, point.bucket_counts)
    } else {
        (Vec::new(), vec![point.count])
    };
    let mut labels = labels.clone();
    // Each line has one of its own.
    labels.set("le", "");
    let labels = &labels;
    let mut exemplars: Vec<_> = point.exemplars.into_iter().filter_map(read_exemplar).collect();
    exemplars.sort_by_key(|exemplar| std::cmp::Reverse(exemplar.time));
    let mut in_bucket = vec![false; counts.len()];
    exemplars.retain(|exemplar| {
        let bucket = bounds.iter().take_while(|bound| exemplar.value > **bound).count();
        in_bucket.get_mut(bucket).is_some_and(|taken| !std::mem::replace(taken, true))
    });
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Histogram { count: point.count, sum: point.sum, bounds, counts, exemplars },
        is_delta,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn quantiles(point: SummaryDataPoint, labels: &Labels) -> Point {
    let mut quantiles: Vec<_> = point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect();
    quantiles.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    quantiles.dedup_by(|(one, _), (other, _)| one == other);
    let mut labels = labels.clone();
    labels.set("quantile", "");
    let labels = &labels;
    Point {
        labels: with_attributes(labels, &point.attributes),
        time: point.time_unix_nano,
        value: Value::Summary { count: point.count, sum: point.sum, quantiles },
        is_delta: false,
        is_gone: point.flags & NO_RECORDED_VALUE != 0,
    }
}

fn read_exemplar(exemplar: OtlpExemplar) -> Option<Exemplar> {
    let value = match exemplar.value? {
        exemplar::Value::AsDouble(value) => Number::Real(value),
        exemplar::Value::AsInt(value) => Number::Whole(value),
    };
    let OtlpExemplar { time_unix_nano: time, trace_id, span_id, .. } = exemplar;
    Some(Exemplar { value: value.as_f64(), time, trace_id, span_id })
}
