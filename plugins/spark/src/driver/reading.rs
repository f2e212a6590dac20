//! What the two pages of the driver have in common: numbers of metrics in one registry of Dropwizard's.

use kiln_prometheus_text::Value;

/// One number of one metric of the driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading<'a> {
    /// The name of the metric without namespace, every character but letters and digits an underscore.
    pub(crate) name: &'a str,
    /// The same as its author wrote it, where the page says so.
    pub(crate) written: Option<&'a str>,
    /// Which of its numbers it is.
    pub(crate) part: Part,
    /// What kind of metric it is.
    pub(crate) kind: Kind,
    /// The number, finite. Times of a timer are nanoseconds; other times and sizes are as Spark has them.
    pub(crate) value: Value,
}

/// Kinds of metrics in Spark's registry. Meters are counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    Histogram,
    Timer,
}

/// The numbers a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The value of a gauge.
    Value,
    /// How much was counted, since the start.
    Count,
    /// Mean of the reservoir.
    Mean,
    /// Standard deviation of the reservoir.
    StdDev,
    /// A quantile of the reservoir.
    Quantile(&'static str),
}

impl Part {
    /// What tells the numbers of a metric apart. A metric is a gauge or a counter and never both.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Value | Self::Count => "",
            Self::Mean => "mean",
            Self::StdDev => "std_dev",
            Self::Quantile(quantile) => quantile,
        }
    }
}
