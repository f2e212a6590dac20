//! Which format a page is in, and how much it is forgiven.

use crate::Limits;

/// The formats that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format 0.0.4: a line is read by itself.
    #[default]
    Text,
    /// OpenMetrics 1.0: a page holds as a whole or not at all.
    OpenMetrics,
}

impl Format {
    /// The format a response announces. `None` for what is neither, such as a sign-in page in HTML, and for versions of
    /// OpenMetrics after the first, which read differently.
    #[must_use]
    pub fn from_content_type(header: &str) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let media_type = parts.next()?;
        if media_type.eq_ignore_ascii_case("text/plain") {
            return Some(Self::Text);
        }
        let version = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim_end().eq_ignore_ascii_case("version").then(|| value.trim().trim_matches('"'))
        });
        let is_first = version.is_none_or(|version| version.starts_with("0.") || version.starts_with("1."));
        (media_type.eq_ignore_ascii_case("application/openmetrics-text") && is_first).then_some(Self::OpenMetrics)
    }
}

/// What becomes of a line that breaks the rules of [`Format::Text`]. OpenMetrics has no lenient mode: its specification
/// says that a page is rejected as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is an error of that line, and reading goes on. Label values need not be escaped, and lines may end with CR LF.
    #[default]
    Lenient,
    /// It is an error of the page, and reading ends.
    Strict,
}

/// How a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What it is written in.
    pub format: Format,
    /// What is forgiven.
    pub mode: Mode,
    /// What it may cost.
    pub limits: Limits,
}

impl Options {
    /// Lenient where the format allows it, with the default limits.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// Whether the first error is the last.
    pub(crate) fn rejects(&self) -> bool {
        self.format == Format::OpenMetrics || self.mode == Mode::Strict
    }

    /// Whether spaces, commas and names must be exactly where OpenMetrics wants them.
    pub(crate) fn is_openmetrics(&self) -> bool {
        self.format == Format::OpenMetrics
    }
}
