//! Pages, written.
//!
//! What is written is well-formed whatever labels and texts hold, and is read back as it was. Whether an OpenMetrics page
//! holds together is up to the writer.

use core::fmt::{self, Write};

use crate::cursor::is_part_of_name;
use crate::entry::{Entry, Exemplar, Type};
use crate::family::{Observation, Series};
use crate::format::Format;
use crate::value::{Timestamp, Value};

/// Writes a page line by line.
#[derive(Clone, Debug)]
pub struct Printer<W> {
    out: W,
    format: Format,
}

impl<W: Write> Printer<W> {
    /// Writes to `out`.
    pub const fn new(out: W, format: Format) -> Self {
        Self { out, format }
    }

    /// Writes any line.
    ///
    /// # Errors
    ///
    /// Those of what is written to, as everywhere here.
    pub fn entry(&mut self, entry: &Entry<'_>) -> fmt::Result {
        match entry {
            Entry::Help { family, text } => self.help(family, text),
            Entry::Type { family, r#type } => self.r#type(family, *r#type),
            Entry::Unit { family, unit } => self.unit(family, unit),
            Entry::Sample(sample) => self.series(&Series::from(*sample)),
            Entry::NativeHistogram(sample) => self.series(&Series::from(*sample)),
            Entry::Eof => self.eof(),
        }
    }

    /// Writes `# HELP`.
    ///
    /// # Errors
    ///
    /// See [`Printer::entry`].
    pub fn help(&mut self, family: &str, text: &str) -> fmt::Result {
        self.comment("HELP", family)?;
        escape(&mut self.out, text, self.format == Format::OpenMetrics)?;
        self.out.write_char('\n')
    }

    /// Writes `# TYPE`. A type the text format does not have becomes `untyped`.
    ///
    /// # Errors
    ///
    /// See [`Printer::entry`].
    pub fn r#type(&mut self, family: &str, r#type: Type) -> fmt::Result {
        self.comment("TYPE", family)?;
        let word = match (self.format, r#type) {
            (Format::Text, Type::GaugeHistogram | Type::Info | Type::StateSet | Type::Unknown) => "untyped",
            (_, known) => known.as_str(),
        };
        writeln!(self.out, "{word}")
    }

    /// Writes `# UNIT`, which to the text format is a comment.
    ///
    /// # Errors
    ///
    /// See [`Printer::entry`].
    pub fn unit(&mut self, family: &str, unit: &str) -> fmt::Result {
        self.comment("UNIT", family)?;
        writeln!(self.out, "{unit}")
    }

    /// Writes a sample. The text format has no exemplars and no times finer than milliseconds.
    ///
    /// # Errors
    ///
    /// See [`Printer::entry`].
    pub fn series(&mut self, series: &Series<'_>) -> fmt::Result {
        let labels = series.labels.iter().map(|(name, value)| (&**name, &**value));
        if is_plain(&series.name) {
            self.out.write_str(&series.name)?;
            if !series.labels.is_empty() {
                braces(&mut self.out, None, labels)?;
            }
        } else {
            braces(&mut self.out, Some(&series.name), labels)?;
        }
        match series.value {
            Observation::Number(value) => write!(self.out, " {value}")?,
            Observation::NativeHistogram(histogram) => write!(self.out, " {histogram}")?,
        }
        match (self.format, series.timestamp) {
            (Format::Text, Some(timestamp)) => write!(self.out, " {}", timestamp.as_millis())?,
            (Format::OpenMetrics, Some(timestamp)) => seconds(&mut self.out, timestamp)?,
            (_, None) => {}
        }
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, &series.exemplar) {
            self.exemplar(exemplar)?;
        }
        self.out.write_char('\n')
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) -> fmt::Result {
        self.out.write_str(" # ")?;
        let mut labels = exemplar.labels.iter();
        self.out.write_char('{')?;
        if let Some((name, value)) = labels.next() {
            label(&mut self.out, name, &value)?;
        }
        for (name, value) in labels {
            self.out.write_char(',')?;
            label(&mut self.out, name, &value)?;
        }
        write!(self.out, "}} {}", exemplar.value)?;
        exemplar.timestamp.map_or(Ok(()), |timestamp| seconds(&mut self.out, timestamp))
    }

    /// Writes `# EOF`, with which an OpenMetrics page ends.
    ///
    /// # Errors
    ///
    /// See [`Printer::entry`].
    pub fn eof(&mut self) -> fmt::Result {
        self.out.write_str("# EOF\n")
    }

    fn comment(&mut self, keyword: &str, family: &str) -> fmt::Result {
        write!(self.out, "# {keyword} ")?;
        name(&mut self.out, family)?;
        self.out.write_char(' ')
    }
}

impl fmt::Display for Value {
    /// As both formats write it. A float keeps its point, or is read back as an integer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) if value.is_nan() => f.write_str("NaN"),
            Self::Float(f64::INFINITY) => f.write_str("+Inf"),
            Self::Float(f64::NEG_INFINITY) => f.write_str("-Inf"),
            Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}

fn braces<'a>(
    out: &mut impl Write,
    metric: Option<&str>,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> fmt::Result {
    out.write_char('{')?;
    if let Some(metric) = metric {
        name(out, metric)?;
    }
    for (at, (name, value)) in labels.enumerate() {
        if at > 0 || metric.is_some() {
            out.write_char(',')?;
        }
        label(out, name, value)?;
    }
    out.write_char('}')
}

fn label(out: &mut impl Write, label: &str, value: &str) -> fmt::Result {
    if label.contains(':') {
        quoted(out, label)?
    } else {
        name(out, label)?
    }
    out.write_char('=')?;
    quoted(out, value)
}

fn name(out: &mut impl Write, name: &str) -> fmt::Result {
    if is_plain(name) { out.write_str(name) } else { quoted(out, name) }
}

/// Whether a name can do without quotes.
fn is_plain(name: &str) -> bool {
    name.bytes().all(is_part_of_name) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    escape(out, text, true)?;
    out.write_char('"')
}

fn escape(out: &mut impl Write, text: &str, quotes: bool) -> fmt::Result {
    for plain in text.split_inclusive(['\\', '\n', '"']) {
        let (before, last) = match plain.char_indices().next_back() {
            Some((at, last)) => (plain.get(..at).unwrap_or(""), last),
            None => continue,
        };
        out.write_str(before)?;
        match last {
            '\\' => out.write_str(r"\\")?,
            '\n' => out.write_str(r"\n")?,
            '"' if quotes => out.write_str(r#"\""#)?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}

/// A space, and seconds with as many decimal places as needed.
fn seconds(out: &mut impl Write, timestamp: Timestamp) -> fmt::Result {
    let nanos = timestamp.as_nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, mut fraction) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    write!(out, " {sign}{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let mut places = 9;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    write!(out, ".{fraction:0places$}")
}
