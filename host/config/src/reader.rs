//! Small typed readers over the document tree.
//!
//! Each reader either returns a value or has reported why not; callers go on with a default, so that one run finds
//! everything that is wrong. A [`Section`] knows which keys were asked for: whatever else the mapping holds is an
//! unknown key, so nothing can be accepted without being read.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::component_id::ComponentId;
use crate::document::{Content, Entry, Node, Scalar, ScalarKind};
use crate::error::{Location, Problem, Report, YamlPath};
use crate::suggestion::Nearest;
use crate::units::{Share, format_duration, format_size, parse_duration, parse_share, parse_size};

/// A value, how one gets to it, and where to report what is wrong with it.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: YamlPath,
    pub(crate) report: &'a Report,
}

impl<'a> Value<'a> {
    pub(crate) fn error(&self, problem: impl Into<Problem>) {
        self.report.error(self.node.at, &self.path, problem);
    }

    fn wrong_kind(&self, expected: &'static str) {
        if !matches!(self.node.content, Content::Invalid) {
            self.error(Problem::WrongKind { expected, found: self.node.kind() });
        }
    }

    fn scalar(&self, expected: &'static str) -> Option<&'a Scalar> {
        match &self.node.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => {
                self.wrong_kind(expected);
                None
            }
        }
    }

    fn malformed(&self, scalar: &Scalar, what: &'static str, remedy: impl Into<String>) {
        let value = (!scalar.substituted).then(|| scalar.text.clone());
        self.error(Problem::Malformed { value, what, remedy: remedy.into() });
    }

    /// A mapping; nothing at all is an empty one, and so, once reported, is anything else.
    pub(crate) fn section(&self) -> Section<'a> {
        let (entries, sound): (&[Entry], bool) = match &self.node.content {
            Content::Mapping(entries) => (entries, true),
            Content::Null => (&[], true),
            _ => {
                self.wrong_kind("a mapping");
                (&[], false)
            }
        };
        Section { entries, sound, ..Section::empty(self.node.at, self.path.clone(), self.report) }
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        let Content::Sequence(items) = &self.node.content else {
            self.wrong_kind("a list");
            return None;
        };
        let value = |(index, node)| Self { node, path: self.path.index(index), report: self.report };
        Some(items.iter().enumerate().map(value).collect())
    }

    /// Any scalar, as it is spelled.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.scalar("text").map(|scalar| scalar.text.as_str())
    }

    /// Text in a syntax that `T` reads; `what` and `remedy` finish the sentence "`x` is no …: …".
    pub(crate) fn parsed<T: FromStr>(&self, what: &'static str, remedy: &str) -> Option<T> {
        let scalar = self.scalar(what)?;
        let parsed = scalar.text.trim().parse().ok();
        if parsed.is_none() {
            self.malformed(scalar, what, remedy);
        }
        parsed
    }

    /// Text that `parse` reads, whose error says what to write instead.
    pub(crate) fn parsed_with<T, E: Display>(
        &self,
        what: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let scalar = self.scalar(what)?;
        match parse(&scalar.text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.malformed(scalar, what, error.to_string());
                None
            }
        }
    }

    /// `type` or `type/name`.
    pub(crate) fn component_id(&self) -> Option<ComponentId> {
        match self.text()?.parse() {
            Ok(id) => Some(id),
            Err(error) => {
                self.error(Problem::ComponentId(error));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        let scalar = self.scalar("`true` or `false`")?;
        match &scalar.kind {
            ScalarKind::Boolean(value) => Some(*value),
            ScalarKind::Text if scalar.substituted => self.parsed("boolean", "use `true` or `false`"),
            ScalarKind::Number(_) | ScalarKind::Text => {
                self.wrong_kind("`true` or `false`");
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let scalar = self.numeric("a whole number")?;
        let Ok(value) = scalar.text.trim().parse::<u64>() else {
            self.malformed(scalar, "whole number", format!("use one from {} to {}", range.start(), range.end()));
            return None;
        };
        self.within(value, &range, u64::to_string)
    }

    /// A number within `range`.
    pub(crate) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let scalar = self.numeric("a number")?;
        let Ok(value) = scalar.text.trim().parse::<f64>() else {
            self.malformed(scalar, "number", format!("use one from {} to {}", range.start(), range.end()));
            return None;
        };
        self.within(value, &range, f64::to_string)
    }

    fn numeric(&self, expected: &'static str) -> Option<&'a Scalar> {
        let scalar = self.scalar(expected)?;
        if scalar.substituted || matches!(scalar.kind, ScalarKind::Number(_)) {
            return Some(scalar);
        }
        self.wrong_kind(expected);
        None
    }

    /// A duration within `range`.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let scalar = self.scalar("a duration such as `30s`")?;
        match parse_duration(scalar.text.trim()) {
            Ok(duration) => self.within(duration, &range, |value| format_duration(*value)),
            Err(_) if scalar.substituted => {
                // The remedy would repeat the number.
                self.malformed(scalar, "duration", "write it as in `30s`, `500ms` or `1m30s`");
                None
            }
            Err(remedy) => {
                self.malformed(scalar, "duration", remedy);
                None
            }
        }
    }

    /// A number of bytes within `range`.
    pub(crate) fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let scalar = self.scalar("a size such as `64MiB`")?;
        match parse_size(scalar.text.trim()) {
            Ok(bytes) => self.within(bytes, &range, |value| format_size(*value)),
            Err(remedy) => {
                self.malformed(scalar, "size", remedy);
                None
            }
        }
    }

    /// A share of what there is, or a number of bytes within `range`.
    pub(crate) fn share(&self, range: RangeInclusive<u64>) -> Option<Share> {
        let scalar = self.scalar("a size such as `512MiB` or a share such as `80%`")?;
        match parse_share(scalar.text.trim()) {
            Ok(Share::Bytes(bytes)) => self.within(bytes, &range, |value| format_size(*value)).map(Share::Bytes),
            Ok(share) => Some(share),
            Err(remedy) => {
                self.malformed(scalar, "size or share", remedy);
                None
            }
        }
    }

    fn within<T: PartialOrd>(&self, value: T, range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        self.error(Problem::OutOfRange(format!("from {} to {}", show(range.start()), show(range.end()))));
        None
    }

    /// One of a few words; case does not count, as in the Collector.
    pub(crate) fn choice<T: Clone>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| choice.clone());
        if chosen.is_none() {
            self.error(Problem::UnknownValue(Nearest::find(text, choices.iter().map(|(word, _)| *word))));
        }
        chosen
    }
}

