//! What OpenMetrics 1.0 demands of a page as a whole, beyond what each line has to look like.
//!
//! Of what was read it keeps the names of families and of the family at hand the label sets, since neither may come back
//! once another has begun.

mod family;
mod histogram;
mod key;

use alloc::collections::BTreeSet;
use alloc::string::String;

use crate::entry::Entry;
use crate::error::LineProblem;
use family::Family;

/// A page, up to the line at hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exposition {
    /// Names of families that are complete, and of all samples they could have.
    names: BTreeSet<String>,
    family: Option<Family>,
    is_ended: bool,
}

impl Exposition {
    /// Takes what the next line says.
    pub(crate) fn take(&mut self, entry: &Entry<'_>) -> Result<(), LineProblem> {
        if self.is_ended {
            return Err(LineProblem::Eof);
        }
        match entry {
            Entry::Help { family, .. } => self.described(family)?.help(),
            Entry::Type { family, r#type } => self.described(family)?.r#type(*r#type),
            Entry::Unit { family, unit } => self.described(family)?.unit(unit),
            Entry::Sample(sample) => self.owner(sample.name)?.sample(sample),
            Entry::NativeHistogram(sample) => self.owner(sample.name)?.native_histogram(sample),
            Entry::Eof => {
                self.is_ended = true;
                self.close()
            }
        }
    }

    /// The page has no more lines.
    pub(crate) fn end(self) -> Result<(), LineProblem> {
        if self.is_ended { Ok(()) } else { Err(LineProblem::Eof) }
    }

    /// The family at hand, which is a new one if it has another name.
    fn described(&mut self, name: &str) -> Result<&mut Family, LineProblem> {
        if self.family.as_ref().is_none_or(|family| family.name() != name) {
            self.close()?;
        }
        Ok(self.family.get_or_insert_with(|| Family::new(name)))
    }

    /// The family at hand, which is a new one of unknown type if it has no samples of this name.
    fn owner(&mut self, sample: &str) -> Result<&mut Family, LineProblem> {
        if self.family.as_ref().is_none_or(|family| !family.has(sample)) {
            self.close()?;
        }
        Ok(self.family.get_or_insert_with(|| Family::new(sample)))
    }

    fn close(&mut self) -> Result<(), LineProblem> {
        let Some(family) = self.family.take() else { return Ok(()) };
        let mut is_new = true;
        for name in family.names() {
            is_new &= self.names.insert(name);
        }
        if !is_new {
            return Err(LineProblem::ClashingName);
        }
        family.close()
    }
}
