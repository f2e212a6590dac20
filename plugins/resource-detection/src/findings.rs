//! What has been found, and what looked like something and was not.

use kiln_plugin::files::{FileError, Files};
use kiln_plugin::telemetry::{Attribute, AttributeValue};

/// Attributes of all detectors together. The host allows 128 on a resource, which has some of its own.
pub(crate) const MAX_ATTRIBUTES: usize = 64;
/// Bytes of a value. The name of a Databricks cluster is the longest text found anywhere.
pub(crate) const MAX_VALUE_BYTES: usize = 1024;
/// Bytes of a key of the operator's; the host allows no more.
pub(crate) const MAX_KEY_BYTES: usize = 1024;
/// Bytes of a file. The largest is what cloud-init was told, user data included.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;

/// Attributes, each key once: what was found first counts.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    attributes: Vec<Attribute>,
    complaints: Vec<String>,
}

impl Findings {
    pub(crate) const fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Adds what `source` says of `key`. An empty text is nothing.
    pub(crate) fn add(&mut self, key: &str, value: impl Into<AttributeValue>, source: &str) {
        let value = value.into();
        if let AttributeValue::Text(text) = &value {
            if text.is_empty() {
                return;
            }
            if text.len() > MAX_VALUE_BYTES {
                let bytes = text.len();
                self.complain(format!(
                    "{source}: the value of {key} has {bytes} bytes, more than {MAX_VALUE_BYTES}; it is left out"
                ));
                return;
            }
        }
        if self.attributes.iter().any(|attribute| attribute.key == key) {
            return;
        }
        if self.attributes.len() >= MAX_ATTRIBUTES {
            self.complain(format!("{source}: {key} would be one attribute more than {MAX_ATTRIBUTES}; it is left out"));
            return;
        }
        self.attributes.push(Attribute::new(key, value));
    }

    /// As [`Self::add`], if there is something.
    pub(crate) fn add_if_there(&mut self, key: &str, value: Option<String>, source: &str) {
        if let Some(value) = value {
            self.add(key, value.trim(), source);
        }
    }

    /// Something the operator should know.
    pub(crate) fn complain(&mut self, sentence: String) {
        self.complaints.push(sentence);
    }

    pub(crate) fn take_complaints(&mut self) -> Vec<String> {
        core::mem::take(&mut self.complaints)
    }

    pub(crate) fn into_attributes(self) -> Vec<Attribute> {
        self.attributes
    }

    /// The text of a file; `None` if it is not there. That it may not be read is told.
    pub(crate) fn text(&mut self, files: Files<'_>, path: &str) -> Option<String> {
        match files.read(path, MAX_FILE_BYTES) {
            Ok(content) => match String::from_utf8(content) {
                Ok(text) => Some(text),
                Err(_) => {
                    self.complain(format!("{path} is not UTF-8; it is left out"));
                    None
                }
            },
            Err(FileError::NotFound) => None,
            Err(error) => {
                self.complain(format!("{path} {error}; it is left out"));
                None
            }
        }
    }
}
