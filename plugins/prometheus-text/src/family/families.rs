//! Which family a sample belongs to, and as what.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::builder::{Builder, Part};
use super::{Family, Metadata, Observation, Series};
use crate::entry::Type;
use crate::error::LineProblem;
use crate::limits::Limits;

/// The families of a page, up to the sample at hand.
#[derive(Clone, Debug)]
pub struct Families<'a> {
    metadata: Metadata<'a>,
    /// How many more metrics are kept.
    room: usize,
    builders: Vec<Builder<'a>>,
    by_name: BTreeMap<Cow<'a, str>, usize>,
    /// Where the last sample went. The next is often called the same.
    last: Option<Place<'a>>,
}

/// What is called the same goes to the same family as the same part.
#[derive(Clone, Debug)]
struct Place<'a> {
    name: Cow<'a, str>,
    builder: usize,
    part: Part,
}

impl<'a> Families<'a> {
    /// None yet. `metadata` is what the page says of them.
    #[must_use]
    pub fn new(metadata: Metadata<'a>, limits: Limits) -> Self {
        Self { metadata, room: limits.series, builders: Vec::new(), by_name: BTreeMap::new(), last: None }
    }

    /// Takes a sample.
    ///
    /// # Errors
    ///
    /// [`LineProblem::TypeLabel`] of a bucket or quantile without a number in its label, [`LineProblem::NotOfFamily`] of
    /// what is called like a histogram and is a number, or the reverse, and [`LineProblem::TooManySeries`]. The sample is
    /// left out.
    pub fn add(&mut self, series: Series<'a>) -> Result<(), LineProblem> {
        let is_native = matches!(series.value, Observation::NativeHistogram(_));
        let known = self.last.as_ref().filter(|last| last.name == series.name).map(|last| (last.builder, last.part));
        let (builder, part) = match known {
            Some(place) if (place.1 == Part::Native) == is_native => place,
            _ => self.place(series.name.clone(), is_native)?,
        };
        match self.builders.get_mut(builder) {
            Some(builder) => builder.add(series, part, &mut self.room),
            None => Err(LineProblem::NotOfFamily),
        }
    }

    /// All families, in the order of their first samples.
    #[must_use]
    pub fn finish(self) -> Vec<Family<'a>> {
        self.builders.into_iter().map(Builder::finish).filter(|family| !family.metrics.is_empty()).collect()
    }

    /// The family of samples of this name, which is a new one if there were none.
    fn place(&mut self, name: Cow<'a, str>, is_native: bool) -> Result<(usize, Part), LineProblem> {
        let (described, part) = resolve(&self.metadata, &name, is_native).ok_or(LineProblem::NotOfFamily)?;
        let family: Cow<'a, str> = match part {
            Part::Number | Part::Native | Part::Quantile => name.clone(),
            // A counter is called as its samples are.
            Part::Created if self.metadata.r#type(described) == Some(Type::Counter) => {
                Cow::Owned(described.to_owned() + "_total")
            }
            _ => shorten(name.clone(), described.len()),
        };
        let builder = match self.by_name.get(&family) {
            Some(builder) => *builder,
            None if self.room == 0 => return Err(LineProblem::TooManySeries),
            None => {
                let description = self.metadata.get(described).unwrap_or_default();
                self.builders.push(Builder::new(family.clone(), description));
                let builder = self.builders.len() - 1;
                self.by_name.insert(family, builder);
                builder
            }
        };
        self.last = Some(Place { name, builder, part });
        Ok((builder, part))
    }
}

/// The first bytes of a name.
fn shorten(name: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.get(..length).unwrap_or(name)),
        Cow::Owned(mut name) => {
            name.truncate(length);
            Cow::Owned(name)
        }
    }
}

/// The name under which the family of a sample is described, and which part of it the sample is. A sample that is
/// described under its own name is no part of another family.
fn resolve<'n>(metadata: &Metadata<'_>, name: &'n str, is_native: bool) -> Option<(&'n str, Part)> {
    let part = match (metadata.r#type(name), is_native) {
        (None | Some(Type::Histogram | Type::GaugeHistogram | Type::Unknown), true) => Part::Native,
        (Some(_), true) | (Some(Type::Histogram | Type::GaugeHistogram), false) => return None,
        (Some(Type::Summary), false) => Part::Quantile,
        (Some(_), false) => Part::Number,
        (None, false) => return Some(resolve_suffix(metadata, name).unwrap_or((name, Part::Number))),
    };
    Some((name, part))
}

/// The same, of a sample that is not described under its own name.
fn resolve_suffix<'n>(metadata: &Metadata<'_>, name: &'n str) -> Option<(&'n str, Part)> {
    let (family, suffix) = name.rsplit_once('_')?;
    let part = match (metadata.r#type(family)?, suffix) {
        (Type::Histogram | Type::GaugeHistogram, "bucket") => Part::Bucket,
        (Type::Histogram | Type::Summary, "sum") | (Type::GaugeHistogram, "gsum") => Part::Sum,
        (Type::Histogram | Type::Summary, "count") | (Type::GaugeHistogram, "gcount") => Part::Count,
        (Type::Histogram | Type::Summary | Type::Counter, "created") => Part::Created,
        (Type::Counter, "total") | (Type::Info, "info") => Part::Number,
        _ => return None,
    };
    Some((family, part))
}
