//! The exposition formats of Prometheus: the text format 0.0.4, as it is found, which is not always as it is specified,
//! and OpenMetrics 1.0, to the letter.
//!
//! [`Parser`] reads a page that is there as a whole, [`Feed`] one that arrives in pieces; both give an [`Entry`] for a
//! line, borrowed from the page. [`family::Families`] puts entries together to metrics with a type, and [`print`] writes
//! both formats.
//!
//! - **Text, lenient.** A line that cannot be read is an error of that line and never of the page. Labels that are not
//!   escaped, as Spark writes them, are read as they were meant.
//! - **Text, strict.** The first line that breaks a rule ends the reading.
//! - **OpenMetrics.** The same, and the rules are those of a whole exposition: order, grouping, suffixes, units, values,
//!   timestamps, histograms, exemplars, the end. That a page is valid is known when the iterator has ended.
//!
//! ```
//! use kiln_prometheus_text::{Entry, Format, Options, Parser};
//!
//! let format = Format::from_content_type("text/plain; version=0.0.4").unwrap_or_default();
//! for entry in Parser::new("# TYPE up gauge\nup{job=\"spark\"} 1\n", Options::new(format)) {
//!     if let Entry::Sample(sample) = entry? {
//!         assert_eq!((sample.name, sample.value.as_f64()), ("up", 1.0));
//!     }
//! }
//! # Ok::<(), kiln_prometheus_text::LineError>(())
//! ```
//!
//! A name with a quote, a backslash or a line end, which has to be quoted and escaped, is not read: names are handed out
//! as slices of the page.
//!
//! Nothing is kept but what has to be compared with lines to come. Work and memory are linear in the page, whose size
//! [`Limits`] cap.

#![no_std]

extern crate alloc;

mod cursor;
mod entry;
mod error;
mod escape;
pub mod family;
mod feed;
mod format;
mod labels;
mod limits;
mod metadata;
mod native;
mod openmetrics;
mod parser;
pub mod print;
mod reading;
mod sample;
mod value;

pub use entry::{Entry, Exemplar, NativeHistogramSample, Sample, Type};
pub use error::{LineError, LineProblem};
pub use feed::Feed;
pub use format::{Format, Mode, Options};
pub use labels::{LabelIter, Labels};
pub use limits::{Limits, MAX_BYTES, MAX_LABELS, MAX_LINE_BYTES, MAX_LINES, MAX_SERIES};
pub use native::{CUSTOM_BUCKETS_SCHEMA, NativeBuckets, NativeHistogram, Numbers, Span};
pub use parser::{Parser, Samples, Types, samples, types};
pub use value::{Timestamp, Value};
