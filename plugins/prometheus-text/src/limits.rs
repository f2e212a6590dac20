//! What a page may cost, whoever wrote it.

/// [`Limits::line_bytes`] unless set.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// [`Limits::lines`] unless set.
pub const MAX_LINES: usize = 250_000;

/// [`Limits::labels`] unless set.
pub const MAX_LABELS: usize = 128;

/// [`Limits::bytes`] unless set.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// [`Limits::series`] unless set.
pub const MAX_SERIES: usize = 100_000;

/// What a page may cost. Work and memory are linear in these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line, without what ends it. A longer one is not read.
    pub line_bytes: usize,
    /// Labels of a sample or an exemplar. A line with more is not read.
    pub labels: usize,
    /// Lines of a page. Reading stops there, with an error.
    pub lines: usize,
    /// Bytes of a page. Reading stops before the line that exceeds them, with an error.
    pub bytes: usize,
    /// Metrics that [`Families`](crate::family::Families) keeps. More are refused.
    pub series: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes: MAX_LINE_BYTES, labels: MAX_LABELS, lines: MAX_LINES, bytes: MAX_BYTES, series: MAX_SERIES }
    }
}
