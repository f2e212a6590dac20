//! Labels, read as they are asked for.
//!
//! A line whose braces, quotes and backslashes are as the specification wants them is read as it wants. Spark does not
//! escape what it writes: an application called `ETL "daily"` makes a line no standard parser accepts. A writer that
//! lets a quote stand escapes nothing, so of such a line every value is taken verbatim, backslashes included, and ends at
//! the first quote that is followed by the next label or by nothing. The choice is made once for a line, and a
//! well-formed line is never read in the other way.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::cursor::Cursor;
use crate::error::LineProblem;
use crate::escape::unescape;
use crate::format::Options;

/// The labels of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    text: &'a str,
    is_verbatim: bool,
}

impl<'a> Labels<'a> {
    pub(crate) const NONE: Self = Self { text: "", is_verbatim: false };

    /// Reads labels as they stand in a line, with their braces. `None` if they are not as the text format wants them.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut rest = Cursor::new(text.strip_prefix('{')?);
        let braces = Braces::read(&mut rest, false, &Options::default()).ok()?;
        rest.is_at_end().then_some(braces.labels)
    }

    /// Names and values, in their order.
    #[must_use]
    pub const fn iter(self) -> LabelIter<'a> {
        LabelIter(self.written())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.text.is_empty() || self.written().next().is_none()
    }

    /// The value of the first label of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.written().find(|(found, _)| *found == name).map(|(_, value)| self.value(value))
    }

    /// The value of the last label of all, if it has this name, and of the first of this name otherwise. Where values are
    /// not escaped, it is read from the right, and so it is the true one whatever the values before it hold.
    #[must_use]
    pub fn get_last(self, name: &str) -> Option<Cow<'a, str>> {
        let last = if self.is_verbatim {
            self.verbatim_from_the_right(name)
        } else {
            self.written().last().filter(|(found, _)| *found == name).map(|(_, value)| value)
        };
        last.map(|value| self.value(value)).or_else(|| self.get(name))
    }

    const fn written(self) -> Written<'a> {
        Written { rest: Cursor::new(self.text), is_verbatim: self.is_verbatim }
    }

    fn value(self, written: &'a str) -> Cow<'a, str> {
        if self.is_verbatim { Cow::Borrowed(written) } else { unescape(written, true) }
    }

    fn verbatim_from_the_right(self, name: &str) -> Option<&'a str> {
        let text = self.text.trim_end_matches([' ', '\t', ',']).strip_suffix('"')?;
        let (at, _) = text.rmatch_indices(name).find(|(at, _)| {
            let starts = text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([',', ' ', '\t']));
            starts && text.get(at + name.len()..).is_some_and(|after| after.starts_with("=\""))
        })?;
        text.get(at + name.len() + 2..).filter(|value| !value.contains('"'))
    }

    /// Every value verbatim. `text` is what stands between the braces.
    pub(crate) fn verbatim(text: &'a str, options: &Options) -> Result<Self, LineProblem> {
        let labels = Self { text, is_verbatim: true };
        let mut read = labels.written();
        let count = read.by_ref().take(options.limits.labels.saturating_add(1)).count();
        match read.rest.is_at_end() {
            _ if count > options.limits.labels => Err(LineProblem::TooManyLabels),
            true => Ok(labels),
            false => Err(LineProblem::Labels),
        }
    }

    fn has_repeated(self, count: usize) -> bool {
        let names = || self.written().map(|(name, _)| name);
        if count <= FEW_LABELS {
            return names().enumerate().any(|(at, name)| names().take(at).any(|earlier| earlier == name));
        }
        let mut sorted: Vec<&str> = names().collect();
        sorted.sort_unstable();
        sorted.iter().zip(sorted.iter().skip(1)).any(|(one, next)| one == next)
    }
}

/// So many are sooner compared with each other than sorted.
const FEW_LABELS: usize = 8;

/// Iterator over labels.
#[derive(Clone, Debug)]
pub struct LabelIter<'a>(Written<'a>);

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        Some((name, if self.0.is_verbatim { Cow::Borrowed(value) } else { unescape(value, true) }))
    }
}

/// Iterator over names, and values as they stand.
#[derive(Clone, Debug)]
struct Written<'a> {
    rest: Cursor<'a>,
    is_verbatim: bool,
}

impl<'a> Iterator for Written<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_verbatim { next_verbatim(&mut self.rest) } else { next_written(&mut self.rest) }
    }
}

/// A label of well-formed braces: `read` has seen to it that there is one or nothing.
fn next_written<'a>(rest: &mut Cursor<'a>) -> Option<(&'a str, &'a str)> {
    rest.skip_blanks();
    let name = if rest.eat(b'"') { rest.quoted()? } else { rest.name() };
    rest.skip_blanks();
    if !rest.eat(b'=') {
        return None;
    }
    rest.skip_blanks();
    if !rest.eat(b'"') {
        return None;
    }
    let value = rest.quoted()?;
    rest.skip_blanks();
    rest.eat(b',');
    Some((name, value))
}

