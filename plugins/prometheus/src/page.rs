//! What a target answers, read: samples, and what the page says about their families.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln_prometheus_text::{
    Entry, Exemplar, Format, Limits, LineError, LineProblem, NativeHistogram, Options, Parser, Timestamp,
};
pub(crate) use kiln_prometheus_text::{Type, Value as Number};

use crate::labels::Labels;
use crate::translate::exemplar;

/// Lines of a page. A page with more is not read; its bytes the host limits.
const MAX_LINES: usize = 1_000_000;

/// What a page says about a family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described<'a> {
    pub(crate) kind: Type,
    pub(crate) help: Cow<'a, str>,
    pub(crate) unit: Cow<'a, str>,
}

/// Families by their names.
pub(crate) type Families<'a> = BTreeMap<Cow<'a, str>, Described<'a>>;

/// A sample as it stands on the page.
#[derive(Debug)]
pub(crate) struct Exposed<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) labels: Labels<'a>,
    pub(crate) value: Measured<'a>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) timestamp: Option<u64>,
    pub(crate) exemplar: Option<Box<exemplar::Exposed<'a>>>,
    /// Whether it is a number and nothing else.
    pub(crate) is_plain: bool,
}

/// The value of a sample.
#[derive(Clone, Debug)]
pub(crate) enum Measured<'a> {
    Number(Number),
    /// In a box, since most samples are numbers.
    Histogram(Box<NativeHistogram<'a>>),
}

/// What can be said of a page before its samples are looked at: types may stand below them.
#[derive(Debug, Default)]
pub(crate) struct Survey<'a> {
    pub(crate) families: Families<'a>,
    pub(crate) samples: usize,
    /// How many lines could not be read, and the first of them.
    pub(crate) damaged: usize,
    pub(crate) first_damage: Option<LineError>,
}

/// Reads a page but for its samples, which [`samples`] reads: kept, they would take more memory than the page.
///
/// A damaged line of the text format costs itself and nothing else, since Spark is a writer of such lines; OpenMetrics,
/// which says what it is, is valid as a whole or not at all.
///
/// # Errors
/// It is no page of this format.
pub(crate) fn survey(body: &str, format: Format) -> Result<Survey<'_>, LineError> {
    let mut page = Survey::default();
    for entry in Parser::new(body, options(format)) {
        match entry {
            Ok(Entry::Help { family, text }) => page.describe(family).help = text,
            Ok(Entry::Type { family, r#type }) => page.describe(family).kind = r#type,
            Ok(Entry::Unit { family, unit }) => page.describe(family).unit = unit.into(),
            Ok(Entry::Sample(_) | Entry::NativeHistogram(_)) => page.samples += 1,
            Ok(Entry::Eof) => {}
            // What is beyond a limit is not there, and a page that ends early would end series that go on.
            Err(error) if format == Format::OpenMetrics || is_limit(error.problem) => return Err(error),
            Err(error) => {
                page.damaged += 1;
                page.first_damage.get_or_insert(error);
            }
        }
    }
    match page.first_damage {
        // Not one line of it is what it should be.
        Some(error) if page.samples == 0 => Err(error),
        _ => Ok(page),
    }
}

/// The samples of a page that has been surveyed, and so is known to be valid.
pub(crate) fn samples(body: &str, format: Format) -> impl Iterator<Item = Exposed<'_>> {
    Parser::of_lines(body, options(format)).filter_map(|entry| match entry {
        Ok(Entry::Sample(sample)) => {
            let value = Measured::Number(sample.value);
            Some(exposed(sample.name, sample.labels, value, sample.timestamp, sample.exemplar))
        }
        Ok(Entry::NativeHistogram(sample)) => {
            let value = Measured::Histogram(Box::new(sample.histogram));
            Some(exposed(sample.name, sample.labels, value, sample.timestamp, sample.exemplar))
        }
        _ => None,
    })
}

fn options(format: Format) -> Options {
    let limits = Limits { lines: MAX_LINES, ..Limits::default() };
    Options { limits, ..Options::new(format) }
}

const fn is_limit(problem: LineProblem) -> bool {
    matches!(problem, LineProblem::TooManyLines | LineProblem::TooManyBytes)
}

impl<'a> Survey<'a> {
    fn describe(&mut self, family: &'a str) -> &mut Described<'a> {
        self.families.entry(family.into()).or_default()
    }
}

fn exposed<'a>(
    name: &'a str,
    labels: kiln_prometheus_text::Labels<'a>,
    value: Measured<'a>,
    timestamp: Option<Timestamp>,
    exemplar: Option<Exemplar<'a>>,
) -> Exposed<'a> {
    let is_plain = matches!(value, Measured::Number(_)) && timestamp.is_none() && exemplar.is_none();
    // A time before 1970 cannot be said in OTLP.
    let nanos = |timestamp: Timestamp| u64::try_from(timestamp.as_nanos()).ok();
    let exemplar = exemplar.map(|exemplar| {
        Box::new(exemplar::Exposed {
            labels: exemplar.labels.iter().collect(),
            value: exemplar.value.as_f64(),
            timestamp: exemplar.timestamp.and_then(nanos),
        })
    });
    Exposed {
        name: name.into(),
        labels: labels.iter().collect(),
        value,
        timestamp: timestamp.and_then(nanos),
        exemplar,
        is_plain,
    }
}
