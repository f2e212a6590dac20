//! A page that is there as a whole.

use core::iter::FusedIterator;

use memchr::memchr;

use crate::entry::{Entry, Sample, Type};
use crate::error::LineError;
use crate::format::Options;
use crate::reading::Reading;

/// Iterator over what the lines of a page say, in its order. Nothing is copied but text that has escapes.
///
/// Of a lenient page every error is a warning about one line. Of a strict one the first error is the last item, and
/// nothing that came before it counts.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    rest: &'a [u8],
    reading: Reading,
}

impl<'a> Parser<'a> {
    /// Reads `page` as `options` say. It need not be UTF-8; a line that is not cannot be read.
    #[must_use]
    pub fn new(page: &'a (impl AsRef<[u8]> + ?Sized), options: Options) -> Self {
        Self { rest: page.as_ref(), reading: Reading::new(options) }
    }

    /// Reads each line by itself, whatever the format says of the whole: for a page that is known to be valid, and is read
    /// again.
    #[must_use]
    pub fn of_lines(page: &'a (impl AsRef<[u8]> + ?Sized), options: Options) -> Self {
        Self { rest: page.as_ref(), reading: Reading::of_lines(options) }
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.reading.line_number()
    }

    /// The next entry that a line for which `wanted` holds has.
    fn next_of(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Option<Result<Entry<'a>, LineError>> {
        while !self.reading.is_done() {
            if self.rest.is_empty() {
                return self.reading.end().map(Err);
            }
            let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
            self.rest = rest.get(1..).unwrap_or(&[]);
            if let Some(entry) = self.reading.line(line, &wanted) {
                return Some(entry);
            }
        }
        None
    }

    /// The next entry of a line that starts with `#`, without a look at the others.
    pub(crate) fn next_metadata(&mut self) -> Option<Result<Entry<'a>, LineError>> {
        self.next_of(is_comment)
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_of(|_| true)
    }
}

impl FusedIterator for Parser<'_> {}

fn is_comment(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'#')
}

/// The samples of a page in the text format, read leniently, in its order. Everything else is passed over.
#[must_use]
pub fn samples(text: &str) -> Samples<'_> {
    Samples(Parser::new(text, Options::default()))
}

/// Iterator over the samples of a page.
#[derive(Clone, Debug)]
pub struct Samples<'a>(Parser<'a>);

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next_of(|line| !is_comment(line))? {
                Ok(Entry::Sample(sample)) => return Some(Ok(sample)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What the `# TYPE` lines of a page in the text format say, in its order. Spark's pages have none.
#[must_use]
pub fn types(text: &str) -> Types<'_> {
    Types(Parser::new(text, Options::default()))
}

/// Iterator over names of metric families and their types.
#[derive(Clone, Debug)]
pub struct Types<'a>(Parser<'a>);

impl<'a> Iterator for Types<'a> {
    type Item = (&'a str, Type);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Ok(Entry::Type { family, r#type }) = self.0.next_metadata()? {
                return Some((family, r#type));
            }
        }
    }
}
