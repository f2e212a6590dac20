//! The Prometheus text format 0.0.4, as it is found, which is not always as it is specified.
//!
//! Spark does not escape label values: an application called `ETL "daily"` makes a page no standard parser accepts. So
//! a value ends at the first quote that is followed by the next label or by nothing, and it is handed out as it stands,
//! backslashes included. A line that cannot be read is an error of that line and never of the page.
//!
//! Nothing is copied and nothing is kept: work and memory are linear in the text, whose lines and their length are
//! capped.

use core::fmt;

/// Longer lines are not read.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Reading stops here, with an error.
pub const MAX_LINES: usize = 250_000;

/// The samples of a page, in its order. Comments and blank lines are passed over.
#[must_use]
pub const fn samples(text: &str) -> Samples<'_> {
    Samples { rest: text, line: 0 }
}

/// Iterator over the samples of a page.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            if self.line > MAX_LINES {
                self.rest = "";
                return Some(Err(LineError { line: self.line, problem: LineProblem::TooManyLines }));
            }
            let line = line.trim_matches([' ', '\t', '\r']);
            if !line.is_empty() && !line.starts_with('#') {
                return Some(Sample::read(line).map_err(|problem| LineError { line: self.line, problem }));
            }
        }
        None
    }
}

/// What the `# TYPE` lines of a page say, in its order. Spark's pages have none.
#[must_use]
pub const fn types(text: &str) -> Types<'_> {
    Types { rest: text, line: 0 }
}

/// Iterator over names of metric families and their types.
#[derive(Clone, Debug)]
pub struct Types<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Iterator for Types<'a> {
    type Item = (&'a str, Type);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() && self.line < MAX_LINES {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            if let Some(found) = Type::read(line).filter(|_| line.len() <= MAX_LINE_BYTES) {
                return Some(found);
            }
        }
        None
    }
}

/// What the numbers of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// They never fall, but for restarts.
    Counter,
    /// They may fall.
    Gauge,
    /// Samples called `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Samples with a label `quantile`, and ones called `_sum` and `_count`.
    Summary,
    /// The page does not know, or knows types this format does not have.
    Untyped,
}

impl Type {
    /// `# TYPE name type`
    fn read(line: &str) -> Option<(&str, Self)> {
        let mut words = line.trim_matches([' ', '\t', '\r']).strip_prefix('#')?.split_ascii_whitespace();
        if words.next() != Some("TYPE") {
            return None;
        }
        let (name, kind) = (words.next()?, words.next()?);
        let (_, rest) = split_name(name);
        let kind = match kind {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Untyped,
        };
        (rest.is_empty() && words.next().is_none()).then_some((name, kind))
    }
}

/// One line of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric: ASCII letters, digits, `_` and `:`, not starting with a digit.
    pub name: &'a str,
    /// What stands between the braces.
    pub labels: Labels<'a>,
    /// The value.
    pub value: Value,
    /// Milliseconds since the Unix epoch, if the line says.
    pub timestamp: Option<i64>,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Result<Self, LineProblem> {
        if line.len() > MAX_LINE_BYTES {
            return Err(LineProblem::TooLong);
        }
        let (name, rest) = split_name(line);
        if name.is_empty() {
            return Err(LineProblem::Name);
        }
        // From the right, because a label's value may hold a brace and what follows the labels cannot.
        let (labels, rest) = match rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}').ok_or(LineProblem::Labels)?,
            None if rest.is_empty() || rest.starts_with([' ', '\t']) => ("", rest),
            None => return Err(LineProblem::Name),
        };
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().and_then(Value::read).ok_or(LineProblem::Value)?;
        let timestamp = match words.next() {
            Some(word) => Some(word.parse().map_err(|_| LineProblem::Timestamp)?),
            None => None,
        };
        match words.next() {
            Some(_) => Err(LineProblem::Timestamp),
            None => Ok(Self { name, labels: Labels(labels), value, timestamp }),
        }
    }
}

