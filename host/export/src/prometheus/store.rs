//! What the page shows: the latest point of every series, for as long as it is fresh.
//!
//! A series is a metric's name and its labels as Prometheus will see them. Different metrics can come to the same name, and
//! different resources to the same labels; the first one has it, and what comes later is dropped and counted as a
//! conflict, rather than that a graph jumps between the two. Once the first one does not come any more, as when an attribute
//! of its resource has changed, the other takes over with its second point. A family has one type, and no name of a sample belongs to two.
//!
//! What bounds its growth: `max_series`, counted as the lines of the page; [`MAX_BYTES`] of labels and descriptions, for a
//! series may have labels as long as it likes; and `metric_expiration`.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_telemetry::metrics::DropReason;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use tokio::time::Instant;

use super::names::{Labels, Naming, unit_word};
use super::points::{Point, read};

/// Of labels, names and descriptions together: 640 bytes for each of the series there are by default.
pub(super) const MAX_BYTES: usize = 64 << 20;

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
    /// Of labels, names and descriptions.
    bytes: usize,
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
        let of_families = families
            .iter()
            .map(|(name, family)| family_bytes(name, family) + family.series.keys().map(String::len).sum::<usize>());
        self.bytes = of_families.sum::<usize>() + self.targets.keys().map(String::len).sum::<usize>();
        self.lines = self.targets.len()
            + families.values().flat_map(|it| it.series.values()).map(|it| it.value.lines()).sum::<usize>();
    }

    /// Remembers that a target was seen.
    pub(super) fn target(&mut self, labels: String, rules: Rules<'_>, now: Instant) {
        if let Some(seen) = self.targets.get_mut(&labels) {
            *seen = now;
        } else if self.lines < rules.max_series && self.bytes + labels.len() <= MAX_BYTES {
            self.lines += 1;
            self.bytes += labels.len();
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
                    self.lines = self.lines.saturating_sub(series.value.lines());
                    self.bytes = self.bytes.saturating_sub(labels.len());
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
                    let is_known = self.families.contains_key(&family_name);
                    let of_family = if is_known { 0 } else { sample.len() + family_name.len() + description.len() };
                    if self.bytes + of_family + labels.len() > MAX_BYTES {
                        let cause = format!("the labels of the page have as many bytes as they may, {MAX_BYTES}");
                        lose(DropReason::SeriesLimit, cause);
                        continue;
                    }
                    self.bytes += of_family + labels.len();
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

fn family_bytes(name: &str, family: &Family) -> usize {
    name.len() + family.sample.len() + family.help.len()
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
