//! What is wrong with a configuration, where, and what to do about it.
//!
//! A reader never stops at the first problem: it reports it here and goes on with a stand-in value, and whoever
//! started reading returns `Err` when anything was reported. Texts name keys, references and known alternatives, and
//! never a value that could be a secret: not one that was substituted, nor one that belongs to a plugin.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use kiln_policy::ConfigLine;

use crate::component_id::InvalidComponentId;
use crate::plugin_reference::InvalidReference;
use crate::substitution::SubstitutionError;
use crate::suggestion::{Nearest, quoted};

/// More errors than this are counted and not kept: the file is something else than a configuration.
const MAX_ERRORS: usize = 200;

/// A place in a configuration file; lines and columns count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Location {
    /// Where a file begins.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The place for those who do not know which file is read.
    pub(crate) fn in_file(self, file: &Arc<str>, path: &YamlPath) -> ConfigLine {
        ConfigLine { file: Arc::clone(file), line: self.line, column: self.column, key: path.0.clone() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The keys and positions that lead to a value, as in `service.pipelines.metrics.receivers[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct YamlPath(String);

impl YamlPath {
    pub(crate) fn key(&self, key: &str) -> Self {
        let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
        let segment = if plain { key.to_owned() } else { quoted(key, '"') };
        if self.0.is_empty() { Self(segment) } else { Self(format!("{}.{segment}", self.0)) }
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    location: Option<Location>,
    path: YamlPath,
    problem: Problem,
}

impl ConfigError {
    /// Where in the file; absent if the file could not be read at all.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.location
    }

    /// The YAML path, for example `receivers.databricks.host`; empty for the whole document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path.0
    }

    /// What is wrong and what to do about it; never holds a secret.
    #[must_use]
    pub fn message(&self) -> String {
        let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
        // Some sentences quote a file or a manifest, which must not be able to write lines of its own.
        self.problem.to_string().chars().map(escape).collect()
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
///
/// Displays as one line per error: `kiln.yaml:12:5: receivers.databricks.hots: unknown key; did you mean `host`?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    errors: Vec<ConfigError>,
    left_out: usize,
}

impl Errors {
    /// The one error of a file that cannot be looked into.
    pub(crate) fn of_file(file: &str, problem: Problem) -> Self {
        let error = ConfigError { location: None, path: YamlPath::default(), problem };
        Self { file: file.to_owned(), errors: vec![error], left_out: 0 }
    }

    /// The file, as it was named to the reader.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The errors, in the order of the file; there is at least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(location) = error.location {
                write!(f, ":{location}")?;
            }
            if !error.path.0.is_empty() {
                write!(f, ": {}", error.path.0)?;
            }
            write!(f, ": {}", error.message())?;
        }
        if self.left_out > 0 {
            write!(f, "\n{}: {} more errors are not shown", self.file, self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Something that is accepted but has no effect, or not the effect its author may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where in the file.
    pub location: Location,
    /// The YAML path.
    pub path: String,
    /// What to know.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.location, self.path, self.message)
    }
}

/// Collects what is found while reading; shared by all readers of one document.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: RefCell<Vec<ConfigError>>,
    left_out: Cell<usize>,
    warnings: RefCell<Vec<Warning>>,
}

impl Report {
    pub(crate) fn error(&self, location: Location, path: &YamlPath, problem: impl Into<Problem>) {
        let error = ConfigError { location: Some(location), path: path.clone(), problem: problem.into() };
        let mut errors = self.errors.borrow_mut();
        if errors.contains(&error) {
            return;
        }
        if errors.len() < MAX_ERRORS {
            errors.push(error);
        } else {
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    pub(crate) fn warning(&self, location: Location, path: &YamlPath, message: &str) {
        let warning = Warning { location, path: path.0.clone(), message: message.to_owned() };
        self.warnings.borrow_mut().push(warning);
    }

    /// The value if nothing was wrong with it, with the warnings; else everything that was.
    pub(crate) fn conclude<T>(self, file: &str, value: T) -> Result<(T, Vec<Warning>), Errors> {
        let mut errors = self.errors.into_inner();
        if errors.is_empty() {
            let mut warnings = self.warnings.into_inner();
            warnings.sort_by_key(|warning| warning.location);
            return Ok((value, warnings));
        }
        errors.sort_by(|a, b| (a.location, &a.path).cmp(&(b.location, &b.path)));
        Err(Errors { file: file.to_owned(), errors, left_out: self.left_out.get() })
    }
}

/// The kinds of things that can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is larger than {0}, which no configuration needs")]
    TooLarge(String),
    #[error("is not UTF-8 text")]
    NotText,
    #[error("not valid YAML: {0}")]
    Syntax(String),
    #[error("the key appears twice, first at {0}; remove one of them")]
    DuplicateKey(Location),
    #[error("unknown key{0}")]
    UnknownKey(Nearest),
    #[error("unknown value{0}")]
    UnknownValue(Nearest),
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("expected {expected}, found {found}")]
    WrongKind { expected: &'static str, found: &'static str },
    #[error("{} is no {what}: {remedy}", shown(.value))]
    Malformed { value: Option<String>, what: &'static str, remedy: String },
    #[error("must be {0}")]
    OutOfRange(String),
    #[error("{} is required", quoted(.0, '`'))]
    Missing(String),
    #[error("needs a value")]
    Empty,
    #[error("needs at least one {0}; leave the key out where none is meant")]
    EmptyList(&'static str),
    #[error(transparent)]
    Substitution(#[from] SubstitutionError),
    #[error(transparent)]
    ComponentId(#[from] InvalidComponentId),
    #[error(transparent)]
    PluginReference(#[from] InvalidReference),
    #[error("unknown signal{0}")]
    UnknownSignal(Nearest),
    #[error("no exporter with this name exists{0}")]
    UnknownExporter(Nearest),
    #[error("no {role} with this name is defined{nearest}")]
    Undefined { role: &'static str, nearest: Nearest },
    #[error("this is {actual}; only {expected} belong here")]
    OtherRole { actual: &'static str, expected: &'static str },
    #[error("is listed twice")]
    ListedTwice,
    #[error("a pipeline needs at least one {0}")]
    EmptyPipeline(&'static str),
    #[error("needs at least one pipeline, as in `metrics: {{ receivers: [databricks], exporters: [debug] }}`")]
    NoPipelines,
    #[error("{0}")]
    Grant(String),
    #[error("environment variable `{variable}` {reason}")]
    Environment { variable: String, reason: String },
    #[error("{0}")]
    Plugin(String),
}

fn shown(value: &Option<String>) -> String {
    value.as_ref().map_or_else(|| "the substituted value".to_owned(), |text| quoted(text, '`'))
}
