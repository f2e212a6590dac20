//! The family at hand.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;

use super::histogram::Histogram;
use super::key::Key;
use crate::entry::{NativeHistogramSample, Sample, Type};
use crate::error::LineProblem;
use crate::labels::Labels;
use crate::value::Timestamp;

/// A family, up to the line at hand.
#[derive(Clone, Debug)]
pub(super) struct Family {
    name: String,
    has_help: bool,
    r#type: Option<Type>,
    unit: Option<String>,
    /// The metric at hand, if there were samples.
    metric: Option<Metric>,
    /// Label sets of all metrics.
    metrics: BTreeSet<Key>,
}

/// The samples that have the same labels, but for those that tell them apart, and that stand together.
#[derive(Clone, Debug)]
struct Metric {
    key: Key,
    timestamp: Option<Timestamp>,
    histogram: Option<Histogram>,
}

impl Family {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            has_help: false,
            r#type: None,
            unit: None,
            metric: None,
            metrics: BTreeSet::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Type {
        self.r#type.unwrap_or_default()
    }

    /// What the name of a sample adds to the family's, if it can be one of the family.
    fn suffix<'a>(&self, sample: &'a str) -> Option<&'a str> {
        sample.strip_prefix(self.name.as_str()).filter(|suffix| self.kind().suffixes().contains(suffix))
    }

    pub(super) fn has(&self, sample: &str) -> bool {
        self.suffix(sample).is_some()
    }

    /// Its own name and those its samples may have, which no other family may have either.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let suffixes = self.kind().suffixes();
        let bare = (!suffixes.contains(&"")).then_some("");
        bare.into_iter().chain(suffixes.iter().copied()).map(|suffix| self.name.clone() + suffix)
    }

    fn may_be_described(&self, is_said: bool) -> Result<(), LineProblem> {
        match (self.metric.is_some(), is_said) {
            (true, _) => Err(LineProblem::LateMetadata),
            (_, true) => Err(LineProblem::RepeatedMetadata),
            _ => Ok(()),
        }
    }

    pub(super) fn help(&mut self) -> Result<(), LineProblem> {
        self.may_be_described(self.has_help)?;
        self.has_help = true;
        Ok(())
    }

    pub(super) fn r#type(&mut self, r#type: Type) -> Result<(), LineProblem> {
        self.may_be_described(self.r#type.is_some())?;
        self.r#type = Some(r#type);
        Ok(())
    }

    pub(super) fn unit(&mut self, unit: &str) -> Result<(), LineProblem> {
        self.may_be_described(self.unit.is_some())?;
        self.unit = Some(unit.to_owned());
        Ok(())
    }

    /// Takes a sample that it [has](Self::has).
    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<(), LineProblem> {
        let suffix = self.suffix(sample.name).unwrap_or("");
        self.check_label(suffix, sample)?;
        self.check_value(suffix, sample)?;
        let is_counted = matches!((self.kind(), suffix), (Type::Counter, "_total") | (_, "_bucket"));
        if sample.exemplar.is_some() && !is_counted {
            return Err(LineProblem::MisplacedExemplar);
        }
        self.group(sample.labels, suffix, sample.timestamp)?;
        match &mut self.metric {
            Some(metric) if matches!(self.r#type, Some(Type::Histogram | Type::GaugeHistogram)) => {
                metric.histogram.get_or_insert_default().take(suffix, sample)
            }
            _ => Ok(()),
        }
    }

    /// Takes a native histogram whose name is one it [has](Self::has).
    pub(super) fn native_histogram(&mut self, sample: &NativeHistogramSample<'_>) -> Result<(), LineProblem> {
        if !matches!(self.kind(), Type::Histogram | Type::GaugeHistogram) || self.suffix(sample.name) != Some("") {
            return Err(LineProblem::TypeValue);
        }
        self.group(sample.labels, "", sample.timestamp)
    }

    /// The label its type demands of a sample.
    fn check_label(&self, suffix: &str, sample: &Sample<'_>) -> Result<(), LineProblem> {
        let has_it = match (self.kind(), suffix) {
            (Type::StateSet, _) => sample.labels.get(&self.name).is_some(),
            (Type::Summary, "") => {
                let quantile = sample.labels.get("quantile").and_then(|quantile| quantile.parse().ok());
                quantile.is_some_and(|quantile: f64| (0.0..=1.0).contains(&quantile))
            }
            // A bucket's is the histogram's to see to.
            _ => true,
        };
        if has_it { Ok(()) } else { Err(LineProblem::TypeLabel) }
    }

    /// The value its type demands of a sample.
    fn check_value(&self, suffix: &str, sample: &Sample<'_>) -> Result<(), LineProblem> {
        let (kind, value) = (self.kind(), sample.value.as_f64());
        let fits = match (kind, suffix) {
            (Type::StateSet, _) => value == 0.0 || value == 1.0,
            (Type::Info, _) => value == 1.0,
            // Only a native histogram has no suffix.
            (Type::Histogram | Type::GaugeHistogram, "") => false,
            (Type::Summary, "") => value.is_nan() || value >= 0.0,
            (_, "_created") => value.is_finite(),
            (_, "_gsum") => !value.is_nan(),
            (Type::Summary, "_count") | (_, "_bucket" | "_gcount") | (Type::Histogram, "_count") => {
                sample.value.is_whole() && value >= 0.0
            }
            (_, "_total" | "_sum") => value >= 0.0,
            _ => true,
        };
        if fits { Ok(()) } else { Err(LineProblem::TypeValue) }
    }

    /// Finds the sample's place: with the metric at hand, or as the first of the next.
    fn group(&mut self, labels: Labels<'_>, suffix: &str, timestamp: Option<Timestamp>) -> Result<(), LineProblem> {
        let key = match (self.kind(), suffix) {
            // All labels of an info are its value.
            (Type::Info, _) => Key::default(),
            (Type::StateSet, _) => Key::new(labels, Some(&self.name)),
            (Type::Summary, "") => Key::new(labels, Some("quantile")),
            (_, "_bucket") => Key::new(labels, Some("le")),
            _ => Key::new(labels, None),
        };
        match &mut self.metric {
            Some(metric) if metric.key == key => {
                if metric.timestamp.is_some() != timestamp.is_some() {
                    return Err(LineProblem::MixedTimestamps);
                }
                if metric.timestamp > timestamp && self.r#type != Some(Type::Info) {
                    return Err(LineProblem::TimeGoesBack);
                }
                if metric.timestamp != timestamp {
                    metric.close()?;
                    metric.histogram = None;
                }
                metric.timestamp = timestamp;
            }
            metric => {
                if let Some(before) = metric {
                    before.close()?;
                }
                if !self.metrics.insert(key.clone()) {
                    return Err(LineProblem::Interleaved);
                }
                *metric = Some(Metric { key, timestamp, histogram: None });
            }
        }
        Ok(())
    }

    /// It has no more lines.
    pub(super) fn close(&self) -> Result<(), LineProblem> {
        if let Some(unit) = self.unit.as_deref().filter(|unit| !unit.is_empty()) {
            let is_end = self.name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
            if !is_end || matches!(self.kind(), Type::Info | Type::StateSet) {
                return Err(LineProblem::Unit);
            }
        }
        self.metric.as_ref().map_or(Ok(()), Metric::close)
    }
}

impl Metric {
    fn close(&self) -> Result<(), LineProblem> {
        self.histogram.as_ref().map_or(Ok(()), Histogram::close)
    }
}
