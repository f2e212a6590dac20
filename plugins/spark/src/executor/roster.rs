//! The executors on a page and their numbers.
//!
//! Lines are taken one at a time and not kept: what an executor takes up is its numbers, and how many executors and how
//! many names of numbers there can be is limited.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln_prometheus_text::{LineError, Sample, Value, samples};

use super::figures;
use crate::tally::Tally;

/// More executors than this are not read. Spark itself does not go beyond a few thousand.
pub(crate) const MAX_EXECUTORS: usize = 20_000;

/// More numbers of an executor than this, beside those that are known, are not read.
pub(crate) const MAX_OTHERS: usize = 64;

const PREFIX: &str = "metrics_executor_";

/// The driver's id as an executor. Before Spark 3 it had angle brackets.
pub(super) const DRIVER: &str = "driver";

/// What the page says.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// Id and name of the application, from the labels.
    pub(crate) application: Option<(String, String)>,
    /// Version of Spark.
    pub(crate) version: Option<String>,
    executors: Vec<(String, Numbers)>,
    /// Where in the list an executor stands.
    places: BTreeMap<String, usize>,
    /// The one of the last line. Spark writes all there is of one before it comes to the next.
    latest: usize,
    /// Names of numbers that are not known.
    pub(super) others: Vec<String>,
    pub(crate) tally: Tally,
    lines: usize,
}

/// The numbers of one executor.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    known: [Option<Value>; figures::COUNT],
    /// In the order of [`Roster::others`].
    others: Vec<Option<Value>>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { known: [None; figures::COUNT], others: Vec::new() }
    }
}

impl Roster {
    /// Takes a line of the page.
    pub(crate) fn take_line(&mut self, line: &str) {
        self.lines += 1;
        for sample in samples(line) {
            match sample {
                Ok(sample) => self.take(&sample),
                Err(error) => self.tally.skip(LineError { line: self.lines, ..error }),
            }
        }
    }

    fn take(&mut self, sample: &Sample<'_>) {
        if sample.name == "spark_info" {
            self.version = sample.labels.get("version").filter(|version| !version.is_empty()).map(Cow::into_owned);
            return;
        }
        let Some((name, executor)) = identify(sample) else {
            self.tally.skip(format_args!("`{}` is not a metric of an executor", sample.name));
            return;
        };
        if self.application.is_none()
            && let Some(id) = sample.labels.get("application_id").filter(|id| !id.is_empty())
        {
            let name = sample.labels.get("application_name").unwrap_or_default();
            self.application = Some((id.into_owned(), name.into_owned()));
        }
        let Some(at) = self.place_of(executor) else {
            self.tally.skip(format_args!("executor `{executor}` is beyond the first {MAX_EXECUTORS}"));
            return;
        };
        let place = match figures::index(name) {
            Some(index) => Place::Known(index),
            None => match self.other(name) {
                Some(index) => Place::Other(index),
                None => {
                    self.tally.skip(format_args!("`{}` is beyond the metrics that are read", sample.name));
                    return;
                }
            },
        };
        let Some(number) = self.executors.get_mut(at).and_then(|(_, numbers)| numbers.at(place)) else { return };
        if number.is_some() {
            self.tally.skip(format_args!("`{}` is there twice for executor `{executor}`", sample.name));
        } else if !is_possible(sample.value) {
            self.tally.skip(format_args!("`{}` of executor `{executor}` is negative or beyond 2^63", sample.name));
        } else {
            *number = Some(sample.value);
            self.tally.take();
        }
    }

    /// Where the executor stands, which is at the end if it is new.
    fn place_of(&mut self, executor: &str) -> Option<usize> {
        if self.executors.get(self.latest).is_some_and(|(id, _)| id == executor) {
            return Some(self.latest);
        }
        self.latest = match self.places.get(executor) {
            Some(at) => *at,
            None if self.executors.len() < MAX_EXECUTORS => {
                self.places.insert(executor.to_owned(), self.executors.len());
                self.executors.push((executor.to_owned(), Numbers::default()));
                self.executors.len() - 1
            }
            None => return None,
        };
        Some(self.latest)
    }

    fn other(&mut self, name: &str) -> Option<usize> {
        let found = self.others.iter().position(|other| other == name);
        found.or_else(|| {
            (self.others.len() < MAX_OTHERS).then(|| {
                self.others.push(name.to_owned());
                self.others.len() - 1
            })
        })
    }

    /// How many executors there are beside the driver.
    pub(super) fn count(&self) -> usize {
        self.executors.len() - usize::from(self.places.contains_key(DRIVER))
    }

    /// The executors, in the order of the page.
    pub(super) fn executors(&self) -> impl Iterator<Item = (&str, &Numbers)> {
        self.executors.iter().map(|(id, numbers)| (id.as_str(), numbers))
    }

    /// Names and values of an executor's numbers, the known ones first.
    pub(super) fn numbers<'a>(&'a self, numbers: &'a Numbers) -> impl Iterator<Item = (&'a str, Value)> {
        let known = numbers.known.iter().enumerate().map(|(index, value)| (figures::name(index), *value));
        let others = self.others.iter().zip(&numbers.others).map(|(name, value)| (name.as_str(), *value));
        known.chain(others).filter_map(|(name, value)| Some((name, value?)))
    }
}

#[derive(Clone, Copy)]
enum Place {
    Known(usize),
    Other(usize),
}

impl Numbers {
    fn at(&mut self, place: Place) -> Option<&mut Option<Value>> {
        match place {
            Place::Known(index) => self.known.get_mut(index),
            Place::Other(index) => {
                if self.others.len() <= index {
                    self.others.resize(index + 1, None);
                }
                self.others.get_mut(index)
            }
        }
    }
}

/// The name without what all names have, and the executor: its label is the last one, and what an application is
/// called may look like it.
fn identify<'a>(sample: &Sample<'a>) -> Option<(&'a str, &'a str)> {
    let name = sample.name.strip_prefix(PREFIX)?;
    match sample.labels.get_last("executor_id")? {
        Cow::Borrowed(executor) if !executor.is_empty() => Some((name, executor)),
        // No id has anything that would have to be escaped.
        Cow::Borrowed(_) | Cow::Owned(_) => None,
    }
}

/// Nothing an executor has is less than nothing, or does not fit into an integer.
fn is_possible(value: Value) -> bool {
    (0.0..9_223_372_036_854_775_808.0).contains(&value.as_f64())
}
