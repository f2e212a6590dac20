//! Samples put together to metrics with a type.
//!
//! What belongs to a family need not stand together: Spark's page of executors goes through all metrics of one executor
//! and then of the next. So a page is kept until its end, up to [`Limits::series`](crate::Limits::series) metrics. What
//! `# TYPE` and its like say is read before any sample, since the text format lets it stand below.
//!
//! A sample can be changed on its way into a family, which is what relabelling does: [`Series`] has its name and labels
//! apart from the page.
//!
//! ```
//! use kiln_prometheus_text::{Format, Options, family::{Page, Point}};
//!
//! let page = "# TYPE t histogram\nt_bucket{le=\"1\"} 2\nt_bucket{le=\"+Inf\"} 3\nt_sum 4.5\nt_count 3\n";
//! let page = Page::read(page, Options::new(Format::Text))?;
//! let Point::Histogram(histogram) = &page.families[0].metrics[0].point else { unreachable!() };
//! assert_eq!(histogram.buckets.len(), 2);
//! # Ok::<(), kiln_prometheus_text::LineError>(())
//! ```

mod builder;
mod families;
mod metadata;
mod page;
mod series;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

pub use families::Families;
pub use metadata::{Description, Metadata};
pub use page::Page;
pub use series::{Observation, Series};

use crate::entry::{Exemplar, Type};
use crate::native::NativeHistogram;
use crate::value::{Timestamp, Value};

/// The name of a label and its value.
pub type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Metrics that differ in their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Family<'a> {
    /// What its samples are called. Those of histograms and summaries add `_bucket`, `_sum` and `_count`, which are left
    /// out; the `_total` and `_info` that OpenMetrics adds to the name of a family are not.
    pub name: Cow<'a, str>,
    /// What its numbers mean.
    pub r#type: Type,
    /// What it means, in somebody's words, or nothing.
    pub help: Cow<'a, str>,
    /// As Prometheus names units, or nothing.
    pub unit: &'a str,
    /// In the order of the page. One label set may be there more than once.
    pub metrics: Vec<Metric<'a>>,
}

/// A label set of a family, at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// Without `le` and `quantile`, where those tell the parts apart.
    pub labels: Vec<Label<'a>>,
    /// When it was so, if the page says.
    pub timestamp: Option<Timestamp>,
    /// Since when is counted, if the page says, in `_created`.
    pub created: Option<Timestamp>,
    /// What is measured.
    pub point: Point<'a>,
    /// Of the sample or of all buckets.
    pub exemplars: Vec<Exemplar<'a>>,
}

/// What is measured. Most metrics are numbers, and a page may have a hundred thousand.
#[derive(Clone, Debug, PartialEq)]
pub enum Point<'a> {
    /// One number: counters, gauges, infos, states, and what has no type.
    Number(Value),
    /// Histograms and gauge histograms.
    Histogram(Box<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
    /// A histogram in one line. Beside it there may be another of the same labels, with buckets.
    NativeHistogram(Box<NativeHistogram<'a>>),
}

/// What of a histogram is on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// By upper bound.
    pub buckets: Vec<Bucket>,
    /// The sum of what was measured.
    pub sum: Option<Value>,
    /// How much was measured.
    pub count: Option<Value>,
}

/// How much was measured up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Inclusive. It may be infinite and is never `NaN`.
    pub upper_bound: f64,
    /// With what is in the buckets below.
    pub count: Value,
}

/// What of a summary is on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// By quantile.
    pub quantiles: Vec<Quantile>,
    /// The sum of what was measured.
    pub sum: Option<Value>,
    /// How much was measured.
    pub count: Option<Value>,
}

/// What a share of the measurements was below of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The share, from 0 to 1.
    pub quantile: f64,
    /// The measurement. `NaN` if there was none of late.
    pub value: Value,
}
