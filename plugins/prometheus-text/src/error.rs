//! What can be wrong with a page.

use core::fmt;

/// A line that could not be read, or that makes its page invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1. What is missing is missed where the family or the page ends.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LineProblem {
    /// It does not start with the name of a metric, or with one whose quotes do not close or hold an escape.
    Name,
    /// What is in braces are no labels, or the braces do not close.
    Labels,
    /// A label is there twice.
    RepeatedLabel,
    /// More than [`Limits::labels`](crate::Limits::labels).
    TooManyLabels,
    /// There is no number where the value belongs.
    Value,
    /// What follows the value is no timestamp, or a number that is no point in time.
    Timestamp,
    /// What follows `#` behind the value is no exemplar.
    Exemplar,
    /// What stands for a native histogram is none, or contradicts itself.
    NativeHistogram,
    /// It starts as `HELP`, `TYPE` or `UNIT` and does not go on as one.
    Metadata,
    /// Not UTF-8.
    Encoding,
    /// Longer than [`Limits::line_bytes`](crate::Limits::line_bytes).
    TooLong,
    /// More than [`Limits::lines`](crate::Limits::lines); the rest is not read.
    TooManyLines,
    /// More than [`Limits::bytes`](crate::Limits::bytes); the rest is not read.
    TooManyBytes,
    /// A blank line, a comment, or whatever else OpenMetrics does not know.
    NotOpenMetrics,
    /// The page does not end with `# EOF`, or does not end there.
    Eof,
    /// `HELP`, `TYPE` or `UNIT` is there twice for a family.
    RepeatedMetadata,
    /// `HELP`, `TYPE` or `UNIT` stands below samples of its family.
    LateMetadata,
    /// A family is there twice, or a sample of one could be one of another.
    ClashingName,
    /// The unit is not the end of the name, or the type has no unit.
    Unit,
    /// Samples with the same labels do not stand together.
    Interleaved,
    /// Some samples with the same labels have a timestamp and some have none.
    MixedTimestamps,
    /// A timestamp is before that of the sample above it.
    TimeGoesBack,
    /// `le`, `quantile`, or the label of a state set, is missing or not what it may be.
    TypeLabel,
    /// A value its type does not have, such as a negative counter.
    TypeValue,
    /// An exemplar of something that has none.
    MisplacedExemplar,
    /// The labels of an exemplar have more than 128 characters.
    LongExemplar,
    /// Buckets that are not in order or count less than those below them.
    BucketOrder,
    /// There is no bucket for `+Inf`.
    NoInfinityBucket,
    /// A histogram's sum, count and buckets do not go together.
    HistogramParts,
    /// More than [`Limits::series`](crate::Limits::series).
    TooManySeries,
    /// A sample that its family has no place for, such as a quantile of a histogram.
    NotOfFamily,
}

impl LineProblem {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Name => "does not start with the name of a metric",
            Self::Labels => "has labels that cannot be read, or braces that do not close",
            Self::RepeatedLabel => "has a label twice",
            Self::TooManyLabels => "has too many labels",
            Self::Value => "has no number for a value",
            Self::Timestamp => "has something behind the value that is no timestamp",
            Self::Exemplar => "has something behind the value that is no exemplar",
            Self::NativeHistogram => "has a native histogram that cannot be read",
            Self::Metadata => "starts like metadata and does not go on like it",
            Self::Encoding => "is not UTF-8",
            Self::TooLong => "is too long",
            Self::TooManyLines => "is beyond the number of lines that are read",
            Self::TooManyBytes => "is beyond the number of bytes that are read",
            Self::NotOpenMetrics => "is blank or a comment, which OpenMetrics does not have",
            Self::Eof => "is not where the page may end, or is behind its end",
            Self::RepeatedMetadata => "says again what is said of its family",
            Self::LateMetadata => "describes a family below its samples",
            Self::ClashingName => "has the name of another family or of its samples",
            Self::Unit => "belongs to a family whose unit does not fit its name or type",
            Self::Interleaved => "belongs to samples that do not stand together",
            Self::MixedTimestamps => "has a timestamp where others of its metric have none, or the reverse",
            Self::TimeGoesBack => "has an earlier timestamp than the one before",
            Self::TypeLabel => "lacks the label its type demands, or has an impossible one",
            Self::TypeValue => "has a value its type does not allow",
            Self::MisplacedExemplar => "has an exemplar where its type does not allow one",
            Self::LongExemplar => "has an exemplar with more than 128 characters",
            Self::BucketOrder => "belongs to a histogram whose buckets are not in order",
            Self::NoInfinityBucket => "belongs to a histogram without a bucket for +Inf",
            Self::HistogramParts => "belongs to a histogram whose sum, count and buckets do not go together",
            Self::TooManySeries => "is beyond the number of series that are kept",
            Self::NotOfFamily => "has no place in the family it belongs to",
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.problem.sentence())
    }
}

impl core::error::Error for LineError {}
