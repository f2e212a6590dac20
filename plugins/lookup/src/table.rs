//! A table in memory: what is looked up, and what is set.
//!
//! It holds the columns that are used and no others. Whatever a file may have too much of has a bound here, and an
//! error that names the line, the value and the bound.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use kiln_plugin::telemetry::AttributeValue;

use crate::config::{Action, Target};

/// Bytes of a file.
pub(crate) const MAX_FILE_BYTES: usize = 8 << 20;
/// Rows of a table.
pub(crate) const MAX_ROWS: usize = 100_000;
/// Columns of a table, the one with the keys included. The host allows 128 attributes in one place.
pub(crate) const MAX_COLUMNS: usize = 65;
/// Bytes of a value.
pub(crate) const MAX_VALUE_BYTES: usize = 4096;
/// Bytes of a column's name, which may become the key of an attribute; the host allows no more.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// So much of a value is repeated in an error.
const EXCERPT_CHARACTERS: usize = 40;

/// One value for each column that is used.
pub(crate) type Row = Vec<Option<AttributeValue>>;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    targets: Vec<Target>,
    rows: HashMap<String, Row>,
}

impl Table {
    pub(crate) fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// What is set, each with the index of its value in a row.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (usize, &Target)> {
        self.targets.iter().enumerate()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(crate) struct Builder<'c> {
    key_column: &'c str,
    targets: Vec<Target>,
    /// Whether every other column is set under its own name, so that columns are found while rows are read.
    takes_all: bool,
    /// Whether the column of each target has been met.
    met: Vec<bool>,
    rows: HashMap<String, Row>,
}

impl<'c> Builder<'c> {
    /// A table of the columns `targets` names, or of all there are.
    pub(crate) fn new(key_column: &'c str, targets: Option<&[Target]>) -> Self {
        let takes_all = targets.is_none();
        let targets = targets.unwrap_or_default().to_vec();
        Self { key_column, met: vec![false; targets.len()], targets, takes_all, rows: HashMap::new() }
    }

    pub(crate) const fn key_column(&self) -> &'c str {
        self.key_column
    }

    /// Where in a row the values of this column go: nowhere if nobody wants them, perhaps to several attributes.
    ///
    /// # Errors
    /// The name cannot be an attribute's, or there are too many.
    pub(crate) fn places(&mut self, column: &str) -> Result<Vec<usize>, Problem> {
        if column.is_empty() {
            return Err(Problem::EmptyName);
        }
        if column.len() > MAX_NAME_BYTES {
            return Err(Problem::LongName { name: excerpt(column) });
        }
        if column == self.key_column && self.takes_all {
            return Ok(Vec::new());
        }
        let mut places = Vec::new();
        for (place, (target, met)) in self.targets.iter().zip(&mut self.met).enumerate() {
            if target.column == column {
                *met = true;
                places.push(place);
            }
        }
        if !places.is_empty() || !self.takes_all {
            return Ok(places);
        }
        if self.targets.len() + 1 >= MAX_COLUMNS {
            return Err(Problem::TooManyColumns);
        }
        let (key, column) = (column.to_owned(), column.to_owned());
        self.met.push(true);
        self.targets.push(Target { key, column, default: None, action: Action::default() });
        Ok(vec![self.targets.len() - 1])
    }

    /// An attribute whose column is not among these.
    pub(crate) fn target_without_column(&self, columns: &[String]) -> Option<&Target> {
        self.targets.iter().find(|target| !columns.contains(&target.column))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Its key is empty, too long or there already, or there are too many rows.
    pub(crate) fn add(&mut self, key: String, row: Row) -> Result<(), Problem> {
        if key.is_empty() {
            return Err(Problem::EmptyKey { column: self.key_column.to_owned() });
        }
        check_value(self.key_column, &key)?;
        let is_full = self.rows.len() >= MAX_ROWS;
        match self.rows.entry(key) {
            Entry::Occupied(entry) => Err(Problem::DuplicateKey { key: excerpt(entry.key()) }),
            Entry::Vacant(_) if is_full => Err(Problem::TooManyRows),
            Entry::Vacant(entry) => {
                entry.insert(row);
                Ok(())
            }
        }
    }

    /// # Errors
    /// There are rows, and none of them has what an attribute is to be set to: a name is misspelled.
    pub(crate) fn finish(self) -> Result<Table, Problem> {
        let never_met = self.targets.iter().zip(&self.met).find(|(_, met)| !**met);
        match never_met {
            Some((target, _)) if !self.rows.is_empty() => Err(Problem::NoField { column: target.column.clone() }),
            _ => Ok(Table { targets: self.targets, rows: self.rows }),
        }
    }
}

