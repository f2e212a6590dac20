//! JSON: what an API answers, what the operator configured, what an instance remembers.
//!
//! With the feature `std` it is read by `serde_json`, without it by a reader that is a quarter of the size and says the same in
//! slightly other words.

#[cfg(any(test, not(feature = "std")))]
mod reader;

use core::fmt;

use serde::de::DeserializeOwned;

use crate::prelude::*;

/// Reads a whole text.
///
/// # Errors
/// It is not JSON, or not of this shape; says where.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    #[cfg(feature = "std")]
    return serde_json::from_slice(json).map_err(JsonError::from);
    #[cfg(not(feature = "std"))]
    reader::from_slice(json)
}

/// Why a text is not the JSON that was expected, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(String);

impl JsonError {
    #[cfg(any(test, not(feature = "std")))]
    fn at(message: &str, text: &[u8], position: usize) -> Self {
        let before = text.get(..position).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count().saturating_add(1);
        Self(format!("{message} at line {line} column {column}"))
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for JsonError {}
