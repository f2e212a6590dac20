//! Regular expressions, in time that grows with the text and not with what the expression could do.

use kiln_plugin::telemetry::AttributeValue;
use regex_lite::Regex;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self).map_err(|error| format!("is no regular expression: {error}"))
    }

    /// # Errors
    /// What is wrong with it, for example that nothing would be taken out.
    pub(crate) fn with_groups(pattern: &str) -> Result<Self, String> {
        let pattern = Self::new(pattern)?;
        // The first is the whole.
        let mut groups = pattern.0.capture_names().skip(1).peekable();
        if groups.peek().is_none() {
            return Err("names no group to take out: write (?P<NAME>…)".to_owned());
        }
        match groups.any(|name| name.is_none()) {
            true => Err("has a group without a name: write (?P<NAME>…), or (?:…) for what is not taken out".to_owned()),
            false => Ok(pattern),
        }
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What the named groups match, by their names; nothing if the whole does not.
    pub(crate) fn groups_in(&self, text: &str) -> Vec<(String, AttributeValue)> {
        let Some(captures) = self.0.captures(text) else { return Vec::new() };
        let names = self.0.capture_names().flatten();
        names.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().into()))).collect()
    }
}
