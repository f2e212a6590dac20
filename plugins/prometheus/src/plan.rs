//! What became of a page, so that one that is like it but for its numbers need not be understood again.
//!
//! The series of a target are nearly always those it had before, on the same lines. Reading labels, relabelling, finding
//! families and telling series apart gives then what it gave the last time, so only the last word of each line is read,
//! and the rest goes into a digest. A page that differs in anything else is translated as if there were no plan.

use core::hash::{BuildHasher as _, Hasher as _};

use foldhash::quality::FixedState;
use kiln_prometheus_text::MAX_LINE_BYTES;
use memchr::memchr_iter;

use crate::page::Number;
use crate::translate::draft::{Kind, Reading, seconds};
use crate::translate::samples::Samples;

/// What became of the samples of a page.
#[derive(Debug)]
pub(crate) struct Plan {
    shape: u64,
    /// How many samples the page has.
    pub(crate) samples: usize,
    /// How many samples were left after relabelling.
    pub(crate) kept: u64,
    /// Place of the sample that says when the process of the target started.
    process_start: Option<u32>,
    /// The samples of every series that is remembered of the target, in the order in which they are remembered.
    points: Vec<(Kind, Samples)>,
}

/// What has been read of a page.
#[derive(Debug)]
pub(crate) struct Read {
    /// Of its samples, in its order.
    pub(crate) values: Vec<Number>,
    /// As in [`Plan`].
    pub(crate) kept: u64,
    /// As in [`Plan`].
    pub(crate) process_start: Option<u32>,
    /// As in [`Plan`].
    pub(crate) points: Vec<(Kind, Samples)>,
}

/// A page, apart from what its lines are about.
#[derive(Debug)]
struct Numbers {
    /// Digest of everything but the numbers.
    shape: u64,
    /// Of the samples, in the order of the page.
    values: Vec<Number>,
}

/// Takes a page in the text format apart, if every line that is neither a comment nor empty ends in a number.
///
/// Such a line need not be a sample, nor the number its value: [`crate::scrape`] makes a plan only of pages it has read
/// and found that they are.
fn numbers(text: &str, expected: usize) -> Option<Numbers> {
    let mut digest = FixedState::default().build_hasher();
    let mut values = Vec::with_capacity(expected);
    // Where the number before ends: what is between two is digested at once.
    let mut since = 0;
    let mut start = 0;
    for end in memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        let line = text.get(start..end)?;
        if line.len() > MAX_LINE_BYTES {
            return None;
        }
        if !line.is_empty() && !line.starts_with('#') {
            let blank = line.bytes().rposition(|byte| matches!(byte, b' ' | b'\t'))?;
            let number = start + blank + 1;
            values.push(Number::parse(text.get(number..end)?)?);
            digest.write(text.get(since..number)?.as_bytes());
            since = end;
        }
        start = end + 1;
    }
    digest.write(text.get(since..)?.as_bytes());
    Some(Numbers { shape: digest.finish(), values })
}

/// A page that is as planned.
#[derive(Debug)]
pub(crate) struct Followed {
    values: Vec<Number>,
    /// When the process of the target started.
    pub(crate) process_start: Option<u64>,
    /// Of the points that are more than a number, in their order.
    readings: std::vec::IntoIter<Reading>,
}

impl Plan {
    /// A plan for pages like this one, if there can be one: every sample was a number without a time or an exemplar, and
    /// each point of those that `points` were made of was sent.
    pub(crate) fn of(text: &str, read: Read) -> Option<Self> {
        let Read { values, kept, process_start, points } = read;
        let numbers = numbers(text, values.len())?;
        let same = |(one, other): (&Number, &Number)| one.as_f64().to_bits() == other.as_f64().to_bits();
        let agrees = numbers.values.len() == values.len() && numbers.values.iter().zip(&values).all(same);
        agrees.then_some(Self { shape: numbers.shape, samples: values.len(), kept, process_start, points })
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = &Samples> {
        self.points.iter().map(|(_, samples)| samples)
    }

    /// What a page says by the plan; `None` if it is none of those the plan is for.
    pub(crate) fn follow(&self, text: &str) -> Option<Followed> {
        let Numbers { shape, values } = numbers(text, self.samples)?;
        if shape != self.shape {
            return None;
        }
        let process_start = match self.process_start {
            Some(place) => Some(seconds(values.get(place as usize)?.as_f64())?),
            None => None,
        };
        // All of them before any is sent: a number may make of a histogram none.
        let several = self.points.iter().filter(|(_, samples)| samples.are_several());
        let readings: Option<Vec<_>> = several.map(|(kind, samples)| samples.reading(*kind, &values)).collect();
        Some(Followed { values, process_start, readings: readings?.into_iter() })
    }
}

impl Followed {
    /// What the next point says, whose samples these are, and when counting began, if the page says.
    pub(crate) fn next(&mut self, kind: Kind, samples: &Samples) -> Option<(Reading, Option<u64>)> {
        let is_read = samples.are_several();
        let reading = if is_read { self.readings.next() } else { samples.reading(kind, &self.values) };
        Some((reading?, samples.created(&self.values)))
    }
}