/// A value as it is looked up: text, whole numbers and booleans. Nothing else can be equal to what stands in a file.
pub(crate) fn key_text(value: &AttributeValue) -> Option<Cow<'_, str>> {
    match value {
        AttributeValue::Text(text) => Some(Cow::Borrowed(text)),
        AttributeValue::Integer(value) => Some(Cow::Owned(value.to_string())),
        AttributeValue::Boolean(true) => Some(Cow::Borrowed("true")),
        AttributeValue::Boolean(false) => Some(Cow::Borrowed("false")),
        _ => None,
    }
}

/// # Errors
/// A text is longer than a table may hold.
pub(crate) fn check_value(column: &str, value: &str) -> Result<(), Problem> {
    if value.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    Err(Problem::LongValue { column: excerpt(column), value: excerpt(value), bytes: value.len() })
}

/// The beginning of a text, without what would break a line of the log.
pub(crate) fn excerpt(text: &str) -> String {
    let mut characters = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut head: String = characters.by_ref().take(EXCERPT_CHARACTERS).collect();
    if characters.next().is_some() {
        head.push('…');
    }
    head
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TableError {
    /// The line, counted from 1; `None` of the file as a whole.
    pub(crate) line: Option<usize>,
    pub(crate) problem: Problem,
}

impl From<Problem> for TableError {
    fn from(problem: Problem) -> Self {
        Self { line: None, problem }
    }
}

impl Problem {
    pub(crate) const fn on_line(self, line: usize) -> TableError {
        TableError { line: Some(line), problem: self }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    NotUtf8,
    NoHeader,
    EmptyName,
    LongName { name: String },
    NameTwice { name: String },
    NoColumn { column: String, columns: Vec<String> },
    NoField { column: String },
    TooManyColumns,
    Fields { found: usize, expected: usize },
    OpenQuote,
    QuoteInText { value: String },
    TextAfterQuote { value: String },
    EmptyKey { column: String },
    DuplicateKey { key: String },
    TooManyRows,
    LongValue { column: String, value: String, bytes: usize },
    Json(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("is not UTF-8: save the file as UTF-8"),
            Self::NoHeader => f.write_str("has no first line with the names of the columns"),
            Self::EmptyName => f.write_str("a column has no name"),
            Self::LongName { name } => write!(f, "a column's name is longer than {MAX_NAME_BYTES} bytes: `{name}`"),
            Self::NameTwice { name } => write!(f, "two columns are called `{name}`"),
            Self::NoColumn { column, columns } => {
                write!(f, "there is no column `{column}`, only `{}`", columns.join("`, `"))
            }
            Self::NoField { column } => write!(f, "no row has a `{column}`, which an attribute is to be set to"),
            Self::TooManyColumns => {
                write!(f, "more than {MAX_COLUMNS} columns: list those that are used under `attributes`")
            }
            Self::Fields { found, expected } => {
                write!(
                    f,
                    "the number of fields is {found}, and {expected} in the first line: a comma within a value needs quotes"
                )
            }
            Self::OpenQuote => f.write_str("a quote opens here and is not closed"),
            Self::QuoteInText { value } => {
                write!(f, "`{value}` has a quote within it: write the value in quotes, and the quote twice")
            }
            Self::TextAfterQuote { value } => {
                write!(f, "text follows the quoted value `{value}`: a quote within quotes is written twice")
            }
            Self::EmptyKey { column } => write!(f, "`{column}` is empty, so that nothing can lead to this row"),
            Self::DuplicateKey { key } => write!(f, "`{key}` has a row already"),
            Self::TooManyRows => write!(f, "more than {MAX_ROWS} rows"),
            Self::LongValue { column, value, bytes } => {
                write!(f, "the value of `{column}` has {bytes} bytes, more than {MAX_VALUE_BYTES}: `{value}`")
            }
            Self::Json(message) => f.write_str(message),
        }
    }
}
