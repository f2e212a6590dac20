//! Where the operator has written something.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A place in a configuration file, so that every grant can be traced to the line that gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ConfigLine {
    /// The file, as it was named on the command line.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The keys that lead there, for example `receivers.spark.grants.http[0]`.
    pub key: String,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// `kiln.yaml:12:5: receivers.spark.grants.http[0]`.
impl fmt::Display for ConfigLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, key } = self;
        write!(f, "{file}:{line}:{column}: {key}")
    }
}
