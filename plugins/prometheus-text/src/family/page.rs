//! From a page to its families, without a stop.

use alloc::vec::Vec;

use super::{Families, Family, Metadata, Series};
use crate::entry::Entry;
use crate::error::LineError;
use crate::format::Options;
use crate::parser::Parser;

/// The families of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page<'a> {
    /// In the order of their first samples. A family without samples is none.
    pub families: Vec<Family<'a>>,
    /// Lines that were left out.
    pub errors: Vec<LineError>,
}

impl<'a> Page<'a> {
    /// Reads a page.
    ///
    /// # Errors
    ///
    /// What a strict page or an OpenMetrics page is rejected for. Of a lenient one every error is in [`Page::errors`].
    pub fn read(page: &'a (impl AsRef<[u8]> + ?Sized), options: Options) -> Result<Self, LineError> {
        let mut families = Families::new(Metadata::read(page, options), options.limits);
        let mut errors = Vec::new();
        let mut parser = Parser::new(page, options);
        while let Some(entry) = parser.next() {
            let added = match entry {
                Ok(Entry::Sample(sample)) => families.add(Series::from(sample)),
                Ok(Entry::NativeHistogram(sample)) => families.add(Series::from(sample)),
                Ok(_) => Ok(()),
                Err(error) if options.rejects() => return Err(error),
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            if let Err(problem) = added {
                errors.push(LineError { line: parser.line(), problem });
            }
        }
        Ok(Self { families: families.finish(), errors })
    }
}
