//! What is the same for a page that is there as a whole and for one that arrives in pieces.

use alloc::boxed::Box;

use crate::entry::Entry;
use crate::error::{LineError, LineProblem};
use crate::format::{Mode, Options};
use crate::openmetrics::Exposition;
use crate::{Limits, metadata, sample};

/// How far a page is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    options: Options,
    line: usize,
    bytes: usize,
    exposition: Option<Box<Exposition>>,
    is_done: bool,
}

impl Reading {
    pub(crate) fn new(options: Options) -> Self {
        let exposition = options.is_openmetrics().then(Box::default);
        Self { exposition, ..Self::of_lines(options) }
    }

    /// Without a judgement of the whole.
    pub(crate) const fn of_lines(options: Options) -> Self {
        Self { options, line: 0, bytes: 0, exposition: None, is_done: false }
    }

    pub(crate) const fn line_number(&self) -> usize {
        self.line
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    /// Whether nothing more is read.
    pub(crate) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Reads the next line, which is without its LF. `wanted` says what lines are worth it.
    pub(crate) fn line<'a>(
        &mut self,
        line: &'a [u8],
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Option<Result<Entry<'a>, LineError>> {
        let Limits { lines, bytes, line_bytes, .. } = self.options.limits;
        // Of a line that is too long the rest counts for the next: whoever reads in pieces does not have it yet.
        let start = line.len().min(line_bytes.saturating_add(1));
        self.line = self.line.saturating_add(1);
        self.skip(start);
        if self.line > lines {
            return Some(Err(self.stop(LineProblem::TooManyLines)));
        }
        if self.bytes > bytes {
            return Some(Err(self.stop(LineProblem::TooManyBytes)));
        }
        // The LF, which a page may end without.
        self.skip(1 + line.len() - start);
        if start > line_bytes {
            return Some(Err(self.error(LineProblem::TooLong)));
        }
        if !wanted(line) {
            return None;
        }
        match self.entry(line).transpose()? {
            Ok(entry) => Some(Ok(entry)),
            Err(problem) => Some(Err(self.error(problem))),
        }
    }

    /// Counts what is not read.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The page has no more lines.
    pub(crate) fn end(&mut self) -> Option<LineError> {
        if self.is_done {
            return None;
        }
        let missing = self.exposition.take().and_then(|exposition| exposition.end().err());
        self.is_done = true;
        missing.map(|problem| LineError { line: self.line, problem })
    }

    fn entry<'a>(&mut self, line: &'a [u8]) -> Result<Option<Entry<'a>>, LineProblem> {
        let line = core::str::from_utf8(line).map_err(|_| LineProblem::Encoding)?;
        if self.options.is_openmetrics() {
            let entry = match line.as_bytes().first() {
                None => return Err(LineProblem::NotOpenMetrics),
                Some(b'#') => metadata::read_openmetrics(line)?,
                Some(_) => sample::read(line, &self.options)?,
            };
            if let Some(exposition) = &mut self.exposition {
                exposition.take(&entry)?;
            }
            return Ok(Some(entry));
        }
        let line = match self.options.mode {
            Mode::Lenient => line.strip_suffix('\r').unwrap_or(line),
            Mode::Strict => line,
        };
        let line = line.trim_start_matches([' ', '\t']);
        match line.as_bytes().first() {
            None => Ok(None),
            Some(b'#') => metadata::read_text(line, &self.options),
            Some(_) => sample::read(line, &self.options).map(Some),
        }
    }

    /// An error, and the last one if the page is rejected with it.
    fn error(&mut self, problem: LineProblem) -> LineError {
        self.is_done = self.options.rejects();
        LineError { line: self.line, problem }
    }

    fn stop(&mut self, problem: LineProblem) -> LineError {
        self.is_done = true;
        LineError { line: self.line, problem }
    }
}
