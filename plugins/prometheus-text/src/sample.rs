//! Lines that hold numbers.

use crate::cursor::{Cursor, is_blank};
use crate::entry::{Entry, Exemplar, NativeHistogramSample, Sample};
use crate::error::LineProblem;
use crate::format::{Mode, Options};
use crate::labels::{Braces, Labels};
use crate::native::NativeHistogram;
use crate::value::{Timestamp, Value};

/// Characters that the names and values of an exemplar's labels may have (OpenMetrics 1.0, exemplars).
const MAX_EXEMPLAR_CHARACTERS: usize = 128;

/// Reads a line that is neither blank nor a comment.
pub(crate) fn read<'a>(line: &'a str, options: &Options) -> Result<Entry<'a>, LineProblem> {
    let well_formed = WellFormed { rest: Cursor::new(line), options }.read();
    match well_formed {
        Err(LineProblem::TooManyLabels) | Ok(_) => well_formed,
        Err(_) if !options.is_openmetrics() && options.mode == Mode::Lenient && line.contains('{') => {
            verbatim(line, options).map(Entry::Sample)
        }
        Err(_) => well_formed,
    }
}

/// A line whose label values are not escaped.
fn verbatim<'a>(line: &'a str, options: &Options) -> Result<Sample<'a>, LineProblem> {
    let mut rest = Cursor::new(line);
    let name = rest.name();
    rest.skip_blanks();
    if name.is_empty() || !rest.eat(b'{') {
        return Err(LineProblem::Name);
    }
    // From the right, because a label's value may hold a brace and what follows the labels cannot.
    let (labels, behind) = rest.rest.rsplit_once('}').ok_or(LineProblem::Labels)?;
    let labels = Labels::verbatim(labels, options)?;
    let mut behind = WellFormed { rest: Cursor::new(behind), options };
    behind.blanks();
    let (value, timestamp) = (behind.value().ok_or(LineProblem::Value)?, behind.timestamp()?);
    behind.end()?;
    Ok(Sample { name, labels, value, timestamp, exemplar: None })
}

/// A line as the specification wants it.
struct WellFormed<'a, 'o> {
    rest: Cursor<'a>,
    options: &'o Options,
}

impl<'a> WellFormed<'a, '_> {
    fn read(mut self) -> Result<Entry<'a>, LineProblem> {
        let plain_name = self.rest.name();
        let (name, labels) = self.name_and_labels(plain_name)?;
        if self.rest.peek() == Some(b'{') {
            let histogram = NativeHistogram::read(&mut self.rest)?;
            let (timestamp, exemplar) = (self.timestamp()?, self.exemplar()?);
            self.end()?;
            return Ok(Entry::NativeHistogram(NativeHistogramSample { name, labels, histogram, timestamp, exemplar }));
        }
        let value = self.value().ok_or(LineProblem::Value)?;
        let (timestamp, exemplar) = (self.timestamp()?, self.exemplar()?);
        self.end()?;
        Ok(Entry::Sample(Sample { name, labels, value, timestamp, exemplar }))
    }

    /// Steps up to the value.
    fn name_and_labels(&mut self, name: &'a str) -> Result<(&'a str, Labels<'a>), LineProblem> {
        let before = self.rest;
        if !self.options.is_openmetrics() {
            self.rest.skip_blanks();
        }
        let is_braced =
            self.rest.peek() == Some(b'{') && !(before.peek() != Some(b'{') && NativeHistogram::starts(self.rest));
        if !is_braced {
            self.rest = before;
            return match self.rest.peek() {
                _ if name.is_empty() => Err(LineProblem::Name),
                Some(next) if !is_blank(next) => Err(LineProblem::Name),
                _ if self.blanks() => Ok((name, Labels::NONE)),
                _ => Err(LineProblem::Value),
            };
        }
        self.rest.eat(b'{');
        let braces = Braces::read(&mut self.rest, name.is_empty(), self.options)?;
        let name = if name.is_empty() { braces.name.ok_or(LineProblem::Name)? } else { name };
        // The text format can do without a space here.
        if !self.blanks() && self.options.is_openmetrics() {
            return Err(LineProblem::Value);
        }
        Ok((name, braces.labels))
    }

    /// Steps over what separates two parts: one space in OpenMetrics.
    fn blanks(&mut self) -> bool {
        if self.options.is_openmetrics() {
            return self.rest.eat(b' ');
        }
        let found = self.rest.peek().is_some_and(is_blank);
        self.rest.skip_blanks();
        found
    }

    fn value(&mut self) -> Option<Value> {
        let word = self.rest.word();
        if self.options.rejects() { Value::read_strict(word) } else { Value::parse(word) }
    }

    fn timestamp(&mut self) -> Result<Option<Timestamp>, LineProblem> {
        let Some(word) = self.next_part() else { return Ok(None) };
        let read = if self.options.is_openmetrics() { Timestamp::read_seconds } else { Timestamp::read_millis };
        read(word).map(Some).ok_or(LineProblem::Timestamp)
    }

    /// What follows, unless it is an exemplar. Blanks at the end are nothing in the text format, and in OpenMetrics a part
    /// that is missing.
    fn next_part(&mut self) -> Option<&'a str> {
        let before = self.rest;
        let is_there = self.blanks() && self.rest.peek().map_or(self.options.is_openmetrics(), |next| next != b'#');
        if !is_there {
            self.rest = before;
            return None;
        }
        Some(self.rest.word())
    }

    /// The text format has no exemplars, but there are writers that do not know.
    fn exemplar(&mut self) -> Result<Option<Exemplar<'a>>, LineProblem> {
        let before = self.rest;
        if !self.blanks() || !self.rest.eat(b'#') {
            self.rest = before;
            return Ok(None);
        }
        if !self.options.is_openmetrics() && self.options.mode == Mode::Strict {
            return Err(LineProblem::Timestamp);
        }
        if !self.blanks() || !self.rest.eat(b'{') {
            return Err(LineProblem::Exemplar);
        }
        let labels = Braces::read(&mut self.rest, false, self.options)?.labels;
        if !self.blanks() {
            return Err(LineProblem::Exemplar);
        }
        let value = self.value().ok_or(LineProblem::Exemplar)?;
        let timestamp = match self.next_part() {
            Some(word) => Some(Timestamp::read_seconds(word).ok_or(LineProblem::Exemplar)?),
            None => None,
        };
        let characters: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if self.options.is_openmetrics() && characters > MAX_EXEMPLAR_CHARACTERS {
            return Err(LineProblem::LongExemplar);
        }
        Ok(Some(Exemplar { labels, value, timestamp }))
    }

    fn end(&mut self) -> Result<(), LineProblem> {
        if !self.options.is_openmetrics() {
            self.rest.skip_blanks();
        }
        self.rest.is_at_end().then_some(()).ok_or(LineProblem::Timestamp)
    }
}
