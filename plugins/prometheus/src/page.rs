//! What a target answers, read: samples, and what the page says about their families.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln_prometheus_text::{Entry, Format, Limits, LineError, LineProblem, NativeHistogram, Options, Parser};
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
    pub(crate) exemplar: Option<exemplar::Exposed<'a>>,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured<'a> {
    Number(Number),
    Histogram(NativeHistogram<'a>),
}

/// A page of samples.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) families: Families<'a>,
    pub(crate) samples: Vec<Exposed<'a>>,
    /// How many lines could not be read, and the first of them.
    pub(crate) damaged: usize,
    pub(crate) first_damage: Option<LineError>,
}

/// Reads a page. A damaged line of the text format costs itself and nothing else, since Spark is a writer of such lines;
/// OpenMetrics, which says what it is, is valid as a whole or not at all.
///
/// # Errors
/// It is no page of this format.
pub(crate) fn read(body: &str, format: Format) -> Result<Page<'_>, LineError> {
    let mut page = Page::default();
    let limits = Limits { lines: MAX_LINES, ..Limits::default() };
    for entry in Parser::new(body, Options { limits, ..Options::new(format) }) {
        match entry {
            Ok(entry) => page.add(entry),
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
        Some(error) if page.samples.is_empty() => Err(error),
        _ => Ok(page),
    }
}

const fn is_limit(problem: LineProblem) -> bool {
    matches!(problem, LineProblem::TooManyLines | LineProblem::TooManyBytes)
}

impl<'a> Page<'a> {
    fn add(&mut self, entry: Entry<'a>) {
        match entry {
            Entry::Help { family, text } => self.describe(family).help = text,
            Entry::Type { family, r#type } => self.describe(family).kind = r#type,
            Entry::Unit { family, unit } => self.describe(family).unit = unit.into(),
            Entry::Sample(sample) => {
                let value = Measured::Number(sample.value);
                self.sample(sample.name, sample.labels, value, sample.timestamp, sample.exemplar);
            }
            Entry::NativeHistogram(sample) => {
                let value = Measured::Histogram(sample.histogram);
                self.sample(sample.name, sample.labels, value, sample.timestamp, sample.exemplar);
            }
            Entry::Eof => {}
        }
    }

    fn describe(&mut self, family: &'a str) -> &mut Described<'a> {
        self.families.entry(family.into()).or_default()
    }

    fn sample(
        &mut self,
        name: &'a str,
        labels: kiln_prometheus_text::Labels<'a>,
        value: Measured<'a>,
        timestamp: Option<kiln_prometheus_text::Timestamp>,
        exemplar: Option<kiln_prometheus_text::Exemplar<'a>>,
    ) {
        // A time before 1970 cannot be said in OTLP.
        let nanos = |timestamp: kiln_prometheus_text::Timestamp| u64::try_from(timestamp.as_nanos()).ok();
        let exemplar = exemplar.map(|exemplar| exemplar::Exposed {
            labels: exemplar.labels.iter().collect(),
            value: exemplar.value.as_f64(),
            timestamp: exemplar.timestamp.and_then(nanos),
        });
        let (name, labels, timestamp) = (name.into(), labels.iter().collect(), timestamp.and_then(nanos));
        self.samples.push(Exposed { name, labels, value, timestamp, exemplar });
    }
}