/// A label whose value may hold anything. What is no label stays in `rest`.
fn next_verbatim<'a>(rest: &mut Cursor<'a>) -> Option<(&'a str, &'a str)> {
    rest.skip_blanks();
    let (name, after) = label_start(rest.rest)?;
    let mut from = 0;
    loop {
        let quote = after.get(from..)?.find('"')? + from;
        let (value, behind) = (after.get(..quote)?, after.get(quote + 1..)?);
        if let Some(next) = behind_value(behind) {
            *rest = Cursor::new(next);
            return Some((name, value));
        }
        from = quote + 1;
    }
}

/// `name="`, and what follows it.
fn label_start(text: &str) -> Option<(&str, &str)> {
    let mut rest = Cursor::new(text);
    rest.skip_blanks();
    let name = rest.name();
    let value = rest.rest.strip_prefix("=\"")?;
    (!name.is_empty()).then_some((name, value))
}

/// Where the next label starts, if a quote before this text closes a value.
fn behind_value(text: &str) -> Option<&str> {
    let mut rest = Cursor::new(text);
    rest.skip_blanks();
    if rest.eat(b',') {
        rest.skip_blanks();
        return (rest.is_at_end() || label_start(rest.rest).is_some()).then_some(rest.rest);
    }
    rest.is_at_end().then_some("")
}

/// What stands between well-formed braces.
pub(crate) struct Braces<'a> {
    /// The name of the metric, if it stands inside: it does if it has other characters than names used to have.
    pub(crate) name: Option<&'a str>,
    pub(crate) labels: Labels<'a>,
}

impl<'a> Braces<'a> {
    /// Reads up to and over the closing brace. `rest` is behind the opening one.
    pub(crate) fn read(rest: &mut Cursor<'a>, may_name: bool, options: &Options) -> Result<Self, LineProblem> {
        blanks(rest, options);
        let name = if may_name { quoted_metric(rest, options)? } else { None };
        if name.is_some() && !rest.eat(b',') {
            return if rest.eat(b'}') { Ok(Self { name, labels: Labels::NONE }) } else { Err(LineProblem::Labels) };
        }
        let start = rest.rest;
        let mut count = 0_usize;
        loop {
            blanks(rest, options);
            // OpenMetrics wants another label behind a comma.
            let may_close = !options.is_openmetrics() || (count == 0 && name.is_none());
            if may_close && rest.eat(b'}') {
                break;
            }
            label(rest, options)?;
            count += 1;
            if count > options.limits.labels {
                return Err(LineProblem::TooManyLabels);
            }
            blanks(rest, options);
            if !rest.eat(b',') {
                if rest.eat(b'}') {
                    break;
                }
                return Err(LineProblem::Labels);
            }
        }
        let end = start.len().saturating_sub(rest.rest.len() + 1);
        let text = if count == 0 { "" } else { start.get(..end).unwrap_or("") };
        let labels = Labels { text, is_verbatim: false };
        if options.rejects() && labels.has_repeated(count) {
            return Err(LineProblem::RepeatedLabel);
        }
        Ok(Self { name, labels })
    }
}

fn blanks(rest: &mut Cursor<'_>, options: &Options) {
    if !options.is_openmetrics() {
        rest.skip_blanks();
    }
}

/// A name in quotes, behind the opening one. It has no escapes, because names are handed out as they stand.
pub(crate) fn quoted_name<'a>(rest: &mut Cursor<'a>) -> Option<&'a str> {
    rest.quoted().filter(|name| !name.is_empty() && !name.contains('\\'))
}

/// The name of a metric in quotes, unless it turns out to be a label's.
fn quoted_metric<'a>(rest: &mut Cursor<'a>, options: &Options) -> Result<Option<&'a str>, LineProblem> {
    let mut ahead = *rest;
    if !ahead.eat(b'"') {
        return Ok(None);
    }
    let name = quoted_name(&mut ahead).ok_or(LineProblem::Name)?;
    blanks(&mut ahead, options);
    if ahead.peek() == Some(b'=') {
        return Ok(None);
    }
    *rest = ahead;
    Ok(Some(name))
}

/// Steps over a label.
fn label(rest: &mut Cursor<'_>, options: &Options) -> Result<(), LineProblem> {
    let is_named = if rest.eat(b'"') {
        quoted_name(rest).is_some()
    } else {
        let name = rest.name();
        let is_metric_s = options.rejects() && name.contains(':');
        !name.is_empty() && !is_metric_s
    };
    blanks(rest, options);
    let is_equal = is_named && rest.eat(b'=');
    blanks(rest, options);
    let is_label = is_equal && rest.eat(b'"') && rest.quoted().is_some();
    is_label.then_some(()).ok_or(LineProblem::Labels)
}
