//! What the lines of a page say.

use alloc::borrow::Cow;

use crate::labels::Labels;
use crate::native::NativeHistogram;
use crate::value::{Timestamp, Value};

/// What a line says. Comments and blank lines say nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# HELP`
    Help {
        /// The family it describes.
        family: &'a str,
        /// What it means, in somebody's words. It may be empty.
        text: Cow<'a, str>,
    },
    /// `# TYPE`
    Type {
        /// The family it describes.
        family: &'a str,
        /// What its numbers mean.
        r#type: Type,
    },
    /// `# UNIT`
    Unit {
        /// The family it describes.
        family: &'a str,
        /// As Prometheus names units: `seconds`, `bytes`. It may be empty.
        unit: &'a str,
    },
    /// A number.
    Sample(Sample<'a>),
    /// A histogram in one line.
    NativeHistogram(NativeHistogramSample<'a>),
    /// `# EOF`, with which an OpenMetrics page ends. The text format does not know it.
    Eof,
}

/// What the numbers of a family mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// They never fall, but for restarts. In OpenMetrics the samples are called `_total`.
    Counter,
    /// They may fall.
    Gauge,
    /// Samples called `_bucket`, `_sum` and `_count`, or native histograms.
    Histogram,
    /// A histogram whose buckets may fall: `_bucket`, `_gsum` and `_gcount`. OpenMetrics only.
    GaugeHistogram,
    /// Samples with a label `quantile`, and ones called `_sum` and `_count`.
    Summary,
    /// What does not change while a process runs, in the labels of samples called `_info`. OpenMetrics only.
    Info,
    /// States that are on or off, each a value of the label that is called like the family. OpenMetrics only.
    StateSet,
    /// The page does not know, or knows types its format does not have. The text format says `untyped`.
    #[default]
    Unknown,
}

impl Type {
    /// What the text format knows. `unknown` is no word of it, and is read.
    pub(crate) fn of_text(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            "untyped" | "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    pub(crate) fn of_openmetrics(word: &str) -> Option<Self> {
        Some(match word {
            "gaugehistogram" => Self::GaugeHistogram,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "untyped" => return None,
            _ => return Self::of_text(word),
        })
    }

    /// As OpenMetrics and the `prometheus.type` of OpenTelemetry write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }

    /// What the names of its samples add to the name of the family, by OpenMetrics.
    #[must_use]
    pub const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            Self::GaugeHistogram => &["", "_bucket", "_gsum", "_gcount"],
            Self::Summary => &["", "_sum", "_count", "_created"],
            Self::Info => &["_info"],
            Self::Gauge | Self::StateSet | Self::Unknown => &[""],
        }
    }
}

/// One number of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric: ASCII letters, digits, `_` and `:`, not starting with a digit; anything, if it was quoted.
    pub name: &'a str,
    /// What stands between the braces.
    pub labels: Labels<'a>,
    /// The value.
    pub value: Value,
    /// When it was so, if the line says.
    pub timestamp: Option<Timestamp>,
    /// An example of what was counted.
    pub exemplar: Option<Exemplar<'a>>,
}

/// A native histogram of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NativeHistogramSample<'a> {
    /// Name of the metric, without a suffix.
    pub name: &'a str,
    /// What stands between the braces.
    pub labels: Labels<'a>,
    /// The value.
    pub histogram: NativeHistogram<'a>,
    /// When it was so, if the line says.
    pub timestamp: Option<Timestamp>,
    /// An example of what was counted.
    pub exemplar: Option<Exemplar<'a>>,
}

/// One of the things that were counted, with labels such as `trace_id`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// What tells it from others.
    pub labels: Labels<'a>,
    /// What was measured.
    pub value: Value,
    /// When, if the line says.
    pub timestamp: Option<Timestamp>,
}