/// The longest prefix that is a name, and the rest.
fn split_name(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = if text.starts_with(|c: char| c.is_ascii_digit()) {
        0
    } else {
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    };
    text.split_at(end)
}

/// A number. Java writes whole numbers without a point, and 64 bits of them do not fit into a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Written as a whole number.
    Integer(i64),
    /// Written with a point or an exponent, or not a finite number, or too large.
    Float(f64),
}

impl Value {
    /// `2.89E7`, `NaN`, `+Inf` and Java's `Infinity` are all read.
    fn read(word: &str) -> Option<Self> {
        word.parse().map(Self::Integer).or_else(|_| word.parse().map(Self::Float)).ok()
    }

    /// The nearest float.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The nearest integer; the nearest there is, when it does not fit; zero for `NaN`.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        match self {
            Self::Integer(value) => value,
            Self::Float(value) => value.round() as i64,
        }
    }

    /// Whether it is neither infinite nor `NaN`.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(value) => value.is_finite(),
        }
    }
}

/// The labels of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
    /// Names and values, in their order, up to the first thing that is no label.
    pub const fn iter(self) -> LabelIter<'a> {
        LabelIter { rest: self.0 }
    }

    /// The value of the first label of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The value of the last label of all, if it has this name, and of the first of this name otherwise. It is read from
    /// the right, and so it is the true one whatever the values before it hold.
    #[must_use]
    pub fn get_last(self, name: &str) -> Option<&'a str> {
        let value = self.0.trim_end_matches([' ', '\t', ',']).strip_suffix('"').and_then(|text| {
            let (at, _) = text.rmatch_indices(name).find(|(at, _)| {
                let starts =
                    text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([',', ' ', '\t']));
                starts && text.get(at + name.len()..).is_some_and(|after| after.starts_with("=\""))
            })?;
            text.get(at + name.len() + 2..)
        });
        value.filter(|value| !value.contains('"')).or_else(|| self.get(name))
    }
}

/// Iterator over labels.
#[derive(Clone, Debug)]
pub struct LabelIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, after) = label_start(self.rest)?;
        self.rest = after;
        let mut from = 0;
        loop {
            let quote = after.get(from..)?.find('"')? + from;
            let (value, rest) = (after.get(..quote)?, after.get(quote + 1..)?);
            if ends_value(rest) {
                self.rest = rest.trim_start_matches([' ', '\t']).strip_prefix(',').unwrap_or("");
                return Some((name, value));
            }
            from = quote + 1;
        }
    }
}

/// `name="`, and what follows it.
fn label_start(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = split_name(text.trim_start_matches([' ', '\t']));
    let rest = rest.strip_prefix("=\"")?;
    (!name.is_empty()).then_some((name, rest))
}

/// Whether a quote before this text closes a value.
fn ends_value(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t']);
    match rest.strip_prefix(',') {
        Some(next) => next.trim_matches([' ', '\t']).is_empty() || label_start(next).is_some(),
        None => rest.is_empty(),
    }
}

/// A line that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineProblem {
    /// It does not start with the name of a metric.
    Name,
    /// Its braces do not close.
    Labels,
    /// There is no number where the value belongs.
    Value,
    /// What follows the value is no timestamp.
    Timestamp,
    /// Longer than [`MAX_LINE_BYTES`].
    TooLong,
    /// More lines than [`MAX_LINES`]; the rest is not read.
    TooManyLines,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            LineProblem::Name => "does not start with the name of a metric",
            LineProblem::Labels => "has braces that do not close",
            LineProblem::Value => "has no number for a value",
            LineProblem::Timestamp => "has something behind the value that is no timestamp",
            LineProblem::TooLong => "is too long",
            LineProblem::TooManyLines => "is beyond the number of lines that are read",
        };
        write!(f, "line {} {problem}", self.line)
    }
}

impl core::error::Error for LineError {}
