//! What a page says of its families.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;

use crate::entry::{Entry, Type};
use crate::format::Options;
use crate::parser::Parser;

/// What a page says of its families. Of two lines that say the same thing of a family the first holds.
#[derive(Clone, Debug, Default)]
pub struct Metadata<'a> {
    families: BTreeMap<&'a str, Said<'a>>,
}

/// What is said of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description<'a> {
    /// What its numbers mean.
    pub r#type: Type,
    /// What it means, in somebody's words, or nothing.
    pub help: Cow<'a, str>,
    /// As Prometheus names units, or nothing.
    pub unit: &'a str,
}

#[derive(Clone, Debug, Default)]
struct Said<'a> {
    r#type: Option<Type>,
    help: Option<Cow<'a, str>>,
    unit: Option<&'a str>,
}

impl<'a> Metadata<'a> {
    /// Reads the lines that start with `#`, up to as many families as [`Limits::series`](crate::Limits::series) allows.
    /// What is wrong with a line, whoever reads the whole page finds.
    #[must_use]
    pub fn read(page: &'a (impl AsRef<[u8]> + ?Sized), options: Options) -> Self {
        let mut metadata = Self::default();
        // Whether an exposition holds together does not show in a part of it.
        let mut lines = Parser::of_lines(page, options);
        while let Some(entry) = lines.next_metadata() {
            if let Ok(entry) = entry {
                metadata.take(entry, options.limits.series);
            }
        }
        metadata
    }

    fn take(&mut self, entry: Entry<'a>, limit: usize) {
        let (Entry::Help { family, .. } | Entry::Type { family, .. } | Entry::Unit { family, .. }) = &entry else {
            return;
        };
        if self.families.len() >= limit && !self.families.contains_key(family) {
            return;
        }
        let said = self.families.entry(family).or_default();
        match entry {
            Entry::Help { text, .. } => _ = said.help.get_or_insert(text),
            Entry::Type { r#type, .. } => _ = said.r#type.get_or_insert(r#type),
            Entry::Unit { unit, .. } => _ = said.unit.get_or_insert(unit),
            _ => {}
        }
    }

    /// What is said of the family of this name.
    #[must_use]
    pub fn get(&self, family: &str) -> Option<Description<'a>> {
        let said = self.families.get(family)?;
        Some(Description {
            r#type: said.r#type.unwrap_or_default(),
            help: said.help.clone().unwrap_or_default(),
            unit: said.unit.unwrap_or_default(),
        })
    }

    /// The type of the family of this name, if anything is said of it.
    pub(super) fn r#type(&self, family: &str) -> Option<Type> {
        self.families.get(family).map(|said| said.r#type.unwrap_or_default())
    }
}