/// A mapping of which some keys are known.
pub(crate) struct Section<'a> {
    pub(crate) at: Location,
    pub(crate) path: YamlPath,
    pub(crate) report: &'a Report,
    /// Whether the file has a mapping here, or nothing. What is missing elsewhere needs no further error.
    pub(crate) sound: bool,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    also_known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    fn empty(at: Location, path: YamlPath, report: &'a Report) -> Self {
        Self { at, path, report, sound: true, entries: &[], asked: Vec::new(), also_known: Vec::new() }
    }

    /// The value of a key, unless it is absent or null.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.get_or_null(key).filter(|value| !matches!(value.node.content, Content::Null))
    }

    /// The value of a key for which null means something of its own.
    pub(crate) fn get_or_null(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key == key).map(|entry| self.value(entry))
    }

    /// A mapping under a key; an empty one if it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'a> {
        match self.get(key) {
            Some(value) => value.section(),
            None => Section { sound: self.sound, ..Section::empty(self.at, self.path.key(key), self.report) },
        }
    }

    /// Refuses a key that people know from elsewhere, with a better text than "unknown key".
    pub(crate) fn unsupported(&mut self, key: &'static str, remedy: &'static str) {
        self.also_known.push(key);
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            self.report.error(entry.key_at, &self.path.key(key), Problem::Unsupported(remedy));
        }
    }

    /// All entries, for mappings whose keys are names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a Entry, Value<'a>)> {
        self.entries.iter().map(|entry| (entry, self.value(entry)))
    }

    /// The entries nobody asked for.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'a Entry> {
        let known = |key: &str| self.asked.contains(&key) || self.also_known.contains(&key);
        self.entries.iter().filter(move |entry| !known(&entry.key))
    }

    /// Reports every key nobody asked for.
    pub(crate) fn finish(self) {
        for entry in self.rest() {
            let nearest = Nearest::find(&entry.key, self.asked.iter().copied());
            self.report.error(entry.key_at, &self.path.key(&entry.key), Problem::UnknownKey(nearest));
        }
    }

    fn value(&self, entry: &'a Entry) -> Value<'a> {
        Value { node: &entry.value, path: self.path.key(&entry.key), report: self.report }
    }
}
