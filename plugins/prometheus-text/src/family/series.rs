//! Samples apart from their page.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::Label;
use crate::entry::{Exemplar, NativeHistogramSample, Sample};
use crate::labels::Labels;
use crate::native::NativeHistogram;
use crate::value::{Timestamp, Value};

/// A sample whose name and labels can be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// With its suffix.
    pub name: Cow<'a, str>,
    /// All of them, in the order of the line.
    pub labels: Vec<Label<'a>>,
    /// What is measured.
    pub value: Observation<'a>,
    /// When it was so, if the line says.
    pub timestamp: Option<Timestamp>,
    /// An example of what was counted.
    pub exemplar: Option<Exemplar<'a>>,
}

/// What a line measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation<'a> {
    /// One number.
    Number(Value),
    /// A histogram in one line.
    NativeHistogram(NativeHistogram<'a>),
}

impl<'a> From<Sample<'a>> for Series<'a> {
    fn from(sample: Sample<'a>) -> Self {
        let Sample { name, labels, value, timestamp, exemplar } = sample;
        Self { name: name.into(), labels: owned(labels), value: Observation::Number(value), timestamp, exemplar }
    }
}

impl<'a> From<NativeHistogramSample<'a>> for Series<'a> {
    fn from(sample: NativeHistogramSample<'a>) -> Self {
        let NativeHistogramSample { name, labels, histogram, timestamp, exemplar } = sample;
        let value = Observation::NativeHistogram(histogram);
        Self { name: name.into(), labels: owned(labels), value, timestamp, exemplar }
    }
}

fn owned(labels: Labels<'_>) -> Vec<Label<'_>> {
    labels.iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
}
