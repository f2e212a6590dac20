//! Telemetry for a processor under test: made by hand, shown, edited and looked at with the host's own code.

use std::fmt::Write as _;

use kiln_otlp::{
    Amount, Attributes, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Invalid, Level, ListItem,
    MetricBody, MetricsPayload, Number, NumberPoint, Scope, Sight, SummaryPoint, Temporality,
};

use super::convert;
use crate::processor::{MetricKind, View};
use crate::telemetry::AttributeValue;

/// A batch of metrics. Every value is 1, every sum and histogram a delta.
///
/// ```
/// # use kiln_plugin::processor::MetricKind;
/// # use kiln_plugin::testing::TestBatch;
/// let batch = TestBatch::new()
///     .resource(&[("service.name", "shop")])
///     .metric("orders", MetricKind::Sum, &[&[("country", "fr")], &[("country", "ch")]]);
/// assert_eq!(batch.build().series(), [r#"orders{country="fr"}"#, r#"orders{country="ch"}"#]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TestBatch {
    resources: Vec<(Pairs, Vec<Metric>)>,
}

type Pairs = Vec<(String, String)>;

#[derive(Clone, Debug)]
struct Metric {
    name: String,
    kind: MetricKind,
    points: Vec<Pairs>,
}

fn owned(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl TestBatch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A resource; what follows is about it.
    #[must_use]
    pub fn resource(mut self, attributes: &[(&str, &str)]) -> Self {
        self.resources.push((owned(attributes), Vec::new()));
        self
    }

    /// A metric with one point for each list of attributes.
    #[must_use]
    pub fn metric(self, name: &str, kind: MetricKind, points: &[&[(&str, &str)]]) -> Self {
        self.metric_of(name, kind, points.iter().map(|point| owned(point)))
    }

    /// As [`Self::metric`], of points that are made as they are needed.
    #[must_use]
    pub fn metric_of(
        mut self,
        name: &str,
        kind: MetricKind,
        points: impl Iterator<Item = Vec<(String, String)>>,
    ) -> Self {
        if self.resources.is_empty() {
            self = self.resource(&[]);
        }
        if let Some((_, metrics)) = self.resources.last_mut() {
            metrics.push(Metric { name: name.to_owned(), kind, points: points.collect() });
        }
        self
    }

    /// The batch, as bytes.
    ///
    /// # Panics
    /// It breaks a rule of the data model.
    #[must_use]
    pub fn build(&self) -> Telemetry {
        let unlimited = Amount { bytes: usize::MAX, items: usize::MAX };
        let mut payload = MetricsPayload::new(1, unlimited, Amount::default());
        for (resource, metrics) in &self.resources {
            let written = payload.group::<Invalid>(
                |attributes| write(attributes, resource),
                Scope { name: "test", version: "" },
                |_| Ok(()),
                |items| {
                    metrics.iter().try_for_each(|metric| {
                        let head = kiln_otlp::Metric { name: &metric.name, description: "", unit: "1" };
                        items.metric(head, |_| Ok(()), |body| metric.write(body))
                    })
                },
            );
            written.unwrap_or_else(|error| panic!("{error}"));
        }
        Telemetry(payload.finish().expect("a batch without a point is none"))
    }
}

fn write(attributes: &mut Attributes<'_>, pairs: &Pairs) -> Result<(), Invalid> {
    pairs.iter().try_for_each(|(key, value)| attributes.value(key, ListItem::Text(value)))
}

impl Metric {
    fn write(&self, body: MetricBody<'_>) -> Result<(), Invalid> {
        let number = || NumberPoint { start_time: 1, time: 2, value: Some(Number::Integer(1)) };
        match self.kind {
            MetricKind::Gauge => body.gauge(|points| {
                self.points
                    .iter()
                    .try_for_each(|pairs| points.point(number(), |body| body.attributes(|all| write(all, pairs))))
            }),
            MetricKind::Sum => body.sum(Temporality::Delta, true, |points| {
                self.points
                    .iter()
                    .try_for_each(|pairs| points.point(number(), |body| body.attributes(|all| write(all, pairs))))
            }),
            MetricKind::Histogram => body.histogram(Temporality::Delta, |points| {
                self.points
                    .iter()
                    .try_for_each(|pairs| points.point(HISTOGRAM, |body| body.attributes(|all| write(all, pairs))))
            }),
            MetricKind::ExponentialHistogram => body.exponential_histogram(Temporality::Delta, |points| {
                self.points
                    .iter()
                    .try_for_each(|pairs| points.point(EXPONENTIAL, |body| body.attributes(|all| write(all, pairs))))
            }),
            MetricKind::Summary => body.summary(|points| {
                self.points.iter().try_for_each(|pairs| points.point(SUMMARY, |all| write(all, pairs)))
            }),
        }
    }
}

const HISTOGRAM: HistogramPoint<'_> = HistogramPoint {
    start_time: 1,
    time: 2,
    count: 1,
    sum: Some(1.0),
    min: None,
    max: None,
    bounds: &[1.0],
    bucket_counts: &[1, 0],
    no_recorded_value: false,
};

const EXPONENTIAL: ExponentialHistogramPoint<'_> = ExponentialHistogramPoint {
    start_time: 1,
    time: 2,
    count: 1,
    sum: Some(1.0),
    min: None,
    max: None,
    scale: 0,
    zero_count: 0,
    zero_threshold: 0.0,
    positive: ExponentialBuckets { offset: -1, counts: &[1] },
    negative: ExponentialBuckets { offset: 0, counts: &[] },
    no_recorded_value: false,
};

const SUMMARY: SummaryPoint<'_> =
    SummaryPoint { start_time: 1, time: 2, count: 1, sum: 1.0, quantiles: &[], no_recorded_value: false };

/// Telemetry as the host holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry(pub(super) kiln_otlp::Batch);

impl Telemetry {
    /// All of it, view by view.
    fn views(&self) -> Vec<View> {
        let sight = Sight::new(Level::Point, &["*".to_owned()]);
        let views: Vec<_> = sight.views(&self.0).map(|part| convert::view(part.expect("well formed").0)).collect();
        views
    }

    /// Every point as `name{key="value",…}`, keys sorted, in order.
    #[must_use]
    pub fn series(&self) -> Vec<String> {
        let mut series = Vec::new();
        for view in self.views() {
            series.extend(view.each_point().map(|point| {
                let mut attributes: Vec<_> = point.attributes().collect();
                attributes.sort_by_key(|(key, _)| *key);
                labelled(point.metric().map_or("", |metric| metric.name()), &attributes)
            }));
        }
        series
    }

    /// The attributes of every resource as `{key="value",…}`, keys sorted, in order.
    #[must_use]
    pub fn resources(&self) -> Vec<String> {
        let mut resources = Vec::new();
        for view in self.views() {
            resources.extend(view.each_resource().map(|resource| {
                let attributes = resource.attributes().iter();
                let mut attributes: Vec<_> = attributes.map(|pair| (pair.key.as_str(), &pair.value)).collect();
                attributes.sort_by_key(|(key, _)| *key);
                labelled("", &attributes)
            }));
        }
        resources
    }

    /// How many data points there are.
    #[must_use]
    pub const fn points(&self) -> usize {
        self.0.items
    }
}

fn labelled(name: &str, attributes: &[(&str, &AttributeValue)]) -> String {
    let mut text = format!("{name}{{");
    for (index, (key, value)) in attributes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let value = match value {
            AttributeValue::Text(text) => format!("{text:?}"),
            AttributeValue::Boolean(value) => value.to_string(),
            AttributeValue::Integer(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{key}={value}");
    }
    text.push('}');
    text
}
